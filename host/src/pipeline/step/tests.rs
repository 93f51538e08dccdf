//! The rules of the ledger, one by one, on the pure step function.

use std::collections::BTreeSet;

use super::super::subject::{End, Existence, Fate, Held, Missed, Phase, TargetWrite, Version, Waits};
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
    pub actions: Vec<Action>,
    pub changed: bool,
}

impl Tale {
    fn new() -> Self {
        Self::under(rules())
    }

    fn under(rules: Rules) -> Self {
        let now = "2026-11-01T00:00:00Z".parse().unwrap();
        Self { rules, subject: Subject::default(), now, actions: Vec::new(), changed: false }
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
        let moment = Moment { now: self.now, dice: 7 };
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

    fn retry(&mut self, version: u64, mode: RetryMode) -> Result<(), Refusal> {
        self.try_event(&Event::Retry { version, mode })
    }

    fn discard(&mut self, version: u64) -> Result<(), Refusal> {
        self.try_event(&Event::Discard { version, reason: "enough".into() })
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
    let one = |(name, body): &(&str, &str)| Emitted { key: key(name), body: Digest::of(body), taken_by: None };
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

// Rules 1 to 4: received, decided, intended, answered.

#[test]
fn a_received_document_is_transformed() {
    let mut tale = Tale::new();
    tale.received("a");
    assert_eq!(tale.actions, [Action::Transform { version: 1, not_before: None, alone: false }]);
}

#[test]
fn a_document_that_is_read_again_changes_nothing() {
    let mut tale = Tale::new();
    tale.written("a").received("a");
    assert!(!tale.changed && tale.actions.is_empty());
}

#[test]
fn a_document_that_cannot_be_transformed_parks_on_arrival() {
    let mut tale = Tale::new();
    let fault = Some(Fault::park(Code::KeyMissing, "no key"));
    tale.event(Event::Received { body: Digest::of("a"), cancelled: false, fault });
    assert_eq!(tale.parked(1), Code::KeyMissing);
}

#[test]
fn an_outcome_is_recorded_before_its_bill_may_leave() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]);
    assert_eq!(tale.actions, [Action::Enqueue { version: 1, target: key("A"), not_before: None }]);
    assert_eq!(tale.held("A").existence, Existence::No);
}

#[test]
fn a_document_is_done_when_all_its_bills_are() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x"), ("B", "y")]).dispatch("A").dispatch("B").done("A", None);
    assert!(matches!(tale.phase(1), Phase::Writing { .. }));
    tale.done("B", None);
    assert_eq!(*tale.end(1), End::Written);
}

#[test]
fn an_intent_is_recorded_before_the_request_is_sent() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A");
    assert!(matches!(tale.bill("A").fate, Fate::Intended { .. }));
    assert_eq!(tale.held("A").existence, Existence::Maybe);
    let (step, id) = (Step::Create, None);
    let body = Digest::of("x");
    assert_eq!(tale.actions, [Action::Send { version: 1, target: key("A"), step, body, id, attempt: 1 }]);
}

#[test]
fn each_step_of_a_chain_is_an_intent_of_its_own() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").done("A", Some(Step::Submit));
    assert_eq!(tale.bill("A").step, Step::Submit);
    tale.dispatch("A");
    let sent = |action: &Action| matches!(action, Action::Send { step: Step::Submit, id: Some(_), attempt: 2, .. });
    assert!(tale.has(sent), "{:?}", tale.actions);
    tale.done("A", Some(Step::Audit)).dispatch("A").done("A", None);
    assert_eq!(*tale.end(1), End::Written);
}

#[test]
fn a_skipped_document_is_done() {
    let mut tale = Tale::new();
    tale.received("a").verdict(1, Verdict::Skip(reason()));
    assert_eq!(*tale.end(1), End::Skipped(reason()));
}

#[test]
fn a_rejected_document_parks_and_names_the_field() {
    let mut tale = Tale::new();
    tale.received("a").verdict(1, Verdict::Reject(reason()));
    let Phase::Parked { fault, .. } = tale.phase(1) else { panic!() };
    assert_eq!((fault.code, fault.message.contains("/items")), (Code::Rejected, true));
}

#[test]
fn an_outcome_without_a_bill_or_with_one_key_twice_parks() {
    for (bills, code) in [(&[][..], Code::EmptyEmit), (&[("A", "x"), ("A", "y")][..], Code::GuestOutputInvalid)] {
        let mut tale = Tale::new();
        tale.received("a").emit(bills);
        assert_eq!(tale.parked(1), code);
    }
}

#[test]
fn a_second_verdict_and_a_verdict_over_a_superseded_version_are_ignored() {
    let mut tale = Tale::new();
    tale.received("a").received("b").verdict(1, emit(&[("A", "x")]));
    assert!(!tale.changed && tale.actions.is_empty());
    tale.verdict(2, emit(&[("A", "y")])).verdict(2, emit(&[("B", "z")]));
    assert!(!tale.changed);
}

#[test]
fn a_stale_answer_is_ignored() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A").wait(SETTLE * 2).found("A", Seen::Absent);
    tale.dispatch("A");
    let answer = Told::Done { id: None, next: None };
    tale.event(Event::Answered { version: 1, target: key("A"), attempt: 1, answer });
    assert!(!tale.changed);
}

// Rule 5: unknown writes.

#[test]
fn a_lost_answer_is_asked_about_at_once_and_believed_absent_only_after_settling() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    assert_eq!(tale.asks_at(), Some(tale.now));
    tale.found("A", Seen::Absent);
    let settled_at = later(tale.now, Duration::from_secs(10) + SETTLE);
    assert_eq!(tale.asks_at(), Some(settled_at));
    assert!(matches!(tale.bill("A").fate, Fate::Asking { .. }));
    tale.wait(Duration::from_secs(10) + SETTLE).found("A", Seen::Absent);
    assert!(tale.has(|action| matches!(action, Action::Enqueue { .. })));
    assert_eq!(tale.held("A").existence, Existence::No);
}

#[test]
fn settling_begins_no_earlier_than_the_loss_is_known() {
    // The commit of an intent can take longer than the request's deadline allows for; the request leaves after it.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").wait(SETTLE * 3).lost("A");
    tale.found("A", Seen::Absent);
    assert_eq!(tale.asks_at(), Some(later(tale.now, SETTLE)));
}

#[test]
fn an_answer_that_does_not_mention_a_bill_is_asked_about() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").told("A", Told::Unmentioned);
    assert!(matches!(tale.bill("A").fate, Fate::Asking { .. }));
}

