//! The reader between a source that fails and a driver that is held up.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use tokio::sync::Notify;

use super::super::rig::*;
use super::*;
use crate::connectors::{Caller, Limits, Road, SourceDocument};
use crate::state::{Disk, MemoryStore, Reserve, Room};

/// What one read of the source meets with.
enum Read {
    /// These pages, and then well or not.
    Pages(Vec<Vec<SourceDocument>>, Result<Option<i64>, connectors::Error>),
    /// The same, by a connector that does not care whether its sink is closed.
    Heedless(Vec<Vec<SourceDocument>>),
    /// Nothing, ever; who waits is told that it was asked for.
    Silence(Arc<Notify>),
}

#[derive(Default)]
struct FakeSource {
    window_limit: Option<SignedDuration>,
    /// What does not stand here is an empty span, well read.
    reads: Mutex<VecDeque<Read>>,
    spans: Mutex<Vec<Span>>,
}

#[async_trait]
impl Source for FakeSource {
    fn window_limit(&self) -> Option<SignedDuration> {
        self.window_limit
    }
    async fn read(&self, span: &Span, sink: &mut dyn PageSink) -> Result<ReadSummary, connectors::Error> {
        self.spans.lock().unwrap().push(span.clone());
        let read = self.reads.lock().unwrap().pop_front().unwrap_or(Read::Pages(Vec::new(), Ok(None)));
        let page = |documents| Page { documents, total: None, position: String::new() };
        match read {
            Read::Pages(pages, result) => {
                for documents in pages {
                    sink.page(page(documents)).await?;
                }
                Ok(ReadSummary { row_version: result?, ..ReadSummary::default() })
            }
            Read::Silence(asked) => {
                asked.notify_one();
                std::future::pending().await
            }
            Read::Heedless(pages) => {
                for documents in pages {
                    let _ = sink.page(page(documents)).await;
                }
                Ok(ReadSummary::default())
            }
        }
    }
    async fn probe(&self) -> Result<(), connectors::Error> {
        Ok(())
    }
}

const LAG: SignedDuration = SignedDuration::from_secs(120);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

struct Desk {
    rig: Rig,
    source: Arc<FakeSource>,
    reading: Reading,
    stop: CancellationToken,
}

impl Desk {
    /// A scheme that has `behind` to read.
    fn new(plan: Plan, source: FakeSource, behind: SignedDuration) -> Self {
        let rig = plan.start(Arc::new(MemoryStore::new()));
        let source = Arc::new(source);
        let reading = Reading {
            tenant: tenant(),
            scheme: scheme(),
            connection: source_connection(),
            source: source.clone(),
            start_at: (rig.plan.now)() - LAG - behind,
            lag: LAG,
            sweep: None,
            by_row_version: false,
            ledger: rig.ledger.clone(),
            gates: rig.gates.clone(),
            lane: Lane::default(),
            watcher: rig.turns.clone(),
            now: rig.plan.now.clone(),
        };
        Self { rig, source, reading, stop: CancellationToken::new() }
    }

    fn expect(&self, read: Read) {
        self.source.reads.lock().unwrap().push_back(read);
    }

    async fn pass(&self) -> Result<(), Error> {
        self.reading.pass(&self.rig.handle, &self.stop).await
    }

    fn read_to(&self) -> Option<Timestamp> {
        self.rig.ledger.cursor().unwrap().read_to
    }

    fn spans(&self) -> Vec<(Timestamp, Timestamp)> {
        let spans = std::mem::take(&mut *self.source.spans.lock().unwrap());
        let window = |span| match span {
            Span::Window { start, end } => (start, end),
            Span::After { .. } => panic!("not a window"),
        };
        spans.into_iter().map(window).collect()
    }
}

fn down() -> connectors::Error {
    connectors::Error::Server { host: "source".into(), status: 502, detail: "bad gateway".into() }
}

fn unreadable() -> Read {
    let bytes = Bytes::from_static(b"<html>");
    Read::Pages(Vec::new(), Err(connectors::Error::Unreadable { detail: "not JSON".into(), bytes }))
}

