//! The engine killed again and again, at instants that nobody chose, over targets that take a number twice.
//!
//! All schemes run in the one engine. The targets' own checks of numbers are switched off, so that whatever keeps a bill
//! from being written twice is the engine's doing. Each kill is looked at before the restart: where in the life of each
//! scheme's documents did it land?

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::books::Books;
use super::configuration::{self, Settings};
use super::ledger::Entries;
use super::programs::Programs;
use super::schemes::{self, Scheme};
use super::table::{self, Row, count};
use super::world::World;
use super::{Failure, Result};

#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub kills: usize,
    /// A promise to break, with an engine built for that. The run ends as soon as a bill is there twice.
    pub sabotage: Option<String>,
    /// No kill after this long, however many are left.
    pub time_limit: Option<Duration>,
}

/// Where kills landed. A kill may land in several gaps at once, for many documents are under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gaps {
    pub poll_to_commit: usize,
    pub outcome_to_intent: usize,
    pub intent_to_answer: usize,
    pub answer_to_commit: usize,
    /// Nothing was under way.
    pub quiet: usize,
}

pub struct Outcome {
    pub kills: usize,
    pub parts: Vec<Part>,
    pub took: Duration,
    pub world: World,
}

/// One scheme's share in it.
pub struct Part {
    pub scheme: &'static dyn Scheme,
    pub gaps: Gaps,
    pub books: Books,
}

/// A timeout and a queue that end soon: what is in doubt is asked about soon.
const TIMEOUT_MS: u32 = 1_000;
const QUEUE_TIMEOUT_MS: u32 = 500;
/// Longer than any late commit below: the promise is void against a target that commits later than its settle time.
const SETTLE: &str = "1s";
/// Documents that each source gets at least before each start, so that every first read has something to commit; as many
/// more as it takes for so many to be left to do, so that no kill finds nothing under way.
const AT_LEAST: usize = 5;
const LEFT: usize = 60;
const REST_PATIENCE: Duration = Duration::from_secs(180);

fn faults(scheme: &dyn Scheme) -> Vec<String> {
    let (read, write) = (scheme.read_operation(), scheme.write_operation());
    vec![
        // Between the vendor's answer and our commit of the page.
        format!("late_answer=200,operation={read},probability=0.8"),
        // Between the intent and the target's commit; once with, once without a commit after the engine's death. Late enough
        // for an engine that starts on a slow machine to ask before it.
        format!("stall=120,operation={write},probability=0.3"),
        format!("late_commit=400,operation={write},probability=0.3"),
        // Between the target's commit and ours of its answer.
        format!("late_answer=150,operation={write},probability=0.4"),
        // Answers that never come.
        format!("commit_after_drop=400,operation={write},probability=0.04"),
        format!("drop_after_commit,operation={write},probability=0.04"),
        format!("drop_before,operation={write},probability=0.04"),
    ]
}

impl Plan {
    /// `say` is told what happens, a line at a time.
    pub fn run(&self, programs: &Programs, say: &mut dyn FnMut(&str)) -> Result<Outcome> {
        let began = Instant::now();
        let mut chance = ChaCha8Rng::seed_from_u64(self.seed);
        let mut world = World::new(programs, &simulator(self.seed), &settings())?;
        world.product.sabotage.clone_from(&self.sabotage);
        self.warm_up(&mut world)?;
        say(&format!("seed {}: killing the engine {} times", self.seed, self.kills));

        let mut documents = ChaCha8Rng::seed_from_u64(self.seed ^ 0xd0c5);
        let mut lanes: Vec<Lane> = schemes::ALL.into_iter().map(Lane::new).collect();
        let mut kills = 0;
        while kills < self.kills && self.time_limit.is_none_or(|limit| began.elapsed() < limit) {
            for lane in &mut lanes {
                lane.top_up(&world, &mut documents)?;
            }
            one_kill(&mut world, &mut chance)?;
            kills += 1;
            let mut doubled = false;
            let ledgers = world.product.ledgers()?;
            for lane in &mut lanes {
                let nothing = Entries::new();
                doubled |= lane.look(&world, ledgers.get(lane.scheme.name()).unwrap_or(&nothing))?;
            }
            if kills.is_multiple_of(10) {
                let documents: usize = lanes.iter().map(|lane| lane.made).sum();
                say(&format!("{kills} kills, {documents} documents, {:.0} s", began.elapsed().as_secs_f32()));
            }
            if self.sabotage.is_some() && doubled {
                break;
            }
        }
        if self.sabotage.is_none() {
            let mut engine = world.start()?;
            world.wait_until_done(&mut engine, REST_PATIENCE)?;
            let status = engine.terminate()?;
            if !status.success() {
                return Err(engine.tell(Failure::new(format!("after SIGTERM the engine ended with {status}"))));
            }
        }
        let mut parts = Vec::new();
        for Lane { scheme, gaps, .. } in lanes {
            parts.push(Part { scheme, gaps, books: world.books_of(scheme)? });
        }
        Ok(Outcome { kills, parts, took: began.elapsed(), world })
    }

