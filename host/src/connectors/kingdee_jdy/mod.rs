//! 金蝶云星辰 (JDY): stock-take gain bills into a customer's account, and the lists that ids are looked up in.
//!
//! It writes one bill a request, byte for byte as it was emitted, and never changes one: the vendor has no key that
//! makes a save happen once, so every bill carries a number of ours, by which it is asked for before anything is sent
//! again. It never repeats a write by itself.
//!
//! A reader may rely on this: `Absent` means that the whole list of the bill's days was read and no bill on it carries
//! the number.

mod body;
mod client;
mod compare;
mod errors;
mod lists;
mod references;
mod session;
mod settings;
mod sign;
mod target;

#[cfg(test)]
mod tests;

pub use settings::{Connection, OPERATION, Options};
pub use target::Bills;
