//! The keepers, their tables and what a scheme sees of them, over the store in memory and a clock that is tokio's.

mod documents;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::gate::{Gates, Pause, Scope};
use super::super::rig::{clock, target_connection, tenant};
use super::*;
use crate::connectors::{Error as VendorError, ReferenceSource};
use crate::fault::Code;
use crate::pipeline::driver::Now;
use crate::sandbox::{Lookup, References};
use crate::state::{KeyBuilder, MemoryStore, Store, Table};

const MATERIAL: &str = "kingdee_jdy.material";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// As in [`rhythm`], and how long one fetch takes.
const MISS_INTERVAL: Duration = MINUTE;
const LATENCY: Duration = Duration::from_secs(2);

fn rhythm() -> Rhythm {
    Rhythm { refresh: SignedDuration::from_hours(6), miss_interval: SignedDuration::from_mins(1) }
}

fn id() -> TableId {
    TableId { tenant: tenant(), connection: target_connection(), table: MATERIAL.into() }
}

/// A vendor with one list.
#[derive(Default)]
struct Vendor {
    rows: Mutex<Vec<(String, String)>>,
    errors: Mutex<VecDeque<VendorError>>,
    fetches: Mutex<u32>,
}

impl Vendor {
    fn add(&self, key: &str) {
        self.rows.lock().unwrap().push((key.into(), format!("{{\"id\":\"{key}\"}}")));
    }
    fn clear(&self) {
        self.rows.lock().unwrap().clear();
    }
    fn fail(&self, errors: impl IntoIterator<Item = VendorError>) {
        self.errors.lock().unwrap().extend(errors);
    }
    fn fetches(&self) -> u32 {
        *self.fetches.lock().unwrap()
    }
}

#[async_trait]
impl ReferenceSource for Vendor {
    fn tables(&self) -> &[&str] {
        &[MATERIAL]
    }
    async fn fetch(&self, _: &str) -> Result<Vec<(String, String)>, VendorError> {
        *self.fetches.lock().unwrap() += 1;
        // What is added while the list is read may be behind the page that is read.
        let rows = self.rows.lock().unwrap().clone();
        tokio::time::sleep(LATENCY).await;
        match self.errors.lock().unwrap().pop_front() {
            Some(error) => Err(error),
            None => Ok(rows),
        }
    }
}

fn down() -> VendorError {
    VendorError::Unreachable { host: "jdy".into(), detail: "refused".into() }
}

/// One engine's library with its keepers at work.
struct House {
    vendor: Arc<Vendor>,
    library: Library,
    gates: Gates,
    now: Now,
    catalogue: Catalogue,
    stop: CancellationToken,
    keepers: JoinSet<()>,
}

impl House {
    fn open(store: Arc<MemoryStore>, vendor: Arc<Vendor>, now: Now) -> Self {
        let gates = Gates::open(store.clone()).unwrap();
        let wanted = vec![Wanted { id: id(), rhythm: rhythm(), source: vendor.clone() }];
        let library = Library::open(store, gates.clone(), now.clone(), Arc::new(Deaf), wanted).unwrap();
        let fixed = BTreeMap::from([("warehouses".to_owned(), Arc::new(fixed(&[("A", "\"W1\"")])))]);
        let fetched = BTreeMap::from([(MATERIAL.to_owned(), library.table(&id()).unwrap())]);
        let catalogue = Catalogue::new(fixed, fetched, library.changes());
        let stop = CancellationToken::new();
        let keepers = library.keepers(&|_| true, &stop).into_iter().collect();
        Self { vendor, library, gates, now, catalogue, stop, keepers }
    }

    /// With `M-1` in the list, fetched a moment ago.
    async fn fetched() -> Self {
        let house = Self::open(Arc::new(MemoryStore::new()), Arc::default(), clock());
        house.vendor.add("M-1");
        tokio::time::sleep(LATENCY * 2).await;
        assert_eq!(house.vendor.fetches(), 1);
        house
    }

    fn ask(&self, key: &str, waits_since: Option<Timestamp>) -> Lookup {
        self.catalogue.open((self.now)()).view(waits_since).lookup(MATERIAL, key)
    }

    fn status(&self) -> Status {
        self.library.table(&id()).unwrap().status()
    }

