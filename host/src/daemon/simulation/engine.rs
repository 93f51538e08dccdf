//! The engine of a world: every task that a running engine has, put together as `serve` does it, over the world's ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{self, LoadOptions};
use crate::model::OperationName;
use crate::pipeline::driver::{self, Flow, Handle, Parts};
use crate::pipeline::gate::Gates;
use crate::pipeline::lane::Lane;
use crate::pipeline::poll::{Reading, Sweep};
use crate::pipeline::reference::{Catalogue, Deaf, Library, Rhythm, TableId, Wanted};
use crate::pipeline::round::Destination;
use crate::state::{MemoryStore, Store};
use crate::telemetry::{Metrics, SchemeRef};

use super::super::backfill::Backfills;
use super::super::crew::Team;
use super::super::reader::Reader;
use super::super::watcher::{SchemeWatcher, Seen};
use super::archive::SimSource;
use super::module::SimModule;
use super::plan::{LAG, SWEEP_EVERY, SWEEP_OVER, TABLE, beginning};
use super::shaken::Shaken;
use super::store::Disk;
use super::target::SimTarget;
use super::world::World;

/// One run of the engine, from its start to its death.
pub struct Engine {
    pub disk: Arc<Disk>,
    pub gates: Gates,
    pub handles: Vec<Handle>,
    pub backfills: Backfills,
    library: Library,
    stop: CancellationToken,
    /// Those that are no scheme's.
    tasks: JoinSet<Ended>,
    /// The schemes' tasks, in the order of the plan.
    teams: Vec<Team<Ended>>,
    turning: tokio::task::JoinHandle<()>,
}

/// A task's name, and how it ended.
type Ended = (String, Result<(), String>);

impl Engine {
    pub fn start(world: &Arc<World>, store: MemoryStore) -> Result<Self, String> {
        let air = &world.air;
        let disk = Disk::open(store, air);
        let shared: Arc<dyn Store> = disk.clone();
        let judge = world.clone();
        let turning = tokio::spawn(disk.clone().turn(move || judge.look()));
        let gates = Gates::open(shared.clone()).map_err(|error| error.to_string())?;
        let now = air.clock();
        for vendor in world.vendors.values() {
            gates.attach_road(&vendor.tenant, &vendor.connection, vendor.meet_anew());
        }
        let rhythm = Rhythm { refresh: SignedDuration::from_mins(5), miss_interval: SignedDuration::from_secs(20) };
        let wanted = world.shelves.iter().map(|(id, shelf)| Wanted { id: id.clone(), rhythm, source: shelf.clone() });
        let library = Library::open(shared.clone(), gates.clone(), now.clone(), Arc::new(Deaf), wanted.collect())
            .map_err(|error| error.to_string())?;
        let stop = CancellationToken::new();
        let mut engine = Self {
            disk,
            gates: gates.clone(),
            handles: Vec::new(),
            backfills: Backfills::default(),
            library: library.clone(),
            stop: stop.clone(),
            tasks: JoinSet::new(),
            teams: Vec::new(),
            turning,
        };
        for keeper in library.keepers(&|_| true, &stop) {
            engine.tasks.spawn(shaken(world, "a keeper".into(), async move {
                keeper.await;
                Ok(())
            }));
        }
        for index in 0..world.plan.schemes.len() {
            let (handle, team) = engine.put_to_work(world, index);
            engine.handles.push(handle);
            engine.teams.push(team);
        }
        air.story.say(format!("the engine starts, lease {}", engine.disk.lease()));
        Ok(engine)
    }

    /// Stops one scheme, at once where there is no grace, and starts it again beside the others.
    pub async fn start_anew(&mut self, world: &Arc<World>, index: usize, grace: Duration) {
        let (label, team) = (world.plan.schemes[index].label(), self.teams.remove(index));
        world.air.story.say(format!("{label} is told to stop within {grace:?}"));
        let drained = team.stop(grace).await;
        world.air.story.say(format!("{label} has stopped, in order: {drained}; it is started anew"));
        let (handle, team) = self.put_to_work(world, index);
        self.handles[index] = handle;
        self.teams.insert(index, team);
    }