#[test]
fn an_unknown_write_that_is_found_ours_is_written() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A").found("A", ours(None));
    assert_eq!(*tale.end(1), End::Written);
    assert_eq!(tale.held("A").body, Some(Digest::of("x")));
}

#[test]
fn an_unknown_write_that_is_found_incomplete_continues_its_chain() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A").wait(SETTLE * 2).found("A", ours(Some(Step::Audit)));
    assert_eq!((tale.bill("A").step, &tale.bill("A").fate), (Step::Audit, &Fate::Ready));
}

#[test]
fn a_chain_does_not_continue_over_a_step_that_may_still_come() {
    // An audit was lost, the bill was found unaudited and audited again; the next version's update was under way when
    // the first audit came through.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").done("A", Some(Step::Audit)).dispatch("A").lost("A");
    tale.found("A", ours(Some(Step::Audit)));
    assert_eq!(tale.asks_at(), Some(later(tale.now, Duration::from_secs(10) + SETTLE)));
}

#[test]
fn an_unknown_write_whose_number_holds_a_foreign_bill_parks() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A").wait(SETTLE * 2).found("A", differs(None));
    assert_eq!(tale.parked(1), Code::KeyOccupied);
    assert_eq!(tale.held("A").existence, Existence::No);
}

#[test]
fn a_question_that_fails_is_asked_again_after_a_wait() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    let fault = Fault::retry(Code::VendorThrottled, Some(Duration::from_secs(30)), "later");
    tale.event(Event::AskFailed { version: 1, target: key("A"), fault });
    assert!(tale.asks_at().unwrap() > later(tale.now, Duration::from_secs(30)));
}

#[test]
fn a_target_that_keeps_refusing_to_be_asked_is_brought_before_a_person() {
    // It was asked for ever, and nobody was told.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    let fault = Fault::park(Code::TargetRefused, "no right to query");
    for _ in 0..ASK_REFUSALS_LIMIT {
        tale.event(Event::AskFailed { version: 1, target: key("A"), fault: fault.clone() });
    }
    assert_eq!(tale.parked(1), Code::WriteUnknown);
    assert_eq!(tale.held("A").existence, Existence::Maybe);
}

#[test]
fn where_the_target_cannot_be_asked_an_unknown_write_parks_and_only_a_person_can_free_it() {
    let mut tale = Tale::unaskable();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    assert_eq!(tale.parked(1), Code::WriteUnknown);
    assert_eq!(tale.retry(1, RetryMode::Plain), Err(Refusal::Unknown(1)));
    assert_eq!(tale.retry(1, RetryMode::AfterVerify), Err(Refusal::NotAskable));
    tale.retry(1, RetryMode::IChecked).unwrap();
    assert!(tale.has(|action| matches!(action, Action::Enqueue { .. })));
}

/// The time after which no request of a tale that is dispatched and lost now can come any more.
fn settled(tale: &Tale) -> Timestamp {
    later(tale.now, Duration::from_secs(10) + SETTLE)
}

#[test]
fn a_lost_upsert_is_sent_again_with_the_same_bytes_once_it_has_settled() {
    let mut tale = Tale::upsert();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    let settled_at = settled(&tale);
    assert_eq!(tale.sends_at(), Some(settled_at));
    let deadline = later(settled_at, SETTLE);
    tale.event(Event::Dispatched { version: 1, target: key("A"), deadline });
    assert!(!tale.changed && tale.actions.is_empty(), "sent before it had settled: {:?}", tale.actions);
    tale.now = settled_at;
    tale.dispatch("A");
    let same = |action: &Action| matches!(action, Action::Send { step: Step::Create, body, attempt: 2, .. } if *body == Digest::of("x"));
    assert!(tale.has(same), "{:?}", tale.actions);
    tale.done("A", None);
    assert_eq!(*tale.end(1), End::Written);
    assert_eq!(tale.held("A").body, Some(Digest::of("x")));
}

#[test]
fn an_answer_that_does_not_mention_an_upsert_is_a_doubt_like_a_lost_one() {
    let mut tale = Tale::upsert();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").told("A", Told::Unmentioned);
    assert_eq!(tale.sends_at(), Some(settled(&tale)));
}

#[test]
fn a_newer_version_waits_for_an_upsert_in_doubt_whatever_its_later_sendings_are_told() {
    let mut tale = Tale::upsert();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A").received("b");
    assert_eq!(*tale.phase(2), Phase::Held);
    let throttled = Fault::retry(Code::VendorThrottled, None, "slow down");
    tale.wait(SETTLE * 2).dispatch("A").failed("A", throttled, false);
    assert_eq!((tale.phase(2), tale.held("A").existence), (&Phase::Held, Existence::Maybe));
    // In a batch that was refused: the driver makes a retry of it.
    tale.wait(SETTLE).dispatch("A").failed("A", Fault::retry(Code::TargetRefused, None, "one of them"), false);
    assert_eq!((tale.phase(2), tale.held("A").existence), (&Phase::Held, Existence::Maybe));
    tale.event(Event::Restarted).dispatch("A").done("A", None);
    assert_eq!(*tale.end(1), End::Written);
    tale.emit(&[("A", "y")]);
    assert_eq!(tale.parked(2), Code::ChangedAfterWrite);
}

#[test]
fn an_upsert_that_is_refused_after_a_lost_one_is_not_called_unwritten() {
    let refusals: [fn(&mut Tale); 2] = [
        |tale| {
            tale.refused("A", "7");
        },
        |tale| {
            tale.failed("A", Fault::park(Code::TargetRefused, "no"), false);
        },
    ];
    for refuse in refusals {
        let mut tale = Tale::upsert();
        tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A").wait(SETTLE * 2).dispatch("A");
        refuse(&mut tale);
        assert_eq!((tale.parked(1), tale.held("A").existence), (Code::WriteUnknown, Existence::Maybe));
        tale.received("b");
        assert_eq!(*tale.phase(2), Phase::Held, "a person decides first");
    }
}

#[test]
fn an_upsert_that_is_refused_at_once_is_a_refusal() {
    let mut tale = Tale::upsert();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").refused("A", "7");
    assert_eq!((tale.parked(1), tale.held("A").existence), (Code::TargetRefused, Existence::No));
}