    async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.keepers.join_next().await {
            ended.unwrap();
        }
    }
}

fn fixed(pairs: &[(&str, &str)]) -> Entries {
    Entries::new(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

fn found(key: &str) -> Lookup {
    Lookup::Found(format!("{{\"id\":\"{key}\"}}"))
}

#[tokio::test(start_paused = true)]
async fn a_table_is_fetched_at_the_start_and_again_when_it_is_old() {
    let house = House::open(Arc::new(MemoryStore::new()), Arc::default(), clock());
    house.vendor.add("M-1");
    assert_eq!(house.ask("M-1", None), Lookup::Pending, "nothing is known before the first fetch");
    tokio::time::sleep(LATENCY * 2).await;
    assert_eq!(house.ask("M-1", None), found("M-1"));

    house.vendor.add("M-2");
    tokio::time::sleep(HOUR * 5).await;
    assert_eq!(house.vendor.fetches(), 1);
    tokio::time::sleep(HOUR * 2).await;
    assert_eq!((house.vendor.fetches(), house.ask("M-2", None)), (2, found("M-2")));
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_table_that_does_not_exist_is_not_a_miss_and_a_file_knows_all_its_keys() {
    let house = House::fetched().await;
    let opened = house.catalogue.open((house.now)());
    let view = opened.view(None);
    assert_eq!(view.lookup("kingdee_jdy.customer", "M-1"), Lookup::UnknownTable);
    assert_eq!(view.lookup("warehouses", "A"), Lookup::Found("\"W1\"".into()));
    assert_eq!(view.lookup("warehouses", "B"), Lookup::KnownMissing);
    tokio::time::sleep(HOUR).await;
    assert_eq!(house.vendor.fetches(), 1, "neither is a reason to fetch");
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_missed_key_brings_one_fetch_for_all_who_wait_and_only_that_fetch_proves_it_missing() {
    let house = House::fetched().await;
    let since = (house.now)();
    for key in ["M-2", "M-3", "M-2"] {
        assert_eq!(house.ask(key, None), Lookup::Pending);
    }
    house.vendor.add("M-2");
    // They wait, and are asked for again and again by whoever runs them.
    tokio::time::sleep(MISS_INTERVAL / 2).await;
    assert_eq!(house.ask("M-2", Some(since)), Lookup::Pending);
    assert_eq!(house.vendor.fetches(), 1, "sooner than the interval allows");
    tokio::time::sleep(MISS_INTERVAL).await;
    assert_eq!(house.vendor.fetches(), 2);
    assert_eq!(house.ask("M-2", Some(since)), found("M-2"));
    assert_eq!(house.ask("M-3", Some(since)), Lookup::KnownMissing);
    tokio::time::sleep(HOUR).await;
    assert_eq!(house.vendor.fetches(), 2, "nobody waits any more");
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_began_before_the_miss_proves_nothing() {
    let house = House::fetched().await;
    assert_eq!(house.ask("M-2", None), Lookup::Pending);
    // The fetch for M-2 has begun and has read its page.
    tokio::time::sleep(MISS_INTERVAL - LATENCY * 2 + LATENCY / 2).await;
    assert!(house.status().fetching);
    let since = (house.now)();
    house.vendor.add("M-3");
    assert_eq!(house.ask("M-3", None), Lookup::Pending);
    tokio::time::sleep(LATENCY).await;
    assert!(!house.status().fetching);
    assert_eq!(house.ask("M-3", Some(since)), Lookup::Pending, "it was added while the list was read");
    tokio::time::sleep(MISS_INTERVAL).await;
    assert_eq!((house.vendor.fetches(), house.ask("M-3", Some(since))), (3, found("M-3")));
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_just_asked_for_is_known_to_be_missing_and_a_while_later_it_is_not() {
    let house = House::fetched().await;
    assert_eq!(house.ask("M-9", None), Lookup::Pending);
    tokio::time::sleep(MISS_INTERVAL).await;
    assert_eq!(house.vendor.fetches(), 2);
    assert_eq!(house.ask("M-9", None), Lookup::KnownMissing, "of the next document of the same key");
    assert_eq!(house.ask("M-8", None), Lookup::Pending, "nobody asked for this one");
    // Whoever was retried by a person asks anew.
    assert_eq!(house.ask("M-9", Some((house.now)())), Lookup::Pending);
    tokio::time::sleep(MISS_INTERVAL).await;
    assert_eq!(house.vendor.fetches(), 3);
    tokio::time::sleep(MISS_INTERVAL).await;
    assert_eq!(house.ask("M-9", None), Lookup::Pending, "it may have been added since");
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn documents_with_missing_keys_without_end_bring_one_fetch_an_interval() {
    let house = House::fetched().await;
    for number in 0..600 {
        house.ask(&format!("X-{number}"), None);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!((9..=11).contains(&(house.vendor.fetches() - 1)), "{} fetches in ten minutes", house.vendor.fetches());
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_call_sees_one_edition_whatever_is_fetched_meanwhile() {
    let house = House::fetched().await;
    let before = house.catalogue.open((house.now)());
    house.vendor.add("M-2");
    house.library.refresh(&id()).await.unwrap();
    let after = house.catalogue.open((house.now)());
    assert_eq!(before.view(None).lookup(MATERIAL, "M-2"), Lookup::Pending);
    assert_eq!(after.view(None).lookup(MATERIAL, "M-2"), found("M-2"));
    assert_ne!(before.revision(MATERIAL), after.revision(MATERIAL));
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_is_down_is_asked_less_and_less_and_says_why_and_whoever_waits_still_does() {
    let house = House::open(Arc::new(MemoryStore::new()), Arc::default(), clock());
    house.vendor.add("M-1");
    house.vendor.fail((0..20).map(|_| down()));
    assert_eq!(house.ask("M-1", None), Lookup::Pending);
    tokio::time::sleep(MINUTE).await;
    let failure = house.status().failure.unwrap();
    assert_eq!(failure.fault.code, Code::VendorUnreachable);
    assert!((3..=5).contains(&house.vendor.fetches()), "{} fetches in a minute", house.vendor.fetches());
    let hopeless = house.library.hopeless(&house.library.table(&id()).unwrap()).unwrap();
    assert!(hopeless.contains(MATERIAL) && hopeless.contains("refused"), "{hopeless}");
    tokio::time::sleep(HOUR).await;
    assert!(house.vendor.fetches() <= 15, "{} fetches in an hour", house.vendor.fetches());
    tokio::time::sleep(HOUR * 4).await;
    assert_eq!((house.ask("M-1", None), house.status().failure), (found("M-1"), None));
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_fetch_leaves_the_edition_and_the_waiting_as_they_are() {
    let house = House::fetched().await;
    let since = (house.now)();
    assert_eq!(house.ask("M-2", None), Lookup::Pending);
    house.vendor.add("M-2");
    house.vendor.fail([down()]);
    tokio::time::sleep(MISS_INTERVAL).await;
    assert_eq!(house.ask("M-1", None), found("M-1"));
    assert_eq!(house.ask("M-2", Some(since)), Lookup::Pending);
    tokio::time::sleep(MISS_INTERVAL).await;
    assert_eq!((house.vendor.fetches(), house.ask("M-2", Some(since))), (3, found("M-2")));
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_suddenly_empty_does_not_make_every_key_missing() {
    let house = House::fetched().await;
    house.vendor.clear();
    let fault = house.library.refresh(&id()).await.unwrap_err();
    assert_eq!(fault.code, Code::ResponseUnreadable);
    assert_eq!(house.ask("M-1", None), found("M-1"));
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_connection_is_not_asked_and_refused_credentials_pause_it() {
    let house = House::fetched().await;
    let scope = Scope::Connection(tenant(), target_connection());
    let pause = Pause { scope: scope.clone(), since: (house.now)(), reason: "month end".into(), code: None, by: None };
    house.gates.pause(pause, true).await.unwrap();
    house.ask("M-2", None);
    tokio::time::sleep(HOUR * 12).await;
    assert_eq!(house.vendor.fetches(), 1);
    let refused = house.library.refresh(&id()).await.unwrap_err();
    assert!(refused.message.contains("paused"), "{refused}");

    house.vendor.fail([VendorError::CredentialsRefused { detail: "expired".into() }]);
    house.gates.resume(&scope).await.unwrap();
    tokio::time::sleep(HOUR).await;
    assert_eq!(house.vendor.fetches(), 2);
    assert!(house.gates.is_paused(&scope));
    house.gates.resume(&scope).await.unwrap();
    tokio::time::sleep(HOUR).await;
    assert_eq!(house.vendor.fetches(), 3);
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_order_is_answered_by_a_fetch_that_began_after_it() {
    let house = House::fetched().await;
    house.ask("M-2", None);
    tokio::time::sleep(MISS_INTERVAL - LATENCY * 2 + LATENCY / 2).await;
    assert!(house.status().fetching);
    house.vendor.add("M-2");
    let status = house.library.refresh(&id()).await.unwrap();
    assert_eq!((status.entries, house.vendor.fetches()), (2, 3));
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_takes_up_what_was_kept_and_fetches_nothing_that_is_young() {
    let (store, vendor, now) = (Arc::new(MemoryStore::new()), Arc::new(Vendor::default()), clock());
    vendor.add("M-1");
    let house = House::open(store.clone(), vendor.clone(), now.clone());
    tokio::time::sleep(HOUR).await;
    let status = house.status();
    house.end().await;

    let found_store = Arc::new(store.crash(0));
    let house = House::open(found_store, vendor.clone(), now.clone());
    assert_eq!(house.ask("M-1", None), found("M-1"), "before any fetch");
    assert_eq!(house.status(), Status { due_at: house.status().due_at, ..status });
    tokio::time::sleep(HOUR * 4).await;
    assert_eq!(vendor.fetches(), 1);
    tokio::time::sleep(HOUR * 2).await;
    assert_eq!(vendor.fetches(), 2);
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_same_content_is_not_written_again() {
    let store = Arc::new(MemoryStore::new());
    let house = House::open(store.clone(), Arc::default(), clock());
    house.vendor.add("M-1");
    tokio::time::sleep(HOUR * 20).await;
    assert!(house.vendor.fetches() >= 3);
    let status = house.status();
    assert!(status.fetched_at > status.changed_at);
    let rows = store.scan(Table::References, &KeyBuilder::new().build(), None, 10).unwrap();
    let revisions: Vec<u64> = rows.iter().map(|(_, row)| row.revision.0).collect();
    assert_eq!(rows.len(), 2);
    assert_ne!(revisions[0], revisions[1], "the large row was written with the small one each time");
    house.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_kept_table_that_is_damaged_is_fetched_anew() {
    let (store, vendor, now) = (Arc::new(MemoryStore::new()), Arc::new(Vendor::default()), clock());
    vendor.add("M-1");
    let house = House::open(store.clone(), vendor.clone(), now.clone());
    tokio::time::sleep(HOUR).await;
    house.end().await;
    let rows = store.scan(Table::References, &KeyBuilder::new().build(), None, 10).unwrap();
    let mut batch = crate::state::Batch::new();
    batch.put(Table::References, rows[0].0.clone(), "{\"M-1\":\"{}\"}");
    store.commit(batch).await.unwrap();

    let house = House::open(store, vendor.clone(), now);
    assert_eq!(house.ask("M-1", None), Lookup::Pending);
    tokio::time::sleep(MINUTE).await;
    assert_eq!((vendor.fetches(), house.ask("M-1", None)), (2, found("M-1")));
    house.end().await;
}

#[test]
fn two_schemes_that_share_a_table_both_see_it_as_young_as_they_asked() {
    let minutes = |refresh, miss_interval| Rhythm {
        refresh: SignedDuration::from_mins(refresh),
        miss_interval: SignedDuration::from_mins(miss_interval),
    };
    assert_eq!(minutes(360, 1).shorter(minutes(30, 5)), minutes(30, 1));
}

#[test]
fn the_order_of_a_list_makes_no_other_revision() {
    assert_eq!(fixed(&[("a", "1"), ("b", "2")]).revision(), fixed(&[("b", "2"), ("a", "1")]).revision());
    assert_ne!(fixed(&[("a", "1")]).revision(), fixed(&[("a", "2")]).revision());
    let (entries, content) = Entries::with_content(BTreeMap::from([("a".to_owned(), "\"x\"".to_owned())]));
    let read = Entries::from_content(&content).unwrap();
    assert_eq!((read.revision(), read.get("a"), read.len()), (entries.revision(), Some("\"x\""), 1));
}