#[tokio::test(start_paused = true)]
async fn a_window_that_fails_in_the_middle_does_not_move_the_cursor_and_is_read_again() {
    let desk = Desk::new(Plan::new(), FakeSource::default(), HOUR);
    desk.expect(Read::Pages(vec![vec![document("d0", "one")], vec![document("d1", "one")]], Err(down())));
    assert!(matches!(desk.pass().await, Err(Error::Fault(_))));
    assert_eq!(desk.read_to(), None);
    assert!(!desk.rig.subject("d1").versions.is_empty(), "what was read is kept");
    desk.pass().await.unwrap();
    let spans = desk.spans();
    assert_eq!(spans[0], spans[1]);
    assert_eq!(desk.read_to(), Some(spans[1].1));
}

#[tokio::test(start_paused = true)]
async fn a_window_ends_so_long_before_now_and_on_a_whole_second() {
    let desk = Desk::new(Plan::new(), FakeSource::default(), HOUR);
    crate::pipeline::rig::pass(Duration::from_millis(700)).await;
    desk.pass().await.unwrap();
    let (start, end) = desk.spans()[0];
    assert_eq!((start, end), (desk.reading.start_at, desk.reading.start_at + HOUR));
}

#[tokio::test(start_paused = true)]
async fn windows_are_split_at_the_vendors_limit_and_the_cursor_moves_with_each() {
    let source = FakeSource { window_limit: Some(SignedDuration::from_mins(25)), ..FakeSource::default() };
    let desk = Desk::new(Plan::new(), source, HOUR);
    desk.expect(Read::Pages(Vec::new(), Ok(None)));
    desk.expect(Read::Pages(Vec::new(), Ok(None)));
    desk.expect(Read::Pages(Vec::new(), Err(down())));
    assert!(desk.pass().await.is_err());
    let at = |minutes| desk.reading.start_at + SignedDuration::from_mins(minutes);
    assert_eq!(desk.spans(), [(at(0), at(25)), (at(25), at(50)), (at(50), at(60))]);
    assert_eq!(desk.read_to(), Some(at(50)));
    desk.pass().await.unwrap();
    assert_eq!((desk.spans(), desk.read_to()), (vec![(at(50), at(60))], Some(at(60))));
}