    fn put_to_work(&self, world: &Arc<World>, index: usize) -> (Handle, Team<Ended>) {
        let (air, plan) = (&world.air, &world.plan.schemes[index]);
        let (shared, gates, library): (Arc<dyn Store>, _, _) = (self.disk.clone(), &self.gates, &self.library);
        let now = air.clock();
        {
            let id = TableId { tenant: plan.tenant.clone(), connection: plan.target.clone(), table: TABLE.into() };
            let table = library.table(&id).expect("every target has its table");
            let fetched = BTreeMap::from([(TABLE.to_owned(), table)]);
            let ledger = crate::pipeline::ledger::Ledger::new(shared.clone(), plan.tenant.clone(), plan.name.clone());
            let watcher = Arc::new(SchemeWatcher {
                tenant: plan.tenant.clone(),
                scheme: SchemeRef { tenant: plan.tenant.clone(), scheme: plan.name.clone() },
                source_connection: plan.source.clone(),
                target_connection: plan.target.clone(),
                metrics: Metrics::new(),
                alerts: None,
                seen: Mutex::new(Seen::default()),
            });
            let target = SimTarget {
                vendor: world.vendor(&plan.tenant, &plan.target),
                scheme: plan.name.clone(),
                priority: plan.priority,
                updatable: plan.rules.target_updatable,
                sabotage: plan.rules.sabotage,
            };
            let module = SimModule {
                air: air.clone(),
                tenant: plan.tenant.to_string(),
                scheme: plan.name.to_string(),
                catalogue: Catalogue::new(BTreeMap::new(), fetched, library.changes()),
                now: now.clone(),
            };
            let (write_batch, transform_batch) = (plan.write_batch, plan.transform_batch);
            let parts = Parts {
                tenant: plan.tenant.clone(),
                scheme: plan.name.clone(),
                source_connection: plan.source.clone(),
                destination: Destination {
                    connection: plan.target.clone(),
                    operation: OperationName::new("BatchSave").unwrap(),
                    number_space: None,
                },
                rules: plan.rules.clone(),
                flow: Flow { write_batch, transform_batch, body_cache_bytes: 200, ..Flow::default() },
                document_limit_bytes: 1_000,
                ledger: ledger.clone(),
                gates: gates.clone(),
                target: Arc::new(target),
                transformer: Arc::new(module),
                watcher: watcher.clone(),
                now: now.clone(),
            };
            let reading = Reading {
                tenant: plan.tenant.clone(),
                scheme: plan.name.clone(),
                connection: plan.source.clone(),
                source: Arc::new(SimSource { world: world.clone(), scheme: index }),
                start_at: beginning() - SignedDuration::from_hours(2),
                lag: LAG,
                sweep: Some(Sweep { every: SWEEP_EVERY, over: SWEEP_OVER }),
                by_row_version: false,
                ledger,
                gates: gates.clone(),
                lane: Lane::default(),
                watcher: watcher.clone(),
                now: now.clone(),
            };
            let label = plan.label();
            let mut team = Team::new(reading.ledger.clone(), &self.stop);
            let ended = team.reading.clone();
            let (handle, run) = driver::start(parts, team.driving.clone());
            let driver = async { run.await.map_err(|error| error.to_string()) };
            team.drivers.spawn(shaken(world, format!("the driver of {label}"), driver));
            let clerk = self.backfills.open(reading.clone(), handle.clone(), Box::new(|| None), ended.clone());
            team.readers.spawn(shaken(world, format!("the clerk of {label}"), clerk));
            let settings = settings(world, index);
            let reader = Reader { settings, reading, handle: handle.clone(), watcher, after: None };
            let reader = async move { reader.run(ended).await };
            team.readers.spawn(shaken(world, format!("the reader of {label}"), reader));
            (handle, team)
        }
    }

