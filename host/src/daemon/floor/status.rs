//! How schemes and connections stand, for whoever may see them. Words are masked; no document, no secret.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::connectors::{Position, Traffic};
use crate::model::{ConnectionName, Digest, ModuleRef, SchemeId, System, TenantId};
use crate::pipeline::gate::{Gates, Pause, Person, Scope};
use crate::pipeline::quota::{Exceeded, Meter, Quota, Use};
use crate::telemetry::{SchemeRef, mask_text};

use super::super::watcher::Seen;
use super::{At, Floor, FloorError, Shown};

/// Who may change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ManagedBy {
    /// It stands in the configuration file.
    File,
    Api,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SchemeState {
    Running,
    /// It runs and exchanges nothing: somebody or a fault has paused it, or one of its connections.
    Paused,
    /// It is switched off, or its tenant is suspended.
    Off,
    /// It is to run, and nobody has got to it yet: the engine or its scheme is just starting.
    Starting,
    /// It is to run and cannot; `reason` says why.
    StandsStill,
    /// A task of it ended; it does nothing until it is started anew.
    Failed,
}

/// How a scheme stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SchemeStatus {
    #[schema(value_type = String)]
    pub tenant: TenantId,
    #[schema(value_type = String)]
    pub name: SchemeId,
    pub managed_by: ManagedBy,
    pub enabled: bool,
    pub state: SchemeState,
    pub reason: Option<String>,
    /// On whose word it is paused, where it is and no fault did it. What the operator paused, the operator resumes.
    pub paused_by: Option<Person>,
    /// Of the registry's row that runs.
    pub revision: Option<u64>,
    /// The module that the next document runs with.
    #[schema(value_type = Option<String>)]
    pub module: Option<Digest>,
    #[schema(value_type = Option<String>)]
    pub module_ref: Option<ModuleRef>,
    #[schema(value_type = Vec<String>)]
    pub connections: Vec<ConnectionName>,
    pub cursor_age_seconds: Option<i64>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub read_to: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_run: Option<Timestamp>,
    /// The scheme whose run must come first.
    #[schema(value_type = Option<String>)]
    pub waits_for: Option<SchemeId>,
    pub received: u64,
    pub finished: u64,
    pub backlog: u64,
    pub parked: u64,
    /// Documents that wait for a reference table.
    pub waiting: u64,
    /// Why nothing is read although it is time to.
    pub held: Option<String>,
    /// Documents wait because the tenant has used its share.
    pub throttled: Option<Exceeded>,
    pub last_fault: Option<String>,
}

/// How a connection stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConnectionStatus {
    #[schema(value_type = String)]
    pub tenant: TenantId,
    #[schema(value_type = String)]
    pub name: ConnectionName,
    #[schema(value_type = String)]
    pub system: System,
    pub managed_by: ManagedBy,
    /// Of the registry's row.
    pub revision: Option<u64>,
    /// The schemes that name it.
    #[schema(value_type = Vec<String>)]
    pub schemes: Vec<SchemeId>,
    /// Why nothing is exchanged.
    pub paused: Option<String>,
    /// On whose word, where no fault did it. What the operator paused, the operator resumes.
    pub paused_by: Option<Person>,
    /// `closed`, `open` or `half_open`; absent where nobody uses it.
    pub breaker: Option<String>,
    pub down_for_seconds: Option<u64>,
    pub held_for_seconds: Option<u64>,
    pub under_way: u32,
    pub waiting: u64,
}

/// What a tenant uses, beside what it may.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TenantUse {
    pub documents_last_minute: u64,
    pub fuel_last_minute: u64,
    pub ledger_bytes: u64,
    /// Absent where there is no such limit.
    pub documents_per_minute: Option<u64>,
    pub fuel_per_minute: Option<u64>,
    pub ledger_bytes_limit: Option<u64>,
    pub concurrent_calls: Option<u32>,
    /// Quotas that are used up now.
    pub exceeded: Vec<Exceeded>,
}

impl Floor {
    /// Of the tenant's schemes, those of the file first.
    pub fn schemes(&self, tenant: &TenantId) -> Vec<SchemeStatus> {
        let shown = self.shown.look();
        shown.iter().filter(|(name, _)| name.tenant == *tenant).map(|(name, one)| self.status(name, one)).collect()
    }

    /// Of all tenants.
    pub fn all_schemes(&self) -> Vec<SchemeStatus> {
        self.shown.look().iter().map(|(name, one)| self.status(name, one)).collect()
    }

    /// Those that are to run and cannot be put together.
    pub(in super::super) fn standing_still(&self) -> Vec<SchemeRef> {
        let shown = self.shown.look();
        let stands = |shown: &Shown| shown.at == At::Standstill && shown.reason.is_some();
        shown.iter().filter(|(_, one)| stands(one)).map(|(name, _)| name.clone()).collect()
    }

    pub fn scheme(&self, tenant: &TenantId, name: &SchemeId) -> Option<SchemeStatus> {
        let name = SchemeRef { tenant: tenant.clone(), scheme: name.clone() };
        self.shown.get(&name).map(|shown| self.status(&name, &shown))
    }

