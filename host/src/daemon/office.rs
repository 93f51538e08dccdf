//! Answers for the ledger's documents: lists them, shows them, carries out what a person wants done with one.
//!
//! Works beside running drivers (through their handles) and, where no engine runs, on the store alone. Personal data is
//! masked unless asked for.

mod bulk;
mod desk;
mod erase;
mod orders;
mod pauses;
mod place;
mod search;
mod state;
mod view;

use std::path::PathBuf;
use std::sync::Arc;

use crate::model::{DocumentKey, TenantId};
use crate::pipeline::command::CommandError;
use crate::pipeline::driver::Now;
use crate::pipeline::gate::Gates;
use crate::pipeline::ledger::Error as LedgerError;
use crate::pipeline::reference::Library;
use crate::pipeline::subject::Subject;
use crate::registry::{self, Registry};
use crate::telemetry::is_named;

use super::engine::Engine;
use super::register::Register;
use super::scheme::Scheme;

pub use bulk::{BulkAnswer, BulkRequest, Named, Refused};
pub(super) use desk::{Desk, Seat};
pub use orders::{CommandRequest, Wish};
pub use pauses::PauseRequest;
pub use search::{Bill, Filter, Found, Summary};
pub use state::DocumentState;
pub use view::{DocumentView, HistoryLine, VersionView};

/// Answers for all schemes of an engine, as they come and go.
pub struct Office {
    pub(super) desks: Register<Arc<Desk>>,
    gates: Gates,
    pub(super) data_dir: PathBuf,
    pub(super) library: Library,
    pub(super) now: Now,
    /// What people manage; without it there are the schemes of the file alone.
    registry: Option<Registry>,
}

#[derive(Debug, thiserror::Error)]
pub enum OfficeError {
    #[error("there is no scheme {0}; there are: {1}")]
    NoSuchScheme(String, String),
    #[error("there is no connection {0}; there are: {1}")]
    NoSuchConnection(String, String),
    #[error("no scheme knows document {0}; looked in: {1}. `crossdock document list` shows what there is")]
    NoSuchDocument(String, String),
    #[error("more than one scheme knows document {0}: name one with --scheme")]
    Ambiguous(String),
    #[error("there is no reference table {0}; there are: {1}")]
    NoSuchTable(String, String),
    #[error("{0}")]
    NotFetched(String),
    /// There is no capsule to be had.
    #[error("{0}")]
    Capsule(String),
    #[error("the operator paused {0}, and alone takes that back; what stops all of a tenant is to suspend it")]
    OperatorsPause(String),
    #[error("scheme {0} stands still: {1}")]
    StandsStill(String, String),
    #[error("{0}")]
    NotUsable(String),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// What is managed cannot be read, or does not allow it.
    #[error(transparent)]
    Registry(registry::Error),
    /// It was not carried out, for it could not be noted.
    #[error("the audit log: {0}")]
    Audit(#[from] registry::Error),
}

impl Office {
    /// For the schemes of this engine, with nobody at work yet.
    pub fn new(engine: &Engine) -> Self {
        let named = |scheme: &Scheme| (scheme.watcher.scheme.clone(), Arc::new(Desk::of(scheme, Seat::default())));
        Self {
            desks: engine.schemes.iter().map(named).collect(),
            gates: engine.gates.clone(),
            data_dir: engine.data_dir.clone(),
            library: engine.library.clone(),
            now: engine.now.clone(),
            registry: engine.registry.clone(),
        }
    }

    pub(super) fn desks(&self) -> Vec<Arc<Desk>> {
        self.desks.entries()
    }

    /// The schemes that are meant, of those that the tenant may know of; an operator, `None`, may know of all.
    pub(super) fn chosen(
        &self,
        tenant: Option<&TenantId>,
        scheme: Option<&str>,
    ) -> Result<Vec<Arc<Desk>>, OfficeError> {
        let mut desks = self.desks();
        desks.retain(|desk| tenant.is_none_or(|tenant| desk.tenant == *tenant));
        let Some(name) = scheme else { return Ok(desks) };
        let (chosen, others): (Vec<_>, Vec<_>) =
            desks.into_iter().partition(|desk| is_named(&desk.tenant, &desk.scheme, name));
        if chosen.is_empty() {
            let known: Vec<&str> = others.iter().map(|desk| desk.scheme.as_str()).collect();
            return Err(OfficeError::NoSuchScheme(name.into(), known.join(", ")));
        }
        Ok(chosen)
    }

    pub(super) fn find(
        &self,
        tenant: Option<&TenantId>,
        scheme: Option<&str>,
        key: &str,
    ) -> Result<(Arc<Desk>, DocumentKey, Subject), OfficeError> {
        let key = DocumentKey::new(key).map_err(|error| OfficeError::NotUsable(error.to_string()))?;
        let (mut found, mut looked_in) = (None, Vec::new());
        for desk in self.chosen(tenant, scheme)? {
            looked_in.push(desk.scheme.to_string());
            if let Some(subject) = desk.ledger.subject(&key)? {
                if found.is_some() {
                    return Err(OfficeError::Ambiguous(key.to_string()));
                }
                found = Some((desk, subject));
            }
        }
        let Some((desk, subject)) = found else {
            return Err(OfficeError::NoSuchDocument(key.to_string(), looked_in.join(", ")));
        };
        Ok((desk, key, subject))
    }
}

#[cfg(test)]
mod tests;
