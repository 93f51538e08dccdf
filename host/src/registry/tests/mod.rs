//! What the registry promises, over the store in memory.

mod audit;
mod budgets;
mod changes;
mod clearance;
mod connections;
mod modules;
mod revisions;
mod rotation;
mod schemes;
mod tenants;
mod tokens;

use std::sync::{LazyLock, Mutex};

use jiff::SignedDuration;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::model::{Digest, System};
use crate::state::{Key, KeyBuilder, MemoryStore, Table};

/// A registry over a store in memory, with a clock that the test sets.
struct Desk {
    registry: Registry,
    store: Arc<MemoryStore>,
    clock: Arc<Mutex<Timestamp>>,
}

/// For calls that are made now and awaited later.
static ADMIN: LazyLock<Actor> = LazyLock::new(admin);
static CONSOLE: LazyLock<Actor> = LazyLock::new(Actor::console);
static ACME: LazyLock<TenantId> = LazyLock::new(acme);

/// A store that lets others go first between what was looked at and what is written.
struct Hesitant(Arc<MemoryStore>);

#[async_trait::async_trait]
impl Store for Hesitant {
    async fn submit(&self, batch: Batch) -> Result<crate::state::Receipt, CommitError> {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        self.0.submit(batch).await
    }
    fn get(&self, table: Table, key: &Key) -> Result<Option<crate::state::Stored>, crate::state::Error> {
        self.0.get(table, key)
    }
    fn scan(
        &self,
        table: Table,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, crate::state::Stored)>, crate::state::Error> {
        self.0.scan(table, prefix, after, limit)
    }
    fn keys(
        &self,
        table: Table,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, crate::state::Revision)>, crate::state::Error> {
        self.0.keys(table, prefix, after, limit)
    }
    fn lease(&self) -> u64 {
        self.0.lease()
    }
}

const SECRET: &str = "hunter2-and-more";

impl Desk {
    fn empty() -> Self {
        Self::over(Arc::new(MemoryStore::new()), Keyring::new(SealKey::new([1; 32]), Vec::new()), FileNames::default())
    }

    fn over(store: Arc<MemoryStore>, keyring: Keyring, file: FileNames) -> Self {
        let clock = Arc::new(Mutex::new("2026-11-22T08:00:00Z".parse().unwrap()));
        let now: Now = {
            let clock = clock.clone();
            Arc::new(move || *clock.lock().unwrap())
        };
        let registry = Registry::open_beside(store.clone(), keyring, now, file).unwrap();
        Self { registry, store, clock }
    }

    /// Another registry over the same rows, whose changes meet those of others half-way. Nothing but what it expects of
    /// the store keeps it apart from a second one.
    fn hesitant(&self) -> Registry {
        let keyring = Keyring::new(SealKey::new([1; 32]), Vec::new());
        Registry::open(Arc::new(Hesitant(self.store.clone())), keyring, Arc::new(Timestamp::now)).unwrap()
    }

    /// Another registry over the same rows, as after a restart at this time.
    fn restarted(&self, at: Timestamp) -> Registry {
        let keyring = Keyring::new(SealKey::new([1; 32]), Vec::new());
        Registry::open(self.store.clone(), keyring, Arc::new(move || at)).unwrap()
    }

    /// With the tenant `acme`.
    async fn new() -> Self {
        let desk = Self::empty();
        desk.found("acme").await;
        desk
    }

    async fn found(&self, tenant: &str) -> Tenant {
        let new = serde_json::from_value(json!({ "id": tenant })).unwrap();
        self.registry.create_tenant(&Actor::console(), new).await.unwrap()
    }

    fn pass(&self, time: SignedDuration) {
        *self.clock.lock().unwrap() += time;
    }

    fn now(&self) -> Timestamp {
        *self.clock.lock().unwrap()
    }

    async fn policy(&self, policy: Policy) {
        let change = TenantChange { policy: Some(policy.into()), ..TenantChange::default() };
        self.registry.change_tenant(&Actor::console(), &acme(), change, None).await.unwrap();
    }