#[test]
fn an_upsert_that_stays_in_doubt_parks_and_a_person_may_have_it_sent_again() {
    let mut tale = Tale::upsert();
    tale.received("a").emit(&[("A", "x")]);
    for _ in 0..DOUBTS_LIMIT {
        tale.wait(SETTLE * 10).dispatch("A").lost("A");
    }
    assert_eq!(tale.parked(1), Code::WriteUnknown);
    assert_eq!(tale.retry(1, RetryMode::Plain), Err(Refusal::Unknown(1)));
    let mut again = tale.clone();
    again.retry(1, RetryMode::AfterVerify).unwrap();
    assert_eq!(again.sends_at(), Some(later(again.now, SETTLE)));
    again.wait(SETTLE).dispatch("A").done("A", None);
    assert_eq!(*again.end(1), End::Written);
    tale.retry(1, RetryMode::IChecked).unwrap();
    assert_eq!(tale.sends_at(), Some(tale.now));
    tale.dispatch("A").refused("A", "7");
    assert_eq!(tale.parked(1), Code::TargetRefused, "the person's word ended the doubt");
}

#[test]
fn a_restart_sends_an_upsert_again_and_settles_from_the_restart() {
    let mut tale = Tale::upsert();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").event(Event::Restarted);
    assert_eq!(tale.sends_at(), Some(settled(&tale)), "the request may still be under way");
    tale.wait(SETTLE * 10).event(Event::Restarted);
    assert_eq!(tale.sends_at(), Some(later(tale.now, SETTLE)));
    tale.rules.target_resend = Resend::Never;
    tale.event(Event::Restarted);
    assert_eq!(tale.parked(1), Code::WriteUnknown, "the settings no longer allow it");
}

#[test]
fn a_retry_after_verify_does_not_believe_absent_before_settling() {
    // Parked and retried within the settling time, the bill was sent again while the first was still committing.
    let mut tale = Tale::unaskable();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    tale.rules.target_askable = true;
    tale.retry(1, RetryMode::AfterVerify).unwrap();
    tale.found("A", Seen::Absent);
    assert_eq!(tale.asks_at(), Some(later(tale.now, SETTLE)));
}

#[test]
fn a_restart_asks_about_intents_and_settles_from_the_restart() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").wait(SETTLE * 10).event(Event::Restarted);
    let settled_at = later(tale.now, SETTLE);
    assert_eq!(tale.bill("A").fate, Fate::Asking { settled_at, tries: 0 });
    tale.found("A", Seen::Absent);
    assert_eq!(tale.asks_at(), Some(settled_at));
}

#[test]
fn a_restart_within_a_requests_deadline_settles_from_the_deadline() {
    // A crash in the first moments of a long request cut the settling time short by the rest of it.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").event(Event::Restarted).found("A", Seen::Absent);
    assert_eq!(tale.asks_at(), Some(later(tale.now, Duration::from_secs(10) + SETTLE)));
}

#[test]
fn a_restart_takes_up_what_was_to_be_transformed_sent_or_asked() {
    let mut tale = Tale::new();
    tale.received("a").event(Event::Restarted);
    assert!(tale.has(|action| matches!(action, Action::Transform { .. })));
    tale.emit(&[("A", "x")]).event(Event::Restarted);
    assert!(tale.has(|action| matches!(action, Action::Enqueue { .. })));
    tale.dispatch("A").lost("A").event(Event::Restarted);
    assert!(tale.has(|action| matches!(action, Action::Ask { .. })));
}

#[test]
fn a_restart_parks_intents_that_nobody_can_be_asked_about() {
    let mut tale = Tale::unaskable();
    tale.received("a").emit(&[("A", "x"), ("B", "y")]).dispatch("A").event(Event::Restarted);
    assert!(tale.has(|action| matches!(action, Action::Enqueue { .. })), "B was never sent: {:?}", tale.actions);
    tale.dispatch("B").done("B", None);
    assert_eq!(tale.parked(1), Code::WriteUnknown);
}

#[test]
fn a_restart_parks_questions_that_may_no_longer_be_asked() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    tale.rules.target_askable = false;
    tale.event(Event::Restarted);
    assert_eq!(tale.parked(1), Code::WriteUnknown);
}

#[test]
fn a_taken_number_is_asked_about_and_may_be_ours() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").refused("A", DUPLICATE_NUMBER);
    assert_eq!(tale.asks_at(), Some(tale.now));
    tale.found("A", ours(None));
    assert_eq!(*tale.end(1), End::Written);
}

#[test]
fn a_taken_number_that_holds_a_foreign_bill_parks() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").refused("A", DUPLICATE_NUMBER);
    tale.wait(SETTLE).found("A", differs(None));
    assert_eq!(tale.parked(1), Code::KeyOccupied);
}

#[test]
fn a_taken_number_that_shows_late_in_lists_is_waited_for() {
    // Four disputes went by within milliseconds, and our own bill was parked as somebody else's.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").refused("A", DUPLICATE_NUMBER).found("A", Seen::Absent);
    assert_eq!(tale.asks_at(), Some(later(tale.now, SETTLE)));
}

#[test]
fn a_number_that_stays_taken_and_invisible_is_brought_before_a_person() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]);
    for _ in 0..DISPUTES_LIMIT {
        tale.dispatch("A").refused("A", DUPLICATE_NUMBER).wait(SETTLE).found("A", Seen::Absent);
    }
    tale.dispatch("A").refused("A", DUPLICATE_NUMBER);
    assert_eq!(tale.parked(1), Code::KeyOccupied);
}

#[test]
fn a_taken_number_at_a_target_that_cannot_be_asked_parks_at_once() {
    // It was put among the questions, and no answer could ever come.
    let mut tale = Tale::unaskable();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").refused("A", DUPLICATE_NUMBER);
    assert_eq!(tale.parked(1), Code::KeyOccupied);
    let mut tale = Tale::unaskable();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A");
    tale.retry(1, RetryMode::IChecked).unwrap();
    tale.dispatch("A").refused("A", DUPLICATE_NUMBER);
    assert_eq!(tale.parked(1), Code::WriteUnknown, "the person may have looked too early");
}

// Refusals and failures.

#[test]
fn a_refused_bill_parks_with_the_vendors_words_and_is_surely_unwritten() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").refused("A", "period_closed");
    assert_eq!(tale.parked(1), Code::TargetRefused);
    assert_eq!(tale.held("A").existence, Existence::No);
}

