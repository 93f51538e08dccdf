//! The cells, by what they are about.

pub mod access;
pub mod doubts;
pub mod limits;
pub mod pages;
pub mod refusals;
pub mod secrets;
pub mod texts;

/// Nothing that a request of a source or of a list does is carried out.
pub const READS_ONLY: &str = "it only reads: no request of it changes anything";
/// Of a trade, for everything that a question would find out.
pub const NOT_ASKABLE: &str =
    "no method of the vendor's shows a pushed trade; what is in doubt is sent again, see the row on lost responses";
