//! 聚水潭·奇门: sale-outs out of Jushuitan, through Taobao's gateway.
//!
//! It reads and never writes. A read hands over every record of its span, or fails: pages are read from the last to
//! the first, because a record that is modified meanwhile leaves its place and shifts the later ones down, and a pass
//! counts only if nothing moved. Records are the exact bytes of the page.
//!
//! Every connector has the same files, as far as it needs them: `settings.rs` what people set, `sign.rs` the signature
//! (here it is the gateway's, in `qimen/`), `session.rs` and `client.rs` the way to the vendor, `wire.rs` the vendor's
//! own names, `errors.rs` what its refusals mean, `source.rs` or `target.rs` the work, `tests.rs` the whole against a
//! loopback vendor.

mod errors;
mod settings;
mod source;
mod wire;

#[cfg(test)]
mod tests;

pub use settings::{Connection, OPERATION, Options};
pub use source::Saleouts;
