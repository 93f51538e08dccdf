//! Reference tables: what modules look things up in, kept by the host.
//!
//! A table comes from a file, and then it is as it was at the start; or from a connection, and then one keeper of the
//! engine fetches it for all schemes that use it, keeps it in the ledger, and fetches it again when it is old, when a
//! document misses a key in it, or when a person says so.
//!
//! A reader may rely on this:
//! - A call of a module sees one edition of each table, and the revisions it used are stored with its outcome.
//! - That a key is missing is said only by an edition whose fetch began after the document missed it, or by one that was
//!   asked for this very key a moment ago. Until then the document waits, and nothing else waits with it.
//! - However many documents wait, a table is fetched for them once, and no sooner than its `miss_interval` allows.
//! - A fetch that fails, or brings nothing where something was, leaves the edition as it is.

mod catalogue;
mod edition;
mod keeper;
mod library;
mod shelf;
mod table;
#[cfg(test)]
mod tests;

pub use catalogue::{Catalogue, Opened, View};
pub use edition::{Edition, Entries, Revision};
pub use library::{Library, Wanted};
pub use table::{Failure, FetchedTable, Rhythm, Status, TableId};

use crate::fault::Fault;

use super::gate::Scope;

/// Listens to the library. Called from the keepers' tasks: must return at once.
pub trait Listener: Send + Sync + 'static {
    /// A fetch ended, well or not.
    fn fetched(&self, _table: &TableId, _result: Result<(), &Fault>) {}
    fn paused(&self, _scope: &Scope, _fault: &Fault) {}
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deaf;

impl Listener for Deaf {}
