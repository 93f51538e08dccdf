"""From the source document to the bill, field by field, in the target's own spelling and order."""

from typing import Any

from crossdock_guest import Rejection

from parameters import Parameters
from source import LINES, Source


def bill(source: Source, parameters: Parameters) -> dict[str, Any]:
    if not source.lines:
        raise Rejection("lines_empty", "a document has at least one line", LINES)
    return {
        "number": source.number,
        "date": source.date,
        "organisation": parameters.organisation,
        "stock": source.warehouse,
        "rows": [
            {
                "material": line.code,
                "quantity": line.quantity,
                "price": line.price,
                "is_free": line.price == 0,
            }
            for line in source.lines
        ],
    }
