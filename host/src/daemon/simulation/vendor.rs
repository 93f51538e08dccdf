//! One connection's other end: how hard it may be pressed, and the books of what was written there.
//!
//! The books know what was sent. Whatever must not happen at a target is noticed here, at the instant at which it does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::connectors::{Caller, Crossing, DUPLICATE_NUMBER, Job, Limits, Road, Step};
use crate::model::{ConnectionName, SchemeId, TenantId};

use super::air::{Air, UnderWay};
use super::plan::Kind;
use crate::connectors::Error as VendorError;

pub struct Vendor {
    pub tenant: TenantId,
    pub connection: ConnectionName,
    pub kind: Kind,
    pub air: Arc<Air>,
    limits: Limits,
    /// The engine's own; another one after each start.
    road: Mutex<Road>,
    pressure: Mutex<Pressure>,
    pub books: Mutex<Books>,
}

#[derive(Default)]
struct Pressure {
    in_flight: u32,
    /// When the next request would be exactly on pace.
    on_pace: Option<Instant>,
}

/// A bill as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    pub body: String,
    /// How far it came: 0 saved, 1 submitted, 2 in its final state.
    pub stage: u8,
    /// In lists from then on.
    pub shown_at: Instant,
}

#[derive(Default)]
pub struct Books {
    /// More than one under a key: somebody wrote twice.
    pub bills: BTreeMap<String, Vec<Bill>>,
    /// Who wrote under a key, first.
    makers: BTreeMap<String, String>,
    /// The newest revision that was carried out for each key.
    newest: BTreeMap<String, u64>,
    /// Requests that may still be carried out, by key.
    coming: BTreeMap<String, Vec<Coming>>,
    requests: u64,
}

struct Coming {
    request: u64,
    /// Not after this.
    until: Instant,
}

/// A turn at the connection.
pub struct Exchange {
    vendor: Arc<Vendor>,
    crossing: Option<Crossing>,
    _under_way: UnderWay,
}

impl Exchange {
    /// It came to its end, with an answer or without one. An exchange that is dropped was never heard of again.
    pub fn ends<T>(mut self, result: Result<T, VendorError>) -> Result<T, VendorError> {
        let lost = matches!(
            result,
            Err(VendorError::AnswerLost { .. } | VendorError::Server { .. } | VendorError::Unreachable { .. })
        );
        if let Some(crossing) = self.crossing.take() {
            crossing.end(!lost);
        }
        result
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.vendor.pressure.lock().unwrap().in_flight -= 1;
    }
}

impl Vendor {
    pub fn new(tenant: TenantId, connection: ConnectionName, kind: Kind, limits: Limits, air: Arc<Air>) -> Arc<Self> {
        let road = Mutex::new(Road::seeded(&limits, air.chance.below(u64::MAX)));
        let (pressure, books) = (Mutex::default(), Mutex::default());
        Arc::new(Self { tenant, connection, kind, air, limits, road, pressure, books })
    }

    pub fn label(&self) -> String {
        format!("{}/{}", self.tenant, self.connection)
    }

    /// An engine starts: it knows nothing of the requests of the one before it.
    pub fn meet_anew(&self) -> Road {
        let road = Road::seeded(&self.limits, self.air.chance.below(u64::MAX));
        *self.road.lock().unwrap() = road.clone();
        self.pressure.lock().unwrap().on_pace = None;
        road
    }

    /// Waits for a turn, as every connector does, and is then looked at by the vendor.
    pub async fn enter(self: &Arc<Self>, scheme: Option<&SchemeId>, priority: u8) -> Result<Exchange, VendorError> {
        let road = self.road.lock().unwrap().clone();
        let name = scheme.map_or("a keeper", SchemeId::as_str).into();
        let crossing = road.set_out(&Caller { name, priority }).await?;
        let under_way = self.air.leave(&self.tenant, &self.connection, scheme);
        let now = Instant::now();
        let mut pressure = self.pressure.lock().unwrap();
        pressure.in_flight += 1;
        if pressure.in_flight > self.limits.max_in_flight {
            let (is, most) = (pressure.in_flight, self.limits.max_in_flight);
            self.air.story.violation(format!("{}: {is} requests at once, {most} are allowed", self.label()));
        }
        let interval = Duration::from_secs_f64(1.0 / self.limits.requests_per_second);
        let on_pace = pressure.on_pace.map_or(now, |at| at.max(now));
        // A timer may be a millisecond early in the vendor's eyes.
        let ahead = interval * (self.limits.burst - 1) + Duration::from_millis(2);
        if on_pace > now + ahead {
            self.air.story.violation(format!("{}: requests come faster than its limits allow", self.label()));
        }
        pressure.on_pace = Some(on_pace + interval);
        drop(pressure);
        Ok(Exchange { vendor: self.clone(), crossing: Some(crossing), _under_way: under_way })
    }

