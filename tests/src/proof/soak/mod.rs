//! An engine under load for a while: three schemes over vendors that misbehave, looked at once a second.

pub mod backlog;
pub mod chart;
pub mod growth;
pub mod picture;
pub mod sampler;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::books::Books;
use super::configuration::{self, Settings};
use super::engine::Engine;
use super::latency::milliseconds;
use super::programs::Programs;
use super::schemes::{self, Scheme};
use super::world::World;
use super::{Failure, Result};
use growth::Bound;
use picture::Taken;
use sampler::{Sample, Sampler};

#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    /// Over all schemes.
    pub documents: usize,
    /// Between two documents; none where all are there at once.
    pub pause: Option<Duration>,
    pub faults: bool,
}

pub struct Outcome {
    pub samples: Vec<Sample>,
    /// Of every bill that was made, in the order of schemes.
    pub taken: Vec<Taken>,
    pub books: Vec<(&'static str, Books)>,
    /// What grew and should not have.
    pub grown: Vec<String>,
    pub world: World,
}

/// The last documents on a machine that is busy with other things, and what is in doubt until it settles.
const PATIENCE: Duration = Duration::from_secs(300);
/// The ledger's cache fills up to 256 MiB as the ledger grows, and a proof ends before that; so what memory may grow by is
/// what the cache takes of a document, and a queue that nobody empties would be over it with any real document.
const BOUNDS: [Bound; 2] = [
    Bound { what: "resident memory (KiB)", of: |sample| sample.resident_kib, per_thousand: 24 << 10 },
    Bound { what: "open files", of: |sample| sample.descriptors, per_thousand: 4 },
];

/// A document that was put into a source.
struct Given {
    scheme: &'static dyn Scheme,
    key: String,
    at: Timestamp,
}

impl Plan {
    /// `say` is told what happens, a line at a time.
    pub fn run(&self, programs: &Programs, say: &mut dyn FnMut(&str)) -> Result<Outcome> {
        let mut world = World::new(programs, &self.simulator(), &settings())?;
        let mut given = Vec::new();
        if self.pause.is_none() {
            self.give(&world, &mut given, |_| Ok(()))?;
            say(&format!("{} documents are there", given.len()));
        }
        let mut engine = world.start()?;
        let (began, began_at) = (Instant::now(), Timestamp::now());
        let mut sampler = Sampler::new(world.path());
        let mut said = 0;
        let mut look = |engine: &mut Engine, sampler: &mut Sampler| -> Result<()> {
            sampler.look(engine)?;
            let last = sampler.last();
            if last.second >= said + 15 {
                said = last.second;
                let (done, memory) = (last.done, last.resident_kib >> 10);
                say(&format!("{:>5} s  {done} documents, {memory} MiB, {} under way", last.second, last.backlog));
            }
            Ok(())
        };
        if self.pause.is_some() {
            self.give(&world, &mut given, |_| look(&mut engine, &mut sampler))?;
        }
        let rest = Instant::now();
        while sampler.last().done < given.len() as u64 {
            look(&mut engine, &mut sampler)?;
            if rest.elapsed() > PATIENCE + began.elapsed() {
                let done = sampler.last().done;
                return Err(engine.tell(Failure::new(format!("{done} of {} documents are done", given.len()))));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        world.wait_until_done(&mut engine, PATIENCE)?;
        let status = engine.terminate()?;
        if !status.success() {
            return Err(engine.tell(Failure::new(format!("after SIGTERM the engine ended with {status}"))));
        }
        let books = schemes::ALL.into_iter().map(|scheme| Ok((scheme.name(), world.books_of(scheme)?)));
        let books = books.collect::<Result<_>>()?;
        let taken = taken(&world, &given, began_at)?;
        let grown = BOUNDS.iter().filter_map(|bound| growth::excess(&sampler.samples, bound)).collect();
        Ok(Outcome { samples: sampler.samples, taken, books, grown, world })
    }

    /// Puts documents into the three sources in turn. `between` is called as often as there is time.
    fn give(&self, world: &World, given: &mut Vec<Given>, mut between: impl FnMut(usize) -> Result<()>) -> Result<()> {
        let mut chance = ChaCha8Rng::seed_from_u64(self.seed);
        let began = Instant::now();
        for number in 0..self.documents {
            let scheme = schemes::ALL[number % schemes::ALL.len()];
            let document = scheme.document(number / schemes::ALL.len() + 1, &mut chance);
            let at = Timestamp::now();
            given.push(Given { scheme, key: world.simulator.put(scheme, &document)?, at });
            between(number)?;
            if let Some(pause) = self.pause {
                let due = began + pause * u32::try_from(number + 1).unwrap_or(u32::MAX);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        }
        Ok(())
    }

    fn simulator(&self) -> Vec<String> {
        let mut arguments: Vec<String> = ["--documents", "0", "--seed"].map(str::to_owned).into();
        arguments.push(self.seed.to_string());
        arguments.extend(["--wangdiantong".to_owned(), json!({"documents": 0}).to_string()]);
        // As many calls as it takes, and whole bills in its lists: its budget is the simulator's own test's business.
        let u8 = json!({"documents": 0, "heads_only": false, "call_budget": null});
        arguments.extend(["--u8".to_owned(), u8.to_string()]);
        arguments.extend(["--jdy".to_owned(), json!({"envelope": "by_path"}).to_string()]);
        let faults = schemes::ALL.into_iter().flat_map(faults).filter(|_| self.faults);
        arguments.extend(faults.flat_map(|fault| ["--fault".to_owned(), fault]));
        arguments
    }
}

/// A few of a hundred requests, for as long as it lasts.
fn faults(scheme: &dyn Scheme) -> Vec<String> {
    let (read, write) = (scheme.read_operation(), scheme.write_operation());
    vec![
        format!("late_answer=300,operation={read},probability=0.05"),
        format!("late_answer=300,operation={write},probability=0.05"),
        format!("drop_after_commit,operation={write},probability=0.02"),
        format!("drop_before,operation={write},probability=0.02"),
        format!("commit_after_drop=300,operation={write},probability=0.01"),
    ]
}

fn settings() -> Settings {
    let schemes = schemes::ALL.map(configuration::Scheme::of).to_vec();
    Settings { schemes, ..Settings::default() }
}

/// How long each document took that was written, by the second in which its bill was made.
fn taken(world: &World, given: &[Given], began: Timestamp) -> Result<Vec<Taken>> {
    let mut taken = Vec::new();
    for scheme in schemes::ALL {
        let ledger = world.product.ledger(scheme.name())?;
        let creates = world.simulator.held_for(scheme)?.creates.into_iter().filter(|create| create.made);
        let made: HashMap<String, Timestamp> =
            creates.filter_map(|create| create.at.map(|at| (create.number, at))).collect();
        for one in given.iter().filter(|one| one.scheme.name() == scheme.name()) {
            let bill = ledger.get(&one.key).and_then(|entry| entry.targets.first());
            if let Some(at) = bill.and_then(|bill| made.get(&bill.key)) {
                taken.push((milliseconds(began, *at) / 1_000, milliseconds(one.at, *at)));
            }
        }
    }
    Ok(taken)
}

impl Outcome {
    /// Everything that keeps the run from being good.
    pub fn wrong(&self) -> Vec<String> {
        let torn = self.books.iter().filter(|(_, books)| !books.balance());
        let torn = torn.map(|(name, books)| format!("{name}: {}", books.verdict()));
        let unmeasured = self.taken.is_empty().then(|| "no document's latency was found".to_owned());
        torn.chain(self.grown.iter().cloned()).chain(unmeasured).collect()
    }
}
