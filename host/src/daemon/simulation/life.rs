//! A life: things happen to a world, at instants that the seed chooses; then nothing goes wrong any more, and all comes to
//! rest.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::{sleep, timeout};

use crate::fault::Code;
use crate::model::DocumentKey;
use crate::pipeline::backfill::Order as BackfillOrder;
use crate::pipeline::command::{Command, Order};
use crate::pipeline::erasure::Erasure;
use crate::pipeline::gate::{Pause, Scope};
use crate::pipeline::ledger::Ledger;
use crate::pipeline::step::RetryMode;
use crate::pipeline::subject::{Fate, Phase, Version};
use crate::state::MemoryStore;

use super::super::backfill::BackfillRequest;
use super::engine::Engine;
use super::module::needed;
use super::plan::{LONGEST_LEAP, Nature, SETTLE, SWEEP_EVERY, TIMEOUT, beginning};
use super::rest;
use super::world::World;

pub struct Life {
    pub world: Arc<World>,
    engine: Option<Engine>,
}

/// Rounds of waiting and of people's work until all must have come to rest.
const ROUNDS: usize = 12;

impl Life {
    pub fn new(world: Arc<World>) -> Self {
        Self { world, engine: None }
    }

    /// Lives it. What is wrong is in the story.
    pub async fn live(mut self) {
        self.start(MemoryStore::new()).await;
        for _ in 0..self.world.plan.events {
            sleep(self.pause()).await;
            self.event().await;
            self.stand_up_again().await;
            if self.world.air.story.is_violated().is_some() {
                return;
            }
        }
        self.come_to_rest().await;
    }

    fn pause(&self) -> Duration {
        let chance = &self.world.air.chance;
        let longest = chance.of(&[100, 2_000, 2_000, 20_000, 60_000]);
        chance.up_to(Duration::from_millis(longest))
    }

    async fn start(&mut self, store: MemoryStore) {
        match Engine::start(&self.world, store) {
            Ok(engine) => self.engine = Some(engine),
            Err(error) => self.world.air.story.violation(format!("the engine does not start: {error}")),
        }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("an engine runs")
    }

    /// An engine whose tasks ended, as they do when the store fails, is started again.
    async fn stand_up_again(&mut self) {
        let world = self.world.clone();
        let Some(ended) = self.engine.as_mut().and_then(|engine| engine.ended(&world)) else { return };
        world.air.story.say(format!("{ended}; the engine is started again"));
        self.crash().await;
    }

    async fn crash(&mut self) {
        let Some(engine) = self.engine.take() else { return };
        self.world.air.story.say("the engine dies");
        self.world.air.closed.lock().unwrap().clear();
        let store = engine.crash(&self.world).await;
        sleep(self.world.air.chance.up_to(Duration::from_secs(10))).await;
        self.start(store).await;
        self.know_the_pauses();
    }

    async fn restart(&mut self) {
        let Some(engine) = self.engine.take() else { return };
        self.world.air.story.say("the engine is told to stop");
        let store = engine.shut_down(&self.world).await;
        self.world.air.story.say("the engine has stopped");
        self.start(store).await;
        self.know_the_pauses();
    }

    /// One scheme, beside the others that go on.
    async fn start_anew(&mut self, index: usize) {
        let world = self.world.clone();
        // Without any time its requests are cut off wherever they are.
        let grace = match world.air.chance.below(3) {
            0 => Duration::ZERO,
            1 => world.air.chance.up_to(Duration::from_millis(300)),
            _ => Duration::from_secs(20),
        };
        let Some(engine) = self.engine.as_mut() else { return };
        if timeout(Duration::from_secs(300), engine.start_anew(&world, index, grace)).await.is_err() {
            world.air.story.violation(format!("{} does not stop", world.plan.schemes[index].label()));
        }
    }

    /// A pause that is durable holds from the first instant of the next run.
    fn know_the_pauses(&self) {
        let Some(engine) = &self.engine else { return };
        let scopes: Vec<Scope> = engine.gates.pauses().into_iter().map(|pause| pause.scope).collect();
        self.world.air.closed.lock().unwrap().extend(scopes);
    }

