"""Look-ups in the scheme's reference tables: material codes, units, customers.

One call sees one revision of each table. A look-up that the host cannot answer yet ends the call by itself and the
document runs again.
"""

import json
from typing import Any

from componentize_py_types import Err
from wit_world.imports import reference as host

from .fields import Fields
from .json_text import Numeral, read
from .rejection import Rejection


def lookup(table: str, key: str) -> Any:
    """The entry: a text for JSON text and numbers, `Fields` for an object; `None` where the key is known not to exist."""
    entry = lookup_text(table, key)
    if entry is None:
        return None
    try:
        value = read(entry)
    except Rejection as error:
        name = json.dumps(key, ensure_ascii=False)
        raise Rejection("reference_unreadable", f"the entry {name} of table {table}: {error}") from None
    if isinstance(value, Numeral):
        return str(value)
    return Fields(value, "") if isinstance(value, dict) else value


def required(table: str, key: str, field: str) -> Any:
    """The entry, or a rejection `reference_missing` that names `field`, the pointer that `key` came from."""
    entry = lookup(table, key)
    if entry is None:
        name = json.dumps(key, ensure_ascii=False)
        raise Rejection("reference_missing", f"table {table} has no entry {name} for {field}", field)
    return entry


def lookup_text(table: str, key: str) -> str | None:
    """The entry as JSON text."""
    try:
        return host.lookup(table, key)
    except Err:
        # The contract has one error.
        raise Rejection("reference_unknown_table", f"the scheme has no reference table {table}") from None
