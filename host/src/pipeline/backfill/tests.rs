//! A backfill between a source that fails, a store that crashes, and a live reader that comes in between.

use std::sync::Arc;

use jiff::SignedDuration;

use super::super::gate::Scope;
use super::super::lane::Lane;
use super::super::rig::*;
use super::*;
use crate::connectors::{self, SourceDocument};
use crate::fault::Code;
use crate::model::DocumentKey;
use crate::state::{Batch, MemoryStore};

const DAY: SignedDuration = SignedDuration::from_hours(24);
const LAG: SignedDuration = SignedDuration::from_secs(120);

struct Desk {
    rig: Rig,
    archive: Arc<Archive>,
    reading: Reading,
    stop: CancellationToken,
    progress: watch::Sender<Option<Progress>>,
}

/// Ten days before the rig's clock begins; the scheme's live reading starts two days before it.
fn past(days: i64) -> Timestamp {
    "2026-10-22T00:00:00Z".parse::<Timestamp>().unwrap() + DAY * i32::try_from(days).unwrap()
}

fn archive() -> Archive {
    let archive = Archive::new(DAY);
    for number in 0..14_i64 {
        let at = past(0) + SignedDuration::from_hours(number * 5);
        archive.put(&format!("d{number}"), "old", at);
    }
    archive
}

impl Desk {
    fn new(archive: Archive) -> Self {
        Self::over(Plan::new(), archive.into(), Arc::new(MemoryStore::new()))
    }

    fn over(plan: Plan, archive: Arc<Archive>, store: Arc<MemoryStore>) -> Self {
        let rig = plan.start(store);
        let reading = Reading {
            tenant: tenant(),
            scheme: scheme(),
            connection: source_connection(),
            source: Arc::new(archive.clone()),
            start_at: past(8),
            lag: LAG,
            sweep: None,
            by_row_version: false,
            ledger: rig.ledger.clone(),
            gates: rig.gates.clone(),
            lane: Lane::default(),
            watcher: rig.turns.clone(),
            now: rig.plan.now.clone(),
        };
        let (progress, _) = watch::channel(None);
        Self { rig, archive, reading, stop: CancellationToken::new(), progress }
    }

    /// Three days of which each is a window.
    async fn begin(&self) -> Backfill {
        let order = Order::Begin { from: past(0), to: past(3), before_start_at: true };
        let bounds = Bounds { start_at: past(8), horizon: self.reading.horizon(), now: (self.rig.plan.now)() };
        let backfill = decide(None, &order, bounds).unwrap();
        let mut batch = Batch::new();
        self.rig.ledger.put_backfill(&mut batch, &backfill);
        self.rig.ledger.commit(batch).await.unwrap();
        backfill
    }

    async fn run(&self) -> Result<Ended, Error> {
        let mut backfill = self.rig.ledger.backfill()?.expect("nothing was begun");
        let around = Surroundings { driver: &self.rig.handle, progress: &self.progress, hindrance: &|| None };
        self.reading.backfill(&mut backfill, &around, &self.stop).await
    }

    fn row(&self) -> Backfill {
        self.rig.ledger.backfill().unwrap().unwrap()
    }

    fn bills(&self) -> Vec<String> {
        self.rig.plan.target.bills().into_iter().map(|(key, _)| key).collect()
    }
}

fn all_bills() -> Vec<String> {
    let mut bills: Vec<String> = (0..14).map(|number| format!("T-d{number}")).collect();
    bills.sort();
    bills
}

fn down() -> connectors::Error {
    connectors::Error::Server { host: "source".into(), status: 502, detail: "bad gateway".into() }
}

fn unknown() -> connectors::Error {
    connectors::Error::Unknown { code: "7".into(), message: "no such form".into() }
}

