"""One element of `Model` for the form `SAL_OUTSTOCK`, in the vendor's own spelling and order. The order of the fields is kept,
because fields come after those they depend on."""

from typing import Any

from crossdock_guest import ABSENT

from parameters import Parameters
from source import Item, SaleOut


def bill(sale_out: SaleOut, parameters: Parameters) -> dict[str, Any]:
    shop = parameters.shop(sale_out.shop_id)
    customer = sale_out.distributor or parameters.customer_of_shop(sale_out.shop_id)
    return {
        "FBillTypeID": {"FNUMBER": parameters.bill_type},
        "FBillNo": sale_out.io_id,
        "FDate": sale_out.io_date,
        "FSaleOrgId": number(shop.organisation),
        "FStockOrgId": number(shop.organisation),
        "FCustomerID": number(customer),
        "FSaleDeptID": number(shop.department),
        "FNote": sale_out.remark,
        "F_KLF_Assistant": number(shop.profit_centre),
        "F_KLF_Text": sale_out.platform_order,
        "F_KLF_Text1": sale_out.waybill,
        "SubHeadEntity": {
            "FSettleCurrID": number(shop.currency),
            "FSettleOrgID": number(shop.organisation),
            "FAllDisCount": ABSENT if sale_out.discount is None else sale_out.discount,
        },
        "FEntity": [row(item, sale_out.stock_id, parameters.unit) for item in sale_out.items],
    }


def row(item: Item, stock_id: str, unit: str | None) -> dict[str, Any]:
    return {
        "FMaterialID": number(item.sku_id),
        "FUnitID": ABSENT if unit is None else number(unit),
        "FRealQty": item.quantity,
        "FTaxPrice": item.price,
        "FIsFree": item.price == 0,
        "FStockID": number(stock_id),
        "FEntrynote": "",
        "F_sms_Text2": "1",
    }


def number(value: str) -> dict[str, str]:
    """Base data by its number: `{"FNumber": "101"}`."""
    return {"FNumber": value}