    /// Of the tenant's connections, those of the file first. Blocking.
    pub fn connections(&self, tenant: &TenantId) -> Result<Vec<ConnectionStatus>, FloorError> {
        let of_file = self.config.connections.iter().filter(|one| one.tenant == *tenant);
        let mut found: Vec<_> =
            of_file.map(|one| self.connection_status(tenant, &one.name, one.system, ManagedBy::File, None)).collect();
        if let Some(registry) = &self.registry {
            for row in registry.connections(tenant, None, usize::MAX)? {
                let (managed_by, revision) = (ManagedBy::Api, Some(row.revision));
                found.push(self.connection_status(tenant, &row.name, row.system, managed_by, revision));
            }
        }
        Ok(found)
    }

    /// For what else runs on the tenant's account.
    pub fn meter(&self, tenant: &TenantId) -> Meter {
        self.registers.gates.meter(tenant)
    }

    pub fn usage(&self, tenant: &TenantId) -> TenantUse {
        let (meter, now) = (self.registers.gates.meter(tenant), (self.workshop.shared.now)());
        let Use { documents, fuel, ledger_bytes } = meter.used(now);
        let quota: Quota = meter.quota();
        TenantUse {
            documents_last_minute: documents,
            fuel_last_minute: fuel,
            ledger_bytes,
            documents_per_minute: quota.documents_per_minute,
            fuel_per_minute: quota.fuel_per_minute,
            ledger_bytes_limit: quota.ledger_bytes,
            concurrent_calls: quota.concurrent_calls,
            exceeded: [meter.exceeded(now), meter.ledger_full(now)].into_iter().flatten().collect(),
        }
    }

    fn status(&self, name: &SchemeRef, shown: &Shown) -> SchemeStatus {
        let seen = self.registers.watchers.get(name).map(|watcher| watcher.seen()).unwrap_or_default();
        let gates = &self.registers.gates;
        let blocked = shown.connections.iter().find_map(|one| gates.blocked_by(&name.tenant, one, &name.scheme));
        let paused_by = blocked.as_ref().and_then(Pause::person);
        let paused = blocked.map(|pause| format!("{} is paused: {}", pause.scope, pause.reason));
        let (state, reason) = stands(shown, &seen, paused);
        let (module, module_ref) = shown.module.clone().unzip();
        let age = seen.read_to.map(|read_to| (self.workshop.shared.now)().duration_since(read_to).as_secs());
        SchemeStatus {
            tenant: name.tenant.clone(),
            name: name.scheme.clone(),
            managed_by: shown.managed_by,
            enabled: shown.enabled,
            state,
            reason: reason.map(|reason| mask_text(&reason)),
            paused_by,
            revision: shown.revision,
            module,
            module_ref: module_ref.flatten(),
            connections: shown.connections.clone(),
            cursor_age_seconds: age,
            read_to: seen.read_to,
            next_run: seen.next_run,
            waits_for: seen.waits_for,
            received: seen.received,
            finished: seen.finished,
            backlog: seen.backlog,
            parked: seen.parked,
            waiting: seen.waiting,
            held: seen.held.map(|(_, words)| words),
            throttled: seen.throttled,
            last_fault: seen.last_fault,
        }
    }

    fn connection_status(
        &self,
        tenant: &TenantId,
        name: &ConnectionName,
        system: System,
        managed_by: ManagedBy,
        revision: Option<u64>,
    ) -> ConnectionStatus {
        let gates: &Gates = &self.registers.gates;
        let pause = gates.pause_of(&Scope::Connection(tenant.clone(), name.clone()));
        let traffic = gates.road(tenant, name).map(|road| road.traffic());
        let shown = self.shown.look();
        let users = shown.iter().filter(|(of, one)| of.tenant == *tenant && one.connections.contains(name));
        let seconds = |of: fn(&Traffic) -> Option<std::time::Duration>| {
            traffic.as_ref().and_then(of).map(|duration| duration.as_secs())
        };
        ConnectionStatus {
            tenant: tenant.clone(),
            name: name.clone(),
            system,
            managed_by,
            revision,
            schemes: users.map(|(of, _)| of.scheme.clone()).collect(),
            paused_by: pause.as_ref().and_then(Pause::person),
            paused: pause.map(|pause| mask_text(&format!("{}: {}", pause.scope, pause.reason))),
            breaker: traffic.as_ref().map(|traffic| breaker(traffic.position).to_owned()),
            down_for_seconds: seconds(|traffic| traffic.down_for),
            held_for_seconds: seconds(|traffic| traffic.held_for),
            under_way: traffic.as_ref().map_or(0, |traffic| traffic.under_way),
            waiting: traffic.as_ref().map_or(0, |traffic| traffic.waiting as u64),
        }
    }
}

fn stands(shown: &Shown, seen: &Seen, paused: Option<String>) -> (SchemeState, Option<String>) {
    let reason = shown.reason.clone();
    match (shown.at, &seen.stopped) {
        (At::Rest, _) => (SchemeState::Off, reason),
        (At::Standstill, _) if reason.is_none() => (SchemeState::Starting, paused),
        (At::Standstill, _) => (SchemeState::StandsStill, reason),
        (At::Work, Some(why)) => (SchemeState::Failed, Some(why.clone())),
        (At::Work, None) if paused.is_some() => (SchemeState::Paused, paused),
        (At::Work, None) => (SchemeState::Running, reason),
    }
}

fn breaker(position: Position) -> &'static str {
    match position {
        Position::Closed => "closed",
        Position::Open { .. } => "open",
        Position::HalfOpen => "half_open",
    }
}
