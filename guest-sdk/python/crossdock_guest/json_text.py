"""JSON with its digits. The standard reader makes binary floating point of a number; here a number stays its text, and the
field that is asked for decides what becomes of it (`fields.py`)."""

import json
from json.encoder import encode_basestring
from typing import Any

from . import exact
from .rejection import Rejection


class Numeral(str):
    """A number as it was written."""

    __slots__ = ()


class Object(dict):
    """An object, and the names that it had twice; reading such a field is refused, passing it over is not."""

    __slots__ = ("duplicates",)


class Absent:
    """The value of a field that is not to be written at all."""


ABSENT = Absent()


def _object(pairs: list[tuple[str, Any]]) -> Object:
    fields = Object(pairs)
    fields.duplicates = frozenset()
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        fields.duplicates = frozenset(name for name in names if names.count(name) > 1)
    return fields


def _no_number(text: str) -> Any:
    raise ValueError(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Numeral, parse_int=Numeral, parse_constant=_no_number, strict=True
)


def read(text: str) -> Any:
    """Reads JSON text: objects as `Object`, numbers as `Numeral`."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _malformed(text, error.pos) from None
    except (ValueError, RecursionError):
        # `NaN` and its like, which JSON does not have, or arrays within arrays without end.
        raise Rejection("malformed_json", "the document is not valid JSON") from None


def _malformed(text: str, place: int) -> Rejection:
    # Line and column, both from 1, the column in bytes; at the end of the text, the last byte.
    lines = text[:place].split("\n")
    column = len(lines[-1].encode("utf-8", "surrogatepass")) + (1 if place < len(text) else 0)
    return Rejection("malformed_json", f"the document is not valid JSON: line {len(lines)}, column {column}")


def to_json(value: Any) -> str:
    """Writes a value as compact JSON: a `Decimal` as the exact number, an `ABSENT` field not at all. Refuses a `float`."""
    # Strings first, because most of a bill is strings; `bool` before `int`, of which it is a kind.
    if isinstance(value, Numeral):
        return str(value)
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, exact.Decimal):
        try:
            return exact.write(value)
        except exact.NotExact as error:
            raise Rejection("body_unwritable", f"the bill holds a number that {error}") from None
    if isinstance(value, dict):
        fields = ((name, entry) for name, entry in value.items() if entry is not ABSENT)
        return "{" + ",".join(f"{encode_basestring(name)}:{to_json(entry)}" for name, entry in fields) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(to_json, value)) + "]"
    raise Rejection("body_unwritable", f"the bill holds a value of type {type(value).__name__}; write amounts as Decimal")