    async fn quotas(&self, quotas: Quotas) {
        let change = TenantChange { quotas: Some(quotas.into()), ..TenantChange::default() };
        self.registry.change_tenant(&Actor::console(), &acme(), change, None).await.unwrap();
    }

    async fn upload(&self, name: &str, version: &str, bytes: &'static [u8]) -> Result<Put, Error> {
        self.registry.put_module(&admin(), &acme(), module(name, version, bytes), bytes.into()).await
    }

    async fn connect(&self, name: &str) -> ConnectionRow {
        self.put_connection(name, json!({ "base_url": "https://a.example", "app_secret": SECRET })).await.unwrap()
    }

    async fn put_connection(&self, name: &str, settings: Value) -> Result<ConnectionRow, Error> {
        let name = ConnectionName::new(name).unwrap();
        self.registry.put_connection(&admin(), &acme(), &name, System::YonyouU8, settings, None).await
    }

    async fn put_scheme(&self, name: &str, module: Digest) -> Result<SchemeRow, Error> {
        let put = SchemePut { settings: settings(), module, enabled: None, note: String::new() };
        self.registry.put_scheme(&admin(), &acme(), &scheme(name), put, None).await
    }

    /// A scheme over two connections, a table and the module `m@1` of the bytes `one`.
    async fn scheme(&self) -> SchemeRow {
        self.connect("jst").await;
        self.connect("k3").await;
        let entries = Entries::from([("S1".to_owned(), "\"W1\"".to_owned())]);
        self.registry.put_table(&admin(), &acme(), "shops", table(&entries), None).await.unwrap();
        self.upload("m", "1", b"one").await.unwrap();
        self.put_scheme("saleout", Digest::of(b"one")).await.unwrap()
    }

    /// A document of the scheme, as a driver writes one.
    async fn document(&self, name: &str, key: &str) {
        let mut batch = Batch::new();
        batch.put(Table::Subjects, KeyBuilder::scheme(&acme(), &scheme(name)).text(key).build(), "{}");
        self.store.commit(batch).await.unwrap();
    }

    /// Every row of every table, as bytes.
    fn everything(&self) -> Vec<(Table, Key, Vec<u8>)> {
        let tables = Table::ALL.into_iter().filter(|table| *table != Table::Meta);
        let rows = |table| self.store.scan(table, &Key::default(), None, usize::MAX).unwrap();
        tables
            .flat_map(|table| rows(table).into_iter().map(move |(key, row)| (table, key, row.value.to_vec())))
            .collect()
    }

    fn lines(&self, tenant: Option<&TenantId>) -> Vec<AuditRow> {
        self.registry.audit(tenant, 0, usize::MAX, &AuditFilter::default()).unwrap().rows
    }
}

fn acme() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn scheme(name: &str) -> SchemeId {
    SchemeId::new(name).unwrap()
}

fn connection(name: &str) -> ConnectionName {
    ConnectionName::new(name).unwrap()
}

fn admin() -> Actor {
    let own = |text: &str| text.to_owned();
    Actor { token: own("t-admin"), name: own("Li"), role: Role::TenantAdmin, from: own("192.0.2.1") }
}

fn module(name: &str, version: &str, bytes: &[u8]) -> ModuleRow {
    ModuleRow {
        digest: Digest::of(bytes),
        name: name.into(),
        version: version.into(),
        class: "standard".into(),
        size: bytes.len() as u64,
        uploaded_at: Timestamp::UNIX_EPOCH,
        uploaded_by: String::new(),
        signed_by: None,
        report: RawValue::from_string("{\"exports\":1}".into()).unwrap(),
    }
}

fn table(entries: &Entries) -> TableContent {
    TableContent::of(entries).unwrap()
}

fn settings() -> Value {
    json!({
        "source": { "connection": "jst", "operation": "x" },
        "target": { "connection": "k3", "operation": "y" },
        "reference": { "shop": { "table": "shops" } },
        "schedule": "every 5m",
    })
}

#[track_caller]
fn in_use(result: Result<(), Error>, by: &[&str]) {
    match result {
        Err(Error::InUse { by: found, .. }) => assert_eq!(found, by),
        other => panic!("not refused for being in use: {other:?}"),
    }
}
