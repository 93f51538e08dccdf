"""What differs between users: `parameters.schema.json` describes it, `parameters.example.json` is one user's."""

from crossdock_guest import Fields


class Parameters:
    def __init__(self, fields: Fields):
        self.organisation = fields.text("organisation")
