"""A sale-out as U8 (用友U8) serves it, reduced to the fields that a bill usually needs. Every number comes as a string.
User-defined fields (`define1` …) have the meaning that the user gave them. What is not optional is
required: where it is missing, `null` or of another type, the document is rejected and the rejection names the field."""

from crossdock_guest import Fields, Outcome, skip

# Where the list of lines and the code of one stand. One client's model of the list says `tentry`; the vendor's pages say
# `entry`.
LINES = "/entry"
CODE = "inventorycode"


class Line:
    def __init__(self, fields: Fields):
        self.row = fields.text("rowno")
        self.code = fields.filled_text("inventorycode")
        self.quantity = fields.decimal("quantity")
        # U8's own price is often the cost; a user-defined field may hold the sale's.
        self.price = fields.decimal("price")


class Source:
    def __init__(self, fields: Fields):
        self.number = fields.filled_text("code")
        self.date = fields.date("date")
        self.warehouse = fields.text("warehousecode")
        self.department = fields.optional_text("departmentcode")
        self.customer = fields.optional_text("customercode")
        self.customer_name = fields.optional_text("customername")
        self.remark = fields.optional_text("memory")
        self.lines = [Line(line) for line in fields.list("tentry" if fields.has("tentry") else "entry")]


def not_done(fields: Fields) -> Outcome | None:
    """Why there is nothing to write: a sale-out counts once it is audited."""
    audited = (fields.optional_text("auditdate") or "").strip()
    return None if audited else skip("not_done", "the sale-out is not audited", "/auditdate")
