//! What a tenant's documents wait for another tenant's. The quiet one has a document every so often, all the time; the noisy
//! one comes and goes. How long the quiet one's documents take is measured in both cases, in one engine and one run.

pub mod tenants;
pub mod vices;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::engine::Engine;
use super::latency::{Latencies, median, milliseconds};
use super::ledger::Entries;
use super::process::{self, Usage};
use super::programs::Programs;
use super::schemes::SALEOUT;
use super::wait::{Waiting, until};
use super::{Failure, Result};
use tenants::{LARGE_BYTES, NOISY, QUIET, Tenants};

#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    /// Times that it is quiet and then noisy.
    pub rounds: usize,
    /// How long the quiet half of a round lasts, and the noisy one at least.
    pub half: Duration,
    /// Between two of the quiet tenant's documents.
    pub pause: Duration,
    /// Small documents of each of the noisy tenant's schemes, and large ones, in a round.
    pub small: usize,
    pub large: usize,
}

/// One half of a round.
#[derive(Debug, Clone)]
pub struct Half {
    pub noisy: bool,
    pub lasted: Duration,
    /// From being there for the source to show, to being written at the target.
    pub whole: Latencies,
    /// From leaving the source first. What is over that is the wait for the schedule's next reading.
    pub own: Latencies,
}

pub struct Outcome {
    pub halves: Vec<Half>,
    pub usage: Usage,
    pub volume_bytes: u64,
    /// What is not as it must be.
    pub wrong: Vec<String>,
    pub tenants: Tenants,
}

/// A round of the noisy tenant on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(600);

/// A document of the quiet tenant: in which half it was given, and when.
struct Given {
    half: usize,
    at: Timestamp,
}

struct Run {
    plan: Plan,
    tenants: Tenants,
    engine: Engine,
    chance: ChaCha8Rng,
    quiet: BTreeMap<String, Given>,
    /// Documents of each source of the noisy tenant so far.
    small: usize,
    large: usize,
    halves: Vec<(bool, Duration)>,
}

impl Plan {
    /// `say` is told what happens, a line at a time.
    pub fn run(self, programs: &Programs, say: &mut dyn FnMut(&str)) -> Result<Outcome> {
        let tenants = Tenants::new(programs)?;
        let engine = tenants.product.start(1)?;
        let chance = ChaCha8Rng::seed_from_u64(self.seed);
        let (quiet, halves) = (BTreeMap::new(), Vec::new());
        let mut run = Run { plan: self, tenants, engine, chance, quiet, small: 0, large: 0, halves };
        // The first documents of an engine wait for the session with the target.
        run.half(false)?;
        for round in 0..run.plan.rounds {
            for noisy in [false, true] {
                let lasted = run.half(noisy)?;
                let name = if noisy { "noisy" } else { "quiet" };
                say(&format!("round {}: {name}, {:.0} s", round + 1, lasted.as_secs_f32()));
            }
        }
        run.end()
    }
}

impl Run {
    fn half(&mut self, noisy: bool) -> Result<Duration> {
        let began = Instant::now();
        if noisy {
            self.make_noise()?;
        }
        let mut next = Instant::now();
        let mut looked = Instant::now();
        loop {
            self.give()?;
            next += self.plan.pause;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            if began.elapsed() < self.plan.half || looked.elapsed() < Duration::from_secs(1) {
                continue;
            }
            looked = Instant::now();
            if !noisy || self.is_noise_over()? {
                break;
            }
            if began.elapsed() > PATIENCE {
                let failure = Failure::new(format!("the noise was not over after {} s", PATIENCE.as_secs()));
                return Err(self.engine.tell(failure));
            }
        }
        self.until_quiet_is_written()?;
        self.halves.push((noisy, began.elapsed()));
        Ok(began.elapsed())
    }

    /// One more document of the quiet tenant.
    fn give(&mut self) -> Result<()> {
        let document = SALEOUT.document(self.quiet.len(), &mut self.chance);
        let at = Timestamp::now();
        self.tenants.quiet.add(&document)?;
        self.quiet.insert(document["io_id"].to_string(), Given { half: self.halves.len(), at });
        Ok(())
    }

    fn make_noise(&mut self) -> Result<()> {
        for _ in 0..self.plan.small {
            self.tenants.noisy.add(&SALEOUT.document(self.small, &mut self.chance))?;
            self.small += 1;
        }
        for _ in 0..self.plan.large {
            self.tenants.large.add(&SALEOUT.document(self.large, &mut self.chance))?;
            self.large += 1;
        }
        Ok(())
    }

    fn expected_of(&self, large: bool) -> usize {
        if large { self.large } else { self.small }
    }

    fn is_noise_over(&mut self) -> Result<bool> {
        self.check_alive()?;
        let expected: usize = self.tenants.vices.iter().map(|vice| self.expected_of(vice.large)).sum();
        // Whatever end it was: whether it is the right one is asked afterwards.
        Ok(done(&self.engine, NOISY, "")? >= expected)
    }

    fn check_alive(&mut self) -> Result<()> {
        match self.engine.has_ended() {
            Some(status) => Err(self.engine.tell(Failure::new(format!("the engine ended by itself: {status}")))),
            None => Ok(()),
        }
    }

