//! What a tenant may use of the engine, and what it uses: documents and fuel over a sliding minute, bytes of its ledger.
//!
//! A meter belongs to a tenant and is shared by all of its schemes. Whoever finds it exceeded waits until it says, and
//! nobody but this tenant waits with them. Knows no clock of its own.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fault::{Code, Fault};
use crate::model::TenantId;

use super::tally::{Follower, Tally};

/// Seconds that are looked back.
const WINDOW_S: i64 = 60;

/// What one tenant may use. `None`: as much as there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    pub documents_per_minute: Option<u64>,
    pub fuel_per_minute: Option<u64>,
    /// Bodies and history, as the ledger counted them coming in.
    pub ledger_bytes: Option<u64>,
    /// Guests at once. The sandbox's gate sees to it; only a tenant that may have none has to wait for a word here.
    pub concurrent_calls: Option<u32>,
}

/// A quota that is used up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Exceeded {
    /// The name of the setting: `documents_per_minute`.
    pub quota: String,
    pub limit: u64,
    pub used: u64,
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// When there is some of it again. `None`: when somebody changes something.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

impl Exceeded {
    pub fn fault(&self) -> Fault {
        let until = self.until.map(|until| format!(" until {until}")).unwrap_or_default();
        let message = format!("the tenant has used its {}: it waits{until}", self.quota);
        Fault::retry(Code::QuotaExceeded, None, message).with_limit("quota", self.limit, self.used)
    }
}

/// What a tenant uses now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Use {
    /// Over the last minute.
    pub documents: u64,
    pub fuel: u64,
    pub ledger_bytes: u64,
}

/// One tenant's. A clone is the same meter.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Inner>);

/// The meters of an engine's tenants.
#[derive(Debug, Clone, Default)]
pub struct Meters(Arc<Mutex<HashMap<TenantId, Meter>>>);

impl Meters {
    /// The tenant's own; one without a quota where it has none yet.
    pub fn of(&self, tenant: &TenantId) -> Meter {
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        meters.entry(tenant.clone()).or_default().clone()
    }

    pub fn all(&self) -> Vec<(TenantId, Meter)> {
        let meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        meters.iter().map(|(tenant, meter)| (tenant.clone(), meter.clone())).collect()
    }
}

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    /// Grows when the quota is another.
    changes: Tally,
}

#[derive(Debug, Default)]
struct State {
    quota: Quota,
    /// By second, the oldest first.
    spent: VecDeque<Spent>,
    documents: u64,
    fuel: u64,
    ledger_bytes: i64,
    exceeded_since: Option<Timestamp>,
    ledger_full_since: Option<Timestamp>,
}

/// What was used within one second, which is counted from the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    pub second: i64,
    pub documents: u64,
    pub fuel: u64,
}

impl Meter {
    /// From now on the tenant may use this much. Whoever waits looks again.
    pub fn set(&self, quota: Quota) {
        let before = std::mem::replace(&mut self.lock().quota, quota);
        if before != quota {
            self.0.changes.add_one();
        }
    }

    pub fn quota(&self) -> Quota {
        self.lock().quota
    }

    /// Counts the times that the quota became another.
    pub fn changes(&self) -> Follower {
        self.0.changes.follow()
    }

    /// So many documents were run, with so much fuel.
    pub fn charge(&self, now: Timestamp, documents: u64, fuel: u64) {
        let mut state = self.lock();
        state.forget(now);
        let second = now.as_second();
        match state.spent.back_mut() {
            Some(last) if last.second == second => {
                last.documents += documents;
                last.fuel = last.fuel.saturating_add(fuel);
            }
            _ => state.spent.push_back(Spent { second, documents, fuel }),
        }
        state.documents += documents;
        state.fuel = state.fuel.saturating_add(fuel);
    }

    /// The last minute, second by second, for a meter of another life of the engine.
    pub fn spent(&self, now: Timestamp) -> Vec<Spent> {
        let mut state = self.lock();
        state.forget(now);
        state.spent.iter().copied().collect()
    }

