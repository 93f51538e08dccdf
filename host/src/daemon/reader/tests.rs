//! A day of schedules, in a clock that runs as fast as it can.

use std::sync::Mutex;

use async_trait::async_trait;

use super::super::watcher::Seen;
use super::*;
use crate::config::LoadOptions;
use crate::connectors::{self, PageSink, ReadSummary, Source, Span};
use crate::model::{ConnectionName, TenantId};
use crate::pipeline::lane::Lane;
use crate::pipeline::ledger::Cursor;
use crate::pipeline::rig::{Plan, Rig, clock, document, scheme_scope, source_connection};
use crate::state::MemoryStore;
use crate::telemetry::{Metrics, SchemeRef};

/// A source without documents that notes when it was asked.
struct Notebook {
    now: driver::Now,
    takes: Duration,
    asked: Mutex<Vec<Timestamp>>,
    /// Whether the vendor is down.
    down: Mutex<bool>,
}

#[async_trait]
impl Source for Notebook {
    fn window_limit(&self) -> Option<SignedDuration> {
        None
    }
    async fn read(&self, _: &Span, _: &mut dyn PageSink) -> Result<ReadSummary, connectors::Error> {
        self.asked.lock().unwrap().push((self.now)());
        tokio::time::sleep(self.takes).await;
        if *self.down.lock().unwrap() {
            let detail = "bad gateway".into();
            return Err(connectors::Error::Server { host: "source".into(), status: 502, detail });
        }
        Ok(ReadSummary::default())
    }
    async fn probe(&self) -> Result<(), connectors::Error> {
        Ok(())
    }
}

/// One scheme with its reader.
struct Desk {
    rig: Rig,
    source: Arc<Notebook>,
    watcher: Arc<SchemeWatcher>,
    reader: Option<Reader>,
    stop: CancellationToken,
}

/// Clocks begin at midnight UTC of the 1st of November 2026, the day on which those of New York go back.
fn at(hour: i64, minute: i64) -> Timestamp {
    "2026-11-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(hour * 60 + minute)
}

impl Desk {
    fn new(now: &driver::Now, keys: &str) -> Self {
        Self::taking(now, keys, Duration::ZERO)
    }

    fn taking(now: &driver::Now, keys: &str, takes: Duration) -> Self {
        let rig = Plan { now: now.clone(), ..Plan::new() }.start(Arc::new(MemoryStore::new()));
        let source = Arc::new(Notebook { now: now.clone(), takes, asked: Mutex::default(), down: Mutex::default() });
        let settings = settings(keys);
        let watcher = Arc::new(SchemeWatcher {
            tenant: settings.tenant.clone(),
            scheme: SchemeRef { tenant: settings.tenant.clone(), scheme: settings.name.clone() },
            source_connection: ConnectionName::new("jst").unwrap(),
            target_connection: ConnectionName::new("k3").unwrap(),
            metrics: Metrics::new(),
            alerts: None,
            seen: Mutex::new(Seen::default()),
        });
        let reading = poll::Reading {
            tenant: TenantId::new("acme").unwrap(),
            scheme: settings.name.clone(),
            connection: source_connection(),
            source: source.clone(),
            start_at: at(-48, 0),
            lag: settings.lag,
            sweep: None,
            by_row_version: false,
            ledger: rig.ledger.clone(),
            gates: rig.gates.clone(),
            lane: Lane::default(),
            watcher: watcher.clone(),
            now: now.clone(),
        };
        let handle = rig.handle.clone();
        let reader = Reader { settings, reading, handle, watcher: watcher.clone(), after: None };
        Self { rig, source, watcher, reader: Some(reader), stop: CancellationToken::new() }
    }

    fn begins_after(mut self, other: &Desk) -> Self {
        let predecessor = Predecessor {
            name: SchemeId::new("customers").unwrap(),
            lag: SignedDuration::from_secs(120),
            ledger: other.rig.ledger.clone(),
            watcher: other.watcher.clone(),
        };
        self.reader.as_mut().unwrap().after = Some(Box::new(move || Some(predecessor.clone())));
        self
    }

    /// As if the last completed run had begun then.
    async fn ran(self, began: Timestamp) -> Self {
        let cursor = Cursor { read_to: Some(began - SignedDuration::from_secs(120)), ..Cursor::default() };
        self.rig.handle.cursor(cursor).await.unwrap();
        self
    }

    fn start(&mut self) {
        tokio::spawn(self.reader.take().unwrap().run(self.stop.clone()));
    }

    fn asked(&self) -> Vec<Timestamp> {
        self.source.asked.lock().unwrap().clone()
    }
}

fn settings(keys: &str) -> config::Scheme {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    let file = folder.path().join("c.toml");
    let text = format!(
        "[engine]\ndata_dir = \"data\"\n\
         [[connection]]\nname = \"jst\"\nsystem = \"jushuitan_qimen\"\n\
         [[connection]]\nname = \"k3\"\nsystem = \"kingdee_k3cloud\"\n\
         [[scheme]]\nname = \"saleout\"\nmodule = {{ file = \"m.wasm\" }}\n\
         source = {{ connection = \"jst\", operation = \"o\" }}\ntarget = {{ connection = \"k3\", operation = \"o\" }}\n\
         start_at = \"2026-10-01T00:00:00Z\"\n{keys}\n"
    );
    std::fs::write(&file, text).unwrap();
    let loaded = config::load(&file, &LoadOptions::new(&|_| None));
    loaded.unwrap_or_else(|problems| panic!("{problems}")).schemes.remove(0)
}

