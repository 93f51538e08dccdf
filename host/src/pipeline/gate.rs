//! The plug that operators can pull: who may send requests.
//!
//! Every exchange with a vendor holds a [`Permit`] of its connection and scheme. [`Gates::pause`] records the pause
//! durably, lets no further exchange begin, and returns once every exchange under way has ended, so that after it
//! returns no request leaves. A pause survives a restart.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use utoipa::ToSchema;

use crate::connectors::Road;
use crate::fault::{Code, Disposition, Fault};
use crate::model::{ConnectionName, SchemeId, TenantId};
use crate::state::{Batch, Disk, KeyBuilder, Look, Store, Table};

use super::instant;
use super::ledger::{Error, decode, encode};
use super::quota::{Meter, Meters};

/// What is paused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    All,
    Connection(TenantId, ConnectionName),
    Scheme(TenantId, SchemeId),
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scope::All => f.write_str("everything"),
            Scope::Connection(tenant, name) => write!(f, "connection {name} of {tenant}"),
            Scope::Scheme(tenant, name) => write!(f, "scheme {name} of {tenant}"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub scope: Scope,
    pub since: Timestamp,
    /// In words, for a person.
    pub reason: String,
    /// The fault that paused it, where it was not a person.
    pub code: Option<Code>,
    /// The person. Rows from before there were tenants' people name nobody, and are the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
}

/// On whose side a person stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Person {
    Operator,
    Tenant,
}

impl Pause {
    /// On whose word; `None` where a fault did it.
    pub fn person(&self) -> Option<Person> {
        self.by.or(self.code.is_none().then_some(Person::Operator))
    }

    /// Whether only the operator may take it back.
    pub fn is_operators(&self) -> bool {
        self.person() == Some(Person::Operator)
    }
}

/// What came of a resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumed {
    /// There was a pause, and it is gone.
    Gone,
    /// There was none.
    Nothing,
    /// The operator made it, and stays.
    Operators,
}

/// All gates of an engine.
#[derive(Clone)]
pub struct Gates {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    state: Mutex<State>,
    changed: Notify,
    disk: OnceLock<Disk>,
    meters: Meters,
    /// One pause or resume at a time, memory and store together: a resume that overtakes a pause between the two would
    /// leave a gate open that was just said to be shut. An asynchronous lock, and nothing else is taken under it.
    order: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    pauses: BTreeMap<Scope, Pause>,
    roads: BTreeMap<(TenantId, ConnectionName), Road>,
    /// Exchanges under way, by what they use.
    under_way: BTreeMap<(Scope, Scope), usize>,
}

/// The right to exchange messages with a vendor until dropped.
pub struct Permit {
    inner: Arc<Inner>,
    uses: (Scope, Scope),
}

impl Gates {
    /// Reads the pauses that an earlier run left.
    pub fn open(store: Arc<dyn Store>) -> Result<Self, Error> {
        let mut state = State::default();
        for (_, row) in store.scan(Table::Pauses, &KeyBuilder::new().build(), None, usize::MAX)? {
            let pause: Pause = decode(Table::Pauses, &row.value)?;
            state.pauses.insert(pause.scope.clone(), pause);
        }
        let (state, changed, order) = (Mutex::new(state), Notify::new(), tokio::sync::Mutex::new(()));
        Ok(Self {
            inner: Arc::new(Inner { store, state, changed, disk: OnceLock::new(), meters: Meters::default(), order }),
        })
    }

    /// The pause that keeps this connection and scheme from exchanging anything, if there is one.
    pub fn blocked_by(&self, tenant: &TenantId, connection: &ConnectionName, scheme: &SchemeId) -> Option<Pause> {
        let state = self.lock();
        let scopes = [
            Scope::All,
            Scope::Connection(tenant.clone(), connection.clone()),
            Scope::Scheme(tenant.clone(), scheme.clone()),
        ];
        scopes.iter().find_map(|scope| state.pauses.get(scope).cloned())
    }

