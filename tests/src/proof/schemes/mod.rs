//! The schemes that are proved, one file each: how it is configured, what its field table demands of a served document,
//! and how its target's holdings read.
//!
//! A demand is written from the field table and the vendors' documentation and from nothing else. It works on plain JSON
//! and shares no line with the mapping that it judges.

pub mod saleout;
pub mod stockin;
pub mod trade;

use std::fmt;

use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::Result;
use super::expect::{Expected, Why};
use super::simulator::{Held, Simulator};

pub use saleout::SALEOUT;
pub use stockin::STOCKIN;
pub use trade::TRADE;

/// All of them, in the order in which they are told about.
pub const ALL: [&dyn Scheme; 3] = [SALEOUT, STOCKIN, TRADE];

/// What a proof has to know of one scheme.
pub trait Scheme: Sync {
    /// In configurations and in tables.
    fn name(&self) -> &'static str;
    /// What goes where, for a person.
    fn title(&self) -> &'static str;
    /// The folder of its transform, and the name of its component.
    fn module(&self) -> &'static str;
    /// The systems at its two ends.
    fn source(&self) -> &'static str;
    fn target(&self) -> &'static str;
    /// The operations by which documents leave the source and bills are made at the target, in the simulator's words.
    fn read_operation(&self) -> &'static str;
    fn write_operation(&self) -> &'static str;
    /// A write in doubt is sent again, because the same bytes twice leave what they leave once. Else the target is asked.
    fn is_upsert(&self) -> bool {
        false
    }

    /// The keys `source`, `target` and whatever else of `[[scheme]]` is its own. What is handed in are further keys of
    /// both ends, with a comma in front.
    fn block(&self, source: &str, target: &str) -> String;
    /// The module's parameters, where they are not the example beside its source.
    fn parameters(&self, _simulator: &Simulator) -> Option<Value> {
        None
    }

    /// What must become of a document of the source.
    fn expected(&self, document: &Value, facts: &Facts) -> Result<Expected, Why>;
    /// The target's page of what it holds.
    fn held(&self, page: &Value) -> Result<Held>;

    /// A new document for the source that must be written; every number gives another one.
    fn document(&self, number: usize, chance: &mut ChaCha8Rng) -> Value;
    /// What goes wrong at its vendors while the demonstration runs, each in the simulator's words.
    fn mishaps(&self) -> &'static [&'static str];
}

impl fmt::Debug for dyn Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a field table leaves to each user, and what the target's own tables say.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub parameters: Value,
    /// Of the target: table, then entries with `id`, `number` and `name`.
    pub tables: Value,
}
