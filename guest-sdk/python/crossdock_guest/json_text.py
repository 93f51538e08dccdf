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


class Twice:
    """What a name holds that an object has twice; reading such a field is refused, passing it over is not."""

    __slots__ = ("last",)

    def __init__(self, last: Any):
        self.last = last


class Absent:
    """The value of a field that is not to be written at all."""


ABSENT = Absent()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        fields = {name: Twice(value) if names.count(name) > 1 else value for name, value in fields.items()}
    return fields


def _no_number(text: str) -> Any:
    raise ValueError(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Numeral, parse_int=Numeral, parse_constant=_no_number, strict=True
)


def read(text: str) -> Any:
    """Reads JSON text: objects as `dict`, numbers as `Numeral`, and what an object has twice as `Twice`."""
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
    # By the exact type, because most of a bill is objects of a few strings; a kind of these types is none of them here.
    kind = type(value)
    if kind is dict:
        fields = []
        for name, entry in value.items():
            if type(entry) is str:
                fields.append(f"{encode_basestring(name)}:{encode_basestring(entry)}")
            elif entry is not ABSENT:
                fields.append(f"{encode_basestring(name)}:{to_json(entry)}")
        return f"{{{','.join(fields)}}}"
    if kind is str:
        return encode_basestring(value)
    if kind is list:
        return f"[{','.join(map(to_json, value))}]"
    return _to_json(value)


def _to_json(value: Any) -> str:
    if isinstance(value, exact.Decimal):
        try:
            return exact.write(value)
        except exact.NotExact as error:
            raise Rejection("body_unwritable", f"the bill holds a number that {error}") from None
    if isinstance(value, Numeral):
        return str(value)
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None:
        return "null"
    # Before `int`, of which it is a kind.
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Twice):
        return to_json(value.last)
    if isinstance(value, dict):
        return to_json(dict(value))
    if isinstance(value, (list, tuple)):
        return to_json(list(value))
    raise Rejection("body_unwritable", f"the bill holds a value of type {type(value).__name__}; write amounts as Decimal")
