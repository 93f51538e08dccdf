//! Answers for the ledger's documents: lists them, shows them, carries out what a person wants done with one.
//!
//! Works beside running drivers (through their handles) and, where no engine runs, on the store alone. Personal data is
//! masked unless asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config;
use crate::fault::Fault;
use crate::model::{ConnectionName, DocumentKey, SchemeId, TenantId};
use crate::pipeline::driver::{Command, CommandError, Handle, Now};
use crate::pipeline::gate::{Gates, Pause, Scope};
use crate::pipeline::ledger::{Error as LedgerError, Ledger};
use crate::pipeline::reference::{Catalogue, Library, Revision};
use crate::pipeline::round::{Destination, Work, commit_round};
use crate::pipeline::step::{Event, Moment, RetryMode, Rules};
use crate::pipeline::subject::{End, Fate, Phase, Subject, TargetWrite, Version};
use crate::telemetry::{mask_json, mask_text};

use super::engine::Engine;
use super::reference_desk;
use super::transformer::SandboxTransformer;

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
    pub(super) desks: Vec<Desk>,
    gates: Gates,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentState {
    Received,
    Held,
    Writing,
    /// A write whose fate is being asked.
    Verifying,
    Parked,
    Written,
    Unchanged,
    Skipped,
    Ignored,
    Superseded,
    Discarded,
}

/// Which documents to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Filter {
    #[serde(default)]
    pub scheme: Option<String>,
    /// Every state where empty.
    #[serde(default)]
    pub states: Vec<DocumentState>,
    /// Begin after this key.
    #[serde(default)]
    pub after: Option<String>,
    #[serde(default)]
    pub limit: Option<usize>,
}

/// One line of a list: the newest version of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub scheme: String,
    pub key: String,
    pub version: u64,
    pub state: DocumentState,
    pub code: Option<String>,
    pub message: Option<String>,
    pub received_at: Timestamp,
    pub targets: Vec<Bill>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    pub key: String,
    pub attempts: u32,
    /// The target was asked what became of it.
    pub verified: bool,
    pub state: String,
}

/// Everything about one document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DocumentView {
    pub scheme: String,
    pub key: String,
    pub versions: Vec<VersionView>,
    pub history: Vec<HistoryLine>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VersionView {
    pub summary: Summary,
    pub fault: Option<Fault>,
    pub module: Option<String>,
    pub fuel: u64,
    /// The source's bytes, as text; masked unless asked for.
    pub body: Option<String>,
    /// The emitted bills' bytes.
    pub emitted: Vec<String>,
    /// When retention removed the bodies and the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HistoryLine {
    pub at: Timestamp,
    /// What happened, as the ledger keeps it.
    pub event: Box<serde_json::value::RawValue>,
    pub logs: Vec<String>,
    /// The revisions of the reference tables that the module looked things up in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, Revision>,
}

/// What a person wants done with a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CommandRequest {
    pub scheme: Option<String>,
    pub key: String,
    pub version: Option<u64>,
    /// Discard with this reason; retry where absent.
    pub discard: Option<String>,
    pub retry: Option<RetryMode>,
}

/// What a person wants paused or resumed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseRequest {
    All,
    Connection(String),
    Scheme(String),
}

/// Lines of history shown of one document, the newest.
const HISTORY_SHOWN: usize = 200;
/// Documents in one list where nothing is said.
const LIST_LIMIT: usize = 100;

