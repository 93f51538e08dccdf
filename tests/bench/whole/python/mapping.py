"""One sale-out becomes one bill."""


def text(value):
    return value if isinstance(value, str) else "" if value is None else str(value)


def amount(value):
    return float(value) if isinstance(value, str) else value


def number(value):
    return {"FNumber": value}


def bill(parameters, saleout):
    if saleout["status"] not in parameters["shipped_statuses"]:
        raise ValueError(f"{saleout['io_id']} is {saleout['status']}")
    shop_id = text(saleout["shop_id"])
    shop = parameters["shops"].get(shop_id, parameters["default"])
    customer = text(saleout.get("drp_co_id_from")) or parameters["shop_customers"].get(shop_id, shop_id)
    sub_head = {"FSettleCurrID": number(shop["currency"]), "FSettleOrgID": number(shop["organisation"])}
    if saleout.get("free_amount") is not None:
        sub_head["FAllDisCount"] = amount(saleout["free_amount"])
    return {
        "FBillTypeID": {"FNUMBER": parameters["bill_type"]},
        "FBillNo": text(saleout["io_id"]),
        "FDate": saleout["io_date"],
        "FSaleOrgId": number(shop["organisation"]),
        "FStockOrgId": number(shop["organisation"]),
        "FCustomerID": number(customer),
        "FSaleDeptID": number(shop["department"]),
        "FNote": text(saleout.get("remark")),
        "F_KLF_Assistant": number(shop["profit_centre"]),
        "F_KLF_Text": text(saleout.get("so_id")),
        "F_KLF_Text1": text(saleout.get("l_id")),
        "SubHeadEntity": sub_head,
        "FEntity": [row(item, text(saleout["wms_co_id"])) for item in saleout["items"]],
    }


def row(item, stock):
    price = amount(item["sale_price"])
    return {
        "FMaterialID": number(text(item["sku_id"])),
        "FRealQty": amount(item["qty"]),
        "FTaxPrice": price,
        "FIsFree": price == 0,
        "FStockID": number(stock),
        "FEntrynote": "",
        "F_sms_Text2": "1",
    }
