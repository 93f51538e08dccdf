"""A sale-out as Jushuitan (聚水潭) serves it, reduced to the fields that a bill usually needs. Over Qimen money comes as
a string and natively as a number; identifiers come as either. What is not optional is
required: where it is missing, `null` or of another type, the document is rejected and the rejection names the field."""

from crossdock_guest import Fields, Outcome, skip

# Where the list of lines and the code of one stand in the document.
LINES = "/items"
CODE = "sku_id"


class Line:
    def __init__(self, fields: Fields):
        self.code = fields.filled_text("sku_id")
        self.quantity = fields.decimal("qty")
        self.price = fields.decimal("sale_price")


class Source:
    def __init__(self, fields: Fields):
        self.number = fields.filled_text("io_id")
        # The day on which the goods left; `date_time` reads the time as well.
        self.date = fields.date("io_date")
        # The warehouse company.
        self.warehouse = fields.text("wms_co_id")
        self.shop_id = fields.text("shop_id")
        # The distributor; empty for a shop's own sale.
        self.distributor = fields.optional_text("drp_co_id_from")
        self.remark = fields.optional_text("remark")
        # The platform's order number.
        self.platform_order = fields.optional_text("so_id")
        # The waybill.
        self.waybill = fields.optional_text("l_id")
        self.discount = fields.optional_decimal("free_amount")
        self.freight = fields.optional_decimal("freight")
        self.lines = [Line(line) for line in fields.list("items")]


def not_done(fields: Fields) -> Outcome | None:
    """Why there is nothing to write: only a confirmed sale-out has left the warehouse."""
    status = fields.text("status")
    return None if status == "Confirmed" else skip("not_done", f"the status is {status}", "/status")
