//! One order for many documents: for all that a filter means, some at a time.
//!
//! A call takes so many documents and says where to go on. What changes after the first call is not meant any more, so a
//! document is never taken twice, and documents that come into the filter meanwhile do not make it endless.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{DocumentKey, TenantId};
use crate::pipeline::command::{Command, CommandError, Order};
use crate::pipeline::erasure::Erasure;
use crate::pipeline::step::Event;
use crate::registry;
use crate::telemetry::SchemeRef;

use super::place::Place;
use super::search::{Filter, Hit, LOOK_LIMIT, PAGE_LIMIT};
use super::{Office, OfficeError, Wish};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BulkRequest {
    /// Which documents; `limit` is how many a call takes at most, `after` the token that the call before ended with.
    pub filter: Filter,
    pub wish: Wish,
    /// Says what would happen, and does nothing.
    pub dry_run: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What came of one call, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkAnswer {
    pub matched: u64,
    pub granted: u64,
    /// The first of those that were granted.
    pub first: Vec<Named>,
    pub refused: Vec<Refused>,
    /// There may be more after this.
    pub next: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Named {
    pub tenant: TenantId,
    pub scheme: String,
    pub key: String,
    pub version: u64,
}

/// Documents that were refused for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refused {
    /// A word for the reason.
    pub reason: String,
    /// What the first of them was told.
    pub message: String,
    pub count: u64,
    pub first: Vec<Named>,
}

/// Documents that are meant, and where to go on after them.
pub(in super::super) struct Meant {
    hits: Vec<Hit>,
    next: Option<String>,
}

impl Meant {
    /// Whose they are, and how many.
    pub fn tenants(&self) -> BTreeMap<TenantId, u64> {
        let mut tenants = BTreeMap::new();
        for hit in &self.hits {
            *tenants.entry(hit.desk.tenant.clone()).or_default() += 1;
        }
        tenants
    }
}

/// Documents that are named of each kind.
const NAMED: usize = 10;

impl Office {
    /// The documents that a call would take.
    pub(in super::super) fn meant(
        &self,
        tenant: Option<&TenantId>,
        request: &BulkRequest,
    ) -> Result<Meant, OfficeError> {
        if matches!(request.wish, Wish::Edit { .. }) {
            return Err(OfficeError::NotUsable(
                "one body cannot stand for many documents: edit them one by one".into(),
            ));
        }
        let meant = Filter { after: None, limit: None, ..request.filter.clone() };
        if meant == Filter::default() && !request.dry_run {
            return Err(OfficeError::NotUsable(
                "that would be every document there is: say which ones, by scheme, state, code, key or time".into(),
            ));
        }
        // A dry run commits nothing, and may look at more at once.
        let most = if request.dry_run { LOOK_LIMIT } else { PAGE_LIMIT };
        let limit = request.filter.limit.unwrap_or(most).clamp(1, most);
        let mut after = request.filter.after.as_deref().map(Place::read).transpose()?;
        let began = after.as_ref().and_then(|place| place.began).unwrap_or((self.now)());
        if let Some(place) = &mut after {
            place.began = Some(began);
        }
        let (hits, next) = self.hits(tenant, &request.filter, after.as_ref(), limit)?;
        let next = next.map(|place| Place { began: Some(began), ..place }.token());
        Ok(Meant { hits, next })
    }

    pub(in super::super) async fn carry_out(
        &self,
        Meant { hits, next }: Meant,
        request: &BulkRequest,
    ) -> Result<BulkAnswer, OfficeError> {
        let mut answer = BulkAnswer { matched: hits.len() as u64, next, ..BulkAnswer::default() };
        let mut erasures = self.erasures(&hits, request).await?;
        let barred = self.barred(&hits, request)?;
        for hit in &hits {
            if let Some(refused) = barred.get(&scheme(hit)) {
                answer.refuse(hit, refused.clone());
                continue;
            }
            let done = match request.dry_run {
                true => self
                    .judge(&hit.desk, &hit.subject, &request.event(hit))
                    .and_then(|judged| judged.map_err(|refusal| CommandError::from(refusal).into())),
                false => self.take(hit, request, &mut erasures).await,
            };
            match done {
                Ok(()) => {
                    answer.granted += 1;
                    name(&mut answer.first, hit);
                }
                Err(error) => answer.refuse(hit, kind(error)?),
            }
        }
        Ok(answer)
    }

    async fn take(
        &self,
        hit: &Hit,
        request: &BulkRequest,
        erasures: &mut BTreeMap<SchemeRef, Erasure>,
    ) -> Result<(), OfficeError> {
        let by = request.by.as_deref();
        let command = match &request.wish {
            Wish::Retry { mode, module } => Command::Retry { mode: *mode, module: *module },
            Wish::Discard { reason } => Command::Discard { reason: reason.clone() },
            Wish::Edit { .. } => return Err(OfficeError::NotUsable("not in bulk".into())),
            Wish::Erase { reason } => {
                let erased = match erasures.get_mut(&scheme(hit)) {
                    Some(erasure) => self.erase_prepared(&hit.desk, erasure, &hit.key, (reason, by)).await,
                    None => self.erase(&hit.desk, &hit.key, reason, by).await,
                };
                return match erased {
                    // What was looked up for all of them is out of date for this one.
                    Err(OfficeError::Command(CommandError::Changed(_))) => {
                        self.erase(&hit.desk, &hit.key, reason, by).await.map(drop)
                    }
                    erased => erased.map(drop),
                };
            }
        };
        let order = Order { key: hit.key.clone(), version: Some(hit.version), command, by: request.by.clone() };
        hit.desk.order(order, (self.now)()).await.map(drop)
    }

    /// Schemes whose documents may not be tried with the module that was chosen, each with why.
    fn barred(
        &self,
        hits: &[Hit],
        request: &BulkRequest,
    ) -> Result<BTreeMap<SchemeRef, (String, String)>, OfficeError> {
        let schemes: BTreeMap<SchemeRef, &Hit> = hits.iter().map(|hit| (scheme(hit), hit)).collect();
        let mut barred = BTreeMap::new();
        for (scheme, hit) in schemes {
            if let Err(error) = self.may_try(&hit.desk, &request.wish) {
                barred.insert(scheme, kind(error)?);
            }
        }
        Ok(barred)
    }

    /// One walk over each scheme, for all of its documents that are to be erased.
    async fn erasures(&self, hits: &[Hit], request: &BulkRequest) -> Result<BTreeMap<SchemeRef, Erasure>, OfficeError> {
        let mut erasures = BTreeMap::new();
        if request.dry_run || !matches!(request.wish, Wish::Erase { .. }) {
            return Ok(erasures);
        }
        let mut keys: BTreeMap<SchemeRef, (&Hit, Vec<DocumentKey>)> = BTreeMap::new();
        for hit in hits {
            keys.entry(scheme(hit)).or_insert_with(|| (hit, Vec::new())).1.push(hit.key.clone());
        }
        for (scheme, (hit, keys)) in keys {
            erasures.insert(scheme, Erasure::prepare(&hit.desk.ledger, &keys).await?);
        }
        Ok(erasures)
    }
}

impl BulkRequest {
    fn event(&self, hit: &Hit) -> Event {
        let (version, by) = (hit.version, self.by.clone());
        match &self.wish {
            Wish::Retry { mode, module } => Event::Retry { version, mode: *mode, module: *module, by },
            Wish::Discard { reason } => Event::Discard { version, reason: reason.clone(), by },
            Wish::Edit { body } => Event::Edited { version, body: crate::model::Digest::of(body), by },
            Wish::Erase { reason } => Event::Erased { reason: reason.clone(), by },
        }
    }
}

impl BulkAnswer {
    fn refuse(&mut self, hit: &Hit, (reason, message): (String, String)) {
        let known = self.refused.iter().position(|group| group.reason == reason);
        let at = known.unwrap_or_else(|| {
            self.refused.push(Refused { reason, message, count: 0, first: Vec::new() });
            self.refused.len() - 1
        });
        self.refused[at].count += 1;
        name(&mut self.refused[at].first, hit);
    }

    /// Adds what a later call came to.
    pub fn add(&mut self, later: BulkAnswer) {
        self.matched += later.matched;
        self.granted += later.granted;
        self.first.extend(later.first);
        self.first.truncate(NAMED);
        for group in later.refused {
            match self.refused.iter_mut().find(|known| known.reason == group.reason) {
                Some(known) => {
                    known.count += group.count;
                    known.first.extend(group.first);
                    known.first.truncate(NAMED);
                }
                None => self.refused.push(group),
            }
        }
        self.next = later.next;
    }
}

/// Why one document was refused; what concerns all of them ends the call.
fn kind(error: OfficeError) -> Result<(String, String), OfficeError> {
    let reason = match &error {
        OfficeError::Command(CommandError::Refused(refusal)) => refusal.kind(),
        OfficeError::Command(CommandError::Changed(_)) => "changed",
        OfficeError::Command(CommandError::Stopped(_)) => "stopped",
        OfficeError::Command(CommandError::NoSuchDocument(_) | CommandError::NothingParked(_)) => "not_parked",
        OfficeError::StandsStill(..) => "stands_still",
        OfficeError::Registry(registry::Error::Policy { policy: "require_clean_compare", .. }) => "compare_required",
        _ => return Err(error),
    };
    Ok((reason.into(), error.to_string()))
}

fn scheme(hit: &Hit) -> SchemeRef {
    SchemeRef { tenant: hit.desk.tenant.clone(), scheme: hit.desk.scheme.clone() }
}

fn name(names: &mut Vec<Named>, hit: &Hit) {
    if names.len() < NAMED {
        let (tenant, scheme) = (hit.desk.tenant.clone(), hit.desk.scheme.to_string());
        names.push(Named { tenant, scheme, key: hit.key.to_string(), version: hit.version });
    }
}
