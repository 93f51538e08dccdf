//! The clerk between people's orders, pauses and restarts.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;

use super::*;
use crate::pipeline::backfill::State;
use crate::pipeline::lane::Lane;
use crate::pipeline::rig::*;
use crate::state::MemoryStore;

fn past(days: i32) -> Timestamp {
    "2026-10-22T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24) * days
}

fn archive() -> Arc<Archive> {
    let archive = Archive::new(SignedDuration::from_hours(24));
    for number in 0..12 {
        archive.put(&format!("d{number}"), "old", past(0) + SignedDuration::from_hours(6) * number);
    }
    Arc::new(archive)
}

struct Desk {
    rig: Rig,
    archive: Arc<Archive>,
    backfills: Backfills,
    clerk: JoinHandle<Result<(), String>>,
    stop: CancellationToken,
}

impl Desk {
    fn new() -> Self {
        Self::over(Plan::new(), archive(), Arc::new(MemoryStore::new()))
    }

    fn over(plan: Plan, archive: Arc<Archive>, store: Arc<MemoryStore>) -> Self {
        let rig = plan.start(store);
        let reading = Reading {
            tenant: tenant(),
            scheme: scheme(),
            connection: source_connection(),
            source: Arc::new(archive.clone()),
            start_at: past(0),
            lag: SignedDuration::from_secs(120),
            sweep: None,
            by_row_version: false,
            ledger: rig.ledger.clone(),
            gates: rig.gates.clone(),
            lane: Lane::default(),
            watcher: rig.turns.clone(),
            now: rig.plan.now.clone(),
        };
        let (backfills, stop) = (Backfills::default(), CancellationToken::new());
        let clerk = backfills.open(reading, rig.handle.clone(), Box::new(|| None), stop.clone());
        Self { rig, archive, backfills, clerk: tokio::spawn(clerk), stop }
    }

    async fn ask(&self, order: Option<Order>) -> Result<Option<Progress>, BackfillError> {
        self.backfills.answer(&BackfillRequest { scheme: scheme().to_string(), order }).await
    }

    async fn state(&self) -> Option<State> {
        self.ask(None).await.unwrap().map(|progress| progress.backfill.state)
    }

    /// Three days, each a window of two pages.
    fn span() -> Order {
        Order::Begin { from: past(0), to: past(3), before_start_at: false }
    }
}

const A_WHILE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn reads_the_span_and_shows_how_it_goes() {
    let desk = Desk::new();
    assert_eq!(desk.state().await, None);
    let begun = desk.ask(Some(Desk::span())).await.unwrap().unwrap();
    assert_eq!((begun.windows_left, begun.backfill.is_running()), (3, true));
    pass(Duration::from_millis(350)).await;
    let now = desk.ask(None).await.unwrap().unwrap();
    assert_eq!((now.backfill.windows_done, now.in_window), (1, 2));
    pass(A_WHILE).await;
    assert_eq!(desk.state().await, Some(State::Done));
    assert_eq!(desk.rig.plan.target.bills().len(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_durable_and_a_resume_goes_on_at_the_unfinished_window() {
    let desk = Desk::new();
    desk.ask(Some(Desk::span())).await.unwrap();
    pass(Duration::from_millis(350)).await;
    let stopped = desk.ask(Some(Order::Stop)).await.unwrap().unwrap();
    assert_eq!((stopped.backfill.state.clone(), stopped.backfill.read_to), (State::Stopped, past(1)));
    assert_eq!(desk.rig.ledger.backfill().unwrap(), Some(stopped.backfill));
    desk.archive.seen();
    pass(A_WHILE).await;
    assert_eq!(desk.archive.seen(), [], "it went on after the stop");
    desk.ask(Some(Order::Resume)).await.unwrap();
    pass(A_WHILE).await;
    assert_eq!(desk.state().await, Some(State::Done));
    assert_eq!(desk.archive.windows(), [(past(1), past(2)), (past(2), past(3))]);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_again_does_not_begin_the_window_again() {
    let desk = Desk::new();
    desk.ask(Some(Desk::span())).await.unwrap();
    pass(Duration::from_millis(350)).await;
    desk.ask(Some(Desk::span())).await.unwrap();
    desk.ask(Some(Order::Resume)).await.unwrap();
    let other = desk.ask(Some(Order::Begin { from: past(1), to: past(2), before_start_at: false })).await;
    assert!(matches!(other, Err(BackfillError::Refused(Refusal::Unfinished { .. }))), "{other:?}");
    pass(A_WHILE).await;
    assert_eq!(desk.archive.windows().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_pause_shows_what_it_waits_for_and_a_resume_lets_it_go_on() {
    let desk = Desk::new();
    desk.rig.pause(scheme_scope()).await;
    desk.ask(Some(Desk::span())).await.unwrap();
    pass(A_WHILE).await;
    assert_eq!(desk.archive.seen(), []);
    let waiting = desk.ask(None).await.unwrap().unwrap().waiting.unwrap();
    assert!(waiting.contains("is paused: a test"), "{waiting}");
    // A paused backfill can be given up all the same.
    assert_eq!(desk.ask(Some(Order::Cancel)).await.unwrap().unwrap().backfill.state, State::Cancelled);
    desk.ask(Some(Desk::span())).await.unwrap();
    desk.rig.gates.resume(&scheme_scope()).await.unwrap();
    pass(A_WHILE).await;
    assert_eq!(desk.state().await, Some(State::Done));
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_died_goes_on_by_itself_after_its_next_start() {
    let desk = Desk::new();
    desk.ask(Some(Desk::span())).await.unwrap();
    pass(Duration::from_millis(350)).await;
    desk.clerk.abort();
    let (plan, archive) = (desk.rig.plan.clone(), desk.archive.clone());
    let store = desk.rig.crash(0).await;
    archive.seen();
    let desk = Desk::over(plan, archive, store);
    pass(A_WHILE).await;
    assert_eq!(desk.state().await, Some(State::Done));
    assert_eq!(desk.archive.windows()[0].0, past(1));
    assert_eq!(desk.rig.plan.target.bills().len(), 12);
}

#[tokio::test(start_paused = true)]
async fn an_orderly_end_leaves_it_running_for_the_next_start() {
    let desk = Desk::new();
    desk.ask(Some(Desk::span())).await.unwrap();
    pass(Duration::from_millis(350)).await;
    desk.stop.cancel();
    desk.clerk.await.unwrap().unwrap();
    assert!(desk.rig.ledger.backfill().unwrap().unwrap().is_running());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_scheme_is_named_with_those_that_there_are() {
    let desk = Desk::new();
    let error = desk.backfills.answer(&BackfillRequest { scheme: "stockin".into(), order: None }).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no scheme stockin; there are: saleout");
}
