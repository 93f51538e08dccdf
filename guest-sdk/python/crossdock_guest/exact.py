"""Amounts and quantities, exactly as written.

`Decimal` is the standard library's, which keeps the places that it read. What it does not do by itself is refuse to round:
its default context silently cuts at 28 digits. So this module makes every operation that would be inexact an error.
"""

import decimal
import re
from decimal import Decimal

from .rejection import Rejection

__all__ = ["Decimal", "NotExact", "parse", "within_places", "write"]

# The Rust crate's limits, so that no amount is refused in one language and taken in the other: a coefficient of 96 bits,
# in which 28 digits always fit, and 28 decimal places.
COEFFICIENT_LIMIT = (1 << 96) - 1
PLACES_LIMIT = 28
# More digits than this are not exact either way.
DIGITS_LIMIT = 38
NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?", re.ASCII)
# Of so many characters every number without exponent is within the limits and is written as it is read.
WITHIN_LIMITS_CHARACTERS = 28
USUAL = re.compile(r"(?:-(?=[0.]*[1-9]))?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)

# Room for the exact product of two amounts; beyond it `Inexact` is raised. `localcontext` is for who wants to round, and
# then says where and how.
decimal.setcontext(
    decimal.Context(
        prec=80,
        rounding=decimal.ROUND_HALF_EVEN,
        traps=[decimal.Inexact, decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow, decimal.FloatOperation],
    )
)


class NotExact(Exception):
    """A number that cannot be held exactly."""

    MESSAGE = "cannot be held exactly: more than 28 digits"


def parse(text: str) -> Decimal | None:
    """Reads exactly what JSON calls a number; `None` where the text is no number. Raises `NotExact`."""
    if len(text) <= WITHIN_LIMITS_CHARACTERS and USUAL.fullmatch(text) is not None:
        return Decimal(text)
    parts = NUMBER.fullmatch(text)
    if parts is None:
        return None
    sign, whole, behind, exponent = parts.groups("")
    digits = (whole + behind).lstrip("0") or "0"
    # An exponent of more digits than these is out of every limit, and the integer would only cost time.
    if len(digits) > DIGITS_LIMIT or len(exponent) > 8:
        raise NotExact(NotExact.MESSAGE)
    return _within_limits(int(digits), len(behind) - int(exponent or 0), sign == "-")


def checked(number: Decimal) -> Decimal:
    """The number, as every amount is held. Raises `NotExact`."""
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        raise NotExact("is not a number")
    return _within_limits(int("".join(map(str, digits))), -exponent, sign == 1)


def _within_limits(coefficient: int, places: int, negative: bool) -> Decimal:
    if coefficient == 0:
        places = min(max(places, 0), PLACES_LIMIT)
    if places < 0:
        if places < -DIGITS_LIMIT:
            raise NotExact(NotExact.MESSAGE)
        coefficient, places = coefficient * 10**-places, 0
    while (places > PLACES_LIMIT or coefficient > COEFFICIENT_LIMIT) and places > 0 and coefficient % 10 == 0:
        coefficient, places = coefficient // 10, places - 1
    if coefficient > COEFFICIENT_LIMIT or places > PLACES_LIMIT:
        raise NotExact(NotExact.MESSAGE)
    sign = "-" if negative and coefficient else ""
    return Decimal(f"{sign}{coefficient}E-{places}")


def within_places(number: Decimal, most: int, field: str) -> Decimal:
    """The same number with at most `most` decimal places, dropping only zeros; else a rejection `too_many_places`."""
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and -exponent <= most:
        return number
    try:
        return number.quantize(Decimal(1).scaleb(-most))
    except decimal.Inexact:
        raise Rejection("too_many_places", f"{field} has more than {most} decimal places", field) from None


def write(number: Decimal) -> str:
    """Plain digits with the places that the number has: `1.50` stays `1.50`. Raises `NotExact`."""
    text = str(number)
    if len(text) <= WITHIN_LIMITS_CHARACTERS and USUAL.fullmatch(text) is not None:
        return text
    return format(checked(number), "f")
