//! One simulator, one data directory, and an engine in this process that is started on them again and again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossdock::daemon::{self, CompareError, CompareReport, FloorError, FloorParts, SchemeStatus, Surface, Surfaced};
use crossdock::model::{ConnectionName, Digest, SchemeId, System, TenantId};
use crossdock::pipeline::step::Sabotage;
use crossdock::registry::{Actor, ModuleRow, NewTenant, Policy, Quotas, SchemePut, TenantChange};
use crossdock::sandbox::ModuleClass;
use futures::future::BoxFuture;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vendor_sim::proof::books::Evidence;
use vendor_sim::proof::configuration::Settings;
use vendor_sim::proof::engine::said;
use vendor_sim::proof::guests;
use vendor_sim::proof::http;
use vendor_sim::proof::programs::{Given, Programs};
use vendor_sim::proof::schemes::SALEOUT;
use vendor_sim::proof::world::World;

/// For work of some dozen documents on a machine that runs other tests beside.
const PATIENCE: Duration = Duration::from_secs(90);

pub fn actor() -> Actor {
    Actor::console()
}

pub fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub fn name(name: &str) -> SchemeId {
    SchemeId::new(name).unwrap()
}

pub struct Rig {
    programs: Programs,
    world: World,
    added: usize,
}

impl Rig {
    pub fn new(simulator: &[&str]) -> Self {
        let programs = Programs::find(Given::default()).unwrap_or_else(|missing| panic!("{missing}"));
        let arguments: Vec<String> = simulator.iter().map(|&argument| argument.to_owned()).collect();
        let mut world = World::new(&programs, &arguments, &Settings::default()).unwrap_or_else(|why| panic!("{why}"));
        let file = world.path().join("floor.toml");
        let text = "[engine]\ndata_dir = \"floor\"\nlisten = \"127.0.0.1:0\"\nlow_disk_bytes = 0\nlow_disk_percent = 0\n\
                    [api]\nlisten = \"127.0.0.1:0\"\nnetworks = [\"127.0.0.1/32\"]\n";
        std::fs::write(&file, text).unwrap();
        world.product.configuration = file;
        Self { programs, world, added: 0 }
    }

    pub async fn start(&mut self) -> Engine {
        self.start_looking(|_| Box::pin(async {})).await.0
    }

    /// With what a look brings that is taken when people can ask, and nobody is at work yet.
    pub async fn start_looking<T: Send + 'static>(
        &mut self,
        look: impl FnOnce(FloorParts) -> BoxFuture<'static, T> + Send + 'static,
    ) -> (Engine, T) {
        let config = daemon::load(&self.world.product.configuration, false).unwrap_or_else(|why| panic!("{why}"));
        let (handed, parts) = oneshot::channel();
        let surface: Surface = Box::new(move |parts, stop: CancellationToken| {
            Box::pin(async move {
                let seen = look(parts.clone()).await;
                assert!(handed.send((parts, seen)).is_ok());
                let address = "127.0.0.1:1".parse().unwrap();
                Ok(Surfaced { address, serving: Box::pin(async move { stop.cancelled().await }) })
            })
        });
        let (stop, (ready, is_ready)) = (CancellationToken::new(), oneshot::channel());
        let (ended, program) = (stop.clone(), self.programs.crossdock.clone());
        let task = tokio::spawn(async move {
            let announce = |_, _| ready.send(()).expect("the test waits");
            daemon::serve(config, program, Sabotage::None, ended, Some(surface), announce).await.unwrap();
        });
        let (parts, seen) = parts.await.expect("the engine opens");
        is_ready.await.expect("the engine begins");
        let (simulator, parameters) = (Connections::of(&self.world), self.parameters());
        (Engine { parts, stop, task, simulator, parameters }, seen)
    }

    /// The scheme's own mapping.
    pub fn component(&self) -> Vec<u8> {
        std::fs::read(self.programs.component(SALEOUT)).unwrap()
    }

    /// The same with other bytes: a section more that nobody reads.
    pub fn other_component(&self) -> Vec<u8> {
        let mut component = self.component();
        component.extend([0, 6, 4, b'n', b'o', b't', b'e', b'2']);
        component
    }

    pub fn data(&self) -> std::path::PathBuf {
        self.world.path().join("floor")
    }

    /// An engine that is not to start: how it ended, and what it said.
    pub fn serve_to_the_end(&self) -> (Option<i32>, String) {
        let ended = self.world.product.run(&["serve"]).unwrap_or_else(|why| panic!("{why}"));
        (ended.status.code(), said(&ended))
    }

    pub fn add_documents(&mut self, count: usize) {
        let mut chance = ChaCha8Rng::seed_from_u64(7);
        for number in self.added..self.added + count {
            self.world.simulator.put(SALEOUT, &SALEOUT.document(number, &mut chance)).unwrap();
        }
        self.added += count;
    }

    pub fn bills(&self) -> usize {
        self.world.simulator.held_for(SALEOUT).unwrap().bills.len()
    }

    /// Bills that have left and whose answer is not in the ledger.
    pub fn sent(&self, scheme: &str) -> Vec<String> {
        let ledger = self.world.product.ledger(scheme).unwrap_or_else(|why| panic!("{why}"));
        let bills = ledger.values().flat_map(|entry| &entry.targets).filter(|bill| bill.state == "sent");
        bills.map(|bill| bill.key.clone()).collect()
    }

    /// Requests that the vendors were sent.
    pub fn requests(&self) -> u64 {
        self.world.simulator.requests().unwrap().values().sum()
    }

    #[track_caller]
    pub fn check_books(&self, scheme: &str) {
        let served = self.world.simulator.served_by(SALEOUT).unwrap();
        let held = self.world.simulator.held_for(SALEOUT).unwrap();
        let ledger = self.world.product.ledger(scheme).unwrap_or_else(|why| panic!("{why}"));
        let books = self.world.balance(SALEOUT, &Evidence { served, held, ledger });
        assert!(books.balance(), "{}\n{}{}", books.verdict(), books.render(), books.stories(10));
    }

    /// Whether everything that the source has was read in a complete window, and nothing is under way.
    fn is_done(&self, status: &SchemeStatus) -> Result<(), String> {
        let standing = self.world.simulator.standing(SALEOUT).unwrap();
        let read_to = status.read_to;
        if standing.movements_left > 0 || read_to.is_none_or(|read_to| read_to <= standing.since) {
            return Err(format!("read up to {read_to:?}, wanted beyond {:?}", standing.since));
        }
        if status.backlog > 0 || status.waiting > 0 {
            return Err(format!("{} documents under way", status.backlog));
        }
        Ok(())
    }

    fn parameters(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.programs.parameters(SALEOUT)).unwrap()).unwrap()
    }
}

