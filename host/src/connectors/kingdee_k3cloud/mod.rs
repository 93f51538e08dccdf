//! 金蝶云星空 (K3Cloud): bills into a customer's own site.
//!
//! It writes bills in batches, moves them through submit and audit, and can say at any time what the site holds under a
//! bill's number and how that compares with what was meant. It never repeats a write by itself, never overwrites a bill
//! that is audited, and passes a bill's text on byte for byte, numbers included.
//!
//! A reader may rely on this: an answer of `Done` with nothing left to do means that the site itself was seen to hold
//! the bill in its final state (unless `confirm_audit` is switched off), not that it merely said `IsSuccess`.

mod answers;
mod body;
mod client;
mod compare;
mod errors;
mod settings;
mod sign;
mod target;
mod wire;

#[cfg(test)]
mod tests;

pub use settings::{Connection, OPERATION, Options};
pub use target::Bills;