    /// Counts what an earlier life of the engine had counted. Before anything is charged.
    pub fn resume(&self, spent: Vec<Spent>) {
        let mut state = self.lock();
        state.spent = spent.into();
        state.spent.make_contiguous().sort_by_key(|spent| spent.second);
        state.documents = state.spent.iter().map(|spent| spent.documents).fold(0, u64::saturating_add);
        state.fuel = state.spent.iter().map(|spent| spent.fuel).fold(0, u64::saturating_add);
    }

    /// What keeps the tenant's documents from being run now, where something does.
    pub fn exceeded(&self, now: Timestamp) -> Option<Exceeded> {
        let mut state = self.lock();
        state.forget(now);
        let found = state.over();
        state.exceeded_since = found.as_ref().map(|_| state.exceeded_since.unwrap_or(now));
        let since = state.exceeded_since?;
        found.map(|exceeded| Exceeded { since, ..exceeded })
    }

    /// What keeps the tenant's sources from being read, where the ledger holds as much of it as it may.
    pub fn ledger_full(&self, now: Timestamp) -> Option<Exceeded> {
        let mut state = self.lock();
        let used = state.ledger_bytes();
        let limit = state.quota.ledger_bytes.filter(|limit| used >= *limit);
        state.ledger_full_since = limit.map(|_| state.ledger_full_since.unwrap_or(now));
        let (limit, since) = (limit?, state.ledger_full_since?);
        Some(Exceeded { quota: "ledger_bytes".into(), limit, used, since, until: None })
    }

    /// The ledger holds so much more of the tenant's, or less.
    pub fn kept(&self, change: i64) {
        let mut state = self.lock();
        state.ledger_bytes = state.ledger_bytes.saturating_add(change);
    }

