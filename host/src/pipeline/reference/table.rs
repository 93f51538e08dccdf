//! One fetched table: its edition, who waits for another, and when it is due. Everything here is decided under one lock
//! and at once; the keeper does what takes time.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use crate::connectors::ReferenceSource;
use crate::fault::{Code, Disposition, Fault};
use crate::model::{ConnectionName, TenantId};

use super::edition::{Edition, Revision};

/// Which table, and whose.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableId {
    pub tenant: TenantId,
    pub connection: ConnectionName,
    pub table: String,
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of connection {}", self.table, self.connection)
    }
}

/// How often a table is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// The age at which it is fetched anew.
    pub refresh: SignedDuration,
    /// The least time between two fetches because of keys that were not found.
    pub miss_interval: SignedDuration,
}

impl Rhythm {
    /// What suits two schemes that share a table: neither sees it older than it asked for.
    pub fn shorter(self, other: Self) -> Self {
        Self { refresh: self.refresh.min(other.refresh), miss_interval: self.miss_interval.min(other.miss_interval) }
    }
}

/// Why a table could not be fetched, since it last could.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub fault: Fault,
    pub at: Timestamp,
    /// Fetches in a row that failed.
    pub count: u32,
    /// Not tried again by itself before.
    pub not_before: Timestamp,
}

/// A table as it stands, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub id: TableId,
    /// `None` where it was never fetched.
    pub revision: Option<Revision>,
    pub entries: usize,
    pub bytes: usize,
    pub fetched_at: Option<Timestamp>,
    pub changed_at: Option<Timestamp>,
    /// When it is fetched next; in the past where it is being fetched, or its connection is paused.
    pub due_at: Timestamp,
    pub fetching: bool,
    pub failure: Option<Failure>,
}

/// First and longest wait after a fetch that failed; it doubles between. The longest is that of documents.
const RETRY_BASE: SignedDuration = SignedDuration::from_secs(5);
const RETRY_CAP: SignedDuration = SignedDuration::from_mins(10);
/// Keys that are remembered as asked for. Beyond it a key is not known to be missing a moment later, and its document
/// waits for the next fetch.
const ASKED_LIMIT: usize = 10_000;
/// A longer key is not remembered: no number of a material is that long, and a hostile module's may be.
const ASKED_KEY_LIMIT_BYTES: usize = 256;

/// One table of one connection.
pub struct FetchedTable {
    pub id: TableId,
    pub(super) source: Arc<dyn ReferenceSource>,
    state: Mutex<State>,
    /// Something may be due earlier than it was.
    pub(super) called: Notify,
    /// Fetches that ended, well or not.
    ended: watch::Sender<u64>,
}

struct State {
    rhythm: Rhythm,
    edition: Option<Arc<Edition>>,
    /// Editions so far: grows with every fetch that went well.
    generation: u64,
    /// Fetches that began.
    begun: u64,
    fetching: bool,
    /// Keys missed since the last fetch began.
    asked: HashSet<String>,
    /// Whether a document waits for a fetch that has not begun.
    missed: bool,
    /// Whether a person does.
    ordered: bool,
    failure: Option<Failure>,
}

/// What a fetch that begins takes along.
pub(super) struct Begun {
    pub at: Timestamp,
    number: u64,
    asked: HashSet<String>,
    missed: bool,
}

impl FetchedTable {
    pub(super) fn new(
        id: TableId,
        rhythm: Rhythm,
        source: Arc<dyn ReferenceSource>,
        edition: Option<Edition>,
        now: Timestamp,
    ) -> Self {
        let edition = edition.map(|edition| {
            // Written under a clock that was ahead: it would count as young for ever.
            Arc::new(Edition { fetched_at: edition.fetched_at.min(now), ..edition })
        });
        let state = State {
            rhythm,
            edition,
            generation: 0,
            begun: 0,
            fetching: false,
            asked: HashSet::new(),
            missed: false,
            ordered: false,
            failure: None,
        };
        Self { id, source, state: Mutex::new(state), called: Notify::new(), ended: watch::Sender::new(0) }
    }

    pub fn edition(&self) -> Option<Arc<Edition>> {
        self.lock().edition.clone()
    }

    /// Grows with every fetch that went well.
    pub fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Whether somebody waits for a fetch, or nothing was ever fetched.
    pub fn is_wanted(&self) -> bool {
        let state = self.lock();
        state.missed || state.edition.is_none()
    }

    pub fn failure(&self) -> Option<Failure> {
        self.lock().failure.clone()
    }

    pub(super) fn miss_interval(&self) -> SignedDuration {
        self.lock().rhythm.miss_interval
    }

    /// Another scheme uses the table, too.
    pub(super) fn share(&self, rhythm: Rhythm) {
        let mut state = self.lock();
        let shorter = state.rhythm.shorter(rhythm);
        if std::mem::replace(&mut state.rhythm, shorter) != shorter {
            drop(state);
            self.called.notify_one();
        }
    }

