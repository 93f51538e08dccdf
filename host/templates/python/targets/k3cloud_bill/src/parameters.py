"""What differs between users: `parameters.schema.json` describes it, `parameters.example.json` is one user's."""

from crossdock_guest import Fields


class Parameters:
    def __init__(self, fields: Fields):
        self.bill_type = fields.text("bill_type")
        self.organisation = fields.text("organisation")
        self.customer = fields.text("customer")
        self.currency = fields.text("currency")
        self.unit = fields.text("unit")
