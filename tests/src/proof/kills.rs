//! The engine killed again and again, at instants that nobody chose, over a target that takes a number twice.
//!
//! The target's own check of numbers is switched off, so that whatever keeps a bill from being written twice is the
//! engine's doing. Each kill is looked at before the restart: where in the life of a document did it land?

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::books::Books;
use super::configuration::{Scheme, Settings};
use super::ledger::Entries;
use super::programs::Programs;
use super::table::{Row, count};
use super::world::{SCHEME, World};
use super::{Failure, Result};

#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub kills: usize,
    /// A promise to break, with an engine built for that. The run ends as soon as a bill is there twice.
    pub sabotage: Option<String>,
    /// Each gap must be hit, and each finding made, this often. Zero asks for nothing.
    pub at_least: usize,
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
    pub gaps: Gaps,
    pub books: Books,
    pub took: Duration,
    pub world: World,
}

/// A timeout and a queue that end soon: what is in doubt is asked about soon.
const TIMEOUT_MS: u32 = 1_000;
const QUEUE_TIMEOUT_MS: u32 = 500;
/// Longer than any late commit below: the promise is void against a target that commits later than its settle time.
const SETTLE: &str = "500ms";
/// Documents put in whenever fewer than [`DRY`] are left to do.
const TOP_UP: usize = 50;
const DRY: usize = 50;
const REST_PATIENCE: Duration = Duration::from_secs(120);

const FAULTS: &[&str] = &[
    // Between the vendor's answer and our commit of the page.
    "late_answer=120,system=jushuitan_qimen,probability=0.6",
    // Between the intent and the target's commit; once with, once without a commit after the engine's death.
    "stall=120,operation=batchsave,probability=0.3",
    "late_commit=200,operation=batchsave,probability=0.3",
    // Between the target's commit and ours of its answer.
    "late_answer=150,operation=batchsave,probability=0.4",
    // Answers that never come.
    "commit_after_drop=200,operation=batchsave,probability=0.04",
    "drop_after_commit,operation=batchsave,probability=0.04",
    "drop_before,operation=batchsave,probability=0.04",
];

