//! The pipeline's core: state and event in, state and actions out.
//!
//! Nothing here waits, reads a clock, rolls dice or touches the store; [`Moment`] brings what it needs of those. The
//! driver commits the new state and only then carries out the actions, so that whatever happens outside is something
//! that the ledger already knows may have happened. The rules are those of `docs/architecture.md`, "The ledger".

mod bills;
mod people;
#[cfg(test)]
mod tests;
mod versions;
#[cfg(test)]
mod world;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[cfg(doc)]
use crate::connectors::Target;
use crate::connectors::{Answer, Difference, Failure, Finding, Resend, Step};
use crate::fault::{Code, Fault};
use crate::model::{Digest, DocumentKey, Reason, TargetKey};

use super::subject::Subject;

/// What a scheme does when a record changes after its bill was, or may have been, written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    Update,
    Ignore,
    #[default]
    Park,
}

/// A scheme's rules, as far as they decide what happens to a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub on_change: OnChange,
    /// How long after a request's deadline the target may still be committing it.
    pub settle: Duration,
    /// First and longest wait of a retry; the wait doubles between, with full jitter.
    pub retry_base: Duration,
    pub retry_cap: Duration,
    /// A bill that was sent and surely not written for this long parks.
    pub give_up_after: Duration,
    /// Runs that may end at the wall clock before the document parks.
    pub deadline_tries: u32,
    pub target_askable: bool,
    /// What may be done about an unknown write where `target_askable` is false.
    pub target_resend: Resend,
    pub target_updatable: bool,
    /// A promise switched off on purpose, to see a test notice it. Always `None` outside such a test.
    pub sabotage: Sabotage,
}

/// A promise to break, so that the test of the promise can be seen red.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sabotage {
    #[default]
    None,
    /// Requests leave before their intent is committed.
    NoIntent,
    /// A lost answer counts as "not written" without asking.
    NoVerify,
    /// "Absent" is believed at once, although the target may still be committing.
    NoSettle,
}

/// What the outside world brings to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub now: Timestamp,
    /// Any number; spreads retries.
    pub dice: u32,
    /// Since when the scheme has been at work: its start or the end of its last pause. Nobody tried before that.
    pub at_work_since: Timestamp,
}

/// What happened to a subject. Stored as its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The source served this body. `fault`: it cannot even be transformed (no key, too large).
    Received { body: Digest, cancelled: bool, fault: Option<Fault> },
    /// The module gave its verdict.
    Transformed { version: u64, module: Digest, fuel: u64, verdict: Verdict },
    /// The writer is about to send this bill; `deadline` is when the request ends at the latest.
    Dispatched { version: u64, target: TargetKey, deadline: Timestamp },
    /// The commit of the intent took its time: the request has not left yet, and ends as much later.
    Postponed { version: u64, target: TargetKey, attempt: u32, deadline: Timestamp },
    /// The machine's clock was set ahead, and every wait that goes by it would end too soon. A request under way ends by
    /// `deadline` on the new clock.
    ClockLeapt { deadline: Timestamp },
    /// The target answered the attempt.
    Answered { version: u64, target: TargetKey, attempt: u32, answer: Told },
    /// The attempt ended without an answer of the target's.
    Failed { version: u64, target: TargetKey, attempt: u32, fault: Fault, may_have_written: bool },
    /// The attempt was refused together with those of `others` more bills, surely unwritten, and the target did not say
    /// which of them it meant.
    RefusedTogether { version: u64, target: TargetKey, attempt: u32, fault: Fault, others: usize },
    /// The target was asked, at `asked_at`, what it holds.
    Found { version: u64, target: TargetKey, asked_at: Timestamp, finding: Seen },
    /// The target was asked and did not say.
    AskFailed { version: u64, target: TargetKey, fault: Fault },
    /// The engine started with this subject unfinished.
    Restarted,
    /// A person wants a parked version tried again, with this module where one is named.
    Retry {
        version: u64,
        mode: RetryMode,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        module: Option<Digest>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A person gives a parked version up.
    Discard {
        version: u64,
        reason: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A person hands in another body for a parked version that is surely unwritten. It becomes a version of its own.
    Edited {
        version: u64,
        body: Digest,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A person has everything taken away that is in the document. What is unfinished of it ends.
    Erased {
        reason: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Emit(Vec<Emitted>),
    Skip(Reason),
    Reject(Reason),
    Fault(Fault),
    /// The module asked for an entry of a reference table that is not known yet.
    Waits {
        table: String,
        key: String,
        /// When the tables were opened that lacked it: a fetch may have begun since.
        at: Timestamp,
    },
}

/// One emitted bill: its body is in the ledger under its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emitted {
    pub key: TargetKey,
    pub body: Digest,
    /// Another source document that owns this target key.
    pub taken_by: Option<DocumentKey>,
    /// What stands in the way of changing the bill that stands into this one; see [`Target::check_change`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<String>,
}

/// [`Answer`] as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    Done { id: Option<String>, next: Option<Step> },
    Refused { code: String, message: String, saved: Option<(String, Step)> },
    Unmentioned,
}

impl TryFrom<Answer> for Told {
    /// No answer at all: that is [`Event::Failed`].
    type Error = Failure;

    fn try_from(answer: Answer) -> Result<Self, Failure> {
        Ok(match answer {
            Answer::Done { id, next } => Told::Done { id, next },
            Answer::Refused { code, message, saved } => {
                Told::Refused { code, message, saved: saved.map(|saved| (saved.id, saved.next)) }
            }
            Answer::Unmentioned => Told::Unmentioned,
            Answer::Failed(failure) => return Err(failure),
        })
    }
}

/// [`Finding`] as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    Absent,
    Ours { id: String, next: Option<Step> },
    Differs { id: String, next: Option<Step>, differences: Vec<Difference> },
}

