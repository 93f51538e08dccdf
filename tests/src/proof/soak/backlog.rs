//! A target that is away while its source goes on: how much of it the engine holds in memory, and how much in the ledger.

use std::time::{Duration, Instant};

use super::sampler::{Sample, Sampler};
use crate::proof::configuration::{self, Settings};
use crate::proof::engine::Engine;
use crate::proof::programs::Programs;
use crate::proof::schemes::SALEOUT;
use crate::proof::world::World;
use crate::proof::{Failure, Result};

#[derive(Debug, Clone)]
pub struct Plan {
    pub documents: usize,
}

pub struct Outcome {
    pub samples: Vec<Sample>,
    /// Documents in the ledger that are not finished, by its own list.
    pub held: usize,
    pub world: World,
}

/// What an engine may have however much waits for its target.
const MEMORY_LIMIT_KIB: u64 = 400 << 10;
/// Seconds of the second engine, which finds the backlog in its ledger.
const WATCHED_AFTER_START: u64 = 30;
/// Without a single further document in the ledger.
const PATIENCE: Duration = Duration::from_secs(120);

impl Plan {
    /// `say` is told what happens, a line at a time.
    pub fn run(&self, programs: &Programs, say: &mut dyn FnMut(&str)) -> Result<Outcome> {
        // The one that keeps no documents: a million of the strict one's are 22 gigabytes.
        let simulator = ["--plain", "--documents", &self.documents.to_string()];
        let limit = self.documents + 1;
        let scheme = configuration::Scheme {
            keys: format!("backlog = {{ limit = {limit}, resume = {} }}", self.documents),
            ..configuration::Scheme::of(SALEOUT)
        };
        let settings = Settings { schemes: vec![scheme], ..Settings::default() };
        let mut world = World::new(programs, &simulator.map(str::to_owned), &settings)?;
        world.product.succeed(&["pause", "--connection", "k3", "--reason", "it is away"])?;
        let mut engine = world.start()?;
        let mut sampler = Sampler::new(world.path());
        let (mut most, mut grew, mut said) = (0, Instant::now(), 0);
        while most < self.documents as u64 {
            sampler.look(&mut engine)?;
            let last = sampler.last();
            if last.backlog > most {
                (most, grew) = (last.backlog, Instant::now());
            }
            if last.second >= said + 15 {
                said = last.second;
                say(&format!("{:>5} s  {most} documents wait, {} MiB", last.second, last.resident_kib >> 10));
            }
            if grew.elapsed() > PATIENCE {
                let failure = Failure::new(format!("{most} of {} documents wait, and no more come", self.documents));
                return Err(engine.tell(failure));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let end = |mut engine: Engine| {
            let status = engine.terminate()?;
            let wrong = || engine.tell(Failure::new(format!("after SIGTERM the engine ended with {status}")));
            if status.success() { Ok(()) } else { Err(wrong()) }
        };
        end(engine)?;
        say("the engine starts anew, over all that waits");
        let mut engine = world.start()?;
        let until = sampler.last().second + WATCHED_AFTER_START;
        while sampler.last().second < until {
            sampler.look(&mut engine)?;
            std::thread::sleep(Duration::from_millis(50));
        }
        end(engine)?;
        let held = world.product.under_way(SALEOUT.name())?.len();
        Ok(Outcome { samples: sampler.samples, held, world })
    }
}

impl Outcome {
    pub fn wrong(&self, documents: usize) -> Vec<String> {
        let peak_kib = self.samples.iter().map(|sample| sample.resident_kib).max().unwrap_or(0);
        let memory = format!("{} MiB were resident, over {}", peak_kib >> 10, MEMORY_LIMIT_KIB >> 10);
        let count = format!("{} of {documents} documents wait in the ledger", self.held);
        let wrong = [(peak_kib > MEMORY_LIMIT_KIB, memory), (self.held != documents, count)];
        wrong.into_iter().filter_map(|(is_wrong, text)| is_wrong.then_some(text)).collect()
    }
}
