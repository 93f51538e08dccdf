//! The whole engine in one thread and in no time: several tenants and schemes, their readers, drivers, backfills and
//! reference tables, over vendors, a disk and a clock that misbehave, as a seed has it.
//!
//! Nothing here is chance but the seed: the same seed tells the same story, byte for byte. What must hold is looked at
//! after every commit, at every request that leaves, and when all has come to rest. `docs/decisions/simulation.md` says
//! what this stands on and why; `docs/guides/simulation.md` how to read a story.

mod air;
mod archive;
mod chance;
mod engine;
mod life;
mod module;
mod plan;
mod rest;
mod shaken;
mod shelf;
mod store;
mod story;
mod target;
mod tests;
mod vendor;
mod world;

use std::time::Duration;

use crate::pipeline::apart::simulated::InPlace;
use crate::pipeline::step::Sabotage;

use air::Air;
use chance::Chance;
use life::Life;
use plan::Plan;
use story::Story;
use world::World;

/// What came of one seed.
pub struct Told {
    pub story: String,
    pub violation: Option<String>,
}

/// Lives through the world of one seed.
pub fn tell(seed: u64, sabotage: Sabotage) -> Told {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let story = {
        let _inside = runtime.enter();
        Story::new()
    };
    let chance = Chance::new(seed);
    let dice = chance.clone();
    let _in_place = InPlace::taking(move || dice.up_to(Duration::from_millis(200)));
    let log = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(story.clone())
        .with_ansi(false)
        .without_time()
        .finish();
    let _log = tracing::subscriber::set_default(log);
    let told = story.clone();
    runtime.block_on(async move {
        let plan = Plan::draw(&chance, sabotage);
        told.say(format!("seed {seed}, {sabotage:?}"));
        for scheme in &plan.schemes {
            let natures: Vec<_> = scheme.documents.iter().map(|document| document.nature).collect();
            let (label, kind, rules) = (scheme.label(), scheme.kind, &scheme.rules);
            told.say(format!("{label} → {}, {kind:?}, {:?}, {natures:?}", scheme.target, rules.on_change));
        }
        let air = Air::new(chance, told, plan.leaps);
        Life::new(World::new(plan, air)).live().await;
    });
    // Tasks that are left hold the world.
    drop(runtime);
    Told { story: story.text(), violation: story.is_violated() }
}