/// Rejects whatever it is given.
pub fn rejecting() -> Vec<u8> {
    guests::component("", &guests::rejects())
}

/// Says that it writes somewhere else.
pub fn for_another_target() -> Vec<u8> {
    let component = guests::component("", &guests::rejects());
    let (said, other) = (b"kingdee_k3cloud:BatchSave", b"kingdee_k3cloud:OtherSave");
    let at = component.windows(said.len()).position(|bytes| bytes == said).unwrap();
    [&component[..at], &other[..], &component[at + said.len()..]].concat()
}

/// What the registry's connections are made of.
struct Connections {
    jst: Value,
    k3: Value,
}

impl Connections {
    fn of(world: &World) -> Self {
        let pick = |system: &str, keys: &[&str]| -> Value {
            let ready = world.simulator.system(system);
            keys.iter().map(|key| ((*key).to_owned(), ready[*key].clone())).collect()
        };
        let jst = pick("jushuitan_qimen", &["base_url", "app_key", "app_secret", "target_app_key", "customer_id"]);
        let k3 = pick("kingdee_k3cloud", &["base_url", "acct_id", "user_name", "app_id", "app_secret", "org_num"]);
        Self { jst, k3 }
    }
}

pub async fn health(of: SocketAddr) -> (u16, Value) {
    let url = format!("http://{of}/healthz");
    let page = tokio::task::spawn_blocking(move || http::ask("GET", &url, b"")).await.unwrap();
    let page = page.unwrap_or_else(|why| panic!("{why}"));
    (page.status, serde_json::from_slice(&page.body).unwrap())
}

/// An engine that runs in this process.
pub struct Engine {
    pub parts: FloorParts,
    stop: CancellationToken,
    task: JoinHandle<()>,
    simulator: Connections,
    parameters: Value,
}

impl Engine {
    /// Stops it as SIGTERM does.
    pub async fn end(self) {
        let Self { parts, stop, task, .. } = self;
        drop(parts);
        stop.cancel();
        task.await.unwrap();
    }

    /// The health page.
    pub async fn health(&self) -> (u16, Value) {
        health(self.parts.listen).await
    }

    /// With both connections.
    pub async fn tenant(&self, id: &str, quotas: Quotas) {
        let (display_name, policy) = (String::new(), Policy::default());
        let new = NewTenant { id: tenant(id), display_name, weight: 1, quotas, policy };
        self.parts.registry.create_tenant(&actor(), new).await.unwrap();
        self.parts.floor.settle_tenant(&tenant(id)).await.unwrap();
        for connection in ["jst", "k3"] {
            self.put_connection(id, connection, json!({})).await;
        }
    }

    pub async fn connection(&self, id: &str, connection: &str, more: Value) {
        self.put_connection(id, connection, more).await;
        let connection = ConnectionName::new(connection).unwrap();
        self.parts.floor.settle_connection(&tenant(id), &connection).await.unwrap();
    }

