"""A stock-in as WangDianTong (旺店通) serves it, reduced to the fields that a bill usually needs. Scalars come mostly as
strings (`"5.0000"`, `"80"`), what is missing as `null`. What is not optional is
required: where it is missing, `null` or of another type, the document is rejected and the rejection names the field."""

from crossdock_guest import Fields, Outcome, skip

# Where the list of lines and the code of one stand in the document.
LINES = "/details_list"
CODE = "spec_no"


class Line:
    def __init__(self, fields: Fields):
        self.code = fields.filled_text("spec_no")
        self.unit = fields.optional_text("goods_unit")
        self.quantity = fields.decimal("goods_count")
        self.price = fields.decimal("cost_price")


class Source:
    def __init__(self, fields: Fields):
        self.number = fields.filled_text("stockin_no")
        # 4 is a stock-take surplus; 1 a purchase, 2 a transfer.
        self.order_type = fields.text("order_type")
        # The number of the document above it: the stock-take's, the purchase's.
        self.above = fields.optional_text("src_order_no")
        self.warehouse = fields.text("warehouse_no")
        # When it was audited, which is when the goods came in.
        self.date = fields.date("check_time")
        self.created = fields.optional_date("created_time")
        self.remark = fields.optional_text("remark")
        self.lines = [Line(line) for line in fields.list("details_list")]


def not_done(fields: Fields) -> Outcome | None:
    """Why there is nothing to write: 80 is a stock-in that is done."""
    status = fields.text("status")
    return None if status == "80" else skip("not_done", f"the status is {status}", "/status")