impl From<Finding> for Seen {
    fn from(finding: Finding) -> Self {
        match finding {
            Finding::Absent => Seen::Absent,
            Finding::Ours { id, next } => Seen::Ours { id, next },
            Finding::Differs { id, next, differences } => Seen::Differs { id, next, differences },
        }
    }
}

/// How a person wants a version tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryMode {
    /// Transform again and write; refused while a write is unknown.
    Plain,
    /// Ask the target first; go on with what it says.
    AfterVerify,
    /// A person looked into the target and says that the bill is not there.
    IChecked,
}

/// What the driver has to do once the new state is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Transform {
        version: u64,
        not_before: Option<Timestamp>,
        alone: bool,
    },
    /// To be transformed again once one of the scheme's reference tables was fetched.
    Await {
        version: u64,
    },
    /// The bill may be sent; the writer answers with [`Event::Dispatched`].
    Enqueue {
        version: u64,
        target: TargetKey,
        not_before: Option<Timestamp>,
    },
    /// The intent is durable: send.
    Send {
        version: u64,
        target: TargetKey,
        step: Step,
        body: Digest,
        id: Option<String>,
        attempt: u32,
    },
    Ask {
        version: u64,
        target: TargetKey,
        not_before: Option<Timestamp>,
    },
    /// Something now needs a person.
    Parked {
        version: u64,
        code: Code,
    },
    Finished {
        version: u64,
    },
}

/// Why a person's wish was not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no version {0}")]
    NoSuchVersion(u64),
    #[error("version {0} is not parked")]
    NotParked(u64),
    #[error(
        "whether version {0} was written is not known: retry it with --after-verify, or with --i-checked once a person has looked"
    )]
    Unknown(u64),
    #[error("this target cannot be asked what it holds: a person must look, then retry with --i-checked")]
    NotAskable,
    #[error("a newer version {0} exists; this one cannot be taken up again")]
    Outdated(u64),
    #[error(
        "version {version} is finished, and its body was removed at {at}, so there is nothing to run again: where its bill \
         is wrong, mend the bill at the target, or change the record in the source, which then serves a new version"
    )]
    Removed { version: u64, at: Timestamp },
    #[error(
        "the bills of version {0} have been sent, and it goes on with them as they are: no module runs for it again. Retry \
         it without naming one"
    )]
    NothingToRun(u64),
    #[error(
        "version {0} was written, in part or perhaps: another body would come beside what stands. Settle that first, with a \
         retry --after-verify, or --i-checked once a person has looked; or change the record in the source"
    )]
    MayBeWritten(u64),
    #[error("version {0} came without a key of its own: correct the record in the source, and discard this one")]
    NoKey(u64),
    #[error("that is the body which version {0} has: retry it instead")]
    SameBody(u64),
    #[error(
        "a write of version {0} is under way: wait until it has ended, and where its connection or scheme is paused, resume \
         that first"
    )]
    BeingWritten(u64),
    #[error(
        "whether version {0} was written is not known, and nobody could find out without its body: retry it --after-verify, \
         or look into the target and retry it --i-checked or discard it; then erase"
    )]
    FateUnknown(u64),
}

