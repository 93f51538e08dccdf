//! The pipeline's core: state and event in, state and actions out.
//!
//! Nothing here waits, reads a clock, rolls dice or touches the store; [`Moment`] brings what it needs of those. The
//! driver commits the new state and only then carries out the actions, so that whatever happens outside is something
//! that the ledger already knows may have happened. The rules are those of `docs/architecture.md`, "The ledger".

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::connectors::{Answer, Difference, Finding, Step};
use crate::fault::{Code, Disposition, Fault};
use crate::model::{Digest, DocumentKey, Reason, TargetKey};

use super::subject::{End, Existence, Fate, Held, Phase, Subject, TargetWrite, Version};

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
    /// Runs that may end at the wall clock before the document parks.
    pub deadline_tries: u32,
    pub target_askable: bool,
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
    /// The target answered the attempt.
    Answered { version: u64, target: TargetKey, attempt: u32, answer: Told },
    /// The attempt ended without an answer of the target's.
    Failed { version: u64, target: TargetKey, attempt: u32, fault: Fault, may_have_written: bool },
    /// The target was asked, at `asked_at`, what it holds.
    Found { version: u64, target: TargetKey, asked_at: Timestamp, finding: Seen },
    /// The target was asked and did not say.
    AskFailed { version: u64, target: TargetKey, fault: Fault },
    /// The engine started with this subject unfinished.
    Restarted,
    /// A person wants a parked version tried again.
    Retry { version: u64, mode: RetryMode },
    /// A person gives a parked version up.
    Discard { version: u64, reason: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Emit(Vec<Emitted>),
    Skip(Reason),
    Reject(Reason),
    Fault(Fault),
}

/// One emitted bill: its body is in the ledger under its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emitted {
    pub key: TargetKey,
    pub body: Digest,
    /// Another source document that owns this target key.
    pub taken_by: Option<DocumentKey>,
}

/// [`Answer`] as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    Done { id: Option<String>, next: Option<Step> },
    Refused { code: String, message: String, saved: Option<(String, Step)> },
    Unmentioned,
}

impl From<Answer> for Told {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Done { id, next } => Told::Done { id, next },
            Answer::Refused { code, message, saved } => {
                Told::Refused { code, message, saved: saved.map(|saved| (saved.id, saved.next)) }
            }
            Answer::Unmentioned => Told::Unmentioned,
        }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    #[error("a newer version {0} exists; this one cannot be retried")]
    Outdated(u64),
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
        Event::Answered { version, target, attempt, answer } => run.answered(*version, target, *attempt, answer),
        Event::Failed { version, target, attempt, fault, may_have_written } => {
            run.failed(*version, target, *attempt, fault, *may_have_written);
        }
        Event::Found { version, target, asked_at, finding } => run.found(*version, target, *asked_at, finding),
        Event::AskFailed { version, target, fault } => run.ask_failed(*version, target, fault),
        Event::Restarted => run.restarted(),
        Event::Retry { version, mode } => run.retry(*version, *mode)?,
        Event::Discard { version, reason } => run.discard(*version, reason)?,
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

