//! The engine killed at every named instant before and after each of its effects, one after another, for every scheme.
//!
//! Unlike a kill at random, nothing here is left to luck: the engine kills itself at the instant that it is told, in a
//! build that has such instants, and an instant at which it did not die counts as red. Every start after a death is an
//! ordinary one, and at the end the books of all schemes must balance.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::books::Books;
use super::engine::Engine;
use super::programs::Programs;
use super::schemes::{self, Scheme};
use super::world::World;
use super::{Failure, Result, kills, table};

/// What an engine does that outlasts it, in the order in which it is tried: each leaves something for the next.
const EFFECTS: [Effect; 14] = [
    Effect { name: "page", needs: Needs::Documents, means: "a page is put away" },
    Effect { name: "cursor", needs: Needs::Documents, means: "the cursor moves" },
    Effect { name: "outcome", needs: Needs::Documents, means: "a module's verdict is put away" },
    Effect { name: "claim", needs: Needs::Documents, means: "a target key gets its owner" },
    Effect { name: "intent", needs: Needs::Documents, means: "what is about to be sent is put away" },
    Effect { name: "send", needs: Needs::Documents, means: "the request leaves, its answer arrives" },
    Effect { name: "answer", needs: Needs::Documents, means: "the target's answer is put away" },
    Effect { name: "recovery", needs: Needs::Unfinished, means: "a start takes up what was left" },
    Effect { name: "question", needs: Needs::Doubts, means: "the target is asked, its answer arrives" },
    Effect { name: "finding", needs: Needs::Doubts, means: "what it said is put away" },
    Effect { name: "reference", needs: Needs::Command, means: "a reference table is put away" },
    Effect { name: "backfill", needs: Needs::Command, means: "a backfill's progress is put away" },
    Effect { name: "pause", needs: Needs::Command, means: "a pause is put away" },
    Effect { name: "resume", needs: Needs::Command, means: "a pause is taken back" },
];

struct Effect {
    name: &'static str,
    needs: Needs,
    means: &'static str,
}

/// What it takes for the engine to come to an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Documents,
    /// Something that the last run left unfinished.
    Unfinished,
    /// A lost answer, at a target that can be asked.
    Doubts,
    /// A person's command to the running engine.
    Command,
}

const SIDES: [&str; 2] = ["before", "after"];
/// Documents that the source gets for each death.
const FRESH: usize = 6;
/// Starts in vain before an instant counts as one that the engine does not come to.
const STARTS: usize = 4;
/// From the engine's start to its death. One that is too short costs another start.
const PATIENCE: Duration = Duration::from_secs(8);
const REST_PATIENCE: Duration = Duration::from_secs(180);

