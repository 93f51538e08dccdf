"""Documents of `@source@` become bills for `@target@`, one bill each.

`source.py` is what is read, `bill.py` what is written of it, `parameters.py` what differs between users.
"""

from crossdock_guest import (
    Context,
    Document,
    Fields,
    Outcome,
    Rejection,
    Transform,
    emit_one,
    export,
    parse,
    project_file,
)

from bill import bill
from parameters import Parameters
from source import Source, not_done


class Mapping(Transform[Parameters]):
    name = "@name@"
    version = "0.1.0"
    source = "@source@"
    target = "@target@"
    parameters_schema = project_file("parameters.schema.json")

    def read_parameters(self, parameters: Fields) -> Parameters:
        return Parameters(parameters)

    def map(self, document: Document, parameters: Parameters, context: Context) -> Outcome:
        fields = parse(document)
        skipped = not_done(fields)
        if skipped is not None:
            return skipped
        source = Source(fields)
        if source.number != document.key:
            raise Rejection("key_mismatch", "@key_field@ is not the document's key", "/@key_field@")
        return emit_one(source.number, bill(source, parameters))


WitWorld = export(Mapping())