#[test]
fn a_saved_bill_that_was_not_audited_parks_and_a_retry_continues_its_chain() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").told("A", saved(Step::Audit));
    assert_eq!(tale.parked(1), Code::LeftUnaudited);
    tale.retry(1, RetryMode::Plain).unwrap();
    tale.found("A", ours(Some(Step::Audit))).dispatch("A");
    assert!(tale.has(|action| matches!(action, Action::Send { step: Step::Audit, id: Some(_), .. })));
    tale.done("A", None);
    assert_eq!(*tale.end(1), End::Written);
}

#[test]
fn a_request_that_was_refused_as_a_whole_after_the_save_leaves_the_bill_unaudited() {
    // It parked as refused; the retry found equal bytes on record and called the draft finished.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").done("A", Some(Step::Audit)).dispatch("A");
    tale.failed("A", Fault::park(Code::TargetRefused, "no"), false);
    assert_eq!(tale.parked(1), Code::LeftUnaudited);
}

#[test]
fn equal_bytes_over_a_bill_that_was_never_audited_do_not_count_as_unchanged() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").done("A", Some(Step::Audit)).dispatch("A").refused("A", "7");
    assert_eq!(tale.parked(1), Code::LeftUnaudited);
    tale.received("b").emit(&[("A", "x")]);
    assert_eq!(tale.parked(2), Code::ChangedAfterWrite);
    assert_eq!(tale.parked(1), Code::LeftUnaudited);
}

#[test]
fn a_bill_of_ours_that_somebody_changed_stays_known_as_ours() {
    // It was forgotten as foreign, and the next version would have made a second one.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").told("A", saved(Step::Audit));
    tale.retry(1, RetryMode::AfterVerify).unwrap();
    tale.wait(SETTLE).found("A", differs(None));
    assert_eq!(tale.parked(1), Code::KeyOccupied);
    assert_eq!(tale.held("A").existence, Existence::Yes);
}

#[test]
fn a_failure_before_sending_is_tried_again_after_a_wait() {
    let mut tale = Tale::new();
    let fault = Fault::retry(Code::VendorThrottled, Some(Duration::from_secs(30)), "later");
    tale.received("a").emit(&[("A", "x")]).dispatch("A").failed("A", fault, false);
    let waits = |at: Timestamp| at > later(tale.now, Duration::from_secs(30));
    assert!(tale.has(|action| matches!(action, Action::Enqueue { not_before: Some(at), .. } if waits(*at))));
    assert_eq!(tale.held("A").existence, Existence::No);
}

#[test]
fn a_bill_that_was_refused_with_others_is_unwritten_and_goes_again_at_once() {
    let fault = Fault::park(Code::TargetRefused, "one of them is bad");
    let refuse = |tale: &mut Tale| {
        let (target, attempt, fault) = (key("A"), tale.bill("A").attempt, fault.clone());
        tale.event(Event::RefusedTogether { version: 1, target, attempt, fault, others: 49 });
    };
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A");
    refuse(&mut tale);
    assert_eq!(tale.actions, [Action::Enqueue { version: 1, target: key("A"), not_before: None }]);
    assert_eq!(tale.held("A").existence, Existence::No);
    // A newer version need not wait for it any more, and is not overtaken by it.
    tale.dispatch("A").received("b");
    refuse(&mut tale);
    assert_eq!(*tale.end(1), End::Superseded { by: 2 });

    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").done("A", Some(Step::Audit)).dispatch("A");
    refuse(&mut tale);
    assert_eq!((tale.held("A").existence, tale.bill("A").step), (Existence::Yes, Step::Audit));
}

#[test]
fn refused_credentials_leave_the_bill_ready_for_the_resume() {
    let mut tale = Tale::new();
    let fault = Fault::new(Code::CredentialsRefused, Disposition::PauseConnection, "no");
    tale.received("a").emit(&[("A", "x")]).dispatch("A").failed("A", fault, false);
    assert_eq!(tale.bill("A").fate, Fate::Ready);
}

#[test]
fn a_document_of_two_bills_one_of_them_refused_can_be_tried_again() {
    // It parked as target_keys_changed, for only the written one of its keys counted.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x"), ("B", "y")]).dispatch("A").dispatch("B").done("A", None).refused("B", "7");
    assert_eq!(tale.parked(1), Code::TargetRefused);
    tale.retry(1, RetryMode::Plain).unwrap();
    tale.emit(&[("A", "x"), ("B", "y2")]);
    assert_eq!(tale.actions, [Action::Enqueue { version: 1, target: key("B"), not_before: None }]);
    tale.dispatch("B").done("B", None);
    assert_eq!(*tale.end(1), End::Written);
}

#[test]
fn an_unknown_write_never_hides_behind_a_refusal() {
    let mut tale = Tale::unaskable();
    tale.received("a").emit(&[("A", "x"), ("B", "y")]).dispatch("A").dispatch("B").lost("A").refused("B", "7");
    assert_eq!(tale.parked(1), Code::WriteUnknown);
}

// The module's faults.

#[test]
fn a_guest_that_runs_into_the_wall_clock_is_tried_alone_and_then_parks() {
    let mut tale = Tale::new();
    let late = || Verdict::Fault(Fault::retry(Code::GuestDeadline, None, "too slow"));
    tale.received("a").verdict(1, late());
    assert!(tale.has(|action| matches!(action, Action::Transform { alone: true, .. })));
    tale.verdict(1, late()).verdict(1, late());
    assert_eq!(tale.parked(1), Code::GuestDeadline);
}

#[test]
fn waiting_for_a_table_does_not_count_as_running_into_the_wall_clock() {
    let mut tale = Tale::new();
    tale.received("a");
    for _ in 0..9 {
        tale.verdict(1, missed("M-1"));
    }
    tale.verdict(1, Verdict::Fault(Fault::retry(Code::GuestDeadline, None, "too slow")));
    assert_eq!(*tale.phase(1), Phase::Received { tries: 1 });
}

fn missed(key: &str) -> Verdict {
    Verdict::Waits { table: "material".into(), key: key.into() }
}

