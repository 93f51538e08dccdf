"""Why a document cannot be mapped as it stands."""


class Rejection(Exception):
    """Raised, it parks the document for a person.

    Programs group by its code, people read its message, and its field is a JSON Pointer (RFC 6901) into the source
    document. The codes that this package gives by itself are those of the Rust crate: `malformed_json`, `field_missing`,
    `field_null`, `field_blank`, `field_type`, `field_invalid`, `not_a_number`, `number_not_exact`, `too_many_places`,
    `parameters_invalid`, `body_unwritable` and the three of `reference`.
    """

    def __init__(self, code: str, message: str, field: str | None = None):
        """`code` in snake_case, at most 64 bytes; `message` at most 4 KiB and without personal data."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field

    @classmethod
    def missing(cls, field: str) -> "Rejection":
        """A required field that is not there."""
        return cls("field_missing", f"{field} is missing", field)

    @classmethod
    def null(cls, field: str, wanted: str | None = None) -> "Rejection":
        """A required field that is `null`."""
        return cls("field_null", f"{field} is null" + (f", expected {wanted}" if wanted else ""), field)

    @classmethod
    def blank(cls, field: str) -> "Rejection":
        """A required field that holds only white space."""
        return cls("field_blank", f"{field} is blank", field)
