"""A source document's fields, each read as what it must be. What cannot be read is a rejection that names the field by JSON
Pointer and never repeats the value, because values are personal data."""

import re
from calendar import monthrange
from collections.abc import Callable
from typing import Any, TypeVar

from wit_world.imports.types import Document

from . import exact
from .exact import Decimal
from .json_text import Numeral, Twice, read
from .rejection import Rejection

T = TypeVar("T")

_DATE_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})", re.ASCII)
# Most times, and none that does not exist.
_USUAL_TIME = re.compile(
    r"20[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8]) (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]", re.ASCII
)
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", re.ASCII)
_NO_DAY = ("", "0000-00-00", "0000-00-00 00:00:00")


def parse(document: Document) -> "Fields":
    """Reads a document's body, which must be an object."""
    return parse_text(document.body)


def parse_text(text: str) -> "Fields":
    """Reads the text of a JSON object."""
    value = read(text)
    if not isinstance(value, dict):
        raise _wrong_type("", value, "an object")
    return Fields(value, "")


class Fields:
    """An object of the source document.

    `text`, `decimal`, `date_time`, `date`, `list` and `object` want a value; the same with `optional_` before it give
    `None` where the field is missing or `null`.
    """

    __slots__ = ("_at", "_values")

    def __init__(self, values: dict[str, Any], at: str):
        self._values = values
        self._at = at

    def pointer(self, name: str) -> str:
        """The JSON Pointer of a field."""
        return f"{self._at}/{name.replace('~', '~0').replace('/', '~1')}"

    def has(self, name: str) -> bool:
        """True where the field is there and not `null`."""
        return self._last(name) is not None

    def names(self) -> list[str]:
        """The fields' names, in the order of the document."""
        return list(self._values)

    def text(self, name: str) -> str:
        """A string, or a number's digits as written: `"166001"` and `166001` read the same."""
        # What most fields are, without a detour.
        value = self._values.get(name)
        if type(value) is str and value.isascii():
            return value
        return self._required(name, _text, "a string or a number")

    def optional_text(self, name: str) -> str | None:
        value = self._values.get(name)
        if type(value) is str and value.isascii():
            return value
        return self._optional(name, _text)

    def filled_text(self, name: str) -> str:
        """A text that is not empty and not only white space."""
        text = self.text(name)
        if not text.strip():
            raise Rejection.blank(self.pointer(name))
        return text

    def decimal(self, name: str) -> Decimal:
        """A JSON number, or a string that holds one."""
        return self._required(name, _decimal, "a decimal number")

    def optional_decimal(self, name: str) -> Decimal | None:
        """Like the others, and `None` for `""` too, which some vendors write for "none"."""
        return None if self._last(name) == "" else self._optional(name, _decimal)

    def date_time(self, name: str) -> str:
        """`yyyy-MM-dd HH:mm:ss` of a time that exists; `T` in place of the blank is read too."""
        value = self._values.get(name)
        if type(value) is str and _USUAL_TIME.fullmatch(value) is not None:
            return value
        return self._required(name, _date_time, "a time yyyy-MM-dd HH:mm:ss")

    def optional_date_time(self, name: str) -> str | None:
        return self._optional(name, _date_time)

    def date(self, name: str) -> str:
        """The `yyyy-MM-dd` of a day that exists, from a date or from a time."""
        return self._required(name, _date, "a date yyyy-MM-dd")

    def optional_date(self, name: str) -> str | None:
        """Like the others, and `None` for `""` and the day nought, with or without a time."""
        return None if self._last(name) in _NO_DAY else self._optional(name, _date)

    def list(self, name: str) -> "list[Fields]":
        """The elements as `Fields`."""
        at = self.pointer(name)
        rows = self._required(name, _list, "a sequence")
        return [_fields(row, f"{at}/{index}") for index, row in enumerate(rows)]

    def optional_texts(self, name: str) -> "list[str] | None":
        """The elements as texts."""
        at = self.pointer(name)
        rows = self._optional(name, _list)
        return None if rows is None else [_text(row, f"{at}/{index}") for index, row in enumerate(rows)]

    def object(self, name: str) -> "Fields":
        return self._required(name, _fields, "an object")

    def optional_object(self, name: str) -> "Fields | None":
        return self._optional(name, _fields)

    def _required(self, name: str, read_as: Callable[[Any, str], T], wanted: str) -> T:
        value = self._value(name)
        if value is None:
            at = self.pointer(name)
            raise Rejection.null(at, wanted) if name in self._values else Rejection.missing(at)
        return read_as(value, self.pointer(name))

    def _optional(self, name: str, read_as: Callable[[Any, str], T]) -> T | None:
        value = self._value(name)
        return None if value is None else read_as(value, self.pointer(name))

    def _value(self, name: str) -> Any:
        value = self._values.get(name)
        if type(value) is Twice:
            at = self.pointer(name)
            raise Rejection("field_invalid", f"{at}: duplicate field `{name}`", at)
        return value

    def _last(self, name: str) -> Any:
        value = self._values.get(name)
        return value.last if type(value) is Twice else value


def _text(value: Any, at: str) -> str:
    if not isinstance(value, str):
        raise _wrong_type(at, value, "a string or a number")
    try:
        value.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair is no text.
        raise Rejection("field_invalid", f"{at}: is not valid text", at) from None
    return str(value)


def _decimal(value: Any, at: str) -> Decimal:
    if not isinstance(value, str):
        raise _wrong_type(at, value, "a decimal number")
    try:
        number = exact.parse(value)
    except exact.NotExact as error:
        raise Rejection("number_not_exact", f"{at} {error}", at) from None
    if number is None:
        raise Rejection("not_a_number", f"{at} is not a decimal number", at)
    return number


def _date_time(value: Any, at: str) -> str:
    if not isinstance(value, str) or isinstance(value, Numeral):
        raise _wrong_type(at, value, "a time yyyy-MM-dd HH:mm:ss")
    parts = _DATE_TIME.fullmatch(value)
    if parts is None or not _day_exists(*parts.groups()[:3]) or parts[4] > "23" or parts[5] > "59" or parts[6] > "59":
        raise Rejection("field_invalid", f"{at}: expected a time yyyy-MM-dd HH:mm:ss", at)
    return f"{value[:10]} {value[11:]}"


def _date(value: Any, at: str) -> str:
    if not isinstance(value, str) or isinstance(value, Numeral):
        raise _wrong_type(at, value, "a date yyyy-MM-dd")
    parts = _DATE.fullmatch(value)
    if parts is not None and _day_exists(*parts.groups()):
        return value
    try:
        return _date_time(value, at)[:10]
    except Rejection:
        raise Rejection("field_invalid", f"{at}: expected a date yyyy-MM-dd", at) from None


def _day_exists(year: str, month: str, day: str) -> bool:
    y, m, d = int(year), int(month), int(day)
    return y > 0 and 1 <= m <= 12 and 1 <= d <= monthrange(y, m)[1]


def _list(value: Any, at: str) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong_type(at, value, "a sequence")
    return value


def _fields(value: Any, at: str) -> Fields:
    if value is None:
        raise Rejection.null(at, "an object")
    if not isinstance(value, dict):
        raise _wrong_type(at, value, "an object")
    return Fields(value, at)


def _wrong_type(at: str, value: Any, wanted: str) -> Rejection:
    name = at or "the document"
    return Rejection("field_type", f"{name} is {_kind(value)}, expected {wanted}", at)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, Numeral):
        return "a number"
    return "a string" if isinstance(value, str) else "a boolean"