    /// A write arrives. Returns its number; until [`Vendor::answered`] it may be carried out at any time.
    pub fn arrives(&self, who: &str, jobs: &[Job], until: Instant) -> u64 {
        let mut books = self.books.lock().unwrap();
        books.requests += 1;
        let request = books.requests;
        for job in jobs {
            let key = job.key.to_string();
            let maker = books.makers.entry(key.clone()).or_insert_with(|| who.to_owned()).clone();
            let document = document_of(&job.body);
            if maker != who && books.bills.contains_key(&key) {
                self.air.story.violation(format!("{}: {key} is {maker}'s, and {who} writes it", self.label()));
            }
            let coming = books.coming.entry(key.clone()).or_default();
            coming.retain(|one| one.until > Instant::now());
            if !coming.is_empty() {
                let what = format!("{}: {key} of {document} is written again while the last may come", self.label());
                self.air.story.violation(what);
            }
            coming.push(Coming { request, until });
        }
        request
    }

    /// The request has come to its end at the target: nothing more of it comes.
    pub fn ends(&self, request: u64) {
        let mut books = self.books.lock().unwrap();
        books.coming.values_mut().for_each(|coming| coming.retain(|one| one.request != request));
    }

    /// Carries one job out, or says why not. `shown_after`: how long lists do not show it.
    pub fn carry_out(&self, step: Step, job: &Job, shown_after: Duration) -> Result<Option<Step>, (String, String)> {
        let mut books = self.books.lock().unwrap();
        let key = job.key.to_string();
        let shown_at = Instant::now() + shown_after;
        let stands = books.bills.get(&key).is_some_and(|bills| !bills.is_empty());
        if step == Step::Create && self.kind == Kind::Unique && stands {
            return Err((DUPLICATE_NUMBER.into(), format!("{key} exists")));
        }
        if step != Step::Create && !stands {
            return Err(("404".into(), format!("{key} does not exist")));
        }
        if matches!(step, Step::Create | Step::Update) {
            let revision = revision_of(&job.body);
            let newest = books.newest.entry(key.clone()).or_default();
            if revision < *newest {
                let what = format!("{}: {key} goes back from revision {newest} to {revision}", self.label());
                self.air.story.violation(what);
            }
            *newest = revision.max(*newest);
        }
        let last = if self.kind == Kind::Chain { 0 } else { 2 };
        let bills = books.bills.entry(key.clone()).or_default();
        match step {
            Step::Create if self.kind == Kind::Upsert && stands => {
                bills[0].body.clone_from(&job.body);
            }
            Step::Create => {
                bills.push(Bill { body: job.body.clone(), stage: last, shown_at });
                if bills.len() > 1 {
                    self.air.story.violation(format!("{}: {key} stands there twice", self.label()));
                }
            }
            Step::Update if bills[0].stage == 2 && self.kind == Kind::Chain => {
                return Err(("17".into(), format!("{key} is audited and cannot be changed")));
            }
            Step::Update => (bills[0].body, bills[0].stage) = (job.body.clone(), last),
            Step::Unaudit => bills[0].stage = 0,
            Step::Submit => bills[0].stage = bills[0].stage.max(1),
            Step::Audit => bills[0].stage = 2,
        }
        self.air.story.say(format!("{}: {step:?} {} carried out", self.label(), job.body));
        Ok(match bills[0].stage {
            _ if step == Step::Unaudit => Some(Step::Update),
            0 => Some(Step::Submit),
            1 => Some(Step::Audit),
            _ => None,
        })
    }
}

/// Bodies read `KEY|DOCUMENT|NATURE|REVISION|…`.
pub fn revision_of(body: &str) -> u64 {
    body.split('|').nth(3).and_then(|revision| revision.parse().ok()).unwrap_or(0)
}

fn document_of(body: &str) -> &str {
    body.split('|').nth(1).unwrap_or_default()
}