async fn pass_a_day() {
    // A second before midnight, so that the next day's first runs do not count.
    tokio::time::sleep(Duration::from_secs(24 * 3_600 - 1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_interval_gives_so_many_runs_a_day_and_a_nightly_run_one_also_when_the_clocks_go_back() {
    let now = clock();
    let mut often = Desk::new(&now, "schedule = \"every 5m\"");
    let mut nightly = Desk::new(&now, "schedule = \"cron 30 1 * * * America/New_York\"");
    let mut quarters = Desk::new(&now, "schedule = \"cron */15 * * * * America/New_York\"");
    for desk in [&mut often, &mut nightly, &mut quarters] {
        desk.start();
    }
    pass_a_day().await;
    let every_five_minutes: Vec<_> = (0..288).map(|run| at(0, run * 5)).collect();
    assert_eq!(often.asked(), every_five_minutes);
    assert_eq!(nightly.asked(), [at(5, 30)]);
    let every_quarter: Vec<_> = (1..96).map(|run| at(0, run * 15)).collect();
    assert_eq!(quarters.asked(), every_quarter);
}

#[tokio::test(start_paused = true)]
async fn runs_that_were_missed_are_made_up_for_by_one() {
    let now = clock();
    let mut missed = Desk::new(&now, "schedule = \"cron 30 1 * * * UTC\"").ran(at(-72, 0)).await;
    let mut rested = Desk::new(&now, "schedule = \"cron 30 1 * * * UTC\"").ran(at(-1, 0)).await;
    missed.start();
    rested.start();
    pass_a_day().await;
    assert_eq!(missed.asked(), [at(0, 0), at(1, 30)]);
    assert_eq!(rested.asked(), [at(1, 30)]);
}

#[tokio::test(start_paused = true)]
async fn a_scheme_never_runs_beside_itself() {
    let now = clock();
    let mut slow = Desk::taking(&now, "schedule = \"every 5m\"", Duration::from_secs(12 * 60));
    slow.start();
    pass_a_day().await;
    let asked = slow.asked();
    assert_eq!(asked.len(), 120, "each run takes twelve minutes");
    assert!(asked.windows(2).all(|pair| pair[1].duration_since(pair[0]) >= SignedDuration::from_mins(12)));
}

#[tokio::test(start_paused = true)]
async fn jitter_makes_runs_late_by_different_times_and_does_not_add_up() {
    let now = clock();
    let mut desk = Desk::new(&now, "schedule = \"every 1h\"\njitter = \"10m\"");
    desk.start();
    pass_a_day().await;
    let asked = desk.asked();
    assert_eq!(asked.len(), 24);
    let late: Vec<i64> = asked.iter().zip(0..).map(|(run, hour)| run.duration_since(at(hour, 0)).as_secs()).collect();
    assert!(late.iter().all(|late| (0..=600).contains(late)), "{late:?}");
    let mut different = late.clone();
    different.sort_unstable();
    different.dedup();
    assert!(different.len() > 12, "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_waits_for_its_time_of_day() {
    let now = clock();
    let mut desk = Desk::new(&now, "schedule = \"every 1h\"\nwhen = { between = \"22:00-06:00 Asia/Shanghai\" }");
    desk.start();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(desk.watcher.seen().next_run, Some(at(14, 0)));
    pass_a_day().await;
    let expected: Vec<_> = (14..22).map(|hour| at(hour, 0)).collect();
    assert_eq!(desk.asked(), expected);
    assert_eq!(desk.watcher.seen().due, Some(at(38, 0)), "not late before tomorrow's opening");
}

#[tokio::test(start_paused = true)]
async fn a_run_waits_for_that_of_another_scheme_and_for_what_that_one_read() {
    let now = clock();
    let mut first = Desk::new(&now, "schedule = \"cron 0 3 * * * UTC\"");
    let mut second = Desk::new(&now, "schedule = \"every 10m\"").begins_after(&first);
    first.start();
    second.start();
    tokio::time::sleep(Duration::from_secs(2 * 3_600)).await;
    assert_eq!(second.asked(), [], "the other has not run yet");
    assert_eq!(second.watcher.seen().waits_for.unwrap().as_str(), "customers");
    // What the other reads is not worked off while it is held.
    first.rig.pause(crate::pipeline::rig::target_scope()).await;
    first.rig.handle.page(vec![document("c1", "a customer")]).await.unwrap();
    first.watcher.seen.lock().unwrap().backlog = 1;
    tokio::time::sleep(Duration::from_secs(2 * 3_600)).await;
    assert_eq!(first.asked(), [at(3, 0)]);
    assert_eq!(second.asked(), [], "what the other read is still under way");
    first.watcher.seen.lock().unwrap().backlog = 0;
    pass_a_day().await;
    let asked = second.asked();
    assert_eq!(asked.len(), 2, "one run after each of the other's: {asked:?}");
    assert!(asked[0] >= at(4, 0) && asked[1] >= at(27, 0), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_run_is_tried_again_soon_and_a_paused_one_when_it_is_resumed() {
    let now = clock();
    let mut desk = Desk::new(&now, "schedule = \"every 1h\"");
    *desk.source.down.lock().unwrap() = true;
    desk.start();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let tries = desk.asked().len();
    assert!((12..=45).contains(&tries), "{tries} tries within ten minutes");
    *desk.source.down.lock().unwrap() = false;
    tokio::time::sleep(Duration::from_secs(120)).await;
    let well = desk.asked().len();
    desk.rig.pause(scheme_scope()).await;
    tokio::time::sleep(Duration::from_secs(3 * 3_600)).await;
    assert_eq!(desk.asked().len(), well, "a paused scheme asks nothing");
    desk.rig.gates.resume(&scheme_scope()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(desk.asked().len(), well + 1, "one run makes up for three");
    desk.stop.cancel();
}