    fn until_quiet_is_written(&mut self) -> Result<()> {
        let given = self.quiet.len();
        let engine = &mut self.engine;
        let written = until(PATIENCE, "the quiet tenant's documents", || {
            if let Some(status) = engine.has_ended() {
                return Err(Waiting::InVain(Failure::new(format!("the engine ended by itself: {status}"))));
            }
            let written = done(engine, QUIET, "written")?;
            if written >= given { Ok(()) } else { Err(Waiting::on(format!("{written} of {given} written"))) }
        });
        written.map_err(|failure| self.engine.tell(failure))
    }

    fn end(mut self) -> Result<Outcome> {
        let usage = process::usage(self.engine.id())?;
        let status = self.engine.terminate()?;
        if !status.success() {
            return Err(self.engine.tell(Failure::new(format!("after SIGTERM the engine ended with {status}"))));
        }
        let mut wrong = self.wrong_with_the_quiet_one()?;
        for vice in &self.tenants.vices {
            let ledger = self.tenants.product.ledger(&vice.scheme)?;
            wrong.extend(wrong_with(&vice.scheme, vice.code, &ledger, self.expected_of(vice.large)));
        }
        let taken = self.tenants.noisy.held()?.bills.len();
        if taken > 0 {
            wrong.push(format!("{NOISY}: {taken} bills were written, and none should be"));
        }
        let halves = self.halves()?;
        let volume_bytes = (self.large * LARGE_BYTES) as u64;
        Ok(Outcome { halves, usage, volume_bytes, wrong, tenants: self.tenants })
    }

    /// Every document written, once, and nothing else.
    fn wrong_with_the_quiet_one(&self) -> Result<Vec<String>> {
        let mut wrong = wrong_with(QUIET, "", &self.tenants.product.ledger(QUIET)?, self.quiet.len());
        let mut made = BTreeMap::<String, usize>::new();
        for create in self.tenants.quiet.held()?.creates.into_iter().filter(|create| create.made) {
            *made.entry(create.number).or_default() += 1;
        }
        let missing = self.quiet.keys().filter(|key| !made.contains_key(*key));
        wrong.extend(missing.map(|key| format!("{QUIET} {key}: not at the target")));
        let twice = made.iter().filter(|(_, times)| **times > 1);
        wrong.extend(twice.map(|(key, times)| format!("{QUIET} {key}: made {times} times")));
        Ok(wrong)
    }

    fn halves(&self) -> Result<Vec<Half>> {
        let made = self.tenants.quiet.held()?.creates.into_iter().filter(|create| create.made);
        let made: BTreeMap<String, Timestamp> =
            made.filter_map(|create| create.at.map(|at| (create.number, at))).collect();
        let served = self.tenants.quiet.served_by(SALEOUT)?;
        let left: BTreeMap<String, Timestamp> =
            served.into_iter().filter_map(|version| version.first_at.map(|at| (version.key, at))).collect();
        let mut times = vec![(Vec::new(), Vec::new()); self.halves.len()];
        for (key, given) in &self.quiet {
            let (Some(made), Some(left)) = (made.get(key), left.get(key)) else { continue };
            times[given.half].0.push(milliseconds(given.at, *made));
            times[given.half].1.push(milliseconds(*left, *made));
        }
        let halves = self.halves.iter().zip(times).skip(1).map(|((noisy, lasted), (whole, own))| Half {
            noisy: *noisy,
            lasted: *lasted,
            whole: Latencies::new(whole),
            own: Latencies::new(own),
        });
        Ok(halves.collect())
    }
}

/// Documents of a tenant that came to this end, or to any where none is named, as the engine counts them.
fn done(engine: &Engine, tenant: &str, outcome: &str) -> Result<usize> {
    let labels = [format!("tenant=\"{tenant}\""), format!("outcome=\"{outcome}")];
    let counted = engine.counted("crossdock_documents_total", &[&labels[0], &labels[1]])?;
    Ok(usize::try_from(counted).unwrap_or(usize::MAX))
}

/// `code` is what every document is parked with; empty where all are written.
fn wrong_with(scheme: &str, code: &str, ledger: &Entries, expected: usize) -> Vec<String> {
    let state = if code.is_empty() { "written" } else { "parked" };
    let is_right = |found: &str, found_code: Option<&str>| found == state && found_code.unwrap_or_default() == code;
    let others = ledger.iter().filter(|(_, entry)| !is_right(&entry.state, entry.code.as_deref()));
    let mut wrong: Vec<String> =
        others.map(|(key, entry)| format!("{scheme} {key}: not {state} {code}, but {}", entry.story())).collect();
    if ledger.len() != expected {
        wrong.push(format!("{scheme}: {} documents in the ledger, and {expected} were given", ledger.len()));
    }
    wrong
}

impl Outcome {
    /// The median over the rounds of a percentile, quiet and noisy.
    pub fn medians(&self, of: fn(&Half) -> &Latencies, percent: usize) -> (u64, u64) {
        let of_all = |noisy: bool| {
            let halves = self.halves.iter().filter(|half| half.noisy == noisy);
            median(halves.map(|half| of(half).percentile(percent)).collect())
        };
        (of_all(false), of_all(true))
    }
}
