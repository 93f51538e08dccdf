//! Documents of one or several schemes through vendors that misbehave, with the engine killed while all of them write.

use std::time::{Duration, Instant};

use serde_json::json;

use super::books::Books;
use super::configuration::{self, Settings};
use super::engine::Engine;
use super::ledger::Bill;
use super::programs::Programs;
use super::schemes::Scheme;
use super::table;
use super::wait::{Waiting, until};
use super::world::World;
use super::{Failure, Result};
use crate::FaultName;

#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub loads: Vec<Load>,
}

/// A scheme, and how many documents its source has at the start.
#[derive(Debug, Clone)]
pub struct Load {
    pub scheme: &'static dyn Scheme,
    pub documents: usize,
}

/// What a run found.
pub struct Outcome {
    pub parts: Vec<Part>,
    pub world: World,
}

/// A write whose fate nobody knew when the engine was killed.
struct Doubt {
    key: String,
    version: u64,
    attempts: u32,
}

/// What it found of one scheme.
pub struct Part {
    pub scheme: &'static dyn Scheme,
    pub books: Books,
    /// Writes whose fate nobody knew when the engine was killed, and how many of them were cleared up afterwards: asked
    /// about, or sent again where that is what the target allows.
    pub in_doubt: usize,
    pub cleared_up: usize,
}

/// What is written before the kill, and the rest after it, each on a machine that is busy with other things.
const FIRST_PATIENCE: Duration = Duration::from_secs(120);
const REST_PATIENCE: Duration = Duration::from_secs(150);
/// What becomes of the last writes before the kill.
const HELD_BACK: FaultName = FaultName::TimeoutAfterCommit;

impl Plan {
    /// `say` is told what happens, a line at a time.
    pub fn run(&self, programs: &Programs, say: &mut dyn FnMut(&str)) -> Result<Outcome> {
        let began = Instant::now();
        let mut say = |text: String| say(&format!("{:>5.1} s  {text}", began.elapsed().as_secs_f32()));
        let mut world = World::new(programs, &self.simulator(), &self.settings())?;
        say(format!("the vendors are up, seed {}, with faults switched on:", self.seed));
        for Load { scheme, documents } in &self.loads {
            say(format!("  {:<8} {:>5} {}", scheme.name(), table::count(*documents), scheme.title()));
        }

        let mut engine = world.start()?;
        say("the engine serves".to_owned());
        self.wait_for_the_middle(&world, &mut engine)?;
        self.hold_back_answers(&world, &mut engine)?;
        engine.kill()?;
        world.simulator.clear_fault(HELD_BACK)?;
        say("SIGKILL, while every scheme writes:".to_owned());
        let ledgers = world.product.ledgers()?;
        let mut doubted = Vec::new();
        for Load { scheme, .. } in &self.loads {
            let entries = ledgers.get(scheme.name()).into_iter().flatten();
            let in_doubt = entries.flat_map(|(key, entry)| {
                entry.in_doubt().map(|bill| Doubt { key: key.clone(), version: entry.version, attempts: bill.attempts })
            });
            let in_doubt: Vec<Doubt> = in_doubt.collect();
            let held = world.simulator.held_for(*scheme)?.bills.len();
            say(format!("  {:<8} {held:>5} at the target, {} writes in doubt", scheme.name(), in_doubt.len()));
            doubted.push(in_doubt);
        }

        let mut engine = world.start()?;
        say("the engine serves again".to_owned());
        world.wait_until_done(&mut engine, REST_PATIENCE)?;
        say("nothing is under way any more".to_owned());
        for fault in world.simulator.faults_left()? {
            say(format!("  a fault that never struck: {} of {}", fault.name, fault.operation.unwrap_or_default()));
        }
        let status = engine.terminate()?;
        if !status.success() {
            return Err(engine.tell(Failure::new(format!("after SIGTERM the engine ended with {status}"))));
        }
        say("SIGTERM: the engine ended in order".to_owned());
        let mut parts = Vec::new();
        for (Load { scheme, .. }, doubted) in self.loads.iter().zip(doubted) {
            let evidence = world.evidence(*scheme)?;
            let is_cleared_up = |doubt: &&Doubt| {
                let Some(entry) = evidence.ledger.get(&doubt.key) else { return false };
                let was_told = |bill: &Bill| bill.verified || (scheme.is_upsert() && bill.attempts > doubt.attempts);
                // A write whose fate is unknown holds newer versions back: where one has come to its end, it is known.
                entry.targets.iter().any(was_told) || (entry.version > doubt.version && !entry.is_under_way())
            };
            let cleared_up = doubted.iter().filter(is_cleared_up).count();
            let books = world.balance(*scheme, &evidence);
            parts.push(Part { scheme: *scheme, books, in_doubt: doubted.len(), cleared_up });
        }
        Ok(Outcome { parts, world })
    }