#[test]
fn a_version_that_waits_for_a_table_says_since_when_and_for_what_and_forgets_it_with_its_verdict() {
    let mut tale = Tale::new();
    tale.received("a");
    let since = tale.now;
    tale.verdict(1, missed("M-1"));
    assert!(tale.has(|action| matches!(action, Action::Await { version: 1 })));
    let waits = |tale: &Tale| tale.subject.version(1).unwrap().waits.clone();
    let expected =
        |key: &str| Some(Waits { since, missed: Some(Missed { table: "material".into(), key: key.into() }) });
    assert_eq!(waits(&tale), expected("M-1"));

    // Run again before the table has come, and again: nothing is written for it.
    tale.wait(SETTLE);
    let events = tale.subject.events;
    tale.verdict(1, missed("M-1"));
    assert_eq!((waits(&tale), tale.subject.events), (expected("M-1"), events));
    // A table that is fetched now answers for the next look-up as well.
    tale.verdict(1, missed("M-2"));
    assert_eq!(waits(&tale), expected("M-2"));
    tale.verdict(1, Verdict::Fault(Fault::retry(Code::GuestDeadline, None, "too slow")));
    assert_eq!(waits(&tale), expected("M-2"));
    tale.event(Event::Restarted);
    assert_eq!(waits(&tale), expected("M-2"));
    assert!(tale.has(|action| matches!(action, Action::Transform { version: 1, .. })));

    tale.emit(&[("A", "x")]);
    assert_eq!(waits(&tale), None);
}

#[test]
fn a_version_that_a_person_retries_believes_only_what_is_fetched_from_then_on() {
    let mut tale = Tale::new();
    tale.received("a").verdict(1, Verdict::Reject(reason()));
    assert_eq!(tale.subject.version(1).unwrap().waits, None);
    tale.wait(SETTLE).event(Event::Retry { version: 1, mode: RetryMode::Plain });
    let waits = Waits { since: tale.now, missed: None };
    assert_eq!(tale.subject.version(1).unwrap().waits, Some(waits));
}

#[test]
fn a_guests_own_fault_parks_at_once() {
    let mut tale = Tale::new();
    tale.received("a").verdict(1, Verdict::Fault(Fault::park(Code::GuestFuelExhausted, "empty")));
    assert_eq!(tale.parked(1), Code::GuestFuelExhausted);
}

#[test]
fn a_fault_of_our_own_machine_is_not_laid_on_the_document() {
    // A broken sandbox parked one document after the other.
    let mut tale = Tale::new();
    tale.received("a");
    tale.verdict(1, Verdict::Fault(Fault::new(Code::Internal, Disposition::StopScheme, "broken")));
    assert_eq!(*tale.phase(1), Phase::Received { tries: 0 });
    assert!(tale.has(|action| matches!(action, Action::Transform { not_before: Some(_), .. })));
}

// Rule 6: target keys.

#[test]
fn other_fewer_or_more_target_keys_after_a_write_park() {
    for bills in [&[("B", "y")][..], &[("A", "y"), ("B", "y")][..], &[("B", "y"), ("C", "y")][..]] {
        let mut tale = Tale::on_change(OnChange::Update);
        tale.written("a").received("b").emit(bills);
        assert_eq!(tale.parked(2), Code::TargetKeysChanged, "{bills:?}");
        assert!(!tale.has(|action| matches!(action, Action::Enqueue { .. } | Action::Ask { .. })));
    }
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x"), ("B", "x")]).dispatch("A").dispatch("B").done("A", None).done("B", None);
    tale.received("b").emit(&[("A", "x")]);
    assert_eq!(tale.parked(2), Code::TargetKeysChanged);
}

#[test]
fn target_keys_whose_write_was_refused_may_change() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").refused("A", "7").received("b").emit(&[("B", "y")]);
    assert_eq!(tale.bill("B").fate, Fate::Ready);
}

#[test]
fn a_target_key_that_another_document_owns_parks() {
    let mut tale = Tale::new();
    let taken_by = Some(DocumentKey::new("other").unwrap());
    let emitted = vec![Emitted { key: key("A"), body: Digest::of("x"), taken_by }];
    tale.received("a").verdict(1, Verdict::Emit(emitted));
    assert_eq!(tale.parked(1), Code::TargetKeyTaken);
    assert!(tale.subject.targets.is_empty());
}

#[test]
fn a_module_that_now_skips_what_was_written_parks() {
    let mut tale = Tale::on_change(OnChange::Update);
    tale.written("a").received("b").verdict(2, Verdict::Skip(reason()));
    assert_eq!(tale.parked(2), Code::TargetKeysChanged);
}

// Rule 7: changes after a write.

#[test]
fn equal_bytes_are_recorded_as_unchanged() {
    let mut tale = Tale::new();
    tale.written("a").received("b").emit(&[("A", "a")]);
    assert_eq!(*tale.end(2), End::Unchanged);
    assert!(!tale.has(|action| matches!(action, Action::Enqueue { .. } | Action::Ask { .. })));
}

#[test]
fn on_change_park_parks_and_a_retry_is_a_persons_consent() {
    let mut tale = Tale::new();
    tale.written("a").received("b").emit(&[("A", "b")]);
    assert_eq!(tale.parked(2), Code::ChangedAfterWrite);
    tale.retry(2, RetryMode::Plain).unwrap();
    tale.emit(&[("A", "b")]).found("A", differs(Some(Step::Update))).dispatch("A").done("A", None);
    assert_eq!(*tale.end(2), End::Written);
    assert_eq!(tale.held("A").body, Some(Digest::of("b")));
}

#[test]
fn on_change_ignore_leaves_the_bill_alone() {
    let mut tale = Tale::on_change(OnChange::Ignore);
    tale.written("a").received("b").emit(&[("A", "b")]);
    assert_eq!(*tale.end(2), End::Ignored);
    assert_eq!(tale.held("A").body, Some(Digest::of("a")));
}

#[test]
fn on_change_ignore_does_not_lose_a_bill_that_was_never_written() {
    let mut tale = Tale::on_change(OnChange::Ignore);
    tale.received("a").emit(&[("A", "x"), ("B", "y")]).dispatch("A").dispatch("B").done("A", None).refused("B", "7");
    tale.received("b").emit(&[("A", "x2"), ("B", "y2")]);
    assert_eq!(tale.parked(2), Code::ChangedAfterWrite);
}

#[test]
fn on_change_update_asks_first_and_takes_the_audit_off() {
    let mut tale = Tale::on_change(OnChange::Update);
    tale.written("a").received("b").emit(&[("A", "b")]);
    assert!(tale.asks_at().is_some());
    tale.found("A", differs(Some(Step::Unaudit))).dispatch("A").done("A", Some(Step::Update));
    assert_eq!(tale.held("A").body, Some(Digest::of("a")), "only the audit is off");
    tale.dispatch("A").done("A", Some(Step::Audit)).dispatch("A").done("A", None);
    assert_eq!((tale.end(2), tale.held("A").body), (&End::Written, Some(Digest::of("b"))));
}

