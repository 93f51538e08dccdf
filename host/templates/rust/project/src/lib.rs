//! Documents of `@source@` become bills for `@target@`, one bill each.
//!
//! `source.rs` is what is read, `bill.rs` what is written, and `mapping.rs` reads like the field table between them.

mod bill;
mod mapping;
mod parameters;
mod source;

use crossdock_guest::{Context, Document, Outcome, Rejection, Transform};

use parameters::Parameters;
use source::Source;

struct Mapping;

impl Transform for Mapping {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SOURCE: &'static str = "@source@";
    const TARGET: &'static str = "@target@";
    const PARAMETERS_SCHEMA: &'static str = include_str!("../parameters.schema.json");

    type Parameters = Parameters;

    fn transform(_: &Context, parameters: &Parameters, document: &Document) -> Result<Outcome, Rejection> {
        let source: Source<'_> = document.parse()?;
        if let Some(skip) = source.not_done() {
            return Ok(skip);
        }
        if source.number.required("/@key_field@")? != document.key {
            return Err(Rejection::new("key_mismatch", "@key_field@ is not the document's key").at("/@key_field@"));
        }
        Outcome::emit_one(source.number.as_str(), &mapping::bill(&source, parameters)?)
    }
}

crossdock_guest::export!(Mapping);

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_guest::testing::Cases;

    #[test]
    fn every_case_gives_what_it_expects() {
        Cases::of(env!("CARGO_MANIFEST_DIR")).key_field("@key_field@").run::<Mapping>();
    }
}