    /// Nobody uses the table any more, and nobody fetches it: whoever waits for a fetch hears so.
    pub(super) fn close(&self, now: Timestamp) {
        let fault = Fault::park(Code::ConfigurationInvalid, format!("no scheme uses {} any more", self.id));
        self.lock().failure = Some(Failure { fault, at: now, count: 1, not_before: now });
        self.ended.send_replace(u64::MAX);
    }

    /// A document asked for a key that the table cannot answer for yet.
    pub(super) fn miss(&self, key: &str) {
        let mut state = self.lock();
        if key.len() <= ASKED_KEY_LIMIT_BYTES && state.asked.len() < ASKED_LIMIT && !state.asked.contains(key) {
            state.asked.insert(key.to_owned());
        }
        // Only the first needs to be told: the others are asked for by the same fetch.
        if !std::mem::replace(&mut state.missed, true) {
            drop(state);
            self.called.notify_one();
        }
    }

    /// When the next fetch may begin.
    pub fn due_at(&self) -> Timestamp {
        self.lock().due_at()
    }

    pub fn status(&self) -> Status {
        let state = self.lock();
        let edition = state.edition.as_ref();
        Status {
            id: self.id.clone(),
            revision: edition.map(|edition| edition.entries.revision().clone()),
            entries: edition.map_or(0, |edition| edition.entries.len()),
            bytes: edition.map_or(0, |edition| edition.entries.bytes()),
            fetched_at: edition.map(|edition| edition.fetched_at),
            changed_at: edition.map(|edition| edition.changed_at),
            due_at: state.due_at(),
            fetching: state.fetching,
            failure: state.failure.clone(),
        }
    }

    /// Has the table fetched now and waits for its end. A keeper must be at work.
    pub(super) async fn order(&self) -> Result<(), Fault> {
        let mut ended = self.ended.subscribe();
        let wanted = {
            let mut state = self.lock();
            state.ordered = true;
            // A fetch under way began before the order, and may lack what the person has just added.
            state.begun + 1
        };
        self.called.notify_one();
        // An error means that the table is gone, and with it the engine.
        let _ = ended.wait_for(|ended| *ended >= wanted).await;
        self.failure().map_or(Ok(()), |failure| Err(failure.fault))
    }

    pub(super) fn begin(&self, at: Timestamp) -> Begun {
        let mut state = self.lock();
        state.begun += 1;
        state.fetching = true;
        state.ordered = false;
        let (asked, missed) = (std::mem::take(&mut state.asked), std::mem::take(&mut state.missed));
        Begun { at, number: state.begun, asked, missed }
    }

    pub(super) fn succeed(&self, begun: Begun, mut edition: Edition) {
        edition.missing = begun.asked.into_iter().filter(|key| edition.entries.get(key).is_none()).collect();
        let mut state = self.lock();
        state.edition = Some(Arc::new(edition));
        state.generation += 1;
        (state.failure, state.fetching) = (None, false);
        // Everybody who waits is run again and says what is still missed.
        state.missed = false;
        state.asked.clear();
        drop(state);
        self.ended.send_replace(begun.number);
    }

    pub(super) fn fail(&self, begun: Begun, fault: Fault, now: Timestamp) {
        let mut state = self.lock();
        // Where nothing was sent, nothing was tried.
        let tried = u32::from(fault.code != Code::CircuitOpen);
        let count = state.failure.as_ref().map_or(0, |failure| failure.count).saturating_add(tried);
        let doubled = RETRY_BASE.saturating_mul(1 << count.saturating_sub(1).min(10)).min(RETRY_CAP);
        let wait = match fault.disposition {
            Disposition::Retry { after_ms: Some(wait) } => {
                doubled.max(SignedDuration::from_millis(i64::try_from(wait).unwrap_or(i64::MAX)))
            }
            Disposition::Retry { after_ms: None }
            | Disposition::Verify
            | Disposition::Park
            | Disposition::PauseConnection
            | Disposition::PauseScheme
            | Disposition::StopScheme
            | Disposition::RefuseStart => doubled,
        };
        let not_before = now.checked_add(wait).unwrap_or(Timestamp::MAX);
        state.failure = Some(Failure { fault, at: now, count, not_before });
        // Whoever waited still does.
        state.missed |= begun.missed;
        state.asked.extend(begun.asked);
        state.fetching = false;
        drop(state);
        self.ended.send_replace(begun.number);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn due_at(&self) -> Timestamp {
        let rhythm = self.rhythm;
        if self.ordered {
            return Timestamp::MIN;
        }
        let wished = match &self.edition {
            None => Timestamp::MIN,
            Some(edition) => {
                let age = if self.missed { rhythm.miss_interval.min(rhythm.refresh) } else { rhythm.refresh };
                edition.fetched_at.checked_add(age).unwrap_or(Timestamp::MAX)
            }
        };
        self.failure.as_ref().map_or(wished, |failure| wished.max(failure.not_before))
    }
}
