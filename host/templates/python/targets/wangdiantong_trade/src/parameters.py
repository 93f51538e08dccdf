"""What differs between users: `parameters.schema.json` describes it, `parameters.example.json` is one user's."""

from crossdock_guest import Fields


class Parameters:
    def __init__(self, fields: Fields):
        self.shop_no = fields.text("shop_no")
        self.buyer_nick = fields.text("buyer_nick")
        # Stands in until the source's own fields say where the goods go.
        receiver = fields.object("receiver")
        self.receiver_name = receiver.text("name")
        self.receiver_mobile = receiver.text("mobile")
        self.receiver_address = receiver.text("address")