    /// The pause of exactly this scope, or of everything.
    pub fn pause_of(&self, scope: &Scope) -> Option<Pause> {
        let state = self.lock();
        state.pauses.get(&Scope::All).or_else(|| state.pauses.get(scope)).cloned()
    }

    /// Whether there is a pause of exactly this scope, or of everything.
    pub fn is_paused(&self, scope: &Scope) -> bool {
        let state = self.lock();
        state.pauses.contains_key(&Scope::All) || state.pauses.contains_key(scope)
    }

    /// A permit, unless paused. Checking and counting are one act, so no exchange slips past a pause.
    pub fn enter(&self, tenant: &TenantId, connection: &ConnectionName, scheme: &SchemeId) -> Option<Permit> {
        let scheme = Scope::Scheme(tenant.clone(), scheme.clone());
        self.enter_with((Scope::Connection(tenant.clone(), connection.clone()), scheme))
    }

    /// A permit for an exchange that is no scheme's own: what it brings serves all that use the connection.
    pub fn enter_connection(&self, tenant: &TenantId, connection: &ConnectionName) -> Option<Permit> {
        let connection = Scope::Connection(tenant.clone(), connection.clone());
        self.enter_with((connection.clone(), connection))
    }

    fn enter_with(&self, uses: (Scope, Scope)) -> Option<Permit> {
        let mut state = self.lock();
        let paused = state.pauses.contains_key(&Scope::All)
            || state.pauses.contains_key(&uses.0)
            || state.pauses.contains_key(&uses.1);
        if paused {
            return None;
        }
        *state.under_way.entry(uses.clone()).or_default() += 1;
        Some(Permit { inner: self.inner.clone(), uses })
    }

    /// Pauses durably, and returns the pause that stands: an operator's is not made anybody else's. With `wait`, returns
    /// once no exchange of the scope is under way any more.
    pub async fn pause(&self, pause: Pause, wait: bool) -> Result<Pause, Error> {
        let scope = pause.scope.clone();
        // The gate closes before the record is durable: closed too early is safe, recorded too early is not needed.
        let order = self.inner.order.lock().await;
        let pause = {
            let mut state = self.lock();
            let stands = state.pauses.get(&scope).filter(|stands| stands.is_operators() && !pause.is_operators());
            let pause = stands.cloned().unwrap_or(pause);
            state.pauses.insert(scope.clone(), pause.clone());
            pause
        };
        let mut batch = Batch::new();
        batch.put(Table::Pauses, row(&scope), encode(&pause));
        self.inner.changed.notify_waiters();
        instant::pass!(name(&scope), "pause.before");
        self.inner.store.commit(batch).await.map_err(Error::from)?;
        instant::pass!(name(&scope), "pause.after");
        drop(order);
        if wait {
            self.drained(&scope).await;
        }
        Ok(pause)
    }

    /// On the operator's word. Whether there was such a pause.
    pub async fn resume(&self, scope: &Scope) -> Result<bool, Error> {
        Ok(self.resume_for(scope, Person::Operator).await? == Resumed::Gone)
    }

    /// Takes a pause back, on this person's word.
    pub async fn resume_for(&self, scope: &Scope, by: Person) -> Result<Resumed, Error> {
        let _order = self.inner.order.lock().await;
        match self.lock().pauses.get(scope) {
            None => return Ok(Resumed::Nothing),
            Some(pause) if by != Person::Operator && pause.is_operators() => return Ok(Resumed::Operators),
            Some(_) => {}
        }
        let mut batch = Batch::new();
        batch.remove(Table::Pauses, row(scope));
        instant::pass!(name(scope), "resume.before");
        self.inner.store.commit(batch).await.map_err(Error::from)?;
        instant::pass!(name(scope), "resume.after");
        self.lock().pauses.remove(scope);
        self.inner.changed.notify_waiters();
        Ok(Resumed::Gone)
    }

    /// From now on this is the connection's way to its vendor, until another one is.
    pub fn attach_road(&self, tenant: &TenantId, connection: &ConnectionName, road: Road) {
        self.lock().roads.insert((tenant.clone(), connection.clone()), road);
    }

