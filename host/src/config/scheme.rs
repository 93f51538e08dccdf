//! `[[scheme]]`: a source, a module, a target, and the rules between them.

use std::ops::Range;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use toml::de::DeValue;

use crate::model::{ConnectionName, OperationName, SchemeId, TenantId};

use super::conditions::{self, Conditions};
use super::json;
use super::limits::{self, Limits};
use super::module::{self, ModuleSource};
use super::reference::{self, Reference};
use super::schedule::Schedule;
use super::section::Section;
use super::{Connection, LoadOptions, connection};

/// Vendors show a row a while after they stamped it; two minutes was enough wherever it was measured.
const LAG: SignedDuration = SignedDuration::from_secs(120);
/// How long a target may still be committing a request that we gave up on.
const SETTLE: SignedDuration = SignedDuration::from_secs(30);
/// Far above any order seen (200 lines are 150 kB), far below what hurts.
const DOCUMENT_LIMIT_BYTES: u64 = 4 << 20;
const DAY: SignedDuration = SignedDuration::from_hours(24);
const ZERO: SignedDuration = SignedDuration::ZERO;

#[derive(Debug, Clone)]
pub struct Scheme {
    pub tenant: TenantId,
    pub name: SchemeId,
    pub source: Endpoint,
    pub module: ModuleSource,
    /// JSON text of one object, handed to the module with every document.
    pub parameters: String,
    pub reference: Vec<Reference>,
    pub target: Endpoint,
    pub schedule: Schedule,
    /// Runs begin up to this much later than they are due, so that not everybody asks a vendor at the full hour.
    pub jitter: SignedDuration,
    /// What must hold before a run that is due may begin.
    pub when: Conditions,
    /// Nothing older is read, ever.
    pub start_at: Timestamp,
    /// Windows end this long before now.
    pub lag: SignedDuration,
    pub sweep: Sweep,
    pub on_change: OnChange,
    pub isolation: Isolation,
    pub limits: Limits,
    pub document_limit_bytes: u64,
    pub retry: Retry,
    /// After a lost answer and its deadline, wait this long before `absent` is believed.
    pub settle: SignedDuration,
    /// Bills in one request; `None` takes what the target can.
    pub batch_size: Option<usize>,
    /// 0 to 9, larger first, where schemes compete for the requests of one connection.
    pub priority: u8,
    pub backlog: Backlog,
    /// A scheme that is switched off keeps its ledger and does nothing.
    pub enabled: bool,
}

/// One end of a scheme.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub connection: ConnectionName,
    pub operation: OperationName,
    /// The operation's own keys.
    pub options: toml::Table,
}

/// The second, wider pass that finds what the first missed: back-dated, late, shifted between pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    pub every: SignedDuration,
    pub over: SignedDuration,
}

impl Default for Sweep {
    fn default() -> Self {
        Self { every: DAY, over: DAY * 3 }
    }
}

/// What to do when the source changes after its bill was, or may have been, written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnChange {
    Update,
    Ignore,
    /// Ask a person. The default, for both others do something to somebody's books.
    #[default]
    Park,
}

/// How far documents are kept from one another in the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// A fresh instance for each. Fuel and outcome are defined on it.
    #[default]
    Document,
    /// One instance for a batch, for guests that take long to start.
    Batch,
}

/// When reading waits for what was read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Unfinished documents at which reading stops, and at which it goes on.
    pub limit: usize,
    pub resume: usize,
}

impl Default for Backlog {
    fn default() -> Self {
        // A day of a large shop: what is read beyond it is written no sooner.
        Self { limit: 20_000, resume: 10_000 }
    }
}

/// How faults that pass by themselves are waited out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The first wait; each next one is twice as long.
    pub base: SignedDuration,
    pub cap: SignedDuration,
    /// After trying for this long the document is parked.
    pub give_up_after: SignedDuration,
}

impl Default for Retry {
    fn default() -> Self {
        // A day of trying outlasts a vendor's night of maintenance.
        Self { base: SignedDuration::from_secs(5), cap: SignedDuration::from_mins(10), give_up_after: DAY }
    }
}

/// The connections that stand in the file, usable or not.
pub(super) struct Known<'c> {
    pub(super) connections: &'c [connection::Found],
    /// `None` where `[engine]` is not usable, so that its mistakes are not counted again.
    pub(super) module_dir: Option<&'c Path>,
}

/// The name stands even where the rest is wrong, so that a second scheme of the name is found.
pub(super) struct Found {
    pub(super) tenant: TenantId,
    pub(super) name: SchemeId,
    pub(super) scheme: Option<Scheme>,
    /// The scheme it waits for, and where that is written.
    pub(super) after: Option<(SchemeId, Range<usize>)>,
}

impl Found {
    /// Of a scheme that was read already.
    pub(super) fn of(scheme: &Scheme) -> Self {
        let after = scheme.when.after.clone().map(|after| (after, 0..0));
        Self { tenant: scheme.tenant.clone(), name: scheme.name.clone(), scheme: Some(scheme.clone()), after }
    }
}

