"""From a mapping to the component's two exports."""

import gc
import sys
import traceback
from pathlib import Path
from typing import Any, Generic, TypeVar

import wit_world
from wit_world.imports.types import (
    Context,
    Description,
    Document,
    Outcome,
    Outcome_Emit,
    Outcome_Reject,
    Outcome_Skip,
    Reason,
    TargetDocument,
)

from . import log
from .fields import Fields, parse_text
from .json_text import ABSENT, to_json
from .rejection import Rejection


P = TypeVar("P")


class Transform(Generic[P]):
    """A mapping from one source document to bills. A module has one, and exports it: `WitWorld = export(MyTransform())`."""

    name: str
    version: str
    source: str
    target: str
    # A JSON Schema (2020-12) as text: `project_file("parameters.schema.json")`.
    parameters_schema: str

    def read_parameters(self, parameters: Fields) -> P:
        """What `map` needs of the parameters; a rejection here becomes `parameters_invalid`."""
        raise NotImplementedError

    def map(self, document: Document, parameters: P, context: Context) -> Outcome:
        """Maps one document, or raises a `Rejection`. Any other exception is the module's fault: its traceback goes to the
        document's log, and the document is parked."""
        raise NotImplementedError


def export(transform: Transform[P]) -> type[wit_world.WitWorld]:
    """The class that the component is made of."""
    description = Description(
        transform.name, transform.version, transform.source, transform.target, transform.parameters_schema
    )

    class WitWorld(wit_world.WitWorld):
        def describe(self) -> Description:
            return description

        def transform(self, context: Context, document: Document) -> Outcome:
            try:
                return transform.map(document, _parameters(transform, context), context)
            except Rejection as why:
                return Outcome_Reject(Reason(why.code, why.message, why.field))
            except Exception:
                log.error(traceback.format_exc())
                raise

    _prepare()
    return WitWorld


_SAMPLE = """{"text": "a", "中": "中", "number": 12, "amount": 1.50, "time": "2026-01-02 03:04:05", "list": [{"amount": "1.5"}]}"""


def _prepare() -> None:
    """What is done while the component is built is in its memory ever after. Code that has run is quicker, and what the
    collector of garbage need not look at again no document has to copy."""
    # Often enough for the interpreter to fit the code to what it meets.
    for _ in range(50):
        fields = parse_text(_SAMPLE)
        row = fields.list("list")[0]
        fields.filled_text("number")
        fields.optional_text("中")
        bill = {
            "text": fields.filled_text("text"),
            "time": fields.date_time("time"),
            "rows": [{"amount": row.decimal("amount"), "none": None, "true": True, "absent": ABSENT}],
            "amount": fields.decimal("amount"),
            "zero": fields.optional_decimal("amount") == 0,
        }
        to_json(bill)
    gc.collect()
    gc.freeze()


# The parameters of the document before, which are nearly always this one's: their text and what was read. Nothing changes
# that; what a mapping makes of them it makes anew.
_known: tuple[str | None, Fields] = (None, Fields({}, ""))


def _parameters(transform: Transform[P], context: Context) -> P:
    global _known
    try:
        if context.parameters != _known[0]:
            _known = (context.parameters, parse_text(context.parameters))
        return transform.read_parameters(_known[1])
    except Rejection as why:
        # A field belongs to the source document, so the message alone names the parameter.
        raise Rejection("parameters_invalid", f"parameters: {why}") from None


def project_file(name: str) -> str:
    """The text of a file of the project. Only where the module is imported, that is while it is built: afterwards there are
    no files."""
    for folder in sys.path:
        path = Path(folder, name)
        if path.is_file():
            return path.read_text("utf-8")
    raise FileNotFoundError(name)


def emit_one(key: str, bill: Any) -> Outcome:
    """One bill. `key` is the bill's key in the target system."""
    return emit([(key, bill)])


def emit(bills: list[tuple[str, Any]]) -> Outcome:
    """Several bills, each a key and the bill."""
    return Outcome_Emit([TargetDocument(key, to_json(bill)) for key, bill in bills])


def skip(code: str, message: str, field: str | None = None) -> Outcome:
    """Nothing to write for this document, and that is right. The message must not repeat personal data."""
    return Outcome_Skip(Reason(code, message, field))
