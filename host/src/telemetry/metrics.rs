//! Numbers for a dashboard, in Prometheus' text form.
//!
//! Labels are bounded: schemes and connections come from the configuration, and past a cap they share one label, so that
//! no tenant can make the collector run out of memory. Nothing of a document is ever a label.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::model::{ConnectionName, TenantId};

use super::SchemeRef;

/// Distinct schemes (and connections) with labels of their own. One scheme costs about eighty series.
const LABEL_LIMIT: usize = 1_000;
/// Why reading can be held back: too much is unfinished, the disk is nearly full, the source counts as down.
pub const HOLD_REASONS: [&str; 4] = ["backlog", "disk", "down", "quota"];
/// The label of all others.
const OTHER: &str = "_other";

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Written,
    Unchanged,
    Skipped,
    Rejected,
    Parked,
    Discarded,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Outcome::Written => "written",
            Outcome::Unchanged => "unchanged",
            Outcome::Skipped => "skipped",
            Outcome::Rejected => "rejected",
            Outcome::Parked => "parked",
            Outcome::Discarded => "discarded",
        }
    }
}

/// A part of a document's way that is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// One page from the source.
    Poll,
    /// One batch into the store, durable.
    Commit,
    /// One call of the module.
    Transform,
    /// One request to the target.
    Write,
    /// One question to the target.
    Verify,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Stage::Poll => "poll",
            Stage::Commit => "commit",
            Stage::Transform => "transform",
            Stage::Write => "write",
            Stage::Verify => "verify",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SchemeLabels {
    tenant: Arc<str>,
    scheme: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    tenant: Arc<str>,
    scheme: Arc<str>,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    tenant: Arc<str>,
    scheme: Arc<str>,
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    tenant: Arc<str>,
    connection: Arc<str>,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectionLabels {
    tenant: Arc<str>,
    connection: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HoldLabels {
    tenant: Arc<str>,
    scheme: Arc<str>,
    reason: &'static str,
}

/// A connection's way to its vendor, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoadNumbers {
    /// 0 closed, 1 half open, 2 open.
    pub breaker: u64,
    pub opened: u64,
    pub refused: u64,
    /// Seconds left of a pause that the vendor asked for.
    pub held_seconds: u64,
    pub waiting: u64,
    pub under_way: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableLabels {
    tenant: Arc<str>,
    connection: Arc<str>,
    table: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TenantLabels {
    tenant: Arc<str>,
}

/// A reference table, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableNumbers {
    pub entries: u64,
    /// `None` where it was never fetched.
    pub age: Option<Duration>,
    /// Fetches in a row that failed.
    pub failures: u64,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// The engine's numbers. A clone is the same set.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    schemes: Mutex<HashSet<(Arc<str>, Arc<str>)>>,
    connections: Mutex<HashSet<(Arc<str>, Arc<str>)>>,
    documents: Family<OutcomeLabels, Counter>,
    backlog: Family<SchemeLabels, Gauge>,
    parked: Family<SchemeLabels, Gauge>,
    waiting: Family<SchemeLabels, Gauge>,
    table_entries: Family<TableLabels, Gauge>,
    table_age: Family<TableLabels, Gauge>,
    table_failures: Family<TableLabels, Gauge>,
    cursor_age: Family<SchemeLabels, Gauge>,
    scheme_paused: Family<SchemeLabels, Gauge>,
    reading_held: Family<HoldLabels, Gauge>,
    connection_paused: Family<ConnectionLabels, Gauge>,
    breaker: Family<ConnectionLabels, Gauge>,
    breaker_opened: Family<ConnectionLabels, Counter>,
    breaker_refused: Family<ConnectionLabels, Counter>,
    road_held: Family<ConnectionLabels, Gauge>,
    road_waiting: Family<ConnectionLabels, Gauge>,
    road_under_way: Family<ConnectionLabels, Gauge>,
    disk_low: Gauge,
    fuel: Histograms<SchemeLabels>,
    stages: Histograms<StageLabels>,
    requests: Family<RequestLabels, Counter>,
    reduced: Family<TenantLabels, Counter>,
    removed: Family<TenantLabels, Counter>,
    kept_bytes: Family<TenantLabels, Gauge>,
    store_bytes: Gauge,
    store_live_bytes: Gauge,
    compactions: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        // From a trivial mapping (10,000) in steps of four to a thousand million, where deadlines end it.
        let fuel = Histograms::new_with_constructor(|| Histogram::new(exponential_buckets(10_000.0, 4.0, 10)));
        // From 0.1 ms, an instance and a small call, in steps of four to 26 s, a slow vendor.
        let stages = Histograms::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_1, 4.0, 10)));
        let mut inner = Inner {
            documents: Family::default(),
            backlog: Family::default(),
            parked: Family::default(),
            waiting: Family::default(),
            table_entries: Family::default(),
            table_age: Family::default(),
            table_failures: Family::default(),
            cursor_age: Family::default(),
            scheme_paused: Family::default(),
            reading_held: Family::default(),
            connection_paused: Family::default(),
            breaker: Family::default(),
            breaker_opened: Family::default(),
            breaker_refused: Family::default(),
            road_held: Family::default(),
            road_waiting: Family::default(),
            road_under_way: Family::default(),
            disk_low: Gauge::default(),
            requests: Family::default(),
            reduced: Family::default(),
            removed: Family::default(),
            kept_bytes: Family::default(),
            store_bytes: Gauge::default(),
            store_live_bytes: Gauge::default(),
            compactions: Counter::default(),
            schemes: Mutex::default(),
            connections: Mutex::default(),
            fuel,
            stages,
            registry: Registry::with_prefix("crossdock"),
        };
        let registry = &mut inner.registry;
        registry.register("documents", "Documents by what became of them", inner.documents.clone());
        registry.register("backlog_documents", "Documents committed and not done", inner.backlog.clone());
        registry.register("parked_documents", "Documents that need a person", inner.parked.clone());
        registry.register("waiting_documents", "Documents that wait for a reference table", inner.waiting.clone());
        registry.register("reference_entries", "Entries of a reference table", inner.table_entries.clone());
        registry.register("reference_age_seconds", "How old a reference table is", inner.table_age.clone());
        registry.register(
            "reference_failures",
            "Fetches of a reference table that failed since the last that did not",
            inner.table_failures.clone(),
        );
        registry.register("cursor_age_seconds", "How far reading is behind now", inner.cursor_age.clone());
        registry.register("scheme_paused", "1 while the scheme is paused", inner.scheme_paused.clone());
        registry.register(
            "reading_held",
            "1 while the scheme's reading is held back for this reason",
            inner.reading_held.clone(),
        );
        registry.register(
            "connection_breaker",
            "0 closed, 1 half open, 2 open: the vendor counts as down",
            inner.breaker.clone(),
        );
        registry.register(
            "connection_breaker_opened",
            "Times the vendor began to count as down",
            inner.breaker_opened.clone(),
        );
        registry.register(
            "connection_breaker_refused",
            "Requests given back unsent because the vendor counts as down",
            inner.breaker_refused.clone(),
        );
        registry.register(
            "connection_held_seconds",
            "What is left of a pause that the vendor asked for",
            inner.road_held.clone(),
        );
        registry.register("connection_waiting", "Requests that wait for their turn", inner.road_waiting.clone());
        registry.register("connection_under_way", "Requests under way", inner.road_under_way.clone());
        registry.register(
            "disk_low",
            "0 enough, 1 too little to read more, 2 too little to work at all",
            inner.disk_low.clone(),
        );
        registry.register("connection_paused", "1 while the connection is paused", inner.connection_paused.clone());
        registry.register("fuel", "Fuel that one document's call used", inner.fuel.clone());
        registry.register("stage_seconds", "How long a stage took", inner.stages.clone());
        registry.register("requests", "Requests to vendors by how they ended", inner.requests.clone());
        registry.register(
            "retention_reduced_documents",
            "Documents of which retention left the fingerprint",
            inner.reduced.clone(),
        );
        registry.register("retention_removed_bodies", "Bodies and pages that retention removed", inner.removed.clone());
        registry.register("kept_bytes", "Bodies and history of a tenant's documents", inner.kept_bytes.clone());
        registry.register("store_bytes", "Files of the store's rows", inner.store_bytes.clone());
        registry.register("store_live_bytes", "The store's rows, when last looked at", inner.store_live_bytes.clone());
        registry.register("compactions", "Times the store was written anew", inner.compactions.clone());
        Self(Arc::new(inner))
    }

    pub fn document_done(&self, scheme: &SchemeRef, outcome: Outcome) {
        let SchemeLabels { tenant, scheme } = self.scheme(scheme);
        self.0.documents.get_or_create(&OutcomeLabels { tenant, scheme, outcome: outcome.as_str() }).inc();
    }

    pub fn stage(&self, scheme: &SchemeRef, stage: Stage, took: Duration) {
        let SchemeLabels { tenant, scheme } = self.scheme(scheme);
        self.0.stages.get_or_create(&StageLabels { tenant, scheme, stage: stage.as_str() }).observe(took.as_secs_f64());
    }

    pub fn fuel(&self, scheme: &SchemeRef, fuel: u64) {
        // A histogram's sum is a floating-point number; no amount of money passes here.
        self.0.fuel.get_or_create(&self.scheme(scheme)).observe(fuel as f64);
    }

    pub fn set_backlog(&self, scheme: &SchemeRef, documents: u64) {
        self.0.backlog.get_or_create(&self.scheme(scheme)).set(gauge(documents));
    }

    pub fn set_parked(&self, scheme: &SchemeRef, documents: u64) {
        self.0.parked.get_or_create(&self.scheme(scheme)).set(gauge(documents));
    }

    pub fn set_waiting(&self, scheme: &SchemeRef, documents: u64) {
        self.0.waiting.get_or_create(&self.scheme(scheme)).set(gauge(documents));
    }

    /// The tables come from the configuration, as the connections do.
    pub fn set_table(&self, tenant: &TenantId, connection: &ConnectionName, table: &str, numbers: TableNumbers) {
        let (tenant, connection) = bounded(&self.0.connections, tenant.as_str(), connection.as_str());
        let table = if *connection == *OTHER { OTHER.into() } else { table.into() };
        let labels = TableLabels { tenant, connection, table };
        let TableNumbers { entries, age, failures } = numbers;
        self.0.table_entries.get_or_create(&labels).set(gauge(entries));
        self.0.table_failures.get_or_create(&labels).set(gauge(failures));
        if let Some(age) = age {
            self.0.table_age.get_or_create(&labels).set(gauge(age.as_secs()));
        }
    }

    pub fn set_cursor_age(&self, scheme: &SchemeRef, age: Duration) {
        self.0.cursor_age.get_or_create(&self.scheme(scheme)).set(gauge(age.as_secs()));
    }

    pub fn set_scheme_paused(&self, scheme: &SchemeRef, paused: bool) {
        self.0.scheme_paused.get_or_create(&self.scheme(scheme)).set(i64::from(paused));
    }

    /// `None` while nothing holds the scheme's reading back.
    pub fn set_reading_held(&self, scheme: &SchemeRef, held: Option<&'static str>) {
        let SchemeLabels { tenant, scheme } = self.scheme(scheme);
        for reason in HOLD_REASONS {
            let labels = HoldLabels { tenant: tenant.clone(), scheme: scheme.clone(), reason };
            self.0.reading_held.get_or_create(&labels).set(i64::from(held == Some(reason)));
        }
    }

    pub fn set_road(&self, tenant: &TenantId, connection: &ConnectionName, numbers: RoadNumbers) {
        let (tenant, connection) = bounded(&self.0.connections, tenant.as_str(), connection.as_str());
        let labels = ConnectionLabels { tenant, connection };
        let RoadNumbers { breaker, opened, refused, held_seconds, waiting, under_way } = numbers;
        self.0.breaker.get_or_create(&labels).set(gauge(breaker));
        // They are counted at the road, and only copied here.
        self.0.breaker_opened.get_or_create(&labels).inner().store(opened, Ordering::Relaxed);
        self.0.breaker_refused.get_or_create(&labels).inner().store(refused, Ordering::Relaxed);
        self.0.road_held.get_or_create(&labels).set(gauge(held_seconds));
        self.0.road_waiting.get_or_create(&labels).set(gauge(waiting));
        self.0.road_under_way.get_or_create(&labels).set(gauge(under_way));
    }

    /// 0 enough, 1 too little to read more, 2 too little to work at all.
    pub fn set_disk_low(&self, level: u8) {
        self.0.disk_low.set(level.into());
    }

    pub fn set_connection_paused(&self, tenant: &TenantId, connection: &ConnectionName, paused: bool) {
        let (tenant, connection) = bounded(&self.0.connections, tenant.as_str(), connection.as_str());
        self.0.connection_paused.get_or_create(&ConnectionLabels { tenant, connection }).set(i64::from(paused));
    }

    /// One request to a vendor. `outcome` is `ok` or a fault's code, never a vendor's text.
    pub fn request(&self, tenant: &TenantId, connection: &ConnectionName, outcome: Result<(), crate::fault::Code>) {
        let (tenant, connection) = bounded(&self.0.connections, tenant.as_str(), connection.as_str());
        let outcome = outcome.map_or_else(|code| code.as_str(), |()| "ok");
        self.0.requests.get_or_create(&RequestLabels { tenant, connection, outcome }).inc();
    }

    /// One pass of retention over a tenant.
    pub fn retained(&self, tenant: &TenantId, reduced: u64, removed: u64, kept_bytes: u64) {
        let (tenant, _) = bounded(&self.0.connections, tenant.as_str(), "");
        let labels = TenantLabels { tenant };
        self.0.reduced.get_or_create(&labels).inc_by(reduced);
        self.0.removed.get_or_create(&labels).inc_by(removed);
        self.0.kept_bytes.get_or_create(&labels).set(gauge(kept_bytes));
    }

    pub fn set_store_bytes(&self, bytes: u64) {
        self.0.store_bytes.set(gauge(bytes));
    }

    pub fn set_store_live_bytes(&self, bytes: u64) {
        self.0.store_live_bytes.set(gauge(bytes));
    }

    pub fn compacted(&self) {
        self.0.compactions.inc();
    }

    /// Everything, in the text form that Prometheus reads.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        text::encode(&mut text, &self.0.registry).expect("writing to a String cannot fail");
        text
    }

    fn scheme(&self, scheme: &SchemeRef) -> SchemeLabels {
        let (tenant, scheme) = bounded(&self.0.schemes, scheme.tenant.as_str(), scheme.scheme.as_str());
        SchemeLabels { tenant, scheme }
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The labels themselves while there is room for them, else the common one.
fn bounded(seen: &Mutex<HashSet<(Arc<str>, Arc<str>)>>, tenant: &str, name: &str) -> (Arc<str>, Arc<str>) {
    let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let labels = (Arc::from(tenant), Arc::from(name));
    if let Some(known) = seen.get(&labels) {
        return known.clone();
    }
    if seen.len() >= LABEL_LIMIT {
        return (OTHER.into(), OTHER.into());
    }
    seen.insert(labels.clone());
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Code;
    use crate::model::SchemeId;

    fn scheme(name: &str) -> SchemeRef {
        SchemeRef { tenant: TenantId::new("acme").unwrap(), scheme: SchemeId::new(name).unwrap() }
    }

    #[track_caller]
    fn check(metrics: &Metrics, line: &str) {
        let text = metrics.encode();
        assert!(text.lines().any(|found| found == line), "no line {line}\nin\n{text}");
    }

    #[test]
    fn every_number_appears_under_its_name_and_labels() {
        let metrics = Metrics::new();
        let saleout = scheme("saleout");
        metrics.document_done(&saleout, Outcome::Written);
        metrics.document_done(&saleout, Outcome::Written);
        metrics.stage(&saleout, Stage::Transform, Duration::from_millis(2));
        metrics.fuel(&saleout, 55_000);
        metrics.set_backlog(&saleout, 7);
        metrics.set_parked(&saleout, 3);
        metrics.set_waiting(&saleout, 4);
        let jdy = ConnectionName::new("jdy").unwrap();
        let numbers = TableNumbers { entries: 136, age: Some(Duration::from_secs(90)), failures: 2 };
        metrics.set_table(&saleout.tenant, &jdy, "kingdee_jdy.material", numbers);
        metrics.set_cursor_age(&saleout, Duration::from_secs(130));
        metrics.set_scheme_paused(&saleout, true);
        metrics.set_reading_held(&saleout, Some("disk"));
        metrics.set_disk_low(1);
        let jst = ConnectionName::new("jst").unwrap();
        metrics.set_connection_paused(&saleout.tenant, &jst, false);
        let road = RoadNumbers { breaker: 2, opened: 3, refused: 4, held_seconds: 5, waiting: 6, under_way: 7 };
        metrics.set_road(&saleout.tenant, &jst, road);
        metrics.request(&saleout.tenant, &jst, Ok(()));
        metrics.request(&saleout.tenant, &jst, Err(Code::VendorThrottled));
        for line in [
            r#"crossdock_documents_total{tenant="acme",scheme="saleout",outcome="written"} 2"#,
            r#"crossdock_stage_seconds_count{tenant="acme",scheme="saleout",stage="transform"} 1"#,
            r#"crossdock_stage_seconds_bucket{le="0.0016",tenant="acme",scheme="saleout",stage="transform"} 0"#,
            r#"crossdock_fuel_sum{tenant="acme",scheme="saleout"} 55000.0"#,
            r#"crossdock_backlog_documents{tenant="acme",scheme="saleout"} 7"#,
            r#"crossdock_parked_documents{tenant="acme",scheme="saleout"} 3"#,
            r#"crossdock_waiting_documents{tenant="acme",scheme="saleout"} 4"#,
            r#"crossdock_reference_entries{tenant="acme",connection="jdy",table="kingdee_jdy.material"} 136"#,
            r#"crossdock_reference_age_seconds{tenant="acme",connection="jdy",table="kingdee_jdy.material"} 90"#,
            r#"crossdock_reference_failures{tenant="acme",connection="jdy",table="kingdee_jdy.material"} 2"#,
            r#"crossdock_cursor_age_seconds{tenant="acme",scheme="saleout"} 130"#,
            r#"crossdock_scheme_paused{tenant="acme",scheme="saleout"} 1"#,
            r#"crossdock_reading_held{tenant="acme",scheme="saleout",reason="disk"} 1"#,
            r#"crossdock_reading_held{tenant="acme",scheme="saleout",reason="backlog"} 0"#,
            r#"crossdock_connection_breaker{tenant="acme",connection="jst"} 2"#,
            r#"crossdock_connection_breaker_opened_total{tenant="acme",connection="jst"} 3"#,
            r#"crossdock_connection_breaker_refused_total{tenant="acme",connection="jst"} 4"#,
            r#"crossdock_connection_held_seconds{tenant="acme",connection="jst"} 5"#,
            r#"crossdock_connection_waiting{tenant="acme",connection="jst"} 6"#,
            r#"crossdock_connection_under_way{tenant="acme",connection="jst"} 7"#,
            "crossdock_disk_low 1",
            r#"crossdock_connection_paused{tenant="acme",connection="jst"} 0"#,
            r#"crossdock_requests_total{tenant="acme",connection="jst",outcome="ok"} 1"#,
            r#"crossdock_requests_total{tenant="acme",connection="jst",outcome="vendor_throttled"} 1"#,
        ] {
            check(&metrics, line);
        }
    }

    #[test]
    fn a_clone_counts_into_the_same_set() {
        let metrics = Metrics::new();
        metrics.clone().document_done(&scheme("a"), Outcome::Parked);
        check(&metrics, r#"crossdock_documents_total{tenant="acme",scheme="a",outcome="parked"} 1"#);
    }

    #[test]
    fn schemes_past_the_cap_share_one_label_and_the_others_keep_theirs() {
        let metrics = Metrics::new();
        for number in 0..LABEL_LIMIT + 5 {
            metrics.document_done(&scheme(&format!("s{number}")), Outcome::Written);
        }
        metrics.document_done(&scheme("s0"), Outcome::Written);
        let series = metrics.encode().lines().filter(|line| line.starts_with("crossdock_documents_total{")).count();
        assert_eq!(series, LABEL_LIMIT + 1);
        check(&metrics, r#"crossdock_documents_total{tenant="_other",scheme="_other",outcome="written"} 5"#);
        check(&metrics, r#"crossdock_documents_total{tenant="acme",scheme="s0",outcome="written"} 2"#);
    }
}