#[tokio::test(start_paused = true)]
async fn the_past_is_read_window_by_window_and_the_cursor_stays() {
    let desk = Desk::new(archive());
    desk.begin().await;
    let cursor = super::super::ledger::Cursor { read_to: Some(past(9)), ..Default::default() };
    desk.rig.handle.cursor(cursor.clone()).await.unwrap();
    assert_eq!(desk.run().await.unwrap(), Ended::Done);
    desk.rig.handle.idle().await;
    assert_eq!(desk.archive.windows(), [(past(0), past(1)), (past(1), past(2)), (past(2), past(3))]);
    let row = desk.row();
    assert_eq!((row.state, row.read_to, row.windows_done, row.documents), (State::Done, past(3), 3, 14));
    assert_eq!(desk.rig.ledger.cursor().unwrap(), cursor);
    assert_eq!(desk.bills(), all_bills());
    let shown = desk.progress.borrow().clone().unwrap();
    assert_eq!((shown.windows_left, shown.in_window), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_is_not_processed_again() {
    let desk = Desk::new(archive());
    let documents: Vec<SourceDocument> = (0..14).map(|number| document(&format!("d{number}"), "old")).collect();
    desk.rig.handle.page(documents).await.unwrap();
    desk.rig.handle.idle().await;
    let requests = desk.rig.plan.target.requests();
    desk.begin().await;
    assert_eq!(desk.run().await.unwrap(), Ended::Done);
    desk.rig.handle.idle().await;
    assert_eq!(desk.rig.plan.target.requests(), requests);
    assert!((0..14).all(|number| desk.rig.subject(&format!("d{number}")).versions.len() == 1));
}

#[tokio::test(start_paused = true)]
async fn a_window_that_fails_in_the_middle_is_read_again_from_its_start() {
    let desk = Desk::new(archive());
    desk.begin().await;
    desk.archive.faults.lock().unwrap().extend([(9, down()), (1, down())]);
    assert_eq!(desk.run().await.unwrap(), Ended::Done);
    desk.rig.handle.idle().await;
    assert_eq!(desk.archive.windows()[..3], [(past(0), past(1)), (past(1), past(2)), (past(1), past(2))]);
    assert_eq!((desk.row().documents, desk.bills()), (14, all_bills()));
}

/// Every commit of the whole story fails once, as a disk does, and what is found afterwards holds it or not.
#[tokio::test(start_paused = true)]
async fn a_crash_at_any_commit_loses_nothing_and_doubles_nothing() {
    let mut interrupted = 0;
    for at in 1.. {
        for keep in [0, 1] {
            let desk = Desk::new(archive());
            desk.begin().await;
            desk.rig.store.fail_next(at);
            if desk.run().await.is_ok() && {
                desk.rig.handle.idle().await;
                !desk.rig.task.is_finished()
            } {
                assert!(interrupted > 20, "only {interrupted} commits were interrupted");
                return;
            }
            interrupted += 1;
            let (plan, archive) = (desk.rig.plan.clone(), desk.archive.clone());
            let store = desk.rig.crash(keep).await;
            let desk = Desk::over(plan, archive, store);
            let before = desk.row();
            assert!(before.is_unfinished() || before.state == State::Done, "{before:?}");
            desk.archive.seen();
            assert_eq!(desk.run().await.unwrap(), Ended::Done);
            desk.rig.handle.idle().await;
            if before.state == State::Running && before.read_to < before.to {
                assert_eq!(desk.archive.windows()[0].0, before.read_to, "not resumed at the unfinished window");
            }
            assert_eq!(desk.bills(), all_bills(), "crashed at commit {at}, kept {keep}");
            assert_eq!(desk.row().read_to, past(3));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_it_after_the_page_and_leaves_the_window_to_be_read_again() {
    let desk = Desk::new(archive());
    desk.begin().await;
    let run = desk.run();
    tokio::pin!(run);
    // The second page of the second window is being asked for.
    assert!(tokio::time::timeout(Duration::from_millis(450), &mut run).await.is_err(), "it is done already");
    desk.stop.cancel();
    assert_eq!(run.await.unwrap(), Ended::Stopped);
    let row = desk.row();
    assert_eq!((row.state, row.read_to, row.windows_done), (State::Running, past(1), 1));
}

#[tokio::test(start_paused = true)]
async fn a_pause_stops_it_and_no_page_is_asked_for_any_more() {
    let desk = Desk::new(archive());
    desk.begin().await;
    let run = desk.run();
    tokio::pin!(run);
    assert!(tokio::time::timeout(Duration::from_millis(450), &mut run).await.is_err(), "it is done already");
    let (_, ended) = tokio::join!(desk.rig.pause(scheme_scope()), run);
    assert!(matches!(ended.unwrap(), Ended::Paused(_)));
    desk.archive.seen();
    assert!(matches!(desk.run().await.unwrap(), Ended::Paused(_)));
    assert_eq!(desk.archive.seen(), [], "a paused scheme was read");
    desk.rig.gates.resume(&scheme_scope()).await.unwrap();
    assert_eq!(desk.run().await.unwrap(), Ended::Done);
    desk.rig.handle.idle().await;
    assert_eq!(desk.bills(), all_bills());
}

#[tokio::test(start_paused = true)]
async fn what_concerns_the_span_alone_fails_the_backfill_and_pauses_nobody() {
    let desk = Desk::new(archive());
    desk.begin().await;
    desk.archive.faults.lock().unwrap().push_back((1, unknown()));
    assert_eq!(desk.run().await.unwrap(), Ended::Failed);
    assert!(desk.rig.gates.pauses().is_empty());
    let State::Failed(fault) = desk.row().state else { panic!("{:?}", desk.row()) };
    assert_eq!((fault.code, desk.row().read_to), (Code::OperationUnknown, past(0)));
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_pause_the_connection_for_all() {
    let desk = Desk::new(archive());
    desk.begin().await;
    let refused = connectors::Error::CredentialsRefused { detail: "expired".into() };
    desk.archive.faults.lock().unwrap().push_back((0, refused));
    assert!(matches!(desk.run().await.unwrap(), Ended::Paused(_)));
    assert!(desk.rig.gates.is_paused(&Scope::Connection(tenant(), source_connection())));
    assert!(desk.row().is_running(), "it goes on after the resume");
}

#[tokio::test(start_paused = true)]
async fn the_live_reader_waits_for_one_page_at_most() {
    let desk = Desk::new(archive());
    desk.archive.put("fresh", "new", past(9));
    desk.begin().await;
    let run = desk.run();
    tokio::pin!(run);
    // The first page is on its way when the live reader comes.
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut run).await.is_err());
    let live = desk.reading.pass(&desk.rig.handle, &desk.stop);
    let (passed, ended) = tokio::join!(live, run);
    passed.unwrap();
    assert_eq!(ended.unwrap(), Ended::Done);
    let pages: Vec<Vec<String>> = desk
        .archive
        .seen()
        .into_iter()
        .filter_map(|seen| match seen {
            Seen::Page(keys) => Some(keys),
            Seen::Read(..) => None,
        })
        .collect();
    let place = |key: &str| pages.iter().position(|page| page.iter().any(|one| one == key)).unwrap();
    assert_eq!((place("d0"), place("fresh"), place("d2")), (0, 1, 2), "{pages:?}");
}

#[tokio::test(start_paused = true)]
async fn a_page_of_the_past_never_comes_behind_what_the_live_reader_read_since() {
    // Asked for before the change, committed after it: the old state would have counted as the newest.
    let desk = Desk::new(archive());
    *desk.archive.latency.lock().unwrap() = Duration::from_secs(10);
    desk.begin().await;
    let run = desk.run();
    tokio::pin!(run);
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut run).await.is_err());
    desk.archive.put("d0", "new", past(9));
    // Whoever asks now is answered long before the first page is.
    *desk.archive.latency.lock().unwrap() = Duration::from_millis(100);
    let live = desk.reading.pass(&desk.rig.handle, &desk.stop);
    let (passed, ended) = tokio::join!(live, run);
    passed.unwrap();
    ended.unwrap();
    desk.rig.handle.idle().await;
    let latest = desk.rig.subject("d0").latest().unwrap().body;
    assert_eq!(latest, crate::model::Digest::of("new"), "{:?}", desk.rig.subject("d0"));
    let bill = desk.rig.plan.target.bills().into_iter().find(|(key, _)| key == "T-d0").unwrap();
    assert_eq!(bill.1, "T-d0|new");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_slow_holds_the_backfill_back_and_not_the_live_reader() {
    let many = Archive::new(DAY).in_pages_of(50);
    for number in 0..600 {
        many.put(&format!("m{number:03}"), "old", past(0) + SignedDuration::from_secs(number));
    }
    let desk = Desk::new(many);
    desk.rig.pause(target_scope()).await;
    desk.begin().await;
    let run = desk.run();
    tokio::pin!(run);
    assert!(tokio::time::timeout(Duration::from_secs(3_600), &mut run).await.is_err(), "nothing held it back");
    let received = |number: i32| !desk.rig.subject(&format!("m{number:03}")).versions.is_empty();
    assert!(received(0) && !received(599), "it ran on while nothing could be written");
    desk.archive.put("fresh", "new", past(9));
    let live = desk.reading.pass(&desk.rig.handle, &desk.stop);
    tokio::time::timeout(Duration::from_secs(60), live).await.expect("the live reader was held back").unwrap();
    assert!(desk.rig.ledger.subject(&DocumentKey::new("fresh").unwrap()).unwrap().is_some());
    desk.rig.gates.resume(&target_scope()).await.unwrap();
    assert_eq!(run.await.unwrap(), Ended::Done);
    assert!(received(599));
}

fn standing(state: State) -> Backfill {
    Backfill { from: past(0), to: past(3), read_to: past(1), windows_done: 1, documents: 5, begun_at: past(9), state }
}

#[track_caller]
fn decided(standing: Option<&Backfill>, order: &Order) -> Result<Backfill, Refusal> {
    decide(standing, order, Bounds { start_at: past(2), horizon: past(9), now: past(10) })
}

fn span(from: i64, to: i64, before_start_at: bool) -> Order {
    Order::Begin { from: past(from), to: past(to), before_start_at }
}

#[test]
fn nothing_from_before_the_start_is_read_unless_a_person_says_so() {
    let refused = decided(None, &span(1, 3, false));
    assert!(matches!(refused, Err(Refusal::BeforeStart { .. })), "{refused:?}");
    assert!(refused.unwrap_err().to_string().contains("--before-start-at"));
    assert!(decided(None, &span(1, 3, true)).is_ok() && decided(None, &span(2, 3, false)).is_ok());
}

#[test]
fn a_span_is_neither_empty_nor_of_the_future_and_its_end_is_cut_where_reading_ends() {
    assert!(matches!(decided(None, &span(5, 5, false)), Err(Refusal::Empty { .. })));
    assert!(matches!(decided(None, &span(9, 11, false)), Err(Refusal::NotYet { .. })));
    assert_eq!(decided(None, &span(5, 11, false)).unwrap().to, past(9));
}

#[test]
fn what_is_not_finished_is_gone_on_with_and_not_begun_anew() {
    for state in [State::Running, State::Stopped, State::Failed(crate::fault::Fault::park(Code::KeyMissing, ""))] {
        let before = standing(state);
        let again = decided(Some(&before), &span(0, 3, true)).unwrap();
        assert_eq!((again.read_to, again.is_running()), (past(1), true));
        assert_eq!(decided(Some(&before), &Order::Resume).unwrap(), again);
        assert_eq!(decided(Some(&before), &span(0, 5, true)).unwrap().to, past(5), "its end may move on");
        let other = decided(Some(&before), &span(2, 4, false));
        assert!(matches!(other, Err(Refusal::Unfinished { .. })), "{other:?}");
        assert_eq!(decided(Some(&before), &Order::Cancel).unwrap().state, State::Cancelled);
    }
    for state in [State::Done, State::Cancelled] {
        let before = standing(state);
        assert_eq!(decided(Some(&before), &span(0, 3, true)).unwrap().read_to, past(0), "begun anew");
        for order in [Order::Resume, Order::Stop, Order::Cancel] {
            assert_eq!(decided(Some(&before), &order), Err(Refusal::Nothing));
        }
    }
    assert_eq!(decided(Some(&standing(State::Running)), &Order::Stop).unwrap().state, State::Stopped);
    assert_eq!(decided(Some(&standing(State::Stopped)), &Order::Stop), Err(Refusal::Nothing));
}
