//! Seeds, and what they are to show. `CROSSDOCK_SIM_SEED=17` tells one story; `CROSSDOCK_SIM_SEEDS=10000` lives through
//! so many; `CROSSDOCK_SIM_SHARD=0/2` through every second of them.

use super::*;

/// Bounded, so that everybody runs them; `make simulate` runs many more.
const SEEDS: u64 = 500;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text:?}")))
}

fn seeds() -> Vec<u64> {
    if let Some(seed) = number("CROSSDOCK_SIM_SEED") {
        return vec![seed];
    }
    let all = 0..number("CROSSDOCK_SIM_SEEDS").unwrap_or(SEEDS);
    let shard = std::env::var("CROSSDOCK_SIM_SHARD").unwrap_or_else(|_| "0/1".into());
    let (part, of) = shard.split_once('/').expect("a shard is told as 0/2");
    let (part, of): (u64, u64) = (part.parse().unwrap(), of.parse().unwrap());
    all.filter(|seed| seed % of == part).collect()
}

fn replay(seed: u64) -> String {
    format!("CROSSDOCK_SIM_SEED={seed} cargo test --locked --workspace --lib simulation::tests::nothing -- --nocapture")
}

#[test]
fn nothing_is_lost_doubled_or_told_whatever_happens() {
    let seeds = seeds();
    let alone = seeds.len() == 1;
    for seed in &seeds {
        let told = tell(*seed, Sabotage::None);
        if alone {
            println!("{}", told.story);
        }
        if let Some(violation) = told.violation {
            panic!("{}\n\nseed {seed}: {violation}\ntold again by: {}", told.story, replay(*seed));
        }
    }
}

#[test]
fn the_same_seed_tells_the_same_story_byte_for_byte() {
    for seed in 0..12 {
        let (first, again) = (tell(seed, Sabotage::None).story, tell(seed, Sabotage::None).story);
        let differs = first.lines().zip(again.lines()).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.len(), again.len(), "seed {seed}");
    }
}

fn first_violation(sabotage: Sabotage, within: u64) -> Option<(u64, String)> {
    (0..within).find_map(|seed| Some((seed, tell(seed, sabotage).violation?)))
}

#[test]
fn it_is_noticed_where_requests_leave_before_their_intent() {
    assert!(first_violation(Sabotage::NoIntent, 100).is_some());
}

#[test]
fn it_is_noticed_where_lost_answers_are_not_verified() {
    assert!(first_violation(Sabotage::NoVerify, 100).is_some());
}

#[test]
fn it_is_noticed_where_nobody_waits_for_settling() {
    assert!(first_violation(Sabotage::NoSettle, 100).is_some());
}
