//! 用友U8: sale-outs out of U8, through Yonyou's open platform.
//!
//! It reads and never writes. The platform filters by audit date and not by time of modification, so a window is read
//! as whole days, with some days before it once more. A bill whose number and row version are known is not fetched
//! again, because a token is good for two thousand calls. Bills are the exact bytes of the answer they came in.
//!
//! A reader may rely on this: a bill is remembered as known only once it has been handed over.

mod client;
mod errors;
mod known;
mod settings;
mod source;
mod token;
mod wire;

#[cfg(test)]
mod tests;

pub use settings::{Connection, OPERATION, Options};
pub use source::Saleouts;
