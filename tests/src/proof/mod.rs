//! The product put to the proof: its own binary, vendors that misbehave, kills at random instants, and books that are
//! kept from the vendors' side.
//!
//! Nothing here shares code with the product or believes what it says of itself. What was served and what is held comes
//! from the simulator; what a bill must contain comes from [`schemes`], which was written from the field tables and not
//! from the mappings; the ledger is read through the product's own command line, as an operator would.

pub mod arguments;
pub mod books;
pub mod configuration;
pub mod connections;
pub mod demo;
pub mod engine;
pub mod expect;
pub mod guests;
pub mod http;
pub mod kills;
pub mod latency;
pub mod ledger;
pub mod matrix;
pub mod neighbours;
pub mod process;
pub mod programs;
pub mod schemes;
pub mod simulator;
pub mod soak;
pub mod table;
pub mod wait;
pub mod whole;
pub mod world;

/// Why a proof could not be carried out, or what it found, in sentences for the person who reads the terminal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

impl Failure {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The failure, with what was being done in front of it.
    pub fn during(doing: &str, error: impl std::fmt::Display) -> Self {
        Self(format!("{doing}: {error}"))
    }
}

pub type Result<T, E = Failure> = std::result::Result<T, E>;