    async fn put_connection(&self, id: &str, connection: &str, more: Value) {
        let (system, own) = match connection {
            "jst" => (System::JushuitanQimen, &self.simulator.jst),
            _ => (System::KingdeeK3cloud, &self.simulator.k3),
        };
        let mut settings = own.clone();
        settings["limits"] = json!({
            "requests_per_second": 200.0, "burst": 20, "max_in_flight": 8, "timeout_ms": 3000, "queue_timeout_ms": 3000,
        });
        merge(&mut settings, more);
        let (registry, connection) = (&self.parts.registry, ConnectionName::new(connection).unwrap());
        registry.put_connection(&actor(), &tenant(id), &connection, system, settings, None).await.unwrap();
    }

    pub async fn module(&self, id: &str, version: &str, component: &[u8]) -> Digest {
        let digest = Digest::of(component);
        let row = ModuleRow {
            digest,
            name: "mapping".into(),
            version: version.into(),
            class: ModuleClass::Standard.as_str().into(),
            size: component.len() as u64,
            uploaded_at: jiff::Timestamp::UNIX_EPOCH,
            uploaded_by: String::new(),
            signed_by: None,
            report: serde_json::value::to_raw_value(&json!({})).unwrap(),
        };
        let bytes = Bytes::copy_from_slice(component);
        self.parts.registry.put_module(&actor(), &tenant(id), row, bytes).await.unwrap();
        digest
    }

    /// Puts the scheme and has it settled.
    pub async fn scheme(&self, id: &str, scheme: &str, module: Digest, more: Value) -> Result<(), FloorError> {
        let start_at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(96);
        let mut settings = json!({
            "source": {
                "connection": "jst", "operation": "jushuitan.saleout.list.query",
                "status": ["Confirmed", "WaitConfirm", "OuterConfirming", "Delete"],
            },
            "target": { "connection": "k3", "operation": "BatchSave", "form": "SAL_OUTSTOCK" },
            "parameters": self.parameters.clone(),
            "schedule": "every 1s", "lag": "0s", "settle": "2s", "start_at": start_at.to_string(),
            "retry": { "base": "1s", "cap": "2s" },
        });
        merge(&mut settings, more);
        let put = SchemePut { settings, module, enabled: Some(true), note: String::new() };
        let registry = &self.parts.registry;
        registry.put_scheme(&actor(), &tenant(id), &name(scheme), put, None).await.unwrap();
        self.settle(id, scheme).await
    }

    pub async fn enable(&self, id: &str, scheme: &str, enabled: bool) -> Result<(), FloorError> {
        let registry = &self.parts.registry;
        registry.set_enabled(&actor(), &tenant(id), &name(scheme), enabled, None).await.unwrap();
        self.settle(id, scheme).await
    }

    pub async fn settle(&self, id: &str, scheme: &str) -> Result<(), FloorError> {
        self.parts.floor.settle_scheme(&tenant(id), &name(scheme)).await
    }

    pub async fn quotas(&self, id: &str, quotas: Quotas) {
        self.change(id, TenantChange { quotas: Some(quotas.into()), ..TenantChange::default() }).await;
    }

    pub async fn change(&self, id: &str, change: TenantChange) {
        self.parts.registry.change_tenant(&actor(), &tenant(id), change, None).await.unwrap();
        self.parts.floor.settle_tenant(&tenant(id)).await.unwrap();
    }

    pub fn status(&self, id: &str, scheme: &str) -> Option<SchemeStatus> {
        self.parts.floor.scheme(&tenant(id), &name(scheme))
    }

    pub async fn compare(
        &self,
        id: &str,
        scheme: &str,
        component: &[u8],
        last: usize,
    ) -> Result<CompareReport, CompareError> {
        let (sandbox, component, of) = (self.parts.sandbox.clone(), component.to_vec(), tenant(id));
        let load = move || sandbox.load_aside(&component, ModuleClass::Standard, &of).unwrap();
        let candidate = tokio::task::spawn_blocking(load).await.unwrap();
        self.parts.floor.compare(&tenant(id), &name(scheme), candidate, last).await
    }

    /// The module that each document's newest version ran with.
    pub fn modules_of(&self, id: &str, scheme: &str) -> BTreeMap<String, Digest> {
        let filter = daemon::Filter { scheme: Some(scheme.into()), limit: Some(500), ..daemon::Filter::default() };
        let id = Some(tenant(id));
        let listed = self.parts.office.search(id.as_ref(), &filter).unwrap();
        let module = |key: &str| {
            let view = self.parts.office.show(id.as_ref(), Some(scheme), key, false).unwrap();
            serde_json::from_value(json!(view.versions.last()?.module)).ok()
        };
        listed.documents.into_iter().filter_map(|one| Some((one.key.clone(), module(&one.key)?))).collect()
    }

    pub async fn done(&self, rig: &Rig, scheme: &str) {
        let began = Instant::now();
        loop {
            let all = ["acme", "other"].into_iter().filter_map(|id| self.status(id, scheme));
            let left: Vec<String> = all.filter_map(|status| rig.is_done(&status).err()).collect();
            match left.first() {
                None => return,
                Some(missing) if began.elapsed() > PATIENCE => panic!("{scheme} was not done: {missing}"),
                Some(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    pub async fn wait<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Objects are joined, anything else is replaced.
fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}
