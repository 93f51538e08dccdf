//! Skips every document without reading it.

use crossdock_guest::{Context, Document, Outcome, Rejection, Transform};
use serde::Deserialize;

struct Nothing;

#[derive(Deserialize)]
struct Parameters {}

impl Transform for Nothing {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SOURCE: &'static str = "jushuitan_qimen:jushuitan.saleout.list.query";
    const TARGET: &'static str = "kingdee_k3cloud:BatchSave";
    const PARAMETERS_SCHEMA: &'static str = "{}";
    type Parameters = Parameters;

    fn transform(_: &Context, _: &Parameters, _: &Document) -> Result<Outcome, Rejection> {
        Ok(Outcome::skip("nothing", "nothing is done here", None))
    }
}

crossdock_guest::export!(Nothing);
