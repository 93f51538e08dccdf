//! What a Crossdock transform is written with.
//!
//! A transform maps one source document to bills for a target system. It implements [`Transform`], is exported with
//! [`export!`], and is compiled to one WebAssembly component. This crate gives it
//!
//! - the contract's types: [`Context`], [`Document`], [`Outcome`], [`TargetDocument`];
//! - exact values: [`Decimal`] (an amount never passes through binary floating point), [`Text`] (a string or a number,
//!   as written), [`Date`] and [`DateTime`], [`Field`] (missing, null or a value), [`Fields`] (by a name that only the
//!   parameters know), [`Object`] (a bill written field by field);
//! - JSON both ways ([`Document::parse`], [`Outcome::emit_one`]), where an unreadable field becomes a [`Rejection`]
//!   that names it by JSON Pointer;
//! - what the host offers: [`log`] and [`reference`](mod@reference);
//! - off WebAssembly, [`testing`]: doubles for the host's side and a runner for folders of cases, so that `cargo test`
//!   needs no sandbox.
//!
//! It does no input or output of its own, has no clock and no randomness, and never depends on the host.
//!
//! ```
//! use crossdock_guest::{Context, Decimal, Document, Outcome, Rejection, Text, Transform};
//! use serde::{Deserialize, Serialize};
//!
//! struct Stock;
//!
//! #[derive(Deserialize)]
//! struct Parameters { warehouse: String }
//!
//! #[derive(Deserialize)]
//! struct Source<'a> { #[serde(borrow)] code: Text<'a>, qty: Decimal }
//!
//! #[derive(Serialize)]
//! struct Bill<'a> { billno: &'a str, stock: &'a str, qty: Decimal }
//!
//! impl Transform for Stock {
//!     const NAME: &'static str = "stock-example";
//!     const VERSION: &'static str = "1.0.0";
//!     const SOURCE: &'static str = "yonyou_u8:saleoutlist/batch_get";
//!     const TARGET: &'static str = "kingdee_jdy:jdy/inv/inv_check_gain_bill_save";
//!     const PARAMETERS_SCHEMA: &'static str = r#"{"type":"object","required":["warehouse"]}"#;
//!     type Parameters = Parameters;
//!
//!     fn transform(_: &Context, parameters: &Parameters, document: &Document) -> Result<Outcome, Rejection> {
//!         let source: Source<'_> = document.parse()?;
//!         Outcome::emit_one(
//!             source.code.as_str(),
//!             &Bill { billno: source.code.as_str(), stock: &parameters.warehouse, qty: source.qty },
//!         )
//!     }
//! }
//!
//! crossdock_guest::export!(Stock);
//! ```

#![warn(missing_docs)]

#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod allocator;
pub mod bindings;
mod date;
mod decimal;
mod field;
mod fields;
mod json;
pub mod log;
mod object;
pub mod reference;
mod rejection;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod text;
mod transform;

#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
#[global_allocator]
static HEAP: allocator::Heap = allocator::Heap::new();

pub use bindings::crossdock::transform::types::{Context, Description, Document, Outcome, Reason, TargetDocument};
pub use date::{Date, DateTime, day, day_or_none};
pub use decimal::{Decimal, NotExact};
pub use field::Field;
pub use fields::Fields;
pub use json::{blank_as_none, from_str, is_json, to_string};
pub use object::Object;
pub use rejection::Rejection;
pub use text::Text;
pub use transform::{Adapter, Transform, describe, run};
