use std::sync::Arc;

use proptest::prelude::*;

use super::super::command::{Command, CommandError, Order};
use super::super::ledger::BadPage;
use super::super::rig::*;
use super::super::step::{
    Action, Emitted, Event, Moment, OnChange, Refusal, RetryMode, Rules, Seen, Told, Verdict, step,
};
use super::super::subject::Phase;
use super::*;
use crate::fault::{Code, Fault};
use crate::model::{Reason, TargetKey};
use crate::state::MemoryStore;

const DAY: Duration = Duration::from_secs(86_400);

fn for_a_day() -> Keep {
    Keep { time: Some(SignedDuration::from_hours(24)), bytes: None }
}

async fn take(rig: &Rig, key: &str, body: &str) {
    rig.handle.page(vec![document(key, body)]).await.unwrap();
    rig.handle.rests().await;
}

async fn retain(rig: &Rig, keep: Keep) -> Passed {
    let member = Member { ledger: rig.ledger.clone(), handle: rig.handle.clone() };
    pass_over(&[member], &keep, (rig.plan.now)(), &CancellationToken::new()).await.unwrap()
}

use super::pass as pass_over;

fn key(name: &str) -> DocumentKey {
    DocumentKey::new(name).unwrap()
}

fn bodies(rig: &Rig) -> usize {
    rig.ledger.bodies(None, 1_000).unwrap().len()
}

