"""What differs between users: `parameters.schema.json` describes it, `parameters.example.json` is one user's."""

from crossdock_guest import Fields


class Parameters:
    def __init__(self, fields: Fields):
        # The unit of every line, as the unit table knows it.
        self.unit = fields.text("unit")
        self.material_table = fields.text("material_table")
        self.stock_table = fields.text("stock_table")
        self.unit_table = fields.text("unit_table")