    /// What ended before it was told to. A task that panics has a defect.
    pub fn ended(&mut self, world: &World) -> Option<String> {
        // Nobody may be at work while the store fails, and then only the operator's command says so.
        let of_teams = || {
            self.teams.iter_mut().find_map(|team| team.drivers.try_join_next().or_else(|| team.readers.try_join_next()))
        };
        let Some(ended) = self.tasks.try_join_next().or_else(of_teams) else {
            return self.turning.is_finished().then(|| "the store failed with nobody at work".to_owned());
        };
        match ended {
            Ok((name, result)) => Some(format!("{name} ended: {result:?}")),
            Err(error) => {
                world.air.story.violation(format!("a task panicked: {error}"));
                Some("a panic".into())
            }
        }
    }

    /// Ends as at a SIGTERM: what is under way is answered and put away.
    pub async fn shut_down(self, world: &World) -> MemoryStore {
        self.stop.cancel();
        let mut sets = vec![self.tasks];
        sets.extend(self.teams.into_iter().flat_map(|team| [team.drivers, team.readers]));
        for mut set in sets {
            while let Some(ended) = set.join_next().await {
                // A store that fails at the very end is a store that fails.
                if let Ok((name, Err(error))) = ended
                    && !error.contains("the store ")
                {
                    world.air.story.violation(format!("{name} did not stop well: {error}"));
                }
            }
        }
        self.turning.abort();
        let _ = self.turning.await;
        self.disk.twin.reopen()
    }

    /// Ends as at a SIGKILL or a power cut: what was acknowledged is there, and some of the rest.
    pub async fn crash(self, world: &World) -> MemoryStore {
        let chance = &world.air.chance;
        let store = self.disk.twin.crash_choosing(|open| chance.below(open as u64 + 1) as usize);
        let mut sets = vec![self.tasks];
        sets.extend(self.teams.into_iter().flat_map(|team| [team.drivers, team.readers]));
        // All of them are told before any is waited for.
        sets.iter_mut().for_each(JoinSet::abort_all);
        for mut set in sets {
            while set.join_next().await.is_some() {}
        }
        self.turning.abort();
        let _ = self.turning.await;
        store
    }
}

fn shaken(
    world: &World,
    name: String,
    task: impl Future<Output = Result<(), String>> + Send + 'static,
) -> impl Future<Output = Ended> + Send + 'static {
    Shaken::new(async move { (name, task.await) }, world.air.chance.clone())
}

/// A scheme's settings as its reader wants them.
fn settings(world: &World, index: usize) -> config::Scheme {
    static TEMPLATE: OnceLock<config::Scheme> = OnceLock::new();
    let plan = &world.plan.schemes[index];
    let mut settings = TEMPLATE.get_or_init(template).clone();
    (settings.tenant, settings.name, settings.lag) = (plan.tenant.clone(), plan.name.clone(), LAG);
    settings.schedule = plan.schedule.parse().unwrap();
    settings.jitter = SignedDuration::from_secs(3);
    settings
}

fn template() -> config::Scheme {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    let file = folder.path().join("c.toml");
    let text = "[engine]\ndata_dir = \"data\"\n\
         [[connection]]\nname = \"jst\"\nsystem = \"jushuitan_qimen\"\n\
         [[connection]]\nname = \"k3\"\nsystem = \"kingdee_k3cloud\"\n\
         [[scheme]]\nname = \"saleout\"\nmodule = { file = \"m.wasm\" }\nschedule = \"every 30s\"\n\
         source = { connection = \"jst\", operation = \"o\" }\ntarget = { connection = \"k3\", operation = \"o\" }\n\
         start_at = \"2026-10-01T00:00:00Z\"\n";
    std::fs::write(&file, text).unwrap();
    let loaded = config::load(&file, &LoadOptions::new(&|_| None));
    loaded.unwrap_or_else(|problems| panic!("{problems}")).schemes.remove(0)
}