pub struct Outcome {
    /// Deaths by effect, side and scheme. `None`: the scheme has no such effect.
    deaths: BTreeMap<(usize, usize, &'static str), Option<usize>>,
    pub books: Vec<(&'static dyn Scheme, Books)>,
    pub doubled_on_the_way: Vec<String>,
    pub took: Duration,
    pub world: World,
}

/// Dies at every instant. `say` is told what happens, a line at a time.
pub fn run(programs: &Programs, seed: u64, say: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let (began, now) = (Instant::now(), Timestamp::now());
    let mut matrix = Matrix {
        world: World::new(programs, &kills::simulator(seed), &kills::settings())?,
        chance: ChaCha8Rng::seed_from_u64(seed),
        from: now - SignedDuration::from_hours(48),
        to: now,
        made: 0,
        doubled: Vec::new(),
    };
    matrix.warm_up()?;
    let mut deaths = BTreeMap::new();
    for (row, effect) in EFFECTS.iter().enumerate() {
        for (side, name) in SIDES.iter().enumerate() {
            for scheme in schemes::ALL {
                let counted = match effect.whose(scheme) {
                    None => None,
                    Some(whose) => Some(matrix.die(effect, scheme, &format!("{whose}/{}.{name}", effect.name))?),
                };
                deaths.insert((row, side, scheme.name()), counted);
            }
        }
        say(&format!("{}: {:.0} s", effect.name, began.elapsed().as_secs_f32()));
    }
    let Matrix { mut world, doubled, .. } = matrix;
    let mut engine = world.start()?;
    world.wait_until_done(&mut engine, REST_PATIENCE)?;
    let status = engine.terminate()?;
    if !status.success() {
        return Err(engine.tell(Failure::new(format!("after SIGTERM the engine ended with {status}"))));
    }
    let mut books = Vec::new();
    for scheme in schemes::ALL {
        books.push((scheme, world.books_of(scheme)?));
    }
    Ok(Outcome { deaths, books, doubled_on_the_way: doubled, took: began.elapsed(), world })
}

impl Effect {
    /// Whose instants these are; `None` where the scheme has no such effect.
    fn whose(&self, scheme: &dyn Scheme) -> Option<String> {
        match self.needs {
            Needs::Doubts if scheme.is_upsert() => None,
            // A table is its connection's, and only one of the targets has tables.
            Needs::Command if self.name == "reference" => (scheme.target() == "kingdee_jdy").then(|| "jdy".to_owned()),
            _ => Some(scheme.name().to_owned()),
        }
    }
}

struct Matrix {
    world: World,
    chance: ChaCha8Rng,
    /// The span that is backfilled, again and again.
    from: Timestamp,
    to: Timestamp,
    /// Documents made so far.
    made: usize,
    doubled: Vec<String>,
}

impl Matrix {
    /// Compiles the modules once, and makes sure that the engine has instants at all.
    fn warm_up(&mut self) -> Result<()> {
        self.world.product.dies_at = Some("nobody/nothing".to_owned());
        let mut engine = self.world.start()?;
        engine.terminate()?;
        if !engine.log().contains("a death is arranged at nobody/nothing") {
            let program = self.world.product.program.display();
            return Err(Failure::new(format!("{program} has no instants: build it with `--features failpoints`")));
        }
        Ok(())
    }

    /// Deaths at the instant: 1, or 0 where the engine does not come to it.
    fn die(&mut self, effect: &Effect, scheme: &'static dyn Scheme, instant: &str) -> Result<usize> {
        for start in 0..STARTS {
            for _ in 0..FRESH {
                self.made += 1;
                let document = scheme.document(self.made, &mut self.chance);
                self.world.simulator.add_to(scheme, &document)?;
            }
            if effect.name == "resume" {
                self.world.product.dies_at = None;
                self.world.product.succeed(&["pause", "--scheme", scheme.name()])?;
            }
            // Not always the first, for what came before it in the same run counts as well; but some come once only.
            let pass = match effect.needs {
                Needs::Documents if start == 0 => self.chance.random_range(1..3),
                _ => 1,
            };
            self.world.product.dies_at = Some(format!("{instant}*{pass}"));
            let mut engine = self.world.spawn()?;
            let died = self.command_and_wait(effect, scheme, &mut engine, instant)?;
            if !died {
                engine.kill()?;
            }
            self.world.product.dies_at = None;
            if matches!(effect.name, "pause" | "resume") {
                self.world.product.succeed(&["resume", "--scheme", scheme.name()])?;
            }
            self.look()?;
            if died {
                return Ok(1);
            }
        }
        Ok(0)
    }

    /// Whether the engine died at the instant.
    fn command_and_wait(
        &self,
        effect: &Effect,
        scheme: &dyn Scheme,
        engine: &mut Engine,
        instant: &str,
    ) -> Result<bool> {
        let began = Instant::now();
        let mut said = false;
        while began.elapsed() < PATIENCE {
            if let Some(status) = engine.has_ended() {
                let at_the_instant = engine.log().contains(&format!("DIES on purpose at {instant}"));
                return match status.signal() {
                    Some(9) if at_the_instant => Ok(true),
                    _ => Err(engine.tell(Failure::new(format!("at {instant} the engine ended with {status}")))),
                };
            }
            if effect.needs == Needs::Command && !said && engine.serves() {
                said = true;
                // The engine dies over it: the command may fail, and nobody relies on its answer.
                let arguments = self.arguments(effect, scheme);
                self.world.product.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(false)
    }

    fn arguments(&self, effect: &Effect, scheme: &dyn Scheme) -> Vec<String> {
        let Self { from, to, .. } = self;
        let line = match effect.name {
            "backfill" => format!("backfill {} --from {from} --to {to} --detach", scheme.name()),
            "reference" => format!("reference refresh --scheme {}", scheme.name()),
            command => format!("{command} --scheme {}", scheme.name()),
        };
        line.split(' ').map(str::to_owned).collect()
    }

    /// A bill that is there twice is seen at the death that doubled it.
    fn look(&mut self) -> Result<()> {
        for scheme in schemes::ALL {
            let mut numbers = BTreeSet::new();
            for bill in self.world.simulator.held_for(scheme)?.bills {
                if !numbers.insert(bill.number.clone()) {
                    self.doubled.push(format!("{}: {} is there twice", scheme.name(), bill.number));
                }
            }
        }
        Ok(())
    }
}

impl Outcome {
    /// Instants at which the engine did not die.
    pub fn missed(&self) -> Vec<String> {
        let missed = self.deaths.iter().filter(|(_, deaths)| **deaths == Some(0));
        missed.map(|((row, side, scheme), _)| format!("{scheme}: {} {}", SIDES[*side], EFFECTS[*row].name)).collect()
    }

    pub fn balance(&self) -> bool {
        self.doubled_on_the_way.is_empty() && self.books.iter().all(|(_, books)| books.balance())
    }

    /// Instants by schemes, and every scheme's books with at most so many stories.
    pub fn render(&self, stories: usize) -> String {
        let names: Vec<&str> = schemes::ALL.iter().map(|scheme| scheme.name()).collect();
        let mut text = format!("{:<18}", "died");
        names.iter().for_each(|name| text.push_str(&format!("{name:>9}")));
        text.push('\n');
        for (row, effect) in EFFECTS.iter().enumerate() {
            for (side, name) in SIDES.iter().enumerate() {
                text.push_str(&format!("{name:<7}{:<11}", effect.name));
                for scheme in &names {
                    let deaths = self.deaths.get(&(row, side, *scheme)).copied().flatten();
                    text.push_str(&format!("{:>9}", deaths.map_or("-".to_owned(), |deaths| deaths.to_string())));
                }
                text.push_str(&format!("   {}\n", effect.means));
            }
        }
        let deaths: usize = self.deaths.values().flatten().sum();
        text.push_str(&format!("{deaths} deaths in {:.0} s\n", self.took.as_secs_f32()));
        for (scheme, books) in &self.books {
            text.push_str(&format!("\n{}: {}\n{}", scheme.name(), scheme.title(), table::render(&books.rows())));
            text.push_str(&books.stories(stories));
            text.push_str(&format!("{}\n", books.verdict()));
        }
        self.doubled_on_the_way.iter().take(stories).for_each(|line| text.push_str(&format!("{line}\n")));
        text
    }
}