    /// Compiles the module once, and makes sure that a promise is broken where one is to be.
    fn warm_up(&self, world: &mut World) -> Result<()> {
        let mut engine = world.start()?;
        engine.terminate()?;
        if self.sabotage.is_some() && !engine.log().contains("SABOTAGED") {
            let program = world.product.program.display();
            return Err(Failure::new(format!("{program} breaks no promise: build it with `--features failpoints`")));
        }
        Ok(())
    }
}

/// The vendors, with everything that they do wrong while an engine is killed over them.
pub(super) fn simulator(seed: u64) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["--documents", "20", "--allow-duplicate-numbers", "--seed"].map(str::to_owned).into();
    arguments.push(seed.to_string());
    // Whole bills in U8's lists: what is fetched one by one is fetched anew after each start, and there are many.
    arguments.extend(["--u8".to_owned(), json!({"heads_only": false, "call_budget": null}).to_string()]);
    arguments.extend(["--jdy".to_owned(), json!({"envelope": "by_path", "unique_billno": false}).to_string()]);
    let faults = schemes::ALL.into_iter().flat_map(faults);
    arguments.extend(faults.flat_map(|fault| ["--fault".to_owned(), fault]));
    arguments
}

pub(super) fn settings() -> Settings {
    let scheme = |kind| configuration::Scheme {
        settle: SETTLE.to_owned(),
        keys: "batch_size = 5".to_owned(),
        ..configuration::Scheme::of(kind)
    };
    Settings {
        schemes: schemes::ALL.map(scheme).to_vec(),
        timeout_ms: TIMEOUT_MS,
        queue_timeout_ms: QUEUE_TIMEOUT_MS,
        ..Settings::default()
    }
}

/// Starts the engine, lets it work for a while that nobody chose, and kills it.
fn one_kill(world: &mut World, chance: &mut ChaCha8Rng) -> Result<()> {
    let mut engine = world.spawn()?;
    let pause = match chance.random_range(0..10) {
        // While it starts.
        0 => chance.random_range(0..400),
        // Long enough for everything in doubt to settle.
        1 => {
            engine.wait_until_ready()?;
            chance.random_range(2_000..3_500)
        }
        _ => {
            engine.wait_until_ready()?;
            chance.random_range(20..1_200)
        }
    };
    std::thread::sleep(Duration::from_millis(pause));
    if let Some(status) = engine.has_ended() {
        return Err(engine.tell(Failure::new(format!("the engine ended by itself: {status}"))));
    }
    engine.kill()
}

/// One scheme while it lives through the kills.
struct Lane {
    scheme: &'static dyn Scheme,
    gaps: Gaps,
    /// Documents put in so far.
    made: usize,
    /// Documents that were not read yet or are not finished.
    left: usize,
}

impl Lane {
    fn new(scheme: &'static dyn Scheme) -> Self {
        Self { scheme, gaps: Gaps::default(), made: 0, left: 0 }
    }

    fn top_up(&mut self, world: &World, chance: &mut ChaCha8Rng) -> Result<()> {
        for _ in 0..LEFT.saturating_sub(self.left).max(AT_LEAST) {
            self.made += 1;
            world.simulator.add_to(self.scheme, &self.scheme.document(self.made, chance))?;
        }
        Ok(())
    }

    /// Sees where the kill landed, and whether a bill is there twice.
    fn look(&mut self, world: &World, ledger: &Entries) -> Result<bool> {
        // The target first: it may still be committing what reached it.
        let held = world.simulator.held_for(self.scheme)?;
        let served = world.simulator.served_by(self.scheme)?;
        let served: BTreeSet<String> = served.into_iter().map(|version| version.key).collect();
        let mut numbers = BTreeSet::new();
        let mut doubled = false;
        for bill in held.bills {
            doubled |= !numbers.insert(bill.number);
        }
        let under_way = ledger.values().filter(|entry| entry.is_under_way()).count();
        let unread = world.simulator.documents_of(self.scheme)?.len().saturating_sub(ledger.len());
        self.left = under_way + unread;
        self.gaps.add(Gaps::of(ledger, &served, &numbers));
        Ok(doubled)
    }
}