    pub fn used(&self, now: Timestamp) -> Use {
        let mut state = self.lock();
        state.forget(now);
        Use { documents: state.documents, fuel: state.fuel, ledger_bytes: state.ledger_bytes() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Drops what is older than the window, and what a clock that was set back has put into the future.
    fn forget(&mut self, now: Timestamp) {
        let now = now.as_second();
        let is_past = |spent: &Spent| spent.second <= now - WINDOW_S || spent.second > now;
        let (mut documents, mut fuel) = (0, 0);
        self.spent.retain(|spent| {
            let stays = !is_past(spent);
            if stays {
                documents += spent.documents;
                fuel = spent.fuel.saturating_add(fuel);
            }
            stays
        });
        (self.documents, self.fuel) = (documents, fuel);
    }

    fn over(&self) -> Option<Exceeded> {
        let Quota { documents_per_minute, fuel_per_minute, concurrent_calls, .. } = self.quota;
        let named = |quota: &str, limit, used, until| {
            Some(Exceeded { quota: quota.into(), limit, used, since: Timestamp::UNIX_EPOCH, until })
        };
        if concurrent_calls == Some(0) {
            return named("concurrent_calls", 0, 0, None);
        }
        if let Some(limit) = documents_per_minute.filter(|limit| self.documents >= *limit) {
            return named("documents_per_minute", limit, self.documents, self.until(limit, |spent| spent.documents));
        }
        if let Some(limit) = fuel_per_minute.filter(|limit| self.fuel >= *limit) {
            return named("fuel_per_minute", limit, self.fuel, self.until(limit, |spent| spent.fuel));
        }
        None
    }

    /// When so much has left the window that less than the limit is in it.
    fn until(&self, limit: u64, of: impl Fn(&Spent) -> u64) -> Option<Timestamp> {
        let mut left: u64 = self.spent.iter().map(&of).fold(0, u64::saturating_add);
        for spent in &self.spent {
            left = left.saturating_sub(of(spent));
            if left < limit {
                let end = Timestamp::from_second(spent.second).ok()?;
                return end.checked_add(SignedDuration::from_secs(WINDOW_S)).ok();
            }
        }
        None
    }

    fn ledger_bytes(&self) -> u64 {
        u64::try_from(self.ledger_bytes).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn meter(quota: Quota) -> Meter {
        let meter = Meter::default();
        meter.set(quota);
        meter
    }

    #[test]
    fn without_a_quota_nothing_is_ever_exceeded() {
        let meter = Meter::default();
        meter.charge(at(0), u64::MAX / 2, u64::MAX);
        meter.kept(i64::MAX);
        assert_eq!((meter.exceeded(at(0)), meter.ledger_full(at(0))), (None, None));
    }

    #[test]
    fn who_has_used_its_documents_waits_until_enough_of_them_are_a_minute_old() {
        let meter = meter(Quota { documents_per_minute: Some(10), ..Quota::default() });
        meter.charge(at(0), 4, 1);
        meter.charge(at(10), 5, 1);
        assert_eq!(meter.exceeded(at(10)), None);
        meter.charge(at(20), 3, 1);
        let exceeded = meter.exceeded(at(25)).unwrap();
        assert_eq!((exceeded.quota.as_str(), exceeded.limit, exceeded.used), ("documents_per_minute", 10, 12));
        // Without the four of the first second there are eight.
        assert_eq!((exceeded.since, exceeded.until), (at(25), Some(at(60))));
        assert_eq!(meter.exceeded(at(59)).unwrap().since, at(25), "since it began, not since it was looked at");
        assert_eq!(meter.exceeded(at(60)), None);
        assert_eq!(meter.used(at(60)), Use { documents: 8, fuel: 2, ledger_bytes: 0 });
        meter.charge(at(61), 9, 1);
        assert_eq!(meter.exceeded(at(62)).unwrap().since, at(62));
    }

    #[test]
    fn fuel_is_counted_beside_documents_and_nothing_at_all_waits_for_a_person() {
        let fuel = meter(Quota { fuel_per_minute: Some(100), documents_per_minute: Some(100), ..Quota::default() });
        fuel.charge(at(0), 1, 1_000);
        let exceeded = fuel.exceeded(at(1)).unwrap();
        assert_eq!((exceeded.quota.as_str(), exceeded.until), ("fuel_per_minute", Some(at(60))));
        for none in [
            Quota { documents_per_minute: Some(0), ..Quota::default() },
            Quota { concurrent_calls: Some(0), ..Quota::default() },
        ] {
            assert_eq!(meter(none).exceeded(at(0)).unwrap().until, None);
        }
        assert_eq!(fuel.exceeded(at(1)).unwrap().fault().code, Code::QuotaExceeded);
    }

    #[test]
    fn a_meter_of_a_later_life_goes_on_where_the_one_before_ended() {
        let quota = Quota { documents_per_minute: Some(10), ..Quota::default() };
        let before = meter(quota);
        before.charge(at(0), 4, 1);
        before.charge(at(30), 6, 2);
        let after = meter(quota);
        after.resume(before.spent(at(31)));
        assert_eq!(after.used(at(31)), before.used(at(31)));
        let until = |meter: &Meter| meter.exceeded(at(31)).unwrap().until;
        assert_eq!((until(&after), until(&before)), (Some(at(60)), Some(at(60))));
        after.charge(at(31), 1, 1);
        assert_eq!(after.used(at(61)).documents, 7, "and forgets as it would have");
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_a_tenant_waiting_for_what_it_used_in_the_future() {
        let meter = meter(Quota { documents_per_minute: Some(1), ..Quota::default() });
        meter.charge(at(10_000), 5, 5);
        assert!(meter.exceeded(at(10_001)).is_some());
        assert_eq!(meter.exceeded(at(0)), None);
    }

    #[test]
    fn a_ledger_is_full_until_less_is_in_it() {
        let meter = meter(Quota { ledger_bytes: Some(1_000), ..Quota::default() });
        meter.kept(900);
        assert_eq!(meter.ledger_full(at(0)), None);
        meter.kept(100);
        let full = meter.ledger_full(at(5)).unwrap();
        assert_eq!((full.limit, full.used, full.since, full.until), (1_000, 1_000, at(5), None));
        meter.kept(-1);
        assert_eq!(meter.ledger_full(at(6)), None);
    }

    #[tokio::test]
    async fn whoever_waits_hears_of_another_quota_once() {
        let meter = Meter::default();
        let mut changes = meter.changes();
        let quota = Quota { documents_per_minute: Some(1), ..Quota::default() };
        meter.set(quota);
        changes.grown().await;
        meter.set(quota);
        let again = tokio::time::timeout(std::time::Duration::ZERO, changes.grown()).await;
        assert!(again.is_err(), "the same quota is no change");
    }
}
