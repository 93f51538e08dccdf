//! The rules of the ledger, one by one, on the pure step function.

mod arrivals;
mod changes;
mod everywhere;
mod module_faults;
mod people;
mod refusals;
mod superseding;
mod target_keys;
mod unknown;

use std::collections::BTreeSet;

use super::super::subject::{Edited, End, Existence, Fate, Held, Missed, Phase, TargetWrite, Version, Waits};
use super::*;
use crate::connectors::DUPLICATE_NUMBER;
use crate::fault::Disposition;

const SETTLE: Duration = Duration::from_secs(60);

pub(super) fn rules() -> Rules {
    Rules {
        on_change: OnChange::Park,
        settle: SETTLE,
        retry_base: Duration::from_millis(100),
        retry_cap: Duration::from_secs(10),
        give_up_after: Duration::from_secs(86_400),
        deadline_tries: 3,
        target_askable: true,
        target_resend: Resend::Never,
        target_updatable: true,
        sabotage: Sabotage::None,
    }
}

pub(super) fn key(text: &str) -> TargetKey {
    TargetKey::new(text).unwrap()
}

/// What must be true of every subject between two steps.
pub(super) fn assert_invariants(subject: &Subject) {
    let story = || format!("{subject:#?}");
    let numbers: Vec<u64> = subject.versions.iter().map(|version| version.number).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "version numbers do not grow: {}", story());
    let at_work = |v: &&Version| matches!(v.phase, Phase::Received { .. } | Phase::Writing { .. });
    assert!(subject.versions.iter().filter(at_work).count() <= 1, "two versions are at work: {}", story());
    let waiting = subject.versions.iter().filter(|version| version.phase == Phase::Held).count();
    assert!(waiting == 0 || (waiting == 1 && subject.is_blocked()), "a version waits for nothing: {}", story());
    let latest = subject.versions.last().map(|version| version.number);
    for version in &subject.versions {
        let existence = |key: &TargetKey| subject.targets.get(key).map(|held| held.existence);
        match &version.phase {
            Phase::Received { .. } | Phase::Held => {}
            Phase::Writing { targets } => {
                let under_way =
                    |w: &TargetWrite| !matches!(w.fate, Fate::Written | Fate::Unchanged | Fate::Stopped { .. });
                assert!(targets.iter().any(under_way), "nothing of a version being written is under way: {}", story());
                for write in targets {
                    let known = existence(&write.key);
                    assert!(known.is_some(), "a key is being written that the ledger does not keep: {}", story());
                    if write.fate == Fate::Ready && write.step == Step::Create {
                        let may_exist = known != Some(Existence::No);
                        assert_eq!(may_exist, write.doubts > 0, "what may exist would be made again: {}", story());
                    }
                    if matches!(write.fate, Fate::Resend { .. }) {
                        assert_ne!(known, Some(Existence::No), "what is in doubt counts as not there: {}", story());
                        assert!(write.doubts > 0, "sent again without a doubt: {}", story());
                    }
                    if matches!(write.fate, Fate::Intended { .. }) {
                        assert_ne!(known, Some(Existence::No), "an intent left no trace: {}", story());
                        assert!(write.attempt > 0, "an intent is not counted: {}", story());
                    }
                }
            }
            Phase::Parked { fault, targets } => {
                let loose = |w: &TargetWrite| {
                    matches!(w.fate, Fate::Intended { .. } | Fate::Asking { .. } | Fate::Resend { .. })
                };
                assert!(!targets.iter().any(loose), "a parked version has a bill under way: {}", story());
                let unknown =
                    |w: &TargetWrite| matches!(&w.fate, Fate::Stopped { fault } if fault.code == Code::WriteUnknown);
                assert_eq!(
                    fault.code == Code::WriteUnknown,
                    targets.iter().any(unknown),
                    "an unknown write hides, or is claimed for nothing: {}",
                    story()
                );
            }
            Phase::Done { targets, .. } => {
                let ended = |w: &TargetWrite| matches!(w.fate, Fate::Written | Fate::Unchanged | Fate::Stopped { .. });
                assert!(targets.iter().all(ended), "a finished version has something left to do: {}", story());
            }
        }
        let (Phase::Writing { targets } | Phase::Parked { targets, .. } | Phase::Done { targets, .. }) = &version.phase
        else {
            continue;
        };
        if Some(version.number) == latest {
            for write in targets.iter().filter(|write| matches!(write.fate, Fate::Written | Fate::Unchanged)) {
                let held = subject.targets.get(&write.key).cloned().unwrap_or_default();
                assert_eq!(held.existence, Existence::Yes, "written, and not known to exist: {}", story());
                assert_eq!(held.body, Some(write.body), "written, and other bytes are on record: {}", story());
            }
        }
    }
}

