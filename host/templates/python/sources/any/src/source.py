"""The document as the source serves it, reduced to the fields that are used. What is not optional is
required: where it is missing, `null` or of another type, the document is rejected and the rejection names the field."""

from crossdock_guest import Fields, Outcome, skip

# Where the list of lines and the code of one stand in the document.
LINES = "/lines"
CODE = "code"


class Line:
    def __init__(self, fields: Fields):
        self.code = fields.filled_text("code")
        self.quantity = fields.decimal("quantity")
        self.price = fields.decimal("price")


class Source:
    def __init__(self, fields: Fields):
        self.number = fields.filled_text("key")
        self.date = fields.date("date")
        self.warehouse = fields.text("warehouse")
        self.remark = fields.optional_text("remark")
        self.lines = [Line(line) for line in fields.list("lines")]


def not_done(fields: Fields) -> Outcome | None:
    """Why there is nothing to write yet."""
    status = fields.text("status")
    return None if status == "done" else skip("not_done", f"the status is {status}", "/status")