    /// Nobody uses the connection any more.
    pub fn detach_road(&self, tenant: &TenantId, connection: &ConnectionName) {
        self.lock().roads.remove(&(tenant.clone(), connection.clone()));
    }

    pub fn road(&self, tenant: &TenantId, connection: &ConnectionName) -> Option<Road> {
        self.lock().roads.get(&(tenant.clone(), connection.clone())).cloned()
    }

    pub fn roads(&self) -> Vec<((TenantId, ConnectionName), Road)> {
        self.lock().roads.iter().map(|(name, road)| (name.clone(), road.clone())).collect()
    }

    /// From now on this says how much room there is on the disk.
    pub fn attach_disk(&self, disk: Disk) {
        let _ = self.inner.disk.set(disk);
    }

    /// How the disk stands; as if there were room enough where nobody looks.
    pub fn disk(&self) -> Look {
        self.inner.disk.get().map(Disk::look).unwrap_or_default()
    }

    /// Why nothing more is to be read, where the disk is nearly full.
    pub fn low_disk(&self) -> Option<Fault> {
        let low = self.disk().low?;
        let reserve = low.reserve_bytes;
        Some(Fault::retry(Code::DiskFull, None, format!("less than {reserve} bytes of disk are free: nothing is read")))
    }

    /// What the tenant uses, and may use.
    pub fn meter(&self, tenant: &TenantId) -> Meter {
        self.inner.meters.of(tenant)
    }

    /// Of every tenant that was ever asked for.
    pub fn meters(&self) -> Vec<(TenantId, Meter)> {
        self.inner.meters.all()
    }

    /// Whether not even what is stored is worked off, for the disk has hardly room for a commit.
    pub fn is_work_held(&self) -> bool {
        self.disk().is_critical
    }

    /// A vendor named a time to be left alone for. It counts by connection, so all who use the connection wait.
    pub fn heed(&self, tenant: &TenantId, connection: &ConnectionName, fault: &Fault) {
        if let (Code::VendorThrottled, Disposition::Retry { after_ms: Some(millis) }) = (fault.code, fault.disposition)
            && let Some(road) = self.road(tenant, connection)
        {
            road.hold(Duration::from_millis(millis));
        }
    }

    pub fn pauses(&self) -> Vec<Pause> {
        self.lock().pauses.values().cloned().collect()
    }

    /// Completes at the next pause, resume, or end of an exchange.
    pub async fn changed(&self) {
        self.inner.changed.notified().await;
    }

    /// The same, but registered from now on: a change between this call and the await is not missed.
    pub fn change(&self) -> tokio::sync::futures::Notified<'_> {
        self.inner.changed.notified()
    }

    /// Returns once no exchange of the scope is under way.
    pub async fn drained(&self, scope: &Scope) {
        loop {
            let change = self.inner.changed.notified();
            tokio::pin!(change);
            change.as_mut().enable();
            let busy = self.lock().under_way.keys().any(|uses| scope.covers(uses));
            if !busy {
                return;
            }
            change.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scope {
    fn covers(&self, uses: &(Scope, Scope)) -> bool {
        *self == Scope::All || *self == uses.0 || *self == uses.1
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = state.under_way.get_mut(&self.uses) {
            *count -= 1;
            if *count == 0 {
                state.under_way.remove(&self.uses);
            }
        }
        drop(state);
        self.inner.changed.notify_waiters();
    }
}

/// Whose a pause is, in the names of instants.
#[cfg(feature = "failpoints")]
fn name(scope: &Scope) -> &str {
    match scope {
        Scope::All => "all",
        Scope::Connection(_, name) => name.as_str(),
        Scope::Scheme(_, name) => name.as_str(),
    }
}

fn row(scope: &Scope) -> crate::state::Key {
    match scope {
        Scope::All => KeyBuilder::new().text("all"),
        Scope::Connection(tenant, name) => {
            KeyBuilder::new().text("connection").text(tenant.as_str()).text(name.as_str())
        }
        Scope::Scheme(tenant, name) => KeyBuilder::new().text("scheme").text(tenant.as_str()).text(name.as_str()),
    }
    .build()
}
