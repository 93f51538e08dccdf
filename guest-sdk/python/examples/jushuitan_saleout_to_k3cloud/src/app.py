"""Jushuitan (聚水潭) sale-outs become K3Cloud (金蝶云星空) sale-outs, form `SAL_OUTSTOCK`, one bill each: the same mapping as
`transforms/jushuitan-saleout-to-k3cloud`, with the same bytes as outcome.

`source.py` is what is read, `bill.py` what is written, `parameters.py` what differs between users.
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
    skip,
)

from bill import bill
from parameters import Parameters
from source import SaleOut


class SaleOutToK3Cloud(Transform[Parameters]):
    name = "jushuitan-saleout-to-k3cloud"
    version = "0.1.0"
    source = "jushuitan_qimen:jushuitan.saleout.list.query"
    target = "kingdee_k3cloud:BatchSave"
    parameters_schema = project_file("parameters.schema.json")

    def read_parameters(self, parameters: Fields) -> Parameters:
        return Parameters(parameters)

    def map(self, document: Document, parameters: Parameters, context: Context) -> Outcome:
        fields = parse(document)
        # First, because a sale-out that was never shipped may be half empty, and nothing needs to be written for it.
        status = fields.text("status")
        if status not in parameters.shipped_statuses:
            code = "status_cancelled" if status == "Cancelled" else "status_not_shipped"
            return skip(code, f"the sale-out's status is {status}", "/status")
        sale_out = SaleOut(fields)
        if sale_out.io_id != document.key:
            raise Rejection("key_mismatch", "io_id is not the document's key", "/io_id")
        if not sale_out.items:
            raise Rejection("items_empty", "/items is empty: a sale-out has at least one line", "/items")
        return emit_one(sale_out.io_id, bill(sale_out, parameters))


WitWorld = export(SaleOutToK3Cloud())
