"""A sale-out as Jushuitan serves it, reduced to the fields that the bill needs. Over Qimen money comes as a string and
natively as a number; identifiers come as either."""

from crossdock_guest import Fields


class Item:
    def __init__(self, fields: Fields):
        self.sku_id = fields.filled_text("sku_id")
        self.quantity = fields.decimal("qty")
        self.price = fields.decimal("sale_price")


class SaleOut:
    def __init__(self, fields: Fields):
        self.io_id = fields.filled_text("io_id")
        self.shop_id = fields.filled_text("shop_id")
        # When the goods left, in the vendor's local time.
        self.io_date = fields.date_time("io_date")
        # The warehouse company.
        self.stock_id = fields.filled_text("wms_co_id")
        # The distributor; blank for a shop's own sale.
        distributor = fields.optional_text("drp_co_id_from") or ""
        self.distributor = distributor if distributor.strip() else None
        self.remark = fields.optional_text("remark") or ""
        # The platform's order number.
        self.platform_order = fields.optional_text("so_id") or ""
        self.waybill = fields.optional_text("l_id") or ""
        self.discount = fields.optional_decimal("free_amount")
        self.items = [Item(item) for item in fields.list("items")]