impl Run<'_> {
    fn received(&mut self, body: Digest, cancelled: bool, fault: Option<Fault>) {
        // Read again, by an overlapping window or a second pass: nothing new.
        if self.subject.latest().is_some_and(|latest| latest.body == body && latest.cancelled == cancelled) {
            return;
        }
        let number = self.subject.latest().map_or(1, |latest| latest.number + 1);
        let version = Version {
            number,
            body,
            received_at: self.moment.now,
            cancelled,
            module: None,
            fuel: 0,
            approved: false,
            phase: Phase::Held,
        };
        let held = self.subject.targets.clone();
        self.supersede(number, |older| older.is_surely_unwritten(&held));
        self.subject.versions.push(version);
        if let Some(fault) = fault {
            self.park(number, fault, Vec::new());
        } else if !self.subject.is_blocked() {
            self.begin(number);
        }
    }

    fn begin(&mut self, number: u64) {
        let Some(version) = self.subject.version_mut(number) else { return };
        version.phase = Phase::Received { tries: 0 };
        self.actions.push(Action::Transform { version: number, not_before: None, alone: false });
    }

    fn transformed(&mut self, number: u64, module: Digest, fuel: u64, verdict: Verdict) {
        let Some(version) = self.subject.version_mut(number) else { return };
        // A verdict over a version that was superseded meanwhile, or a second verdict, comes too late.
        let Phase::Received { tries } = version.phase else { return };
        version.module = Some(module);
        version.fuel = fuel;
        let (cancelled, approved) = (version.cancelled, version.approved);
        let standing = !self.subject.standing_keys().is_empty();
        match verdict {
            Verdict::Skip(reason) if standing => {
                let fault = if cancelled {
                    source_cancelled()
                } else {
                    Fault::park(
                        Code::TargetKeysChanged,
                        format!("the module now skips ({}: {}) what was written before", reason.code, reason.message),
                    )
                };
                self.park(number, fault, Vec::new());
            }
            Verdict::Skip(reason) => self.finish(number, End::Skipped(reason), Vec::new()),
            Verdict::Reject(reason) => {
                let place = reason.field.as_deref().map(|field| format!(" at {field}")).unwrap_or_default();
                let fault = Fault::park(Code::Rejected, format!("{}{place}: {}", reason.code, reason.message));
                self.park(number, fault, Vec::new());
            }
            Verdict::Fault(fault) => self.transform_failed(number, tries, fault),
            Verdict::Emit(_) if cancelled && standing => self.park(number, source_cancelled(), Vec::new()),
            Verdict::Emit(emitted) => self.emitted(number, approved, emitted),
        }
    }

    fn transform_failed(&mut self, number: u64, tries: u32, fault: Fault) {
        let after_ms = match fault.disposition {
            Disposition::Retry { after_ms } => after_ms,
            Disposition::Park | Disposition::Verify => {
                self.park(number, fault, Vec::new());
                return;
            }
            // Not the document's fault: the driver pauses the scheme, and the document waits for the resume.
            Disposition::PauseConnection
            | Disposition::PauseScheme
            | Disposition::StopScheme
            | Disposition::RefuseStart => None,
        };
        // Waiting for a table, or for a machine, says nothing of how long the module takes.
        let tries = if fault.code == Code::GuestDeadline { tries + 1 } else { tries };
        if fault.code == Code::GuestDeadline && tries >= self.rules.deadline_tries {
            self.park(number, Fault { disposition: Disposition::Park, ..fault }, Vec::new());
            return;
        }
        let not_before = Some(self.after(tries.max(1), after_ms));
        if let Some(version) = self.subject.version_mut(number) {
            version.phase = Phase::Received { tries };
            self.actions.push(Action::Transform { version: number, not_before, alone: tries > 0 });
        }
    }

    fn emitted(&mut self, number: u64, approved: bool, emitted: Vec<Emitted>) {
        if let Some(taken) = emitted.iter().find(|one| one.taken_by.is_some()) {
            let owner = taken.taken_by.as_ref().map(ToString::to_string).unwrap_or_default();
            let fault = Fault::park(
                Code::TargetKeyTaken,
                format!("target key {} belongs to source document {owner}", taken.key),
            );
            self.park(number, fault, Vec::new());
            return;
        }
        let standing: BTreeSet<TargetKey> = self.subject.standing_keys().into_iter().cloned().collect();
        let keys: BTreeSet<TargetKey> = emitted.iter().map(|one| one.key.clone()).collect();
        // The sandbox sees to both; here they would end as a version that never ends.
        if keys.is_empty() || keys.len() < emitted.len() {
            let code = if keys.is_empty() { Code::EmptyEmit } else { Code::GuestOutputInvalid };
            self.park(number, Fault::park(code, "the module emitted no bill, or one key twice"), Vec::new());
            return;
        }
        let mut writes: Vec<TargetWrite> = emitted.into_iter().map(fresh_write).collect();
        if standing.is_empty() {
            for write in &writes {
                self.subject.targets.entry(write.key.clone()).or_default();
            }
            self.write(number, writes);
            return;
        }
        // A key that was intended together with those that stand, and whose write was refused, may be missing or come
        // back: a document of two bills, one of them refused, can be tried again.
        let known = |key| self.subject.targets.contains_key(key);
        if !standing.is_subset(&keys) || !keys.iter().all(known) {
            let list = |keys: &BTreeSet<TargetKey>| keys.iter().map(TargetKey::as_str).collect::<Vec<_>>().join(", ");
            let fault = Fault::park(
                Code::TargetKeysChanged,
                format!("earlier versions wrote [{}], this one would write [{}]", list(&standing), list(&keys)),
            );
            self.park(number, fault, Vec::new());
            return;
        }
        let (mut changed, mut missing) = (false, false);
        for write in &mut writes {
            match self.subject.targets.get(&write.key) {
                Some(held) if held.existence == Existence::No => missing = true,
                Some(held) if held.complete && held.body == Some(write.body) => write.fate = Fate::Unchanged,
                Some(_) | None => changed = true,
            }
        }
        if !changed {
            self.write(number, writes);
            return;
        }
        let on_change = if approved { OnChange::Update } else { self.rules.on_change };
        match on_change {
            OnChange::Ignore if missing => {
                self.park(number, changed_after_write("some of its bills were never written"), writes);
            }
            OnChange::Ignore => self.finish(number, End::Ignored, writes),
            OnChange::Park => self.park(number, changed_after_write("the scheme says to ask a person"), writes),
            OnChange::Update if !self.rules.target_updatable => {
                self.park(number, changed_after_write("this target cannot change what is written"), writes);
            }
            OnChange::Update => {
                for write in &mut writes {
                    self.plan_update(write);
                }
                self.write(number, writes);
            }
        }
    }

    /// How a bill that stands, or may stand, is to be changed.
    fn plan_update(&self, write: &mut TargetWrite) {
        let held = self.subject.targets.get(&write.key).cloned().unwrap_or_default();
        if write.fate != Fate::Ready || held.existence == Existence::No {
            return;
        }
        if self.rules.target_askable {
            // What to do first depends on the state the bill is in by now: ask. An older write of which not everything
            // is known may still be committing.
            let wait = if held.complete { Duration::ZERO } else { self.rules.settle };
            write.step = Step::Update;
            write.fate = Fate::Asking { settled_at: later(self.moment.now, wait), tries: 0 };
        } else if held.existence == Existence::Yes {
            write.step = Step::Update;
        } else {
            let fault = Fault::park(
                Code::WriteUnknown,
                "whether an earlier version was written is not known, and this target cannot be asked",
            );
            write.fate = Fate::Stopped { fault };
        }
    }

    /// Puts the bills under way, or ends the version where none has anything left to do.
    fn write(&mut self, number: u64, writes: Vec<TargetWrite>) {
        for write in &writes {
            let (version, target) = (number, write.key.clone());
            match write.fate {
                Fate::Ready => self.actions.push(Action::Enqueue { version, target, not_before: None }),
                Fate::Asking { .. } => self.actions.push(Action::Ask { version, target, not_before: None }),
                _ => {}
            }
        }
        if let Some(version) = self.subject.version_mut(number) {
            version.phase = Phase::Writing { targets: writes };
        }
        self.settle(number);
    }

    fn dispatched(&mut self, number: u64, target: &TargetKey, deadline: Timestamp) {
        let id = self.subject.targets.get(target).and_then(|held| held.id.clone());
        let Some(write) = self.write_mut(number, target) else { return };
        if write.fate != Fate::Ready {
            return;
        }
        write.attempt += 1;
        write.fate = Fate::Intended { deadline };
        let (step, body, attempt) = (write.step, write.body, write.attempt);
        let held = self.subject.targets.entry(target.clone()).or_default();
        if held.existence == Existence::No {
            held.existence = Existence::Maybe;
        }
        held.complete = false;
        self.actions.push(Action::Send { version: number, target: target.clone(), step, body, id, attempt });
    }

    fn answered(&mut self, number: u64, target: &TargetKey, attempt: u32, told: &Told) {
        let Some((deadline, step)) = self.intended(number, target, attempt) else { return };
        match told {
            // The old content still stands; what was to be done with it is yet to come.
            Told::Done { id, next } if step == Step::Unaudit => {
                self.stands(number, target, id.clone(), next.or(Some(Step::Update)), false);
            }
            Told::Done { id, next } => self.stands(number, target, id.clone(), *next, true),
            Told::Refused { code, message, saved: Some((id, next)) } => {
                self.keep(target, Existence::Yes, Some(id.clone()));
                let words = format!("saved as {id}, then refused at {next:?}: {message} ({code})");
                if let Some(write) = self.write_mut(number, target) {
                    write.step = *next;
                }
                self.stop(number, target, Fault::park(Code::LeftUnaudited, words));
            }
            Told::Refused { code, message, .. }
                if code == crate::connectors::DUPLICATE_NUMBER && step == Step::Create =>
            {
                // Ours after all, or somebody else's: only the target can tell.
                let Some(write) = self.write_mut(number, target) else { return };
                write.disputes += 1;
                let (limit_reached, first_attempt) = (write.disputes > DISPUTES_LIMIT, write.attempt == 1);
                if !self.rules.target_askable {
                    let words = format!("{message} ({code}); this target cannot be asked whose bill it is");
                    if first_attempt {
                        self.keep(target, Existence::No, None);
                    }
                    let code = if first_attempt { Code::KeyOccupied } else { Code::WriteUnknown };
                    self.stop(number, target, Fault::park(code, words));
                } else if limit_reached {
                    self.keep(target, Existence::No, None);
                    let fault = Fault::park(
                        Code::KeyOccupied,
                        "the target says that this number is taken, and shows nothing under it",
                    );
                    self.stop(number, target, fault);
                } else {
                    // A bill may count at once and show in lists only later: an early "absent" proves nothing.
                    self.ask(number, target, later(self.moment.now, self.rules.settle));
                }
            }
            Told::Refused { code, message, saved: None } => {
                if step == Step::Create {
                    self.keep(target, Existence::No, None);
                }
                let fault = Fault::park(Code::TargetRefused, format!("{message} ({code})"));
                self.stop(number, target, refused_at(step, fault));
            }
            Told::Unmentioned => self.unknown(number, target, deadline),
        }
    }

    fn failed(&mut self, number: u64, target: &TargetKey, attempt: u32, fault: &Fault, may_have_written: bool) {
        let Some((deadline, step)) = self.intended(number, target, attempt) else { return };
        if may_have_written {
            self.unknown(number, target, deadline);
            return;
        }
        if step == Step::Create {
            self.keep(target, Existence::No, None);
        }
        match fault.disposition {
            Disposition::Park => self.stop(number, target, refused_at(step, fault.clone())),
            Disposition::Retry { after_ms } => {
                let not_before = Some(self.after(attempt, after_ms));
                self.ready(number, target, not_before);
            }
            // The driver pauses the connection or the scheme; the bill waits, ready, for the resume.
            Disposition::Verify
            | Disposition::PauseConnection
            | Disposition::PauseScheme
            | Disposition::StopScheme
            | Disposition::RefuseStart => {
                let not_before = Some(self.after(attempt, None));
                self.ready(number, target, not_before);
            }
        }
    }

    fn found(&mut self, number: u64, target: &TargetKey, asked_at: Timestamp, seen: &Seen) {
        let Some(write) = self.write_mut(number, target) else { return };
        let Fate::Asking { settled_at, .. } = write.fate else { return };
        let step = write.step;
        let never_sent = write.attempt == 0;
        if !never_sent {
            write.verified = true;
        }
        let settled = asked_at >= settled_at || self.rules.sabotage == Sabotage::NoSettle;
        let existence = self.subject.targets.get(target).map_or(Existence::No, |held| held.existence);
        match seen {
            Seen::Ours { id, next: None } => self.stands(number, target, Some(id.clone()), None, true),
            Seen::Absent | Seen::Differs { .. } | Seen::Ours { .. } if !settled => {
                // What is not there yet, not changed yet or not audited yet may still come, and would come behind
                // whatever is sent now: ask again once it has settled.
                self.actions.push(Action::Ask {
                    version: number,
                    target: target.clone(),
                    not_before: Some(settled_at),
                });
            }
            Seen::Ours { id, next } => self.stands(number, target, Some(id.clone()), *next, true),
            Seen::Absent if step == Step::Create || existence == Existence::Maybe => {
                self.keep(target, Existence::No, None);
                if let Some(write) = self.write_mut(number, target) {
                    write.step = Step::Create;
                }
                self.ready(number, target, None);
            }
            Seen::Absent => {
                let fault = Fault::park(Code::BillGone, "the bill that was written is no longer at the target");
                self.stop(number, target, fault);
            }
            Seen::Differs { id, next, differences } => {
                let ours = existence == Existence::Yes;
                let changing = matches!(step, Step::Update | Step::Unaudit);
                match next {
                    Some(next) if changing && ours => {
                        self.keep(target, Existence::Yes, Some(id.clone()));
                        if let Some(write) = self.write_mut(number, target) {
                            write.step = *next;
                        }
                        self.ready(number, target, None);
                    }
                    _ => self.occupied(number, target, step, differences),
                }
            }
        }
    }

    fn occupied(&mut self, number: u64, target: &TargetKey, step: Step, differences: &[Difference]) {
        // Somebody else's bill: ours was not made. Past the first step the bill is ours, and somebody changed it.
        if step == Step::Create {
            self.keep(target, Existence::No, None);
        }
        let shown: Vec<String> = differences
            .iter()
            .take(5)
            .map(|one| format!("{} is {} and should be {}", one.field, one.found, one.intended))
            .collect();
        let message = format!("the target holds another bill under this number: {}", shown.join("; "));
        self.stop(number, target, Fault::park(Code::KeyOccupied, message));
    }

    fn ask_failed(&mut self, number: u64, target: &TargetKey, fault: &Fault) {
        let Some(write) = self.write_mut(number, target) else { return };
        let Fate::Asking { settled_at, tries } = write.fate else { return };
        let (tries, sent) = (tries + 1, write.attempt > 0);
        write.fate = Fate::Asking { settled_at, tries };
        if fault.disposition == Disposition::Park && tries >= ASK_REFUSALS_LIMIT {
            let code = if sent { Code::WriteUnknown } else { fault.code };
            let message = format!("the target refuses to be asked what it holds: {}", fault.message);
            self.stop(number, target, Fault::park(code, message));
            return;
        }
        let wait = match fault.disposition {
            Disposition::Retry { after_ms } => after_ms,
            _ => None,
        };
        let not_before = Some(self.after(tries, wait));
        self.actions.push(Action::Ask { version: number, target: target.clone(), not_before });
    }

    fn restarted(&mut self) {
        let settled_at = later(self.moment.now, self.rules.settle);
        let askable = self.rules.target_askable;
        let mut lost = Vec::new();
        for version in &mut self.subject.versions {
            let number = version.number;
            match &mut version.phase {
                Phase::Received { tries } => {
                    let alone = *tries > 0;
                    self.actions.push(Action::Transform { version: number, not_before: None, alone });
                }
                Phase::Writing { targets } => {
                    for write in targets {
                        let target = write.key.clone();
                        match write.fate {
                            Fate::Ready => {
                                self.actions.push(Action::Enqueue { version: number, target, not_before: None });
                            }
                            Fate::Intended { .. } if !askable || self.rules.sabotage == Sabotage::NoVerify => {
                                lost.push((number, target));
                            }
                            Fate::Intended { deadline } => {
                                // Where the engine died early in a long request, the target may be at it until the
                                // deadline all the same.
                                let settled_at = settled_at.max(later(deadline, self.rules.settle));
                                write.fate = Fate::Asking { settled_at, tries: 0 };
                                self.actions.push(Action::Ask { version: number, target, not_before: None });
                            }
                            // The settings no longer allow the question that was to be asked.
                            Fate::Asking { .. } if !askable => lost.push((number, target)),
                            Fate::Asking { settled_at: before, .. } => {
                                // Asked before anything was sent (a planned update) needs no settling; else start anew.
                                let settled_at = if write.attempt == 0 { before } else { before.max(settled_at) };
                                write.fate = Fate::Asking { settled_at, tries: 0 };
                                self.actions.push(Action::Ask { version: number, target, not_before: None });
                            }
                            Fate::Written | Fate::Unchanged | Fate::Stopped { .. } => {}
                        }
                    }
                }
                Phase::Held | Phase::Parked { .. } | Phase::Done { .. } => {}
            }
        }
        for (number, target) in lost {
            self.unknown(number, &target, self.moment.now);
        }
    }

    fn retry(&mut self, number: u64, mode: RetryMode) -> Result<(), Refusal> {
        let latest = self.subject.latest().map_or(0, |latest| latest.number);
        let version = self.subject.version(number).ok_or(Refusal::NoSuchVersion(number))?;
        let Phase::Parked { fault, targets } = &version.phase else { return Err(Refusal::NotParked(number)) };
        let (code, writes) = (fault.code, targets.clone());
        if matches!(code, Code::WriteUnknown | Code::LeftUnaudited) {
            return self.take_up(number, code, writes, mode);
        }
        if latest > number {
            return Err(Refusal::Outdated(latest));
        }
        let blocked = self.subject.is_blocked();
        // A look at the target says nothing of a request that is on its way.
        if mode == RetryMode::IChecked && !blocked {
            self.believe_absent(&writes);
        }
        if let Some(version) = self.subject.version_mut(number) {
            version.approved |= code == Code::ChangedAfterWrite;
            version.phase = Phase::Held;
        }
        if !blocked {
            self.begin(number);
        }
        Ok(())
    }

    /// Goes on with bills that were sent: asks for them, or takes a person's word.
    fn take_up(
        &mut self,
        number: u64,
        code: Code,
        mut writes: Vec<TargetWrite>,
        mode: RetryMode,
    ) -> Result<(), Refusal> {
        // A newer version that went to work meanwhile would be overtaken by this one.
        if let Some(newer) = self.subject.versions.iter().rev().find(|other| other.number > number && other.has_begun())
        {
            return Err(Refusal::Outdated(newer.number));
        }
        match mode {
            RetryMode::Plain if code == Code::WriteUnknown => return Err(Refusal::Unknown(number)),
            RetryMode::AfterVerify | RetryMode::Plain if !self.rules.target_askable => return Err(Refusal::NotAskable),
            RetryMode::Plain | RetryMode::AfterVerify => {
                for write in &mut writes {
                    let Fate::Stopped { fault } = &write.fate else { continue };
                    // When a lost request ended is not stored with a parked bill; a whole settling time is safe.
                    let lost = fault.code == Code::WriteUnknown;
                    let wait = if lost { self.rules.settle } else { Duration::ZERO };
                    write.fate = Fate::Asking { settled_at: later(self.moment.now, wait), tries: 0 };
                }
            }
            RetryMode::IChecked => {
                for write in &mut writes {
                    let Fate::Stopped { fault } = &write.fate else { continue };
                    if write.step == Step::Create || fault.code == Code::BillGone {
                        write.step = Step::Create;
                        self.subject.targets.insert(write.key.clone(), Held::default());
                    }
                    write.fate = Fate::Ready;
                }
            }
        }
        self.write(number, writes);
        Ok(())
    }

    /// A person looked and says that the bills in question are not there.
    fn believe_absent(&mut self, writes: &[TargetWrite]) {
        let gone = |write: &TargetWrite| matches!(&write.fate, Fate::Stopped { fault } if fault.code == Code::BillGone);
        for (key, held) in &mut self.subject.targets {
            if held.existence == Existence::Maybe || writes.iter().any(|write| write.key == *key && gone(write)) {
                *held = Held::default();
            }
        }
    }

    fn discard(&mut self, number: u64, reason: &str) -> Result<(), Refusal> {
        let version = self.subject.version_mut(number).ok_or(Refusal::NoSuchVersion(number))?;
        let Phase::Parked { targets, .. } = &version.phase else { return Err(Refusal::NotParked(number)) };
        let writes = targets.clone();
        self.finish(number, End::Discarded { reason: reason.into() }, writes);
        Ok(())
    }

    /// The bill stands at the target, with the intended content where it `carries` that; `next` is what it still needs.
    fn stands(&mut self, number: u64, target: &TargetKey, id: Option<String>, next: Option<Step>, carries: bool) {
        let Some(write) = self.write_mut(number, target) else { return };
        let body = write.body;
        match next {
            Some(next) => write.step = next,
            None => write.fate = Fate::Written,
        }
        self.keep(target, Existence::Yes, id);
        if let Some(held) = self.subject.targets.get_mut(target) {
            held.complete = carries && next.is_none();
            if carries {
                held.body = Some(body);
            }
        }
        match next {
            Some(_) => self.ready(number, target, None),
            None => self.settle(number),
        }
    }

    fn keep(&mut self, target: &TargetKey, existence: Existence, id: Option<String>) {
        let held = self.subject.targets.entry(target.clone()).or_default();
        held.existence = existence;
        if id.is_some() {
            held.id = id;
        }
        if existence == Existence::No {
            *held = Held::default();
        }
    }

    fn unknown(&mut self, number: u64, target: &TargetKey, deadline: Timestamp) {
        if self.rules.sabotage == Sabotage::NoVerify {
            self.ready(number, target, None);
        } else if self.rules.target_askable {
            // The commit of the intent took its time before the request left: the deadline may lie behind us.
            self.ask(number, target, later(deadline.max(self.moment.now), self.rules.settle));
        } else {
            let fault = Fault::park(
                Code::WriteUnknown,
                "the answer to this write was lost and this target cannot be asked; look there before anything else",
            );
            self.stop(number, target, fault);
        }
    }

    fn ask(&mut self, number: u64, target: &TargetKey, settled_at: Timestamp) {
        let Some(write) = self.write_mut(number, target) else { return };
        write.fate = Fate::Asking { settled_at, tries: 0 };
        self.actions.push(Action::Ask { version: number, target: target.clone(), not_before: None });
    }

    fn ready(&mut self, number: u64, target: &TargetKey, not_before: Option<Timestamp>) {
        let Some(write) = self.write_mut(number, target) else { return };
        write.fate = Fate::Ready;
        if !self.gives_way(number) {
            self.actions.push(Action::Enqueue { version: number, target: target.clone(), not_before });
        }
    }

    /// A newer version arrived while this one's write was in doubt; once nothing of it stands, it gives way.
    fn gives_way(&mut self, number: u64) -> bool {
        let by = self.subject.latest().map_or(number, |latest| latest.number);
        let unwritten = |version: &Version| version.is_surely_unwritten(&self.subject.targets);
        if by == number || !self.subject.version(number).is_some_and(unwritten) {
            return false;
        }
        self.supersede(by, |version| version.number == number);
        self.release();
        true
    }

    fn stop(&mut self, number: u64, target: &TargetKey, fault: Fault) {
        let Some(write) = self.write_mut(number, target) else { return };
        write.fate = Fate::Stopped { fault };
        self.settle(number);
    }

    /// Ends the version if none of its bills is under way any more.
    fn settle(&mut self, number: u64) {
        if self.gives_way(number) {
            return;
        }
        let Some(version) = self.subject.version(number) else { return };
        let Phase::Writing { targets } = &version.phase else { return };
        let under_way =
            |write: &TargetWrite| matches!(write.fate, Fate::Ready | Fate::Intended { .. } | Fate::Asking { .. });
        if targets.iter().any(under_way) {
            return;
        }
        let writes = targets.clone();
        // The gravest fault speaks for the version: an unknown write must never hide behind a refusal.
        let fault = writes
            .iter()
            .filter_map(|write| match &write.fate {
                Fate::Stopped { fault } => Some(fault),
                _ => None,
            })
            .max_by_key(|fault| (fault.code == Code::WriteUnknown, fault.code == Code::LeftUnaudited))
            .cloned();
        match fault {
            Some(fault) => self.park(number, fault, writes),
            None if writes.iter().all(|write| write.fate == Fate::Unchanged) => {
                self.finish(number, End::Unchanged, writes);
            }
            None => self.finish(number, End::Written, writes),
        }
    }

    fn park(&mut self, number: u64, fault: Fault, targets: Vec<TargetWrite>) {
        let Some(version) = self.subject.version_mut(number) else { return };
        self.actions.push(Action::Parked { version: number, code: fault.code });
        version.phase = Phase::Parked { fault, targets };
        self.release();
    }

    fn finish(&mut self, number: u64, end: End, targets: Vec<TargetWrite>) {
        let written = matches!(end, End::Written | End::Unchanged);
        if let Some(version) = self.subject.version_mut(number) {
            version.phase = Phase::Done { end, targets: ended(targets) };
        }
        if written {
            // What an older version was parked for is settled by the newer one that stands now.
            self.supersede(number, |older| matches!(older.phase, Phase::Parked { .. }));
        }
        self.actions.push(Action::Finished { version: number });
        self.release();
    }

    /// Lets the newest waiting version go on, where nothing holds it back any more.
    fn release(&mut self) {
        if self.subject.is_blocked() {
            return;
        }
        let waiting = self.subject.versions.iter().rev().find(|version| version.phase == Phase::Held);
        let Some(newest) = waiting.map(|version| version.number) else { return };
        // Parked and surely unwritten: the waiting version takes its place.
        let held = self.subject.targets.clone();
        self.supersede(newest, |older| older.is_surely_unwritten(&held));
        self.begin(newest);
    }

    /// Ends older versions, those that `gives_way` names, in favour of `by`.
    fn supersede(&mut self, by: u64, gives_way: impl Fn(&Version) -> bool) {
        for older in self.subject.versions.iter_mut().filter(|older| older.number < by) {
            if !matches!(older.phase, Phase::Done { .. }) && gives_way(older) {
                older.phase = superseded(&older.phase, by);
                self.actions.push(Action::Finished { version: older.number });
            }
        }
    }

    fn write_mut(&mut self, number: u64, target: &TargetKey) -> Option<&mut TargetWrite> {
        match &mut self.subject.version_mut(number)?.phase {
            Phase::Writing { targets } => targets.iter_mut().find(|write| write.key == *target),
            _ => None,
        }
    }

    /// The deadline and step of the attempt under way; `None` where an answer is stale.
    fn intended(&mut self, number: u64, target: &TargetKey, attempt: u32) -> Option<(Timestamp, Step)> {
        let write = self.write_mut(number, target)?;
        match write.fate {
            Fate::Intended { deadline } if write.attempt == attempt => Some((deadline, write.step)),
            _ => None,
        }
    }

    /// When to try again: the other side's own wait, or full jitter under a doubling ceiling.
    fn after(&self, tries: u32, asked_ms: Option<u64>) -> Timestamp {
        let base = u64::try_from(self.rules.retry_base.as_millis()).unwrap_or(u64::MAX).max(1);
        let cap = u64::try_from(self.rules.retry_cap.as_millis()).unwrap_or(u64::MAX);
        let ceiling = base.saturating_mul(1_u64 << tries.min(20)).min(cap).max(1);
        let jittered = u64::from(self.moment.dice) % ceiling + 1;
        later(self.moment.now, Duration::from_millis(asked_ms.unwrap_or(0).saturating_add(jittered.min(ceiling))))
    }
}