#[test]
fn taking_the_audit_off_is_never_the_end_of_an_update() {
    let mut tale = Tale::on_change(OnChange::Update);
    tale.written("a").received("b").emit(&[("A", "b")]);
    tale.found("A", differs(Some(Step::Unaudit))).dispatch("A").done("A", None);
    assert_eq!(tale.bill("A").step, Step::Update);
}

#[test]
fn an_update_at_a_target_that_cannot_be_asked_is_sent_unasked() {
    // The question was queued, and no answer could ever come.
    let mut tale = Tale::under(Rules { target_askable: false, on_change: OnChange::Update, ..rules() });
    tale.written("a").received("b").emit(&[("A", "b")]).dispatch("A");
    assert!(tale.has(|action| matches!(action, Action::Send { step: Step::Update, .. })));
}

#[test]
fn a_target_that_cannot_be_changed_parks_the_change() {
    let mut tale = Tale::under(Rules { target_updatable: false, on_change: OnChange::Update, ..rules() });
    tale.written("a").received("b").emit(&[("A", "b")]);
    assert_eq!(tale.parked(2), Code::ChangedAfterWrite);
}

#[test]
fn an_updates_bill_that_is_gone_parks_and_is_made_anew_on_a_persons_word() {
    let mut tale = Tale::on_change(OnChange::Update);
    tale.written("a").received("b").emit(&[("A", "b")]).found("A", Seen::Absent);
    assert_eq!(tale.parked(2), Code::BillGone);
    tale.retry(2, RetryMode::IChecked).unwrap();
    tale.emit(&[("A", "b")]).dispatch("A");
    assert!(tale.has(|action| matches!(action, Action::Send { step: Step::Create, .. })));
}

#[test]
fn on_change_does_not_apply_after_a_skip_a_rejection_or_a_refusal() {
    for first in [Verdict::Skip(reason()), Verdict::Reject(reason())] {
        let mut tale = Tale::new();
        tale.received("a").verdict(1, first).received("b").emit(&[("A", "b")]);
        assert_eq!(tale.bill("A").fate, Fate::Ready);
    }
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").refused("A", "7").received("b").emit(&[("A", "b")]);
    assert_eq!(tale.bill("A").fate, Fate::Ready);
}

#[test]
fn an_update_whose_fate_was_given_up_does_not_let_the_old_bytes_count_as_unchanged() {
    // The old bytes were still on record, although the update may have replaced them.
    let mut tale = Tale::under(Rules { target_askable: false, on_change: OnChange::Update, ..rules() });
    tale.written("a").received("b").emit(&[("A", "b")]).dispatch("A").lost("A");
    tale.discard(2).unwrap();
    tale.received("c").emit(&[("A", "a")]);
    assert!(matches!(tale.phase(3), Phase::Writing { .. }), "{:?}", tale.phase(3));
}

#[test]
fn a_change_over_an_unknown_write_that_cannot_be_asked_about_is_never_guessed() {
    let mut tale = Tale::under(Rules { target_askable: false, on_change: OnChange::Update, ..rules() });
    tale.received("a").emit(&[("A", "a")]).dispatch("A").lost("A");
    tale.discard(1).unwrap();
    tale.received("b").emit(&[("A", "b")]);
    assert_eq!(tale.parked(2), Code::WriteUnknown);
    tale.retry(2, RetryMode::IChecked).unwrap();
    tale.dispatch("A");
    assert!(tale.has(|action| matches!(action, Action::Send { step: Step::Create, .. })));
}

#[test]
fn a_record_that_is_cancelled_after_its_write_parks() {
    for verdict in [emit(&[("A", "a")]), Verdict::Skip(reason())] {
        let mut tale = Tale::on_change(OnChange::Update);
        tale.written("a").cancelled("b").verdict(2, verdict);
        assert_eq!(tale.parked(2), Code::SourceCancelled);
    }
}

#[test]
fn a_record_that_is_cancelled_before_its_write_is_the_modules_to_decide() {
    let mut tale = Tale::new();
    tale.cancelled("a").verdict(1, Verdict::Skip(reason()));
    assert_eq!(*tale.end(1), End::Skipped(reason()));
}

// Rule 8: superseding and holding back.

#[test]
fn a_new_version_supersedes_one_that_is_parked_and_surely_unwritten() {
    let mut tale = Tale::new();
    tale.received("a").verdict(1, Verdict::Reject(reason())).received("b");
    assert_eq!(*tale.end(1), End::Superseded { by: 2 });
    assert!(tale.has(|action| *action == Action::Finished { version: 1 }));
}

#[test]
fn a_new_version_supersedes_one_whose_bill_has_not_left() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).received("b");
    assert_eq!(*tale.end(1), End::Superseded { by: 2 });
    assert!(tale.has(|action| matches!(action, Action::Transform { version: 2, .. })));
}

#[test]
fn a_change_that_waits_for_a_person_gives_way_to_the_next_change() {
    // It sent nothing, yet it stayed parked for ever beside its successor.
    let mut tale = Tale::new();
    tale.written("a").received("b").emit(&[("A", "b")]).received("c");
    assert_eq!(*tale.end(2), End::Superseded { by: 3 });
}

#[test]
fn an_unknown_write_holds_later_versions_back() {
    let mut tale = Tale::unaskable();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A").received("b").received("c");
    assert_eq!((tale.end(2), tale.phase(3)), (&End::Superseded { by: 3 }, &Phase::Held));
    tale.discard(1).unwrap();
    assert!(tale.has(|action| matches!(action, Action::Transform { version: 3, .. })));
}

#[test]
fn a_write_under_way_holds_later_versions_back_until_it_has_ended() {
    let mut tale = Tale::on_change(OnChange::Update);
    tale.received("a").emit(&[("A", "x")]).dispatch("A").received("b");
    assert_eq!(*tale.phase(2), Phase::Held);
    tale.done("A", None);
    assert_eq!(*tale.phase(2), Phase::Received { tries: 0 });
}

#[test]
fn a_version_between_two_steps_or_two_bills_holds_later_versions_back() {
    // Only a request on the wire did, so two versions were written at once.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").done("A", Some(Step::Submit)).received("b");
    assert_eq!(*tale.phase(2), Phase::Held);
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x"), ("B", "y")]).dispatch("A").done("A", None).received("b");
    assert_eq!(*tale.phase(2), Phase::Held);
}