impl Refusal {
    /// The kind of it, without numbers: what counts as the same reason for two documents.
    pub fn kind(&self) -> &'static str {
        match self {
            Refusal::NoSuchVersion(_) => "no_such_version",
            Refusal::NotParked(_) => "not_parked",
            Refusal::Unknown(_) => "unknown",
            Refusal::NotAskable => "not_askable",
            Refusal::Outdated(_) => "outdated",
            Refusal::Removed { .. } => "removed",
            Refusal::NothingToRun(_) => "nothing_to_run",
            Refusal::MayBeWritten(_) => "may_be_written",
            Refusal::NoKey(_) => "no_key",
            Refusal::SameBody(_) => "same_body",
            Refusal::BeingWritten(_) => "being_written",
            Refusal::FateUnknown(_) => "fate_unknown",
        }
    }
}

/// The answer of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stepped {
    pub subject: Subject,
    pub actions: Vec<Action>,
    /// Whether anything changed; an event that came too late changes nothing and is not stored.
    pub changed: bool,
}

/// Times the target may say "number taken" and then show nothing under that number, before a person is asked.
const DISPUTES_LIMIT: u32 = 3;

/// Sendings of the same bytes whose fate may stay unknown before a person is asked. An outage of minutes passes within
/// them, and answers that never can be read do not go on for ever.
const DOUBTS_LIMIT: u32 = 6;

/// Times a target may refuse, in so many words, to say what it holds. Each comes after a longer wait, so a right that
/// somebody forgot to grant can still be granted; asking for ever would hide the document from people.
const ASK_REFUSALS_LIMIT: u32 = 8;

/// One step. Never panics, whatever the state and the event.
pub fn step(subject: &Subject, event: &Event, moment: Moment, rules: &Rules) -> Result<Stepped, Refusal> {
    let mut run = Run { subject: subject.clone(), actions: Vec::new(), moment, rules };
    match event {
        Event::Received { body, cancelled, fault } => run.received(*body, *cancelled, fault.clone()),
        Event::Transformed { version, module, fuel, verdict } => {
            run.transformed(*version, *module, *fuel, verdict.clone());
        }
        Event::Dispatched { version, target, deadline } => run.dispatched(*version, target, *deadline),
        Event::Postponed { version, target, attempt, deadline } => {
            run.postponed(*version, target, *attempt, *deadline);
        }
        Event::ClockLeapt { deadline } => run.clock_leapt(*deadline),
        Event::Answered { version, target, attempt, answer } => run.answered(*version, target, *attempt, answer),
        Event::Failed { version, target, attempt, fault, may_have_written } => {
            run.failed(*version, target, *attempt, fault, *may_have_written);
        }
        Event::RefusedTogether { version, target, attempt, .. } => run.refused_together(*version, target, *attempt),
        Event::Found { version, target, asked_at, finding } => run.found(*version, target, *asked_at, finding),
        Event::AskFailed { version, target, fault } => run.ask_failed(*version, target, fault),
        Event::Restarted => run.restarted(),
        Event::Retry { version, mode, module, .. } => run.retry(*version, *mode, *module)?,
        Event::Discard { version, reason, .. } => run.discard(*version, reason)?,
        Event::Edited { version, body, by } => run.edited(*version, *body, by.as_deref())?,
        Event::Erased { .. } => run.erased()?,
    }
    let changed = run.subject != *subject;
    if changed {
        run.subject.events += 1;
        run.subject.prune();
    }
    Ok(Stepped { subject: run.subject, actions: run.actions, changed })
}

struct Run<'a> {
    subject: Subject,
    actions: Vec<Action>,
    moment: Moment,
    rules: &'a Rules,
}

fn later(from: Timestamp, by: Duration) -> Timestamp {
    let by = jiff::SignedDuration::try_from(by).unwrap_or(jiff::SignedDuration::MAX);
    from.checked_add(by).unwrap_or(Timestamp::MAX)
}
