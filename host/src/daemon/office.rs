//! Answers for the ledger's documents: lists them, shows them, carries out what a person wants done with one.
//!
//! Works beside running drivers (through their handles) and, where no engine runs, on the store alone. Personal data is
//! masked unless asked for.

mod list;
mod orders;
mod pauses;
mod state;
mod view;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::config;
use crate::model::{ConnectionName, DocumentKey, SchemeId, TenantId};
use crate::pipeline::command::CommandError;
use crate::pipeline::driver::{Handle, Now};
use crate::pipeline::gate::Gates;
use crate::pipeline::ledger::{Error as LedgerError, Ledger};
use crate::pipeline::reference::{Catalogue, Library};
use crate::pipeline::round::Destination;
use crate::pipeline::step::Rules;
use crate::pipeline::subject::Subject;

use super::capsule_desk::ModulePlaces;
use super::engine::Engine;
use super::reference_desk;
use super::transformer::SandboxTransformer;

pub use list::{Bill, Filter, Summary};
pub use orders::CommandRequest;
pub use pauses::PauseRequest;
pub use state::DocumentState;
pub use view::{DocumentView, HistoryLine, VersionView};

/// One scheme, as the office sees it.
pub(super) struct Desk {
    pub(super) tenant: TenantId,
    pub(super) scheme: SchemeId,
    /// Its ends', and those that its reference tables come from.
    connections: Vec<ConnectionName>,
    pub(super) ledger: Ledger,
    rules: Rules,
    destination: Destination,
    pub(super) catalogue: Catalogue,
    pub(super) transformer: Arc<SandboxTransformer>,
    pub(super) references: Vec<config::Reference>,
    handle: Mutex<Option<Handle>>,
}

pub struct Office {
    pub(super) desks: Vec<Arc<Desk>>,
    gates: Gates,
    pub(super) places: ModulePlaces,
    pub(super) data_dir: PathBuf,
    pub(super) library: Library,
    pub(super) now: Now,
}

#[derive(Debug, thiserror::Error)]
pub enum OfficeError {
    #[error("there is no scheme {0}; there are: {1}")]
    NoSuchScheme(String, String),
    #[error("there is no connection {0}; there are: {1}")]
    NoSuchConnection(String, String),
    #[error("more than one scheme knows document {0}: name one with --scheme")]
    Ambiguous(String),
    #[error("there is no reference table {0}; there are: {1}")]
    NoSuchTable(String, String),
    #[error("{0}")]
    NotFetched(String),
    /// There is no capsule to be had.
    #[error("{0}")]
    Capsule(String),
    #[error("{0}")]
    NotUsable(String),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Office {
    pub fn new(engine: &Engine) -> Self {
        let desks = engine
            .schemes
            .iter()
            .map(|scheme| {
                Arc::new(Desk {
                    tenant: scheme.parts.tenant.clone(),
                    scheme: scheme.parts.scheme.clone(),
                    connections: [&scheme.parts.source_connection, &scheme.parts.destination.connection]
                        .into_iter()
                        .cloned()
                        .chain(reference_desk::connections(&scheme.config.reference))
                        .collect(),
                    ledger: scheme.parts.ledger.clone(),
                    rules: scheme.parts.rules.clone(),
                    destination: scheme.parts.destination.clone(),
                    catalogue: scheme.parts.transformer.catalogue().cloned().unwrap_or_default(),
                    transformer: scheme.transformer.clone(),
                    references: scheme.config.reference.clone(),
                    handle: Mutex::new(None),
                })
            })
            .collect();
        Self {
            desks,
            gates: engine.gates.clone(),
            places: engine.module_places.clone(),
            data_dir: engine.data_dir.clone(),
            library: engine.library.clone(),
            now: engine.now.clone(),
        }
    }

    /// From now on this scheme's commands go to its driver.
    pub fn attach(&self, tenant: &TenantId, scheme: &SchemeId, handle: Handle) {
        if let Some(desk) = self.desks.iter().find(|desk| desk.tenant == *tenant && desk.scheme == *scheme) {
            *desk.handle.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(handle);
        }
    }

    pub(super) fn chosen(&self, scheme: Option<&str>) -> Result<Vec<Arc<Desk>>, OfficeError> {
        let Some(name) = scheme else { return Ok(self.desks.clone()) };
        let chosen: Vec<_> = self.desks.iter().filter(|desk| desk.scheme.as_str() == name).cloned().collect();
        if chosen.is_empty() {
            let known: Vec<&str> = self.desks.iter().map(|desk| desk.scheme.as_str()).collect();
            return Err(OfficeError::NoSuchScheme(name.into(), known.join(", ")));
        }
        Ok(chosen)
    }

    pub(super) fn find(
        &self,
        scheme: Option<&str>,
        key: &str,
    ) -> Result<(Arc<Desk>, DocumentKey, Subject), OfficeError> {
        let key = DocumentKey::new(key).map_err(|error| OfficeError::NotUsable(error.to_string()))?;
        let mut found = None;
        for desk in self.chosen(scheme)? {
            if let Some(subject) = desk.ledger.subject(&key)? {
                if found.is_some() {
                    return Err(OfficeError::Ambiguous(key.to_string()));
                }
                found = Some((desk, subject));
            }
        }
        let Some((desk, subject)) = found else { return Err(CommandError::NoSuchDocument(key).into()) };
        Ok((desk, key, subject))
    }
}
