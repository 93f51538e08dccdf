//! The vendors' systems, each behind the same two traits.
//!
//! A connector knows one vendor's addresses, signatures, envelopes, windows, caps and error texts, and nothing of
//! components, ledgers or schemes. It never decides what happens to a document: it reports facts, and
//! [`Error`] says whose fault a failure is. It never retries a write by itself.

mod breaker;
mod clock;
mod error;
mod factory;
mod flight;
mod http;
mod jushuitan_qimen;
mod kingdee_jdy;
mod kingdee_k3cloud;
mod limits;
mod pace;
mod qimen;
mod reach;
mod road;
mod settings;
#[cfg(test)]
mod stub;
mod text;
mod turns;
mod wangdiantong_qimen;
mod yonyou_u8;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use breaker::Position;
pub use clock::{Clock, FixedClock, SystemClock};
pub use error::Error;
pub use factory::Connection;
pub use http::{Http, SetupError};
#[cfg(test)]
pub use limits::Limits;
pub use reach::{Networks, is_allowed};
#[cfg(test)]
pub use road::Crossing;
pub use road::{Pass, Road, Traffic};
pub use settings::SettingProblem;
pub use turns::Caller;

use crate::fault::Fault;
use crate::model::{DocumentKey, TargetKey};

/// What of the source is to be read in one go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Span {
    /// Everything modified from `start` up to `end`. The connector splits it to the vendor's maximum by itself only if
    /// it must; callers ask [`Source::window_limit`] first.
    Window { start: Timestamp, end: Timestamp },
    /// Everything after this row version (Jushuitan `start_ts`).
    /// What was last modified before `since` is passed over: the first such read would otherwise fetch ten years.
    After { row_version: i64, since: Timestamp },
}

/// One record as the source served it. Its body is the exact slice of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDocument {
    /// Where the record carries no usable key, the reason why not; the host parks it under a key made of its digest.
    pub key: Result<DocumentKey, String>,
    pub body: String,
    /// The vendor's own status says that this record is void now.
    pub cancelled: bool,
}

/// One page, ready to be committed.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub documents: Vec<SourceDocument>,
    /// How many records the vendor says the whole span holds, where it says so.
    pub total: Option<u64>,
    /// For the log and the person: `page 3 of 7, pass 1`.
    pub position: String,
}

/// Takes pages as they are read. Its error stops the read.
#[async_trait]
pub trait PageSink: Send {
    /// May return while the page, and a few before it, are still being committed, so that the next is read meanwhile.
    async fn page(&mut self, page: Page) -> Result<(), SinkClosed>;

    /// Returns once every page so far is durable: for a source that remembers what it need not hand over again. After a
    /// read everything is, without being asked.
    async fn durable(&mut self) -> Result<(), SinkClosed>;
}

/// The host asked the reader to stop: shutdown, pause, or a store that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the read was stopped")]
pub struct SinkClosed;

/// How a read ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadSummary {
    pub pages: u64,
    pub documents: u64,
    /// Passes over the span until one was undisturbed.
    pub passes: u32,
    /// The largest row version seen, for spans of that kind.
    pub row_version: Option<i64>,
}

/// A system that documents are read from.
#[async_trait]
pub trait Source: Send + Sync {
    /// The longest window one read may ask for; `None` where the vendor has no such limit.
    fn window_limit(&self) -> Option<jiff::SignedDuration>;

    /// Whether the settings ask for spans of the kind [`Span::After`] and not for windows.
    fn reads_by_row_version(&self) -> bool {
        false
    }

    /// Reads one span completely, handing each page to `sink` before asking for what depends on it. `Ok` means that
    /// every record of the span was handed over in an undisturbed pass. No page was asked for before the one in front
    /// of it was handed over: another reader may come between two pages, and what it reads is newer than the first.
    async fn read(&self, span: &Span, sink: &mut dyn PageSink) -> Result<ReadSummary, Error>;

    /// Whether a record lies in the window `start..end`, by the time that windows go by. `None` where the record does
    /// not say.
    fn lies_within(&self, _body: &str, _start: Timestamp, _end: Timestamp) -> Option<bool> {
        None
    }

    /// Proves that address and credentials work, with the cheapest question the vendor has.
    async fn probe(&self) -> Result<(), Error>;

    /// What of the settings can be used and most likely was not meant.
    fn warnings(&self) -> Vec<SettingProblem> {
        Vec::new()
    }
}

/// One step of the chain that brings a bill into its final state. Each is an intent of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Save a bill that does not exist (with submit and audit in the same request where the scheme says so).
    Create,
    /// Take the audit off an audited bill so that it can be changed.
    Unaudit,
    /// Save over a bill of ours.
    Update,
    Submit,
    Audit,
}

/// One bill and what is to be done with it.
#[derive(Debug, Clone)]
pub struct Job {
    pub key: TargetKey,
    /// The emitted body, JSON text.
    pub body: String,
    /// The target's own id of the bill (K3Cloud `FID`), where it is known.
    pub id: Option<String>,
}

/// The `code` of [`Answer::Refused`] where the target says that a bill of this number exists: ours or somebody else's.
pub const DUPLICATE_NUMBER: &str = "duplicate_number";