pub(super) fn read(
    section: Section<'_>,
    directory: &Path,
    known: &Known<'_>,
    options: &LoadOptions<'_>,
) -> Option<Found> {
    let tenant = connection::tenant(&section);
    let name = section.require("name", "give it a name: name = \"saleout\"", |text| {
        SchemeId::new(text).map_err(|error| error.to_string())
    });
    let title = name.as_ref().map_or_else(|| section.name.clone(), |name| format!("scheme \"{name}\""));
    let section = section.named(title);

    let source = endpoint(&section, "source", tenant.as_ref(), known, options.check_source);
    let target = endpoint(&section, "target", tenant.as_ref(), known, options.check_target);
    let module = module::read(&section, directory, known.module_dir);
    let parameters = json::parameters(&section, directory);
    let reference = reference::read(&section, directory, tenant.as_ref(), known, options.check_reference);
    let schedule = section.require("schedule", SCHEDULE_REMEDY, str::parse::<Schedule>);
    let jitter = jitter(&section, schedule.as_ref());
    let (when, after) = conditions::read(&section);
    let start_at = start_at(&section);
    let lag = section.duration("lag", ZERO..=DAY).unwrap_or(LAG);
    let sweep = sweep(&section);
    let on_change = section
        .choice("on_change", &[("update", OnChange::Update), ("ignore", OnChange::Ignore), ("park", OnChange::Park)]);
    let isolation = section.choice("isolation", &[("document", Isolation::Document), ("batch", Isolation::Batch)]);
    let limits = limits::read(&section);
    let document_limit_bytes = section.number("document_limit_bytes", 1 << 10..=64 << 20);
    let retry = retry(&section);
    let settle = section.duration("settle", ZERO..=DAY).unwrap_or(SETTLE);
    let batch_size = section.number("batch_size", 1..=1_000);
    let priority = section.number("priority", 0..=9).unwrap_or(5);
    let backlog = backlog(&section);
    let enabled = section.flag("enabled").unwrap_or(true);

    let complete = || {
        let ((source, source_connection), (target, target_connection)) = (source?, target?);
        let scheme = Scheme {
            tenant: tenant.clone()?,
            name: name.clone()?,
            source,
            module: module?,
            parameters: parameters?,
            reference,
            target,
            schedule: schedule.clone()?,
            jitter,
            when: when.clone(),
            start_at: start_at?,
            lag,
            sweep,
            on_change: on_change.unwrap_or_default(),
            isolation: isolation.unwrap_or_default(),
            limits,
            document_limit_bytes: document_limit_bytes.unwrap_or(DOCUMENT_LIMIT_BYTES),
            retry,
            settle,
            batch_size: batch_size.map(|size| usize::try_from(size).expect("at most a thousand")),
            priority: u8::try_from(priority).expect("at most nine"),
            backlog,
            enabled,
        };
        if let (Some(source), Some(target)) = (source_connection, target_connection) {
            section.object((options.check_scheme)(&scheme, source, target));
        }
        Some(scheme)
    };
    let scheme = complete();
    section.finish();
    Some(Found { tenant: tenant?, name: name?, scheme, after })
}

const SCHEDULE_REMEDY: &str = "write schedule = \"every 5m\", from 1s to 31d, or the five fields of cron and a zone: \
                               \"cron 30 2 * * * Asia/Shanghai\"";

fn jitter(section: &Section<'_>, schedule: Option<&Schedule>) -> SignedDuration {
    let jitter = section.duration("jitter", ZERO..=SignedDuration::from_hours(1)).unwrap_or(ZERO);
    let interval = schedule.and_then(Schedule::interval);
    if let Some(interval) = interval.filter(|interval| jitter > *interval) {
        let span = section.table.get("jitter").map_or(section.span.clone(), |value| value.span());
        let message = format!("`jitter` of {} is longer than its schedule's interval", section.name);
        section.report.add(span, message, format!("make it at most {}", super::duration::print(interval)));
    }
    jitter
}

/// The endpoint, and its connection where that one is usable.
fn endpoint<'c>(
    scheme: &Section<'_>,
    key: &'static str,
    tenant: Option<&TenantId>,
    known: &Known<'c>,
    check: super::CheckEndpoint<'_>,
) -> Option<(Endpoint, Option<&'c Connection>)> {
    let remedy = format!("write {key} = {{ connection = \"name\", operation = \"the vendor's name of it\" }}");
    if !scheme.table.contains_key(key) {
        scheme.missing(key, &remedy);
    }
    let section = scheme.section(key, &remedy)?;
    let name = section.require("connection", "name one of the [[connection]] blocks", |text| {
        ConnectionName::new(text).map_err(|error| error.to_string())
    });
    let operation = section.require("operation", "name one interface of the system, as its vendor spells it", |text| {
        OperationName::new(text).map_err(|error| error.to_string())
    });
    let connection = match (&name, tenant) {
        (Some(name), Some(tenant)) => find(&section, name, tenant, known),
        _ => None,
    };
    let options = section.rest();
    let (name, operation) = (name?, operation?);
    if let Some(connection) = connection {
        section.object(check(connection.system, &operation, &options));
    }
    Some((Endpoint { connection: name, operation, options }, connection))
}