#[test]
fn a_version_whose_write_turns_out_not_to_have_happened_gives_way() {
    for how in [0, 1, 2] {
        let mut tale = Tale::new();
        tale.received("a").emit(&[("A", "x")]).dispatch("A").received("b");
        match how {
            0 => tale.refused("A", "7"),
            1 => tale.failed("A", Fault::retry(Code::VendorUnreachable, None, "no"), false),
            _ => tale.lost("A").wait(SETTLE * 2).found("A", Seen::Absent),
        };
        assert_eq!(*tale.end(1), End::Superseded { by: 2 }, "{how}");
        assert!(tale.has(|action| matches!(action, Action::Transform { version: 2, .. })));
    }
}

#[test]
fn a_version_that_a_person_says_was_not_written_gives_way() {
    let mut tale = Tale::unaskable();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").lost("A").received("b");
    tale.retry(1, RetryMode::IChecked).unwrap();
    assert_eq!(*tale.end(1), End::Superseded { by: 2 });
}

#[test]
fn a_version_that_stands_settles_what_an_older_one_was_parked_for() {
    let mut tale = Tale::on_change(OnChange::Update);
    tale.received("a").emit(&[("A", "x")]).dispatch("A").told("A", saved(Step::Audit)).received("b");
    assert_eq!(tale.parked(1), Code::LeftUnaudited);
    tale.emit(&[("A", "b")]).wait(SETTLE).found("A", differs(Some(Step::Update))).dispatch("A").done("A", None);
    assert_eq!(*tale.end(1), End::Superseded { by: 2 });
    assert!(tale.has(|action| *action == Action::Finished { version: 1 }));
}

// People.

#[test]
fn only_a_parked_version_can_be_retried_or_discarded() {
    let mut tale = Tale::new();
    assert_eq!(tale.retry(1, RetryMode::Plain), Err(Refusal::NoSuchVersion(1)));
    assert_eq!(tale.discard(1), Err(Refusal::NoSuchVersion(1)));
    tale.written("a");
    assert_eq!(tale.retry(1, RetryMode::Plain), Err(Refusal::NotParked(1)));
    assert_eq!(tale.discard(1), Err(Refusal::NotParked(1)));
}

#[test]
fn a_parked_version_with_a_newer_one_cannot_be_retried() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x"), ("B", "y")]).dispatch("A").dispatch("B").done("A", None).refused("B", "7");
    tale.received("b");
    assert_eq!(tale.retry(1, RetryMode::Plain), Err(Refusal::Outdated(2)));
}

#[test]
fn an_unaudited_version_is_not_taken_up_while_a_newer_one_is_at_work() {
    // Both were then under way under one key.
    let mut tale = Tale::on_change(OnChange::Update);
    tale.received("a").emit(&[("A", "x")]).dispatch("A").told("A", saved(Step::Audit)).received("b");
    assert_eq!(tale.retry(1, RetryMode::Plain), Err(Refusal::Outdated(2)));
    tale.emit(&[("A", "b")]);
    assert_eq!(tale.retry(1, RetryMode::IChecked), Err(Refusal::Outdated(2)));
}

#[test]
fn a_retry_waits_for_an_older_write_under_way() {
    // It began at once, beside the request of the older version.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A");
    let fault = Some(Fault::park(Code::DocumentTooLarge, "too large"));
    tale.event(Event::Received { body: Digest::of("b"), cancelled: false, fault });
    tale.retry(2, RetryMode::Plain).unwrap();
    assert_eq!((tale.phase(2), tale.actions.len()), (&Phase::Held, 0));
    tale.done("A", None);
    assert_eq!(*tale.phase(2), Phase::Received { tries: 0 });
}

#[test]
fn a_discarded_version_is_done_and_reading_it_again_does_not_bring_it_back() {
    let mut tale = Tale::new();
    tale.received("a").verdict(1, Verdict::Reject(reason()));
    tale.discard(1).unwrap();
    assert_eq!(*tale.end(1), End::Discarded { reason: "enough".into() });
    tale.received("a");
    assert!(!tale.changed);
}

#[test]
fn pruning_never_drops_an_unfinished_version_nor_the_latest() {
    let mut tale = Tale::on_change(OnChange::Update);
    tale.received("a").emit(&[("A", "x")]).dispatch("A").told("A", saved(Step::Audit));
    for number in 2..60_u64 {
        tale.received(&format!("body {number}")).verdict(number, Verdict::Reject(reason()));
        assert_eq!(tale.latest(), number);
        assert!(matches!(tale.phase(1), Phase::Parked { .. }));
    }
    assert!(tale.subject.versions.len() < 20);
}

// Everything, everywhere.