    async fn event(&mut self) {
        let (world, chance) = (self.world.clone(), self.world.air.chance.clone());
        let index = chance.below(world.plan.schemes.len() as u64) as usize;
        let documents = &world.plan.schemes[index].documents;
        let document = documents[chance.below(documents.len() as u64) as usize].key.clone();
        match chance.below(24) {
            0..=6 => world.archives[index].change(&document),
            7 | 8 => self.crash().await,
            9 => self.restart().await,
            10 => {
                let nth = chance.between(1, 6) as usize;
                world.air.story.say(format!("commit {nth} from now will fail"));
                self.engine().disk.twin.fail_next(nth);
            }
            11..=13 => self.person(index, &document).await,
            14 | 15 => self.pause_something(index).await,
            16 | 17 => self.resume_everything().await,
            18 | 19 => self.add_entry(index, &document),
            20 => self.order_backfill(index).await,
            21 | 22 if world.plan.leaps => {
                let longest = LONGEST_LEAP.as_millis() as u64;
                let ahead = chance.below(2 * longest) as i64 - longest as i64;
                let ahead = if chance.one_in(3) { 0 } else { ahead };
                world.air.story.say(format!("the clock is set to {ahead} ms ahead"));
                world.air.set_ahead(SignedDuration::from_millis(ahead));
            }
            23 => self.start_anew(index).await,
            _ => {}
        }
    }

    /// A person looks at a parked document. Their word is true: "I checked" is said only of what is not there and cannot
    /// come any more.
    async fn person(&self, index: usize, key: &DocumentKey) {
        let (world, chance) = (&self.world, &self.world.air.chance);
        let subject = world.durable(index, key);
        let Some((version, fault)) = subject.parked().last() else { return };
        let command = match fault.code {
            _ if chance.one_in(4) && fault.code != Code::WriteUnknown => self.edit(index, key, version),
            _ if chance.one_in(20) && fault.code != Code::WriteUnknown => return self.erase(index, key).await,
            _ if chance.one_in(10) && fault.code != Code::WriteUnknown => Command::Discard { reason: "enough".into() },
            Code::WriteUnknown if chance.one_in(2) => {
                let Phase::Parked { targets, .. } = &version.phase else { return };
                // The longest that any request can still be at work.
                sleep(TIMEOUT + SETTLE).await;
                let vendor = world.vendor(&world.plan.schemes[index].tenant, &world.plan.schemes[index].target);
                let absent = {
                    let books = vendor.books.lock().unwrap();
                    let stopped = targets.iter().filter(|write| matches!(write.fate, Fate::Stopped { .. }));
                    stopped.into_iter().all(|write| !books.bills.contains_key(write.key.as_str()))
                };
                match absent {
                    true => Command::retry(RetryMode::IChecked),
                    false => Command::retry(RetryMode::AfterVerify),
                }
            }
            Code::WriteUnknown | Code::LeftUnaudited => Command::retry(RetryMode::AfterVerify),
            _ => Command::retry(RetryMode::Plain),
        };
        // What they looked at may have changed meanwhile; they name the version that they saw.
        let number = version.number;
        let said =
            format!("{}: {command:?} of {key} v{number}, parked {}", world.plan.schemes[index].label(), fault.code);
        let order = Order { version: Some(number), ..Order::new(key.clone(), command) };
        let answer = self.engine().handles[index].command(order);
        let answer = timeout(Duration::from_secs(120), answer).await;
        world.air.story.say(format!("{said}: {answer:?}"));
    }

    /// The body in a form that a module can do something with, where it is the module's to say so.
    fn edit(&self, index: usize, key: &DocumentKey, version: &Version) -> Command {
        let plan = &self.world.plan.schemes[index];
        let body =
            self.world.air.ledger(&plan.tenant, &plan.name).body(version.body).unwrap().expect("a body that is named");
        let mut fields: Vec<&str> = body.split('|').collect();
        let nature = match Nature::of(fields[1]) {
            Nature::Rejected | Nature::Traps | Nature::Exhausts | Nature::NeedsInVain => Nature::Plain,
            nature => nature,
        };
        let (nature, edit) = (nature.word(), format!("edit of {key} v{}", version.number));
        fields[1] = &nature;
        // What says that the record is void stays last.
        fields.insert(4, &edit);
        Command::Edit { body: fields.join("|").into() }
    }

    async fn erase(&self, index: usize, key: &DocumentKey) {
        let plan = &self.world.plan.schemes[index];
        let ledger = Ledger::new(self.engine().disk.clone(), plan.tenant.clone(), plan.name.clone());
        let erasure = match Erasure::prepare(&ledger, std::slice::from_ref(key)).await {
            Ok(erasure) => erasure.clearance(key).await,
            Err(error) => Err(error),
        };
        let answer = match erasure {
            Ok(clearance) => {
                let order = Order::new(key.clone(), Command::Erase { reason: "asked for".into(), clearance });
                let answer = self.engine().handles[index].command(order);
                format!("{:?}", timeout(Duration::from_secs(120), answer).await)
            }
            Err(error) => error.to_string(),
        };
        self.world.air.story.say(format!("{}: erase {key}: {answer}", plan.label()));
    }