pub(super) fn find<'c>(
    section: &Section<'_>,
    name: &ConnectionName,
    tenant: &TenantId,
    known: &Known<'c>,
) -> Option<&'c Connection> {
    if let Some(found) = known.connections.iter().find(|found| found.name == *name && found.tenant == *tenant) {
        return found.connection.as_ref();
    }
    let span = section.table.get("connection").map_or(section.span.clone(), |value| value.span());
    let message = format!("{} names the connection \"{name}\", which does not exist", section.name);
    let names: Vec<&str> =
        known.connections.iter().filter(|found| found.tenant == *tenant).map(|found| found.name.as_str()).collect();
    let remedy = if let Some(other) = known.connections.iter().find(|found| found.name == *name) {
        format!("\"{name}\" belongs to the tenant \"{}\"; a scheme uses its own tenant's (\"{tenant}\")", other.tenant)
    } else if let Some(meant) = super::problem::closest(name.as_str(), &names) {
        format!("did you mean \"{meant}\"?")
    } else if names.is_empty() {
        format!("add a [[connection]] with name = \"{name}\"")
    } else {
        format!("add a [[connection]] with name = \"{name}\", or use {}", super::section::one_of(&names))
    };
    section.report.add(span, message, remedy);
    None
}

/// 2000-01-01T00:00:00Z. An earlier start is a slip of the pen that would ask a vendor for every window since then.
const EARLIEST_START: i64 = 946_684_800;

/// Written as a text or as TOML's own datetime, in both cases with a zone.
fn start_at(section: &Section<'_>) -> Option<Timestamp> {
    let remedy = "write the instant from which documents count, with its zone: \
                  start_at = \"2026-11-01T00:00:00+08:00\"";
    let Some(value) = section.get("start_at") else {
        let remedy = format!("{remedy}; required, for nobody wants ten years of orders by accident");
        section.missing("start_at", &remedy);
        return None;
    };
    let text = match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        _ => {
            section.wrong(value, "start_at", "an instant", remedy);
            return None;
        }
    };
    let instant = text.parse::<Timestamp>();
    let problem = match &instant {
        Err(_) => "not an instant with a zone",
        Ok(instant) if instant.as_second() < EARLIEST_START => {
            "before the year 2000, when none of these systems was there"
        }
        Ok(_) => return instant.ok(),
    };
    let message = format!("`start_at` of {} is {text:?}, which is {problem}", section.name);
    section.report.add(value.span(), message, remedy);
    None
}

fn sweep(scheme: &Section<'_>) -> Sweep {
    let Sweep { every, over } = Sweep::default();
    let Some(section) = scheme.section("sweep", "write sweep = { every = \"24h\", over = \"3d\" }") else {
        return Sweep::default();
    };
    // Hourly at most: a sweep reads days of documents again.
    let hour = SignedDuration::from_hours(1);
    let every = section.duration("every", hour..=DAY * 31).unwrap_or(every);
    let over = section.duration("over", hour..=DAY * 366).unwrap_or(over);
    section.finish();
    Sweep { every, over }
}

fn backlog(scheme: &Section<'_>) -> Backlog {
    let Some(section) = scheme.section("backlog", "write backlog = { limit = 20000, resume = 10000 }") else {
        return Backlog::default();
    };
    let number = |key| section.number(key, 1..=100_000_000).and_then(|number| usize::try_from(number).ok());
    let limit = number("limit").unwrap_or(Backlog::default().limit);
    let resume = number("resume").unwrap_or(limit / 2);
    if resume >= limit {
        let message = format!("{} goes on where it stops", section.name);
        section.report.add(section.span.clone(), message, "make resume smaller than limit");
    }
    section.finish();
    Backlog { limit, resume }
}

fn retry(scheme: &Section<'_>) -> Retry {
    let Some(section) = scheme.section("retry", "write retry = { base = \"5s\", cap = \"10m\" }") else {
        return Retry::default();
    };
    let Retry { base, cap, give_up_after } = Retry::default();
    let second = SignedDuration::from_secs(1);
    let retry = Retry {
        base: section.duration("base", second..=DAY).unwrap_or(base),
        cap: section.duration("cap", second..=DAY).unwrap_or(cap),
        give_up_after: section.duration("give_up_after", second..=DAY * 31).unwrap_or(give_up_after),
    };
    if retry.cap < retry.base {
        let message = format!("{} has a cap that is shorter than its base", section.name);
        section.report.add(section.span.clone(), message, "make cap at least as long as base");
    }
    if retry.give_up_after < retry.base {
        let message = format!("{} gives up before its first retry", section.name);
        section.report.add(section.span.clone(), message, "make give_up_after longer than base");
    }
    section.finish();
    retry
}