fn fresh_write(emitted: Emitted) -> TargetWrite {
    TargetWrite {
        key: emitted.key,
        body: emitted.body,
        step: Step::Create,
        attempt: 0,
        disputes: 0,
        verified: false,
        fate: Fate::Ready,
    }
}

fn superseded(phase: &Phase, by: u64) -> Phase {
    let targets = match phase {
        Phase::Writing { targets } | Phase::Parked { targets, .. } | Phase::Done { targets, .. } => targets.clone(),
        Phase::Received { .. } | Phase::Held => Vec::new(),
    };
    Phase::Done { end: End::Superseded { by }, targets: ended(targets) }
}

/// What a finished version keeps of its bills: those that came to an end, not those that were only planned.
fn ended(mut writes: Vec<TargetWrite>) -> Vec<TargetWrite> {
    writes.retain(|write| matches!(write.fate, Fate::Written | Fate::Unchanged | Fate::Stopped { .. }));
    writes
}

/// A refusal past the first step leaves a bill behind that is not in its final state.
fn refused_at(step: Step, fault: Fault) -> Fault {
    match step {
        Step::Create | Step::Unaudit => fault,
        Step::Update | Step::Submit | Step::Audit => {
            let message = format!("refused at {step:?}: {}", fault.message);
            Fault { code: Code::LeftUnaudited, message, ..fault }
        }
    }
}

fn source_cancelled() -> Fault {
    Fault::park(Code::SourceCancelled, "the source cancelled a document whose bill was, or may have been, written")
}

fn changed_after_write(why: &str) -> Fault {
    Fault::park(Code::ChangedAfterWrite, format!("the source changed after the bill was written; {why}"))
}

fn later(from: Timestamp, by: Duration) -> Timestamp {
    let by = jiff::SignedDuration::try_from(by).unwrap_or(jiff::SignedDuration::MAX);
    from.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
