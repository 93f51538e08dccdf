"""What differs between users: `parameters.schema.json` describes it, `parameters.example.json` is one user's."""

from crossdock_guest import Fields


class Shop:
    """What a shop's bills are booked to, as numbers of base data."""

    def __init__(self, fields: Fields):
        self.organisation = fields.text("organisation")
        self.department = fields.text("department")
        self.currency = fields.text("currency")
        self.profit_centre = fields.text("profit_centre")


class Parameters:
    def __init__(self, fields: Fields):
        shops = fields.optional_object("shops")
        customers = fields.optional_object("shop_customers")
        self._shops = {name: Shop(shops.object(name)) for name in shops.names()} if shops else {}
        self._customers = {name: customers.text(name) for name in customers.names()} if customers else {}
        self._standard = Shop(fields.object("default"))
        self.bill_type = fields.optional_text("bill_type") or "XSCKD01_SYS"
        # Statuses that mean that the goods have left.
        self.shipped_statuses = fields.optional_texts("shipped_statuses") or ["Confirmed"]
        # Without it the target takes the material's own unit.
        self.unit = fields.optional_text("unit")

    def shop(self, shop_id: str) -> Shop:
        return self._shops.get(shop_id, self._standard)

    def customer_of_shop(self, shop_id: str) -> str:
        """A shop that is not named is a customer under its own id."""
        return self._customers.get(shop_id, shop_id)