    async fn pause_something(&self, index: usize) {
        let (world, plan) = (&self.world, &self.world.plan.schemes[index]);
        let scopes = [plan.scope(), plan.source_scope(), plan.target_scope(), Scope::All];
        let scope = scopes[world.air.chance.below(4) as usize].clone();
        world.air.story.say(format!("pausing {scope}"));
        let since = beginning();
        let pause = Pause { scope: scope.clone(), since, reason: "a person".into(), code: None, by: None };
        match timeout(Duration::from_secs(300), self.engine().gates.pause(pause, true)).await {
            Ok(Ok(_)) => {
                world.air.close(&scope);
                world.air.story.say(format!("{scope} is paused"));
            }
            Ok(Err(error)) => world.air.story.say(format!("the pause failed: {error}")),
            Err(_) => world.air.story.violation(format!("the pause of {scope} does not return")),
        }
    }

    async fn resume_everything(&self) {
        for pause in self.engine().gates.pauses() {
            self.world.air.closed.lock().unwrap().remove(&pause.scope);
            let resumed = self.engine().gates.resume(&pause.scope).await;
            self.world.air.story.say(format!("resumed {}: {resumed:?}", pause.scope));
        }
    }

    fn add_entry(&self, index: usize, document: &DocumentKey) {
        let plan = &self.world.plan.schemes[index];
        let nature = plan.documents.iter().find(|one| one.key == *document).unwrap().nature;
        if nature == Nature::Needs {
            let entry = needed(document.as_str(), &format!("{document}|{}|", nature.word()));
            self.world.air.story.say(format!("{}: {entry} is in the table now", plan.label()));
            let id = self.world.shelves.keys().find(|id| id.tenant == plan.tenant && id.connection == plan.target);
            self.world.shelves[id.unwrap()].entries.lock().unwrap().insert(entry);
        }
    }

    async fn order_backfill(&self, index: usize) {
        let (world, plan) = (&self.world, &self.world.plan.schemes[index]);
        // Two tenants may have a scheme of one name, and orders name the scheme alone.
        if world.plan.schemes.iter().filter(|other| other.name == plan.name).count() > 1 {
            return;
        }
        let from = beginning() - SignedDuration::from_hours(1);
        let order = match world.air.chance.below(4) {
            0 => BackfillOrder::Stop,
            1 => BackfillOrder::Resume,
            _ => BackfillOrder::Begin { from, to: world.air.true_now(), before_start_at: false },
        };
        let request = BackfillRequest { scheme: plan.name.to_string(), order: Some(order.clone()) };
        let answer = timeout(Duration::from_secs(120), self.engine().backfills.answer(&request)).await;
        let answer = answer.map(|answer| answer.map(|progress| progress.map(|progress| progress.backfill.state)));
        world.air.story.say(format!("{}: backfill {order:?}: {answer:?}", plan.label()));
    }

    /// Faults off, gates open, people at work; and time runs on.
    async fn come_to_rest(&mut self) {
        let world = self.world.clone();
        world.air.end_trouble();
        self.engine().disk.twin.fail_next(0);
        for (index, scheme) in world.plan.schemes.iter().enumerate() {
            scheme.documents.iter().for_each(|document| self.add_entry(index, &document.key));
        }
        // What was cut off still comes through; and every source is read, and swept, to its end.
        let mut waits = vec![Duration::from_secs(60); ROUNDS];
        if world.air.leapt.load(Ordering::Relaxed) {
            waits[0] = Duration::try_from(SWEEP_EVERY * 2 + LONGEST_LEAP * 2).unwrap();
        }
        for wait in waits {
            self.stand_up_again().await;
            self.resume_everything().await;
            sleep(wait).await;
            if world.air.story.is_violated().is_some() || rest::is_reached(&world) {
                break;
            }
            for (index, scheme) in world.plan.schemes.iter().enumerate() {
                for document in &scheme.documents {
                    if !rest::is_at_its_end(&world, index, document) {
                        self.person(index, &document.key).await;
                    }
                }
            }
        }
        rest::judge(&world);
        if let Some(engine) = self.engine.take() {
            engine.shut_down(&world).await;
        }
    }
}