impl Office {
    pub fn new(engine: &Engine) -> Self {
        let desks = engine
            .schemes
            .iter()
            .map(|scheme| Desk {
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
            .collect();
        Self {
            desks,
            gates: engine.gates.clone(),
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

    pub fn list(&self, filter: &Filter) -> Result<Vec<Summary>, OfficeError> {
        let limit = filter.limit.unwrap_or(LIST_LIMIT);
        let mut found = Vec::new();
        for desk in self.chosen(filter.scheme.as_deref())? {
            let mut after = filter.after.as_deref().and_then(|key| DocumentKey::new(key).ok());
            // The index of unfinished documents answers for the states that it holds, without a walk over the rest.
            let only_open = !filter.states.is_empty() && filter.states.iter().all(|state| state.is_open());
            while found.len() < limit {
                let keys: Vec<(DocumentKey, Subject)> = if only_open {
                    let mut subjects = Vec::new();
                    for (key, _) in desk.ledger.open(after.as_ref(), 500)? {
                        let subject = desk.ledger.subject(&key)?.unwrap_or_default();
                        subjects.push((key, subject));
                    }
                    subjects
                } else {
                    desk.ledger.subjects(after.as_ref(), 500)?
                };
                let Some((last, _)) = keys.last() else { break };
                after = Some(last.clone());
                for (key, subject) in &keys {
                    let Some(version) = shown(subject, &filter.states) else { continue };
                    found.push(desk.summary(key, version));
                }
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    pub fn show(&self, scheme: Option<&str>, key: &str, unmask: bool) -> Result<DocumentView, OfficeError> {
        let (desk, key, subject) = self.find(scheme, key)?;
        let read = |digest| -> Result<Option<String>, OfficeError> {
            let body = desk.ledger.body(digest)?;
            Ok(body.map(|body| if unmask { body } else { mask_json(&body) }))
        };
        let mut versions = Vec::new();
        for version in &subject.versions {
            let removed_at = subject.removed_at(version.number);
            // What was taken away is not shown, though the same pass may not have come to its bodies yet.
            let shown = |digest| if removed_at.is_some() { Ok(None) } else { read(digest) };
            let emitted = bills(version).iter().map(|write| shown(write.body)).collect::<Result<Vec<_>, _>>()?;
            versions.push(VersionView {
                summary: desk.summary(&key, version),
                fault: match &version.phase {
                    Phase::Parked { fault, .. } => Some(if unmask { fault.clone() } else { masked(fault) }),
                    _ => None,
                },
                module: version.module.map(|digest| digest.to_string()),
                fuel: version.fuel,
                body: shown(version.body)?,
                emitted: emitted.into_iter().flatten().collect(),
                removed_at,
            });
        }
        let history = desk.ledger.history(&key, subject.events, HISTORY_SHOWN)?;
        let history = history
            .into_iter()
            .filter_map(|line| {
                let event = serde_json::to_string(&line.event).ok()?;
                let event = if unmask { event } else { mask_json(&event) };
                let logs = if unmask { line.logs } else { line.logs.iter().map(|log| mask_text(log)).collect() };
                let event = serde_json::value::RawValue::from_string(event).ok()?;
                Some(HistoryLine { at: line.at, event, logs, tables: line.tables })
            })
            .collect();
        Ok(DocumentView { scheme: desk.scheme.to_string(), key: key.to_string(), versions, history })
    }

    /// Returns the version that the command applied to.
    pub async fn command(&self, request: &CommandRequest) -> Result<u64, OfficeError> {
        let command = match (&request.discard, request.retry) {
            (Some(reason), None) => Command::Discard { reason: reason.clone() },
            (None, Some(mode)) => Command::Retry(mode),
            _ => return Err(OfficeError::NotUsable("either retry or discard".into())),
        };
        let (desk, key, subject) = self.find(request.scheme.as_deref(), &request.key)?;
        let handle = desk.handle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if let Some(handle) = handle {
            return Ok(handle.command(key, request.version, command).await?);
        }
        // Nobody is at work: the state changes now, and what follows from it is taken up at the next start.
        let newest = subject.newest_to_command();
        let version = request.version.or(newest).ok_or_else(|| CommandError::NothingParked(key.clone()))?;
        let event = match command {
            Command::Retry(mode) => Event::Retry { version, mode },
            Command::Discard { reason } => Event::Discard { version, reason },
        };
        let now = (self.now)();
        let moment = Moment { now, dice: 0, at_work_since: now };
        let works = [Work::new(key, event)];
        let mut settled = commit_round(&desk.ledger, &desk.destination, &desk.rules, moment, &works, None).await?;
        match settled.refusals.remove(&0) {
            Some(refusal) => Err(CommandError::from(refusal).into()),
            None => Ok(version),
        }
    }

    /// Returns once no request of the scope is under way and none can begin.
    pub async fn pause(&self, request: &PauseRequest, reason: &str) -> Result<Vec<Pause>, OfficeError> {
        let since = (self.now)();
        let mut paused = Vec::new();
        for scope in self.scopes(request)? {
            let pause = Pause { scope, since, reason: reason.into(), code: None };
            self.gates.pause(pause.clone(), true).await?;
            paused.push(pause);
        }
        Ok(paused)
    }

    /// Returns the scopes that were paused before, and the connections that were held back for their vendor's sake.
    /// Resuming everything takes every pause away.
    pub async fn resume(&self, request: &PauseRequest) -> Result<Vec<Scope>, OfficeError> {
        let scopes = match request {
            PauseRequest::All => self.gates.pauses().into_iter().map(|pause| pause.scope).collect(),
            other => self.scopes(other)?,
        };
        let mut resumed = Vec::new();
        for scope in scopes {
            if self.gates.resume(&scope).await? {
                resumed.push(scope);
            }
        }
        let wanted = |tenant: &TenantId, connection: &ConnectionName| match request {
            PauseRequest::All => true,
            PauseRequest::Connection(name) => {
                connection.as_str() == name && self.desks.iter().any(|desk| desk.tenant == *tenant)
            }
            PauseRequest::Scheme(_) => false,
        };
        for ((tenant, connection), road) in self.gates.roads() {
            if wanted(&tenant, &connection) && road.reset() {
                resumed.push(Scope::Connection(tenant, connection));
            }
        }
        resumed.dedup();
        Ok(resumed)
    }

    pub fn pauses(&self) -> Vec<Pause> {
        self.gates.pauses()
    }

    fn scopes(&self, request: &PauseRequest) -> Result<Vec<Scope>, OfficeError> {
        let list = |names: Vec<String>| names.join(", ");
        match request {
            PauseRequest::All => Ok(vec![Scope::All]),
            PauseRequest::Scheme(name) => {
                let desks = self.chosen(Some(name))?;
                Ok(desks.iter().map(|desk| Scope::Scheme(desk.tenant.clone(), desk.scheme.clone())).collect())
            }
            PauseRequest::Connection(name) => {
                let mut scopes: Vec<Scope> = self
                    .desks
                    .iter()
                    .flat_map(|desk| {
                        desk.connections.iter().map(|connection| (desk.tenant.clone(), connection.clone()))
                    })
                    .filter(|(_, connection)| connection.as_str() == name)
                    .map(|(tenant, connection)| Scope::Connection(tenant, connection))
                    .collect();
                scopes.sort();
                scopes.dedup();
                if scopes.is_empty() {
                    let mut known: Vec<String> =
                        self.desks.iter().flat_map(|desk| desk.connections.iter().map(ToString::to_string)).collect();
                    known.sort();
                    known.dedup();
                    return Err(OfficeError::NoSuchConnection(name.clone(), list(known)));
                }
                Ok(scopes)
            }
        }
    }

    pub(super) fn chosen(&self, scheme: Option<&str>) -> Result<Vec<&Desk>, OfficeError> {
        let Some(name) = scheme else { return Ok(self.desks.iter().collect()) };
        let chosen: Vec<&Desk> = self.desks.iter().filter(|desk| desk.scheme.as_str() == name).collect();
        if chosen.is_empty() {
            let known: Vec<&str> = self.desks.iter().map(|desk| desk.scheme.as_str()).collect();
            return Err(OfficeError::NoSuchScheme(name.into(), known.join(", ")));
        }
        Ok(chosen)
    }

    pub(super) fn find(&self, scheme: Option<&str>, key: &str) -> Result<(&Desk, DocumentKey, Subject), OfficeError> {
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

impl DocumentState {
    pub const ALL: [DocumentState; 11] = [
        DocumentState::Received,
        DocumentState::Held,
        DocumentState::Writing,
        DocumentState::Verifying,
        DocumentState::Parked,
        DocumentState::Written,
        DocumentState::Unchanged,
        DocumentState::Skipped,
        DocumentState::Ignored,
        DocumentState::Superseded,
        DocumentState::Discarded,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            DocumentState::Received => "received",
            DocumentState::Held => "held",
            DocumentState::Writing => "writing",
            DocumentState::Verifying => "verifying",
            DocumentState::Parked => "parked",
            DocumentState::Written => "written",
            DocumentState::Unchanged => "unchanged",
            DocumentState::Skipped => "skipped",
            DocumentState::Ignored => "ignored",
            DocumentState::Superseded => "superseded",
            DocumentState::Discarded => "discarded",
        }
    }

    fn is_open(self) -> bool {
        match self {
            DocumentState::Received
            | DocumentState::Held
            | DocumentState::Writing
            | DocumentState::Verifying
            | DocumentState::Parked => true,
            DocumentState::Written
            | DocumentState::Unchanged
            | DocumentState::Skipped
            | DocumentState::Ignored
            | DocumentState::Superseded
            | DocumentState::Discarded => false,
        }
    }

    pub fn of(version: &Version) -> Self {
        match &version.phase {
            Phase::Received { .. } => DocumentState::Received,
            Phase::Held => DocumentState::Held,
            Phase::Writing { targets } if targets.iter().any(|t| matches!(t.fate, Fate::Asking { .. })) => {
                DocumentState::Verifying
            }
            Phase::Writing { .. } => DocumentState::Writing,
            Phase::Parked { .. } => DocumentState::Parked,
            Phase::Done { end, .. } => match end {
                End::Written => DocumentState::Written,
                End::Unchanged => DocumentState::Unchanged,
                End::Skipped(_) => DocumentState::Skipped,
                End::Ignored => DocumentState::Ignored,
                End::Superseded { .. } => DocumentState::Superseded,
                End::Discarded { .. } => DocumentState::Discarded,
            },
        }
    }
}

impl Desk {
    fn summary(&self, key: &DocumentKey, version: &Version) -> Summary {
        let mut summary = summary(self.scheme.as_str(), key, version);
        if let Some((code, message)) = self.waits(version) {
            (summary.code, summary.message) = (Some(code.to_string()), Some(message));
        }
        summary
    }
}

/// A vendor's or a module's words may quote the order that they are about.
fn masked(fault: &Fault) -> Fault {
    let internal = fault.internal.as_deref().map(mask_text);
    Fault { message: mask_text(&fault.message), internal, ..fault.clone() }
}

/// The newest version in one of the states; the newest of all where none is named.
fn shown<'a>(subject: &'a Subject, states: &[DocumentState]) -> Option<&'a Version> {
    let wanted = |version: &&Version| states.is_empty() || states.contains(&DocumentState::of(version));
    subject.versions.iter().rev().find(wanted)
}

fn bills(version: &Version) -> &[TargetWrite] {
    match &version.phase {
        Phase::Writing { targets } | Phase::Parked { targets, .. } | Phase::Done { targets, .. } => targets,
        Phase::Received { .. } | Phase::Held => &[],
    }
}

fn summary(scheme: &str, key: &DocumentKey, version: &Version) -> Summary {
    let (code, message) = match &version.phase {
        Phase::Parked { fault, .. } => (Some(fault.code.to_string()), Some(mask_text(&fault.to_string()))),
        Phase::Done { end: End::Skipped(reason), .. } => (Some(reason.code.clone()), Some(mask_text(&reason.message))),
        Phase::Done { end: End::Discarded { reason }, .. } => (None, Some(reason.clone())),
        Phase::Done { end: End::Superseded { by }, .. } => (None, Some(format!("by version {by}"))),
        Phase::Done { end: End::Written | End::Unchanged | End::Ignored, .. }
        | Phase::Received { .. }
        | Phase::Held
        | Phase::Writing { .. } => (None, None),
    };
    let targets = bills(version)
        .iter()
        .map(|write| Bill {
            key: write.key.to_string(),
            attempts: write.attempt,
            verified: write.verified,
            state: match &write.fate {
                Fate::Ready => "ready",
                Fate::Intended { .. } => "sent",
                Fate::Asking { .. } => "asking",
                Fate::Resend { .. } => "to be sent again",
                Fate::Written => "written",
                Fate::Unchanged => "unchanged",
                Fate::Stopped { .. } => "stopped",
            }
            .into(),
        })
        .collect();
    Summary {
        scheme: scheme.into(),
        key: key.to_string(),
        version: version.number,
        state: DocumentState::of(version),
        code,
        message,
        received_at: version.received_at,
        targets,
    }
}
