//! Why something that people manage could not be read or changed. No variant holds a secret.

use jiff::Timestamp;

use crate::model::Digest;
use crate::state::{self, Table};

use super::seal::SealError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no {what} {id:?}")]
    NotFound { what: &'static str, id: String },
    /// The name is taken, or was once and must not be taken again.
    #[error("the {what} {id:?} {problem}")]
    Exists { what: &'static str, id: String, problem: &'static str },
    /// Somebody changed it since the caller looked. Zero is a thing that does not exist.
    #[error("revision {expected} was expected and revision {found} is there")]
    Conflict { expected: u64, found: u64 },
    #[error("the {what} {id:?} is in use by {}", by.join(", "))]
    InUse { what: &'static str, id: String, by: Vec<String> },
    /// The name and version belong to other bytes for ever.
    #[error("{module} belongs to {digest} and cannot be given to other bytes")]
    Immutable { module: String, digest: Digest },
    /// `field` is a JSON pointer into what was handed over; empty for the whole of it.
    #[error("{field}: {problem}")]
    Invalid { field: String, problem: String, remedy: String },
    #[error("the quota {quota} is used up: {used} of {limit}")]
    Quota {
        quota: &'static str,
        limit: u64,
        used: u64,
        /// When some of it is free again, where time helps.
        resets_at: Option<Timestamp>,
    },
    /// It stands in the configuration file, which only the operator changes.
    #[error("the {what} {id:?} stands in the configuration file")]
    ManagedByFile { what: &'static str, id: String },
    /// A rule of the tenant's forbids it.
    #[error("the policy {policy} forbids it: {remedy}")]
    Policy { policy: &'static str, remedy: String },
    /// What is there is not in the state that the call is for.
    #[error("{problem}")]
    State { problem: String, remedy: String },
    #[error("the tenant {tenant:?} is suspended")]
    Suspended { tenant: String },
    #[error(transparent)]
    Sealed(#[from] SealError),
    #[error("the secrets of connection {connection} cannot be opened: {why}")]
    Unopened { connection: String, why: SealError },
    /// Others changed the same rows again and again while we tried.
    #[error("too many changes at once")]
    Busy,
    /// A row that this version of Crossdock cannot read.
    #[error("a row of {table:?} cannot be read: {detail}")]
    Row { table: Table, detail: String },
    #[error(transparent)]
    Store(#[from] state::Error),
}

impl Error {
    pub(super) fn not_found(what: &'static str, id: impl ToString) -> Self {
        Error::NotFound { what, id: id.to_string() }
    }

    pub(super) fn invalid(field: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::Invalid { field: field.into(), problem: problem.into(), remedy: remedy.into() }
    }
}
