"""From the source document to one element of `Model` for the form `SAL_OUTSTOCK` of K3Cloud (金蝶云星空), in the vendor's own
spelling and order. The order of the fields is kept, because fields come after those they depend on. Another form has
other fields."""

from typing import Any

from crossdock_guest import Rejection

from parameters import Parameters
from source import LINES, Source


def number(value: str) -> dict[str, str]:
    """Base data by its number."""
    return {"FNumber": value}


def bill(source: Source, parameters: Parameters) -> dict[str, Any]:
    if not source.lines:
        raise Rejection("lines_empty", "a document has at least one line", LINES)
    return {
        # The one key that the vendor spells in capitals.
        "FBillTypeID": {"FNUMBER": parameters.bill_type},
        "FBillNo": source.number,
        "FDate": source.date,
        "FSaleOrgId": number(parameters.organisation),
        "FStockOrgId": number(parameters.organisation),
        "FCustomerID": number(parameters.customer),
        "FNote": source.remark or "",
        "SubHeadEntity": {
            "FSettleCurrID": number(parameters.currency),
            "FSettleOrgID": number(parameters.organisation),
        },
        "FEntity": [
            {
                "FMaterialID": number(line.code),
                "FUnitID": number(parameters.unit),
                "FRealQty": line.quantity,
                "FTaxPrice": line.price,
                "FIsFree": line.price == 0,
                "FStockID": number(source.warehouse),
            }
            for line in source.lines
        ],
    }