/// One source key and its story so far.
#[derive(Clone)]
pub(super) struct Tale {
    pub rules: Rules,
    pub subject: Subject,
    pub now: Timestamp,
    pub at_work_since: Timestamp,
    pub actions: Vec<Action>,
    pub changed: bool,
}

impl Tale {
    fn new() -> Self {
        Self::under(rules())
    }

    fn under(rules: Rules) -> Self {
        let now = "2026-11-01T00:00:00Z".parse().unwrap();
        Self { rules, subject: Subject::default(), now, at_work_since: now, actions: Vec::new(), changed: false }
    }

    fn on_change(on_change: OnChange) -> Self {
        Self::under(Rules { on_change, ..rules() })
    }

    fn unaskable() -> Self {
        Self::under(Rules { target_askable: false, ..rules() })
    }

    fn upsert() -> Self {
        Self::under(Rules { target_askable: false, target_resend: Resend::SafeUpsert, ..rules() })
    }

    fn try_event(&mut self, event: &Event) -> Result<(), Refusal> {
        let moment = Moment { now: self.now, dice: 7, at_work_since: self.at_work_since };
        let stepped = step(&self.subject, event, moment, &self.rules)?;
        self.subject = stepped.subject;
        self.actions = stepped.actions;
        self.changed = stepped.changed;
        assert_invariants(&self.subject);
        Ok(())
    }

    fn event(&mut self, event: Event) -> &mut Self {
        self.try_event(&event).unwrap();
        self
    }

    fn wait(&mut self, wait: Duration) -> &mut Self {
        self.now = later(self.now, wait);
        self
    }

    fn received(&mut self, body: &str) -> &mut Self {
        self.event(Event::Received { body: Digest::of(body), cancelled: false, fault: None })
    }

    fn cancelled(&mut self, body: &str) -> &mut Self {
        self.event(Event::Received { body: Digest::of(body), cancelled: true, fault: None })
    }

    fn latest(&self) -> u64 {
        self.subject.latest().unwrap().number
    }

    fn verdict(&mut self, version: u64, verdict: Verdict) -> &mut Self {
        self.event(Event::Transformed { version, module: Digest::of("module"), fuel: 5, verdict })
    }

    fn emit(&mut self, bills: &[(&str, &str)]) -> &mut Self {
        let version = self.latest();
        self.verdict(version, emit(bills))
    }

    /// The version and attempt whose bill of this key is under way.
    fn under_way(&self, target: &str) -> (u64, u32) {
        let found = self.subject.versions.iter().find_map(|version| match &version.phase {
            Phase::Writing { targets } => {
                targets.iter().find(|write| write.key == key(target)).map(|write| (version.number, write.attempt))
            }
            _ => None,
        });
        found.unwrap_or_else(|| panic!("{target} is not being written: {:#?}", self.subject))
    }

    fn dispatch(&mut self, target: &str) -> &mut Self {
        let (version, _) = self.under_way(target);
        let deadline = later(self.now, Duration::from_secs(10));
        self.event(Event::Dispatched { version, target: key(target), deadline });
        assert!(matches!(self.actions[..], [Action::Send { .. }]), "nothing was sent: {:?}", self.actions);
        self
    }

    fn told(&mut self, target: &str, answer: Told) -> &mut Self {
        let (version, attempt) = self.under_way(target);
        self.event(Event::Answered { version, target: key(target), attempt, answer })
    }

    fn done(&mut self, target: &str, next: Option<Step>) -> &mut Self {
        self.told(target, Told::Done { id: Some(format!("id of {target}")), next })
    }

