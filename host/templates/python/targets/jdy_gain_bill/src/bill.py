"""From the source document to one gain bill (盘盈单) of JDY (金蝶云星辰), in the vendor's own spelling. The vendor wants its
internal ids as text, not codes: codes become ids through reference tables, and a code that is in none rejects the
document. The number stands in three places, because accounts differ in which of them they keep."""

from typing import Any

from crossdock_guest import Rejection, reference

from parameters import Parameters
from source import CODE, LINES, Line, Source


def bill(source: Source, parameters: Parameters) -> dict[str, Any]:
    if not source.lines:
        raise Rejection("lines_empty", "a document has at least one line", LINES)
    stock = reference.required(parameters.stock_table, source.warehouse, "").text("id")
    return {
        "billdate": source.date,
        "billno": source.number,
        "remark": source.number,
        "material_entity": [row(index, line, stock, source, parameters) for index, line in enumerate(source.lines)],
    }


def row(index: int, line: Line, stock: str, source: Source, parameters: Parameters) -> dict[str, Any]:
    field = f"{LINES}/{index}/{CODE}"
    return {
        "materialid_id": reference.required(parameters.material_table, line.code, field).text("id"),
        "stockid_id": stock,
        "unit_id": reference.required(parameters.unit_table, parameters.unit, field).text("id"),
        "qty": line.quantity,
        "billno": source.number,
    }