/// One event of each kind, for each version and key there is. A new kind of event must be added here to compile.
fn events(version: u64, target: &TargetKey, attempt: u32, now: Timestamp) -> Vec<Event> {
    use Event as E;
    let example = |event: &Event| match event {
        E::Received { .. }
        | E::Transformed { .. }
        | E::Dispatched { .. }
        | E::Answered { .. }
        | E::Failed { .. }
        | E::RefusedTogether { .. }
        | E::Found { .. }
        | E::AskFailed { .. }
        | E::Restarted
        | E::Retry { .. }
        | E::Discard { .. } => (),
    };
    let target = || target.clone();
    let mut events = vec![E::Restarted, E::Discard { version, reason: "enough".into() }];
    for cancelled in [false, true] {
        for fault in [None, Some(Fault::park(Code::DocumentTooLarge, "too large"))] {
            events.push(E::Received { body: Digest::of("new"), cancelled, fault });
        }
    }
    let module = Digest::of("module");
    let faults = || {
        let dispositions = [
            Disposition::Retry { after_ms: Some(5) },
            Disposition::Verify,
            Disposition::Park,
            Disposition::PauseConnection,
            Disposition::PauseScheme,
            Disposition::StopScheme,
            Disposition::RefuseStart,
        ];
        dispositions.map(|disposition| match disposition {
            Disposition::Retry { .. }
            | Disposition::Verify
            | Disposition::Park
            | Disposition::PauseConnection
            | Disposition::PauseScheme
            | Disposition::StopScheme
            | Disposition::RefuseStart => Fault::new(Code::GuestDeadline, disposition, "fault"),
        })
    };
    let verdicts = [
        emit(&[("A", "x")]),
        emit(&[("A", "z"), ("B", "y")]),
        emit(&[("C", "z")]),
        emit(&[]),
        Verdict::Skip(reason()),
        Verdict::Reject(reason()),
        missed("M-1"),
    ];
    for verdict in verdicts.into_iter().chain(faults().map(Verdict::Fault)) {
        events.push(E::Transformed { version, module, fuel: 1, verdict });
    }
    events.push(E::Dispatched { version, target: target(), deadline: later(now, SETTLE) });
    let steps =
        [None, Some(Step::Create), Some(Step::Unaudit), Some(Step::Update), Some(Step::Submit), Some(Step::Audit)];
    for next in steps {
        if next != Some(Step::Create) {
            events.push(E::Answered { version, target: target(), attempt, answer: Told::Done { id: None, next } });
            events.push(E::Found { version, target: target(), asked_at: later(now, SETTLE * 9), finding: ours(next) });
            events.push(E::Found {
                version,
                target: target(),
                asked_at: later(now, SETTLE * 9),
                finding: differs(next),
            });
            events.push(E::Found { version, target: target(), asked_at: Timestamp::MIN, finding: differs(next) });
        }
    }
    for asked_at in [Timestamp::MIN, now, Timestamp::MAX] {
        events.push(E::Found { version, target: target(), asked_at, finding: Seen::Absent });
    }
    let refused = |code: &str| Told::Refused { code: code.into(), message: "no".into(), saved: None };
    for answer in [refused("7"), refused(DUPLICATE_NUMBER), saved(Step::Audit), saved(Step::Submit), Told::Unmentioned]
    {
        events.push(E::Answered { version, target: target(), attempt, answer });
    }
    for fault in faults() {
        for may_have_written in [false, true] {
            let fault = fault.clone();
            events.push(E::Failed { version, target: target(), attempt, fault, may_have_written });
        }
        let fault_of_all = fault.clone();
        events.push(E::RefusedTogether { version, target: target(), attempt, fault: fault_of_all, others: 2 });
        events.push(E::AskFailed { version, target: target(), fault });
    }
    for mode in [RetryMode::Plain, RetryMode::AfterVerify, RetryMode::IChecked] {
        events.push(E::Retry { version, mode });
    }
    events.iter().for_each(example);
    events
}

/// The kind of state that a version is in. A new phase or fate must be named here to compile.
fn kinds(subject: &Subject) -> BTreeSet<&'static str> {
    let mut kinds = BTreeSet::new();
    for version in &subject.versions {
        let (phase, targets): (_, &[TargetWrite]) = match &version.phase {
            Phase::Received { .. } => ("received", &[]),
            Phase::Held => ("held", &[]),
            Phase::Writing { targets } => ("writing", targets),
            Phase::Parked { targets, .. } => ("parked", targets),
            Phase::Done { targets, .. } => ("done", targets),
        };
        kinds.insert(phase);
        for write in targets {
            kinds.insert(match write.fate {
                Fate::Ready => "ready",
                Fate::Intended { .. } => "intended",
                Fate::Asking { .. } => "asking",
                Fate::Resend { .. } => "resend",
                Fate::Written => "written",
                Fate::Unchanged => "unchanged",
                Fate::Stopped { .. } => "stopped",
            });
        }
    }
    kinds
}

#[test]
fn every_event_in_every_state_that_can_be_reached_keeps_the_invariants() {
    let mut all_reached = BTreeSet::new();
    for on_change in [OnChange::Update, OnChange::Ignore, OnChange::Park] {
        for (target_askable, target_resend) in
            [(true, Resend::Never), (false, Resend::Never), (false, Resend::SafeUpsert)]
        {
            let mut begin = Tale::under(Rules { on_change, target_askable, target_resend, ..rules() });
            begin.received("a");
            let mut seen = BTreeSet::new();
            let mut reached = BTreeSet::new();
            // Breadth first, one path to each state; the times in a state do not tell two states apart.
            let mut edge = vec![begin];
            for _depth in 0..6 {
                let mut next = Vec::new();
                for tale in edge {
                    for event in every_event(&tale) {
                        let mut tale = tale.clone();
                        // What waits to be sent again is only sent once its time has come.
                        if target_resend == Resend::SafeUpsert && matches!(event, Event::Dispatched { .. }) {
                            tale.wait(SETTLE * 60);
                        }
                        if tale.try_event(&event).is_ok() && tale.changed && seen.insert(shape(&tale.subject)) {
                            reached.extend(kinds(&tale.subject));
                            next.push(tale);
                        }
                    }
                }
                // All states of the first steps, then a spread of the many that follow.
                let stride = (next.len() / 100).max(1);
                edge = next.into_iter().step_by(stride).collect();
            }
            all_reached.extend(reached);
        }
    }
    assert_eq!(all_reached.len(), 12, "not every phase and fate was reached: {all_reached:?}");
}

fn every_event(tale: &Tale) -> Vec<Event> {
    let mut all = Vec::new();
    for version in &tale.subject.versions {
        let writes: &[TargetWrite] = match &version.phase {
            Phase::Writing { targets } => targets,
            _ => &[],
        };
        for name in ["A", "B"] {
            let attempt = writes.iter().find(|write| write.key == key(name)).map_or(1, |write| write.attempt);
            all.extend(events(version.number, &key(name), attempt, tale.now));
        }
    }
    all
}

/// A state without its counters and times.
fn shape(subject: &Subject) -> String {
    let mut shape = String::new();
    for version in &subject.versions {
        let (name, targets): (String, &[TargetWrite]) = match &version.phase {
            Phase::Received { tries } => (format!("received {tries}"), &[]),
            Phase::Held => ("held".into(), &[]),
            Phase::Writing { targets } => ("writing".into(), targets),
            Phase::Parked { fault, targets } => (format!("parked {}", fault.code), targets),
            Phase::Done { end, targets } => (format!("done {end:?}"), targets),
        };
        shape += &format!("{} {name} {};", version.number.min(4), version.cancelled);
        for write in targets {
            let fate = match &write.fate {
                Fate::Ready => "ready".to_owned(),
                Fate::Intended { .. } => "intended".into(),
                Fate::Asking { .. } => "asking".into(),
                Fate::Resend { .. } => "resend".into(),
                Fate::Written => "written".into(),
                Fate::Unchanged => "unchanged".into(),
                Fate::Stopped { fault } => format!("stopped {}", fault.code),
            };
            shape += &format!("{} {:?} {fate} {};", write.key, write.step, write.attempt.min(2));
            shape += &format!("{};", write.doubts.min(2));
        }
    }
    for (key, held) in &subject.targets {
        shape += &format!("{key} {:?} {:?} {};", held.existence, held.body, held.complete);
    }
    shape
}