    /// Every scheme has written some of its documents and none has written most.
    fn wait_for_the_middle(&self, world: &World, engine: &mut Engine) -> Result<()> {
        for Load { scheme, documents } in &self.loads {
            let wanted = documents / 5;
            let reached = until(FIRST_PATIENCE, &format!("the first bills of {}", scheme.name()), || {
                if let Some(status) = engine.has_ended() {
                    return Err(Waiting::InVain(Failure::new(format!("the engine ended by itself: {status}"))));
                }
                let held = world.simulator.held_for(*scheme)?.bills.len();
                if held >= wanted { Ok(()) } else { Err(Waiting::on(format!("{held} of {wanted} bills"))) }
            });
            reached.map_err(|failure| engine.tell(failure))?;
        }
        Ok(())
    }

    /// From here on every write is carried out and none is answered. Ends once each target has carried out one more.
    fn hold_back_answers(&self, world: &World, engine: &mut Engine) -> Result<()> {
        let written = |scheme: &dyn Scheme| -> Result<u64> {
            let operation = (scheme.target().to_owned(), scheme.write_operation().to_owned());
            Ok(world.simulator.requests()?.get(&operation).copied().unwrap_or(0))
        };
        let mut before = Vec::new();
        for Load { scheme, .. } in &self.loads {
            world.simulator.fault(&format!("{HELD_BACK},operation={}", scheme.write_operation()))?;
            before.push(written(*scheme)?);
        }
        for (Load { scheme, .. }, before) in self.loads.iter().zip(before) {
            let reached = until(FIRST_PATIENCE, &format!("a last write of {}", scheme.name()), || {
                if written(*scheme)? > before { Ok(()) } else { Err(Waiting::on("a request")) }
            });
            reached.map_err(|failure| engine.tell(failure))?;
        }
        Ok(())
    }

    fn settings(&self) -> Settings {
        let scheme = |load: &Load| configuration::Scheme {
            // Some hundred requests, however many documents: something is to go wrong between them.
            keys: format!("batch_size = {}", (load.documents / 100).clamp(5, 20)),
            ..configuration::Scheme::of(load.scheme)
        };
        Settings { schemes: self.loads.iter().map(scheme).collect(), ..Settings::default() }
    }

    fn simulator(&self) -> Vec<String> {
        let count_of = |source: &str| {
            let load = self.loads.iter().find(|load| load.scheme.source() == source);
            load.map_or(0, |load| load.documents)
        };
        let most = self.loads.iter().map(|load| load.documents).max().unwrap_or(0);
        let some = (most / 100).max(2).to_string();
        let own = [
            ("--documents", count_of("jushuitan_qimen").to_string()),
            ("--wangdiantong", json!({"documents": count_of("wangdiantong_qimen")}).to_string()),
            // As many calls as it takes: the token's budget is the simulator's own test's business.
            ("--u8", json!({"documents": count_of("yonyou_u8"), "call_budget": null}).to_string()),
            ("--jdy", json!({"envelope": "by_path"}).to_string()),
            ("--seed", self.seed.to_string()),
            ("--movers", some.clone()),
            ("--cancel", some),
        ];
        let mishaps = self.loads.iter().flat_map(|load| load.scheme.mishaps());
        let faults = mishaps.map(|fault| ("--fault", (*fault).to_owned()));
        own.into_iter().chain(faults).flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }
}