impl Plan {
    /// `say` is told what happens, a line at a time.
    pub fn run(&self, programs: &Programs, say: &mut dyn FnMut(&str)) -> Result<Outcome> {
        let began = Instant::now();
        let mut chance = ChaCha8Rng::seed_from_u64(self.seed);
        let mut world = World::new(programs, &self.simulator(), &settings())?;
        world.product.sabotage.clone_from(&self.sabotage);
        self.warm_up(&mut world)?;
        say(&format!("seed {}: killing the engine {} times", self.seed, self.kills));

        let mut made = Maker::new(self.seed);
        let (mut gaps, mut kills) = (Gaps::default(), 0);
        let mut left = 0;
        while kills < self.kills && self.time_limit.is_none_or(|limit| began.elapsed() < limit) {
            if left < DRY {
                made.put(&world, TOP_UP)?;
            }
            one_kill(&mut world, &mut chance)?;
            kills += 1;
            let seen = Seen::now(&world)?;
            left = seen.left;
            gaps.add(seen.gaps);
            if kills.is_multiple_of(10) {
                say(&format!("{kills} kills, {} documents, {:.0} s", made.count, began.elapsed().as_secs_f32()));
            }
            if self.sabotage.is_some() && seen.doubled {
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
        let books = world.books()?;
        Ok(Outcome { kills, gaps, books, took: began.elapsed(), world })
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

    fn simulator(&self) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["--documents", "40", "--allow-duplicate-numbers", "--seed"].map(str::to_owned).into();
        arguments.push(self.seed.to_string());
        arguments.extend(FAULTS.iter().flat_map(|fault| ["--fault".to_owned(), (*fault).to_owned()]));
        arguments
    }
}

fn settings() -> Settings {
    let scheme = Scheme { settle: SETTLE.to_owned(), keys: "batch_size = 5".to_owned(), ..Scheme::default() };
    Settings {
        schemes: vec![scheme],
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

/// The state of things right after a kill.
struct Seen {
    gaps: Gaps,
    /// Documents that were not read yet or are not finished.
    left: usize,
    doubled: bool,
}

impl Seen {
    fn now(world: &World) -> Result<Self> {
        // The target first: it may still be committing what reached it.
        let held = world.simulator.held()?;
        let served: BTreeSet<String> = world.simulator.served()?.into_iter().map(|version| version.io_id).collect();
        let mut numbers = BTreeSet::new();
        let mut doubled = false;
        for bill in held.bills {
            doubled |= !numbers.insert(bill.number);
        }
        let ledger = world.product.ledger(SCHEME)?;
        let under_way = ledger.values().filter(|entry| entry.is_under_way()).count();
        let unread = world.simulator.documents()?.len().saturating_sub(ledger.len());
        Ok(Self { gaps: Gaps::of(&ledger, &served, &numbers), left: under_way + unread, doubled })
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

impl Outcome {
    pub fn rows(&self) -> Vec<Row> {
        let Gaps { poll_to_commit, outcome_to_intent, intent_to_answer, answer_to_commit, quiet } = self.gaps;
        let mut rows: Vec<Row> = vec![
            ("kills", count(self.kills), format!("in {:.0} s", self.took.as_secs_f32())),
            ("  poll to commit", count(poll_to_commit), "served, and not yet in the ledger".to_owned()),
            ("  outcome to intent", count(outcome_to_intent), "transformed, and not yet to be sent".to_owned()),
            ("  intent to answer", count(intent_to_answer), "sent, and not held by the target".to_owned()),
            ("  answer to commit", count(answer_to_commit), "held by the target, and not known to be".to_owned()),
            ("  quiet", count(quiet), "nothing was under way".to_owned()),
            ("found present", count(self.books.found_present), "asked about, and there".to_owned()),
            ("found absent", count(self.books.found_absent), "asked about, not there, sent again".to_owned()),
        ];
        rows.extend(self.books.rows());
        rows
    }

    /// What was not reached often enough for the run to say anything about it.
    pub fn missed(&self, at_least: usize) -> Vec<String> {
        let Gaps { poll_to_commit, outcome_to_intent, intent_to_answer, answer_to_commit, .. } = self.gaps;
        [
            ("poll to commit", poll_to_commit),
            ("outcome to intent", outcome_to_intent),
            ("intent to answer", intent_to_answer),
            ("answer to commit", answer_to_commit),
            ("found present", self.books.found_present),
            ("found absent", self.books.found_absent),
        ]
        .into_iter()
        .filter(|(_, times)| *times < at_least)
        .map(|(name, times)| format!("{name} was reached {times} times, {at_least} are needed"))
        .collect()
    }
}

/// Makes sale-outs, each with a number of its own.
struct Maker {
    chance: ChaCha8Rng,
    count: usize,
}

/// Far above the simulator's own.
const FIRST_IO_ID: usize = 7_000_000;

impl Maker {
    fn new(seed: u64) -> Self {
        Self { chance: ChaCha8Rng::seed_from_u64(seed ^ 0xd0c5), count: 0 }
    }

    fn put(&mut self, world: &World, documents: usize) -> Result<()> {
        for _ in 0..documents {
            let document = self.next();
            world.simulator.add(&document)?;
        }
        Ok(())
    }

    fn next(&mut self) -> Value {
        self.count += 1;
        let io_id = FIRST_IO_ID + self.count;
        let shop = *[12_948_597, 11_690_153].choose(&mut self.chance).expect("two shops");
        let cents = self.chance.random_range(0..10_000);
        json!({
            "io_id": io_id, "o_id": io_id + 1, "so_id": format!("SO{io_id}"), "shop_id": shop, "status": "Confirmed",
            "io_date": "2026-11-20 10:30:00", "wms_co_id": 11_053_062, "l_id": format!("SF{io_id}"),
            "remark": "", "free_amount": "0.00",
            "items": [{
                "sku_id": "SKU001", "qty": self.chance.random_range(1..9),
                "sale_price": format!("{}.{:02}", cents / 100, cents % 100),
            }],
        })
    }
}