impl Gaps {
    fn of(ledger: &Entries, served: &BTreeSet<String>, held: &BTreeSet<String>) -> Self {
        let bill_is = |states: &[&str], at_target: Option<bool>| {
            ledger.values().flat_map(|entry| &entry.targets).any(|bill| {
                states.contains(&bill.state.as_str())
                    && at_target.is_none_or(|wanted| wanted == held.contains(&bill.key))
            })
        };
        let hit = Self {
            poll_to_commit: usize::from(served.iter().any(|key| !ledger.contains_key(key))),
            outcome_to_intent: usize::from(bill_is(&["ready"], None)),
            intent_to_answer: usize::from(bill_is(&["sent"], Some(false))),
            answer_to_commit: usize::from(bill_is(&["sent"], Some(true))),
            quiet: 0,
        };
        Self { quiet: usize::from(hit == Self::default()), ..hit }
    }

    fn add(&mut self, other: Self) {
        self.poll_to_commit += other.poll_to_commit;
        self.outcome_to_intent += other.outcome_to_intent;
        self.intent_to_answer += other.intent_to_answer;
        self.answer_to_commit += other.answer_to_commit;
        self.quiet += other.quiet;
    }
}

impl Part {
    pub fn rows(&self) -> Vec<Row> {
        let Gaps { poll_to_commit, outcome_to_intent, intent_to_answer, answer_to_commit, quiet } = self.gaps;
        let mut rows: Vec<Row> = vec![
            ("poll to commit", count(poll_to_commit), "kills: served, and not yet in the ledger".to_owned()),
            ("outcome to intent", count(outcome_to_intent), "transformed, and not yet to be sent".to_owned()),
            ("intent to answer", count(intent_to_answer), "sent, and not held by the target".to_owned()),
            ("answer to commit", count(answer_to_commit), "held by the target, and not known to be".to_owned()),
            ("quiet", count(quiet), "nothing was under way".to_owned()),
            ("found present", count(self.books.found_present), "asked about, and there".to_owned()),
            ("found absent", count(self.books.found_absent), "asked about, not there, sent again".to_owned()),
        ];
        rows.extend(self.books.rows());
        rows
    }

    /// What was not reached often enough for the run to say anything about it.
    pub fn missed(&self, at_least: usize) -> Vec<String> {
        let Gaps { poll_to_commit, outcome_to_intent, intent_to_answer, answer_to_commit, .. } = self.gaps;
        let Books { found_present, found_absent, sent_again, .. } = self.books;
        let gaps = [
            ("poll to commit", poll_to_commit),
            ("outcome to intent", outcome_to_intent),
            ("intent to answer", intent_to_answer),
            ("answer to commit", answer_to_commit),
        ];
        let findings: &[_] = match self.scheme.is_upsert() {
            true => &[("sent again", sent_again)],
            false => &[("found present", found_present), ("found absent", found_absent)],
        };
        let name = self.scheme.name();
        gaps.iter()
            .chain(findings)
            .filter(|(_, times)| *times < at_least)
            .map(|(what, times)| format!("{name}: {what} was reached {times} times, {at_least} are needed"))
            .collect()
    }
}

impl Outcome {
    pub fn balance(&self) -> bool {
        self.parts.iter().all(|part| part.books.balance())
    }

    pub fn missed(&self, at_least: usize) -> Vec<String> {
        self.parts.iter().flat_map(|part| part.missed(at_least)).collect()
    }

    /// Bills that are there twice, with their stories.
    pub fn doubled(&self) -> Vec<&String> {
        self.parts.iter().flat_map(|part| &part.books.doubled).collect()
    }

    pub fn lost(&self) -> usize {
        self.parts.iter().map(|part| part.books.lost.len()).sum()
    }

    /// Every scheme's figures, with at most so many stories each of what keeps its books from balancing.
    pub fn render(&self, stories: usize) -> String {
        let mut text = format!("{} kills in {:.0} s\n", self.kills, self.took.as_secs_f32());
        for part in &self.parts {
            text.push_str(&format!("\n{}: {}\n", part.scheme.name(), part.scheme.title()));
            text.push_str(&table::render(&part.rows()));
            text.push_str(&part.books.stories(stories));
            text.push_str(&format!("{}\n", part.books.verdict()));
        }
        text
    }
}
