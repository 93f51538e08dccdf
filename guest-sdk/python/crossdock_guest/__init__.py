"""What a Crossdock transform in Python is written with.

The same words as in the Rust crate `crossdock-guest`, and a field that cannot be read is the same rejection. No clock, no
randomness, no files, no sockets: the module is built without them. It must be a pure function of what it is given; the
host may run it again, in a fresh instance or in one that has mapped other documents before.
"""

from wit_world.imports.types import Context, Document, Outcome, TargetDocument

from . import log, reference
from .exact import Decimal, within_places
from .fields import Fields, parse, parse_text
from .json_text import ABSENT, to_json
from .rejection import Rejection
from .transform import Transform, emit, emit_one, export, project_file, skip

__all__ = [
    "ABSENT",
    "Context",
    "Decimal",
    "Document",
    "Fields",
    "Outcome",
    "Rejection",
    "TargetDocument",
    "Transform",
    "emit",
    "emit_one",
    "export",
    "log",
    "parse",
    "parse_text",
    "project_file",
    "reference",
    "skip",
    "to_json",
    "within_places",
]