/// What the target said of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The step is done. `next` is what the bill still needs.
    Done { id: Option<String>, next: Option<Step> },
    /// The target refused, and nothing of this job was written, or nothing beyond what `saved` tells.
    Refused {
        /// The vendor's code and words.
        code: String,
        message: String,
        /// The bill exists all the same (saved, and the audit failed): its id and the step that failed.
        saved: Option<Saved>,
    },
    /// The answer does not mention this job: its fate is unknown.
    Unmentioned,
    /// No answer, where a call is several requests and what became of them differs. A call that is one request says
    /// this of all its jobs at once, as an [`Error`].
    Failed(Failure),
}

/// Why one job got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub fault: Fault,
    /// As [`Error::may_have_written`], for this job.
    pub may_have_written: bool,
    /// Which of the call's requests it was. Jobs of one number were refused together, and which of them the target meant
    /// is not known.
    pub request: usize,
}

impl Failure {
    pub fn of(error: &Error, request: usize) -> Self {
        Self { fault: error.fault(), may_have_written: error.may_have_written(), request }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    pub id: String,
    pub next: Step,
}

/// What the target holds under one job's key, compared with the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    Absent,
    /// The bill is there with the intended content. `next` is what it still needs; `None` means done.
    Ours {
        id: String,
        next: Option<Step>,
    },
    /// The bill is there with other content. `next` is the first step of changing it, where it may be changed.
    Differs {
        id: String,
        next: Option<Step>,
        differences: Vec<Difference>,
    },
}

/// One bill on a target's own list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The number that a person finds it by.
    pub number: String,
    /// The keys under which it may be one of ours; none where nothing on it can be one.
    pub keys: Vec<TargetKey>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The field, in the vendor's own name.
    pub field: String,
    pub intended: String,
    pub found: String,
}

/// What a target operation can do. `check` and the pipeline plan with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Jobs one request may carry.
    pub batch_limit: usize,
    /// A written bill can be changed.
    pub updatable: bool,
    /// The target can be asked by key what it holds. Where it cannot, [`Resend`] says what becomes of an unknown write.
    pub askable: bool,
    pub resend: Resend,
    /// What a bill is known by afterwards, in the vendor's own names: what makes it possible not to write it twice.
    pub recognised_by: String,
}

impl Capabilities {
    /// What becomes of a write whose answer is lost, in words for people.
    pub fn unknown_write(&self) -> &'static str {
        match (self.askable, self.resend) {
            (true, _) => {
                "the target is asked before anything else; where it refuses to say, the document parks as write_unknown"
            }
            (false, Resend::SafeUpsert) => {
                "the same bytes are sent again once they have settled; still in doubt after that, the document parks as \
                 write_unknown"
            }
            (false, Resend::Never) => {
                "the document parks as write_unknown and is never sent again without a person's word (--i-checked)"
            }
        }
    }
}

/// What may be done about a write whose fate is unknown at a target that cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resend {
    /// Nothing: it parks, and a person looks.
    #[default]
    Never,
    /// A write is an upsert by key, and the same bytes twice leave what they leave once. So the same bytes may be sent
    /// again, never others, and the answer to the second sending counts for both.
    SafeUpsert,
}

/// A system that bills are written to.
#[async_trait]
pub trait Target: Send + Sync {
    fn capabilities(&self) -> Capabilities;

    /// What sets the target's numbers apart within one operation: two forms may both have a bill 1001.
    fn number_space(&self) -> Option<&str> {
        None
    }

    /// Fields that each bill needs a value of its own for: the vendor refuses one that is the same in all.
    fn own_fields(&self) -> &[&'static str] {
        &[]
    }

    /// The key that the body itself carries.
    fn key_of(&self, body: &str) -> Result<TargetKey, String>;

    /// Whether a bill of ours can be changed from `before`, the body that stands, to `after`; what stands in the way
    /// where it cannot. Asked before an update is sent, of targets that are `updatable` as such.
    fn check_change(&self, _before: &str, _after: &str) -> Result<(), String> {
        Ok(())
    }

    /// One step of all `jobs` (at most `batch_limit`, keys distinct), in one request, or one after the other where the
    /// vendor wants several. Exactly one answer for each job, in their order. An error says of all jobs alike whether
    /// the request can have been carried out: [`Error::may_have_written`]. Where that differs from job to job, the
    /// answers say so: [`Answer::Failed`].
    async fn write(&self, step: Step, jobs: &[Job]) -> Result<Vec<Answer>, Error>;

    /// Asks what the target holds under the jobs' keys; one finding for each job, in their order. Changes nothing.
    async fn look_up(&self, jobs: &[Job]) -> Result<Vec<Finding>, Error>;

    /// Every bill of one day, by the bill's own date, whoever wrote it; `None` where the target cannot be asked so.
    /// Changes nothing.
    async fn bills_of(&self, _day: jiff::civil::Date) -> Result<Option<Vec<Listed>>, Error> {
        Ok(None)
    }

    /// How long one call of [`Target::write`] may take at most; the pipeline stores `now + this` with each intent.
    fn request_timeout(&self) -> std::time::Duration;

    async fn probe(&self) -> Result<(), Error>;
}

/// A system that tables of reference data are read from: what a module looks ids up in.
#[async_trait]
pub trait ReferenceSource: Send + Sync {
    /// The tables it serves, such as `kingdee_jdy.material`.
    fn tables(&self) -> &[&str];

    /// All entries of one table as it is now: key and JSON value. A key that the system holds more than once is left
    /// out, for nobody can say which entry is meant.
    async fn fetch(&self, table: &str) -> Result<Vec<(String, String)>, Error>;
}