fn lines(rig: &Rig, name: &str) -> usize {
    rig.ledger.history(&key(name), 1_000, 1_000).unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_finished_document_keeps_its_fingerprint_and_nothing_else() {
    let rig = Rig::new();
    take(&rig, "d", "one").await;
    take(&rig, "d", "two").await;
    let before = rig.subject("d");
    assert_eq!(retain(&rig, for_a_day()).await.reduced, 0, "a day has not passed");
    super::super::rig::pass(DAY * 2).await;
    let passed = retain(&rig, for_a_day()).await;
    assert_eq!((passed.reduced, passed.removed, passed.kept_bytes), (1, 4, 0));
    assert_eq!((bodies(&rig), lines(&rig, "d")), (0, 0));
    let after = rig.subject("d");
    assert_eq!(after.targets, before.targets);
    let digests = |subject: &Subject| subject.versions.iter().map(|version| version.body).collect::<Vec<_>>();
    assert_eq!(digests(&after), digests(&before), "older versions are known as well");
    assert_eq!(retain(&rig, for_a_day()).await, Passed::default(), "once");
}

#[tokio::test(start_paused = true)]
async fn a_reduced_document_is_known_again_and_a_new_version_is_judged_by_what_stands() {
    let rig = Rig::new();
    take(&rig, "d", "one").await;
    super::super::rig::pass(DAY * 2).await;
    retain(&rig, for_a_day()).await;

    let requests = rig.plan.target.requests();
    take(&rig, "d", "one").await;
    assert_eq!((rig.plan.target.requests(), rig.subject("d").versions.len()), (requests, 1), "read again: nothing new");
    take(&rig, "d", "two").await;
    assert_eq!(rig.plan.target.bills(), [("T-d".to_owned(), "T-d|two".to_owned())], "changed, not added");
    // The older one comes back: its bytes are other than those that stand, and are written.
    take(&rig, "d", "one").await;
    assert_eq!(rig.plan.target.bills(), [("T-d".to_owned(), "T-d|one".to_owned())]);
    assert!(rig.is_done("d"));
    // The new versions have bodies and history of their own, until their time comes.
    assert!(rig.subject("d").removed_at(3).is_none());
    assert!(bodies(&rig) > 0 && lines(&rig, "d") > 0);
    super::super::rig::pass(DAY * 2).await;
    assert_eq!(retain(&rig, for_a_day()).await.reduced, 1);
    assert_eq!((bodies(&rig), lines(&rig, "d")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn target_keys_keep_their_owner_and_their_document() {
    let rig = Rig::new();
    take(&rig, "d", "same one").await;
    super::super::rig::pass(DAY * 2).await;
    assert_eq!(retain(&rig, for_a_day()).await.reduced, 1);
    take(&rig, "stranger", "same two").await;
    assert_eq!(rig.parked("stranger"), Some(Code::TargetKeyTaken));
    take(&rig, "d", "two").await;
    assert_eq!(rig.parked("d"), Some(Code::TargetKeysChanged));
}

#[tokio::test(start_paused = true)]
async fn nothing_unfinished_parked_or_unknown_is_touched() {
    let mut plan = Plan::new();
    (plan.rules.target_askable, plan.rules.on_change) = (false, OnChange::Park);
    let rig = plan.start(Arc::new(MemoryStore::new()));
    take(&rig, "changed", "one").await;
    take(&rig, "changed", "two").await;
    plan.module.faults.lock().unwrap().push_back(Fault::park(Code::GuestTrap, "unreachable"));
    take(&rig, "parked", "one").await;
    plan.target.expect([Luck::Lost { carried_out_after: Some(Duration::ZERO) }]);
    take(&rig, "unknown", "one").await;
    rig.pause(target_scope()).await;
    rig.handle.page(vec![document("waiting", "one")]).await.unwrap();
    let names = ["changed", "parked", "unknown", "waiting"];
    super::super::rig::pass(DAY).await;
    let before = names.map(|name| (rig.subject(name), lines(&rig, name)));
    assert_eq!(rig.parked("unknown"), Some(Code::WriteUnknown));
    assert_eq!((rig.parked("changed"), rig.parked("parked")), (Some(Code::ChangedAfterWrite), Some(Code::GuestTrap)));
    let held = bodies(&rig);
    let none = Keep { time: Some(SignedDuration::ZERO), bytes: Some(0) };
    let passed = retain(&rig, none).await;
    assert_eq!((passed.reduced, passed.removed), (0, 0));
    assert_eq!(names.map(|name| (rig.subject(name), lines(&rig, name))), before);
    assert_eq!(bodies(&rig), held);
    assert!(passed.kept_bytes > 0);
}

#[tokio::test(start_paused = true)]
async fn beyond_its_size_a_tenant_loses_the_oldest_first() {
    let rig = Rig::new();
    for name in ["oldest", "older", "newest"] {
        take(&rig, name, &"x".repeat(500)).await;
        super::super::rig::pass(Duration::from_secs(7_200)).await;
    }
    let each = rig.subject("oldest").kept_bytes;
    assert!((1_000..5_000).contains(&each), "two bodies and some lines: {each}");
    let keep = |bytes| Keep { time: None, bytes: Some(bytes) };
    assert_eq!(retain(&rig, keep(each * 4)).await.reduced, 0);
    let passed = retain(&rig, keep(each * 2 + each / 2)).await;
    assert_eq!(passed.reduced, 1);
    assert!(passed.kept_bytes <= each * 2 + each / 2, "{passed:?}");
    let kept = |name| rig.subject(name).reduced.is_none();
    assert_eq!((kept("oldest"), kept("older"), kept("newest")), (false, true, true));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_must_see_what_stands_gets_no_change_it_cannot_judge() {
    let rig = Rig::new();
    take(&rig, "d", "frozen one").await;
    super::super::rig::pass(DAY * 2).await;
    retain(&rig, for_a_day()).await;
    take(&rig, "d", "frozen two").await;
    assert_eq!((rig.plan.target.requests(), rig.parked("d")), (1, Some(Code::ChangeImpossible)));
    let subject = rig.subject("d");
    let (_, fault) = subject.parked().last().unwrap();
    assert!(fault.message.contains("removed from the ledger"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn who_retries_a_reduced_document_hears_what_to_do() {
    let rig = Rig::new();
    take(&rig, "d", "one").await;
    super::super::rig::pass(DAY * 2).await;
    retain(&rig, for_a_day()).await;
    for version in [None, Some(1)] {
        for command in [Command::retry(RetryMode::Plain), Command::Discard { reason: "enough".into() }] {
            let refused = rig.handle.command(Order { version, ..Order::new(key("d"), command) }).await;
            let Err(CommandError::Refused(refusal @ Refusal::Removed { version: 1, .. })) = refused else {
                panic!("{refused:?}")
            };
            assert!(refusal.to_string().contains("change the record in the source"), "{refusal}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_forgotten_versions_left_go_and_one_that_is_put_again_stays() {
    let rig = Rig::new();
    take(&rig, "d", "one").await;
    let orphan = Digest::of("orphan");
    let mut batch = Batch::new();
    rig.ledger.put_body(&mut batch, orphan, "orphan");
    rig.ledger.commit(batch).await.unwrap();
    assert_eq!(sweep(&rig.ledger, &CancellationToken::new()).await.unwrap(), 1);
    assert_eq!((bodies(&rig), rig.ledger.body(orphan).unwrap()), (2, None));

    let mut batch = Batch::new();
    rig.ledger.put_body(&mut batch, orphan, "orphan");
    let since = rig.ledger.commit(batch.clone()).await.unwrap();
    rig.ledger.commit(batch).await.unwrap();
    let (row, ..) = rig.ledger.bodies(None, 9).unwrap().into_iter().find(|(_, digest, _)| *digest == orphan).unwrap();
    let mut late = Batch::new();
    rig.ledger.remove_body(&mut late, row, since);
    assert!(!committed(&rig.ledger, late).await.unwrap(), "put again since");
    assert!(rig.ledger.body(orphan).unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn kept_pages_go_with_their_time() {
    let rig = Rig::new();
    let now = || (rig.plan.now)();
    let keep = |text: &'static str, at| (BadPage { at, detail: "torn".into(), digest: Digest::of(text) }, text.into());
    let (page, bytes) = keep("old", now());
    rig.handle.bad_page(page, bytes).await.unwrap();
    super::super::rig::pass(DAY * 2).await;
    let (page, bytes) = keep("new", now());
    rig.handle.bad_page(page, bytes).await.unwrap();
    assert_eq!(retain(&rig, for_a_day()).await.removed, 2, "a page and its bytes");
    let left = rig.ledger.bad_pages(9).unwrap();
    assert_eq!(left.iter().map(|page| page.digest).collect::<Vec<_>>(), [Digest::of("new")]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_commit_costs_only_the_rest_of_the_pass() {
    for fails in 1..12 {
        let rig = Rig::new();
        for name in ["a", "b"] {
            take(&rig, name, "one").await;
            take(&rig, name, "two").await;
        }
        super::super::rig::pass(DAY * 2).await;
        let bills = rig.plan.target.bills();
        rig.store.fail_next(fails);
        let member = Member { ledger: rig.ledger.clone(), handle: rig.handle.clone() };
        let _ = pass_over(&[member], &for_a_day(), (rig.plan.now)(), &CancellationToken::new()).await;
        let plan = rig.plan.clone();
        let store = rig.crash(fails % 2).await;
        let rig = plan.start(store);
        retain(&rig, for_a_day()).await;
        assert_eq!((bodies(&rig), lines(&rig, "a"), lines(&rig, "b")), (0, 0, 0), "commit {fails} failed");
        for name in ["a", "b"] {
            assert!(rig.subject(name).removed_at(2).is_some());
            take(&rig, name, "two").await;
            assert_eq!(rig.subject(name).versions.len(), 2);
        }
        assert_eq!(plan.target.bills(), bills);
    }
}

// Step by step, a reduced document and its whole twin.

fn rules(on_change: OnChange) -> Rules {
    Rules { on_change, ..Plan::new().rules }
}

/// What may happen next, in small numbers.
#[derive(Debug, Clone)]
enum Turn {
    Received {
        body: u8,
        cancelled: bool,
    },
    /// Emits these of the keys; none skips.
    Transformed {
        keys: u8,
        body: u8,
    },
    Sent {
        answer: u8,
    },
    Found {
        finding: u8,
    },
    Retry(RetryMode),
    Discard,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => (0..3_u8, prop::bool::weighted(0.1)).prop_map(|(body, cancelled)| Turn::Received { body, cancelled }),
        5 => (0..4_u8, 0..2_u8).prop_map(|(keys, body)| Turn::Transformed { keys, body }),
        6 => (0..4_u8).prop_map(|answer| Turn::Sent { answer }),
        3 => (0..3_u8).prop_map(|finding| Turn::Found { finding }),
        1 => prop::sample::select(vec![RetryMode::Plain, RetryMode::AfterVerify, RetryMode::IChecked]).prop_map(Turn::Retry),
        1 => Just(Turn::Discard),
    ]
}

fn target(number: u8) -> TargetKey {
    TargetKey::new(format!("T-{number}")).unwrap()
}

/// The events that a turn means for a document, as it stands.
fn events(subject: &Subject, turn: &Turn, now: Timestamp) -> Vec<Event> {
    let latest = subject.latest().map_or(1, |latest| latest.number);
    let version = subject.parked().map(|(version, _)| version.number).last().unwrap_or(latest);
    let under_way = subject.versions.iter().find_map(|version| match &version.phase {
        Phase::Writing { targets } => targets.first().map(|write| (version.number, write.clone())),
        _ => None,
    });
    match turn {
        Turn::Received { body, cancelled } => {
            vec![Event::Received { body: Digest::of([*body]), cancelled: *cancelled, fault: None }]
        }
        Turn::Transformed { keys, body } => {
            let emit = |number: u8| Emitted {
                key: target(number),
                body: Digest::of([7, number, *body]),
                taken_by: None,
                frozen: None,
            };
            let emitted: Vec<_> = (0..2).filter(|number| keys >> number & 1 == 1).map(emit).collect();
            let reason = Reason { code: "no".into(), message: "no".into(), field: None };
            let verdict = if emitted.is_empty() { Verdict::Skip(reason) } else { Verdict::Emit(emitted) };
            vec![Event::Transformed { version: latest, module: Digest::of("m"), fuel: 1, verdict }]
        }
        Turn::Sent { answer } => {
            let Some((version, write)) = under_way else { return Vec::new() };
            let (target, attempt) = (write.key, write.attempt + 1);
            let fault = Fault::park(Code::TargetRefused, "no");
            let answered = match answer {
                0 | 1 => {
                    let answer = Told::Done { id: Some("1".into()), next: None };
                    Event::Answered { version, target: target.clone(), attempt, answer }
                }
                2 => Event::Failed { version, target: target.clone(), attempt, fault, may_have_written: false },
                _ => Event::Failed { version, target: target.clone(), attempt, fault, may_have_written: true },
            };
            vec![Event::Dispatched { version, target, deadline: now }, answered]
        }
        Turn::Found { finding } => {
            let Some((version, write)) = under_way else { return Vec::new() };
            let finding = match finding {
                0 => Seen::Absent,
                1 => Seen::Ours { id: "1".into(), next: None },
                _ => Seen::Differs { id: "1".into(), next: Some(crate::connectors::Step::Update), differences: vec![] },
            };
            vec![Event::Found { version, target: write.key, asked_at: now, finding }]
        }
        Turn::Retry(mode) => vec![Event::Retry { version, mode: *mode, module: None, by: None }],
        Turn::Discard => vec![Event::Discard { version, reason: "enough".into(), by: None }],
    }
}

/// What the two have to agree in: all but what was taken away.
fn essence(subject: &Subject) -> Subject {
    let mut subject = subject.clone();
    subject.reduce(Timestamp::UNIX_EPOCH);
    subject.reduced = None;
    for version in &mut subject.versions {
        // Words of older, finished versions went with the reduction, those of a version that came since did not.
        let mut alone = Subject { versions: vec![version.clone()], ..Subject::default() };
        alone.reduce(Timestamp::UNIX_EPOCH);
        *version = alone.versions.remove(0);
    }
    subject
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_reduced_document_takes_every_event_as_its_whole_twin_does(
        turns in prop::collection::vec(turn(), 1..60),
        on_change in prop::sample::select(vec![OnChange::Update, OnChange::Ignore, OnChange::Park]),
    ) {
        let rules = rules(on_change);
        let (mut whole, mut reduced) = (Subject::default(), Subject::default());
        let mut now = Timestamp::UNIX_EPOCH;
        for turn in &turns {
            now += SignedDuration::from_mins(10);
            let moment = Moment { now, dice: 7, at_work_since: Timestamp::UNIX_EPOCH };
            for event in events(&whole, turn, now) {
                reduced.reduce(now);
                let (of_whole, of_reduced) = (step(&whole, &event, moment, &rules), step(&reduced, &event, moment, &rules));
                match (of_whole, of_reduced) {
                    (Ok(of_whole), Ok(of_reduced)) => {
                        prop_assert_eq!(of_whole.changed, of_reduced.changed);
                        let actions = |actions: &[Action]| format!("{actions:?}");
                        prop_assert_eq!(actions(&of_whole.actions), actions(&of_reduced.actions));
                        prop_assert_eq!(essence(&of_whole.subject), essence(&of_reduced.subject));
                        (whole, reduced) = (of_whole.subject, of_reduced.subject);
                    }
                    (Err(Refusal::NotParked(_)), Err(Refusal::Removed { .. } | Refusal::NotParked(_))) => {}
                    (of_whole, of_reduced) => {
                        prop_assert_eq!(of_whole.map(|_| ()), of_reduced.map(|_| ()));
                    }
                }
            }
        }
    }
}