#[tokio::test(start_paused = true)]
async fn the_wider_pass_is_due_at_its_interval() {
    let mut desk = Desk::new(Plan::new(), FakeSource::default(), HOUR * 48);
    desk.reading.sweep = Some(Sweep { every: HOUR * 6, over: HOUR * 24 });
    desk.pass().await.unwrap();
    assert_eq!(desk.spans().len(), 1, "the first pass has just read everything");
    for hour in 1..6 {
        crate::pipeline::rig::pass(Duration::from_secs(3_600)).await;
        desk.pass().await.unwrap();
        assert_eq!(desk.spans().len(), 1, "after {hour} hours");
    }
    crate::pipeline::rig::pass(Duration::from_secs(3_600)).await;
    desk.pass().await.unwrap();
    let spans = desk.spans();
    assert_eq!((spans.len(), spans[1].1.duration_since(spans[1].0)), (2, HOUR * 24));
    assert_eq!(desk.read_to(), Some(spans[1].1));
    desk.pass().await.unwrap();
    assert_eq!(desk.spans().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wider_pass_that_fails_stays_due() {
    let mut desk = Desk::new(Plan::new(), FakeSource::default(), HOUR * 48);
    desk.reading.sweep = Some(Sweep { every: HOUR, over: HOUR * 24 });
    desk.pass().await.unwrap();
    crate::pipeline::rig::pass(Duration::from_secs(7_200)).await;
    desk.expect(Read::Pages(Vec::new(), Ok(None)));
    desk.expect(Read::Pages(Vec::new(), Err(down())));
    assert!(desk.pass().await.is_err());
    desk.spans();
    desk.pass().await.unwrap();
    assert_eq!(desk.spans().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn three_unreadable_pages_pause_the_scheme_and_keep_their_bytes() {
    let desk = Desk::new(Plan::new(), FakeSource::default(), HOUR);
    (0..3).for_each(|_| desk.expect(unreadable()));
    let Err(Error::Fault(fault)) = desk.pass().await else { panic!("the pass went well") };
    assert_eq!(fault.code, Code::PageUnreadable);
    assert!(desk.rig.gates.is_paused(&scheme_scope()));
    let pages = desk.rig.ledger.bad_pages(10).unwrap();
    assert_eq!((pages.len(), pages[0].digest), (3, Digest::of("<html>")));
    assert_eq!(desk.read_to(), None);
    assert!(matches!(desk.pass().await, Err(Error::Stopped)), "a paused scheme was read");
    assert_eq!(desk.spans().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn two_unreadable_pages_are_only_asked_for_again() {
    let desk = Desk::new(Plan::new(), FakeSource::default(), HOUR);
    (0..2).for_each(|_| desk.expect(unreadable()));
    desk.pass().await.unwrap();
    assert!(desk.rig.gates.pauses().is_empty() && desk.read_to().is_some());
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_pause_the_connection() {
    let desk = Desk::new(Plan::new(), FakeSource::default(), HOUR);
    desk.expect(Read::Pages(Vec::new(), Err(connectors::Error::CredentialsRefused { detail: "expired".into() })));
    assert!(desk.pass().await.is_err());
    assert!(desk.rig.gates.is_paused(&Scope::Connection(tenant(), source_connection())));
}

#[tokio::test(start_paused = true)]
async fn a_pause_returns_although_the_reader_waits_for_a_full_backlog() {
    // The reader held its permit and waited for the driver, which took no page; the pause waited for the reader.
    let mut plan = Plan::new();
    plan.flow.backlog_limit = 1;
    let desk = Desk::new(plan, FakeSource::default(), HOUR);
    desk.rig.pause(target_scope()).await;
    // More than the driver and the reader hold between them.
    let pages = (0..20).map(|number| vec![document(&format!("d{number}"), "one")]).collect();
    desk.expect(Read::Pages(pages, Ok(None)));
    let pass = desk.pass();
    tokio::pin!(pass);
    assert!(tokio::time::timeout(Duration::from_secs(3_600), &mut pass).await.is_err(), "the backlog is not full");
    let both = async { tokio::join!(desk.rig.pause(scheme_scope()), pass).1 };
    let read = tokio::time::timeout(Duration::from_secs(3_600), both).await.expect("the pause never returned");
    assert!(matches!(read, Err(Error::Stopped)));
    assert_eq!(desk.read_to(), None);
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_waits_behind_a_full_backlog_holds_up_no_pause() {
    let mut plan = Plan::new();
    plan.flow.backlog_limit = 1;
    let desk = Desk::new(plan, FakeSource::default(), HOUR);
    desk.rig.pause(target_scope()).await;
    desk.expect(Read::Pages(vec![vec![document("d0", "one")]], Ok(None)));
    let pass = desk.pass();
    tokio::pin!(pass);
    assert!(tokio::time::timeout(Duration::from_secs(3_600), &mut pass).await.is_err(), "the backlog is not full");
    let both = async { tokio::join!(desk.rig.pause(scheme_scope()), pass).1 };
    let read = tokio::time::timeout(Duration::from_secs(3_600), both).await.expect("the pause never returned");
    assert!(matches!(read, Err(Error::Stopped)));
}

#[tokio::test(start_paused = true)]
async fn a_page_waits_for_room_on_the_disk_and_a_pause_does_not_wait_for_the_page() {
    let free = Arc::new(std::sync::atomic::AtomicU64::new(10));
    let shown = free.clone();
    let measure =
        move || Some(Room { free_bytes: shown.load(std::sync::atomic::Ordering::Relaxed), total_bytes: 1_000 });
    let desk = Desk::new(Plan::new(), FakeSource::default(), HOUR);
    desk.rig.gates.attach_disk(Disk::measured_by(Reserve { bytes: 20, percent: 0 }, measure));
    let one = |key: &str| vec![document(key, "one")];
    desk.expect(Read::Pages(vec![one("d0")], Ok(None)));
    desk.expect(Read::Pages(vec![one("d0")], Ok(None)));
    {
        let pass = desk.pass();
        tokio::pin!(pass);
        assert!(tokio::time::timeout(Duration::from_secs(3_600), &mut pass).await.is_err(), "a page was taken");
        assert!(matches!(desk.reading.hold(&desk.rig.handle), Some(Hold::Disk(_))));
        let both = async { tokio::join!(desk.rig.pause(scheme_scope()), pass).1 };
        let read = tokio::time::timeout(Duration::from_secs(60), both).await.expect("the pause never returned");
        assert!(matches!(read, Err(Error::Stopped)));
    }
    desk.rig.gates.resume(&scheme_scope()).await.unwrap();
    let release = async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        free.store(1_000, std::sync::atomic::Ordering::Relaxed);
    };
    tokio::join!(desk.pass(), release).0.unwrap();
    assert!(desk.read_to().is_some());
    assert_eq!(desk.reading.hold(&desk.rig.handle), None);
}

#[tokio::test(start_paused = true)]
async fn what_a_source_asks_for_holds_its_road_and_a_source_that_is_down_is_not_read() {
    let desk = Desk::new(Plan::new(), FakeSource::default(), HOUR);
    let road = Road::new(&Limits { burst: 100, ..Limits::default() });
    desk.rig.gates.attach_road(&tenant(), &source_connection(), road.clone());
    let wait = Some(Duration::from_secs(600));
    desk.expect(Read::Pages(Vec::new(), Err(connectors::Error::Throttled { wait, detail: "slow down".into() })));
    assert!(desk.pass().await.is_err());
    assert!(road.traffic().held_for.is_some_and(|held| held > Duration::from_secs(590)));
    assert_eq!(desk.reading.hold(&desk.rig.handle), None, "a pause is waited for on the road");
    road.reset();
    while !road.is_down() {
        road.set_out(&Caller { name: "a".into(), priority: 5 }).await.unwrap().end(false);
    }
    let mut held = desk.reading.hold(&desk.rig.handle);
    while let Some(Hold::Down(wait)) = held {
        tokio::time::sleep(wait).await;
        held = desk.reading.hold(&desk.rig.handle);
    }
    assert_eq!(held, None, "the probe may leave");
}

#[tokio::test(start_paused = true)]
async fn a_connector_that_goes_on_after_its_sink_closed_does_not_move_the_cursor() {
    let desk = Desk::new(Plan::new(), FakeSource::default(), HOUR);
    desk.stop.cancel();
    desk.expect(Read::Heedless(vec![vec![document("d0", "one")], vec![document("d1", "one")]]));
    assert!(matches!(desk.pass().await, Err(Error::Stopped)));
    assert_eq!(desk.read_to(), None);
}

#[tokio::test(start_paused = true)]
async fn row_versions_go_on_where_the_last_read_ended() {
    let mut desk = Desk::new(Plan::new(), FakeSource::default(), HOUR);
    desk.reading.by_row_version = true;
    desk.expect(Read::Pages(vec![vec![document("d0", "one")]], Ok(Some(77))));
    desk.expect(Read::Pages(Vec::new(), Err(down())));
    desk.pass().await.unwrap();
    assert!(desk.pass().await.is_err());
    desk.pass().await.unwrap();
    let spans = std::mem::take(&mut *desk.source.spans.lock().unwrap());
    let since = desk.reading.start_at;
    let after = |row_version| Span::After { row_version, since };
    assert_eq!(spans, [after(1), after(77), after(77)]);
    assert_eq!(desk.rig.ledger.cursor().unwrap().row_version, Some(77));
}

/// Once, a stop waited for the next page: a source that fetched a day's bills one by one kept an engine for half a minute.
#[tokio::test]
async fn a_stop_ends_a_read_in_the_middle_of_a_page() {
    let asked = Arc::new(Notify::new());
    let desk = Desk::new(Plan::new(), FakeSource::default(), HOUR);
    desk.expect(Read::Silence(asked.clone()));
    let stopped = async {
        asked.notified().await;
        desk.stop.cancel();
    };
    let (result, ()) = tokio::join!(desk.pass(), stopped);
    assert!(matches!(result, Err(Error::Stopped)), "{result:?}");
    assert_eq!(desk.read_to(), None);
    // It left no permit behind.
    desk.rig.gates.drained(&Scope::All).await;
}