    fn refused(&mut self, target: &str, code: &str) -> &mut Self {
        self.told(target, Told::Refused { code: code.into(), message: "no".into(), saved: None })
    }

    fn failed(&mut self, target: &str, fault: Fault, may_have_written: bool) -> &mut Self {
        let (version, attempt) = self.under_way(target);
        self.event(Event::Failed { version, target: key(target), attempt, fault, may_have_written })
    }

    fn lost(&mut self, target: &str) -> &mut Self {
        self.failed(target, Fault::retry(Code::VendorTimeout, None, "no answer"), true)
    }

    fn found(&mut self, target: &str, finding: Seen) -> &mut Self {
        let (version, _) = self.under_way(target);
        self.event(Event::Found { version, target: key(target), asked_at: self.now, finding })
    }

    fn ask_failed(&mut self, target: &str, fault: Fault) -> &mut Self {
        let (version, _) = self.under_way(target);
        self.event(Event::AskFailed { version, target: key(target), fault })
    }

    fn retry(&mut self, version: u64, mode: RetryMode) -> Result<(), Refusal> {
        self.try_event(&Event::Retry { version, mode, module: None, by: None })
    }

    fn discard(&mut self, version: u64) -> Result<(), Refusal> {
        self.try_event(&Event::Discard { version, reason: "enough".into(), by: None })
    }

    /// A version that was written under A with these bytes.
    fn written(&mut self, body: &str) -> &mut Self {
        self.received(body).emit(&[("A", body)]).dispatch("A").done("A", None)
    }

    fn phase(&self, version: u64) -> &Phase {
        &self.subject.version(version).unwrap().phase
    }

    fn end(&self, version: u64) -> &End {
        match self.phase(version) {
            Phase::Done { end, .. } => end,
            other => panic!("version {version} is not done: {other:?}"),
        }
    }

    fn parked(&self, version: u64) -> Code {
        match self.phase(version) {
            Phase::Parked { fault, .. } => fault.code,
            other => panic!("version {version} is not parked: {other:?}"),
        }
    }

    fn bill(&self, target: &str) -> &TargetWrite {
        let (version, _) = self.under_way(target);
        match self.phase(version) {
            Phase::Writing { targets } => targets.iter().find(|write| write.key == key(target)).unwrap(),
            _ => unreachable!(),
        }
    }

    fn held(&self, target: &str) -> &Held {
        &self.subject.targets[&key(target)]
    }

    fn asks_at(&self) -> Option<Timestamp> {
        self.actions.iter().find_map(|action| match action {
            Action::Ask { not_before, .. } => Some(not_before.unwrap_or(self.now)),
            _ => None,
        })
    }

    fn sends_at(&self) -> Option<Timestamp> {
        self.actions.iter().find_map(|action| match action {
            Action::Enqueue { not_before, .. } => Some(not_before.unwrap_or(self.now)),
            _ => None,
        })
    }

    fn has(&self, wanted: impl Fn(&Action) -> bool) -> bool {
        self.actions.iter().any(wanted)
    }
}

pub(super) fn emit(bills: &[(&str, &str)]) -> Verdict {
    let one =
        |(name, body): &(&str, &str)| Emitted { key: key(name), body: Digest::of(body), taken_by: None, frozen: None };
    Verdict::Emit(bills.iter().map(one).collect())
}

fn ours(next: Option<Step>) -> Seen {
    Seen::Ours { id: "id of A".into(), next }
}

fn differs(next: Option<Step>) -> Seen {
    let differences = vec![Difference { field: "FQty".into(), intended: "2".into(), found: "3".into() }];
    Seen::Differs { id: "id of A".into(), next, differences }
}

fn saved(next: Step) -> Told {
    Told::Refused { code: "7".into(), message: "period closed".into(), saved: Some(("id of A".into(), next)) }
}

fn reason() -> Reason {
    Reason { code: "empty_order".into(), message: "nothing in it".into(), field: Some("/items".into()) }
}

fn missed(key: &str) -> Verdict {
    missed_at(key, "2026-11-01T00:00:00Z".parse().unwrap())
}

fn missed_at(key: &str, at: Timestamp) -> Verdict {
    Verdict::Waits { table: "material".into(), key: key.into(), at }
}
