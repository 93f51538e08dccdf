//! Worlds in which the engine crashes at any instant and the target loses, delays and refuses.

use std::collections::BTreeMap;

use super::super::super::step::Sabotage;
use super::*;

/// A small generator whose whole state is a seed that can be printed (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

/// Documents change while the engine crashes at any instant and the target loses, delays and refuses; then all comes
/// to rest. Says what is wrong afterwards.
async fn live_through(seed: u64, sabotage: Sabotage) -> Result<(), String> {
    let mut chance = Chance(seed);
    let mut plan = Plan::new();
    plan.rules.sabotage = sabotage;
    *plan.target.latency.lock().unwrap() = Duration::from_millis(1 + chance.below(30));
    let luck = (0..20).map(|_| match chance.below(10) {
        0 => Luck::Lost { carried_out_after: None },
        1 | 2 => {
            let after = Duration::from_millis(chance.below(SETTLE.as_millis() as u64));
            Luck::Lost { carried_out_after: Some(after) }
        }
        3 => Luck::Unreachable,
        4 => Luck::Throttled(Duration::from_secs(chance.below(5))),
        5 => Luck::OneShort,
        _ => Luck::Good,
    });
    plan.target.expect(luck.collect::<Vec<_>>());
    let mut contents: BTreeMap<String, u64> = (0..6).map(|n| (format!("d{n}"), 0)).collect();
    let served = |contents: &BTreeMap<String, u64>| -> Vec<SourceDocument> {
        contents.iter().map(|(key, revision)| document(key, &format!("revision {revision}"))).collect()
    };
    let mut store = Arc::new(MemoryStore::new());
    for _crash in 0..2 + chance.below(3) {
        let rig = plan.start(store.clone());
        for _ in 0..1 + chance.below(3) {
            let reader = rig.handle.clone();
            let documents = served(&contents);
            let reading = tokio::spawn(async move { reader.page(documents).await });
            pass(Duration::from_millis(chance.below(80))).await;
            let changed = format!("d{}", chance.below(6));
            *contents.get_mut(&changed).unwrap() += chance.below(2);
            drop(reading);
        }
        if chance.below(4) == 0 {
            pass(Duration::from_millis(chance.below(100_000))).await;
        }
        // The last batch is in the air when the power goes.
        rig.store.hold();
        pass(Duration::from_millis(chance.below(60))).await;
        store = rig.crash(chance.below(2) as usize).await;
        pass(Duration::from_millis(chance.below(2_000))).await;
    }
    plan.target.be_good();
    let rig = plan.start(store);
    rig.handle.page(served(&contents)).await.map_err(|error| error.to_string())?;
    if tokio::time::timeout(HOUR * 5, rig.handle.idle()).await.is_err() {
        return Err(format!("seed {seed}: no rest"));
    }
    // Whatever the target still had in hand comes through.
    pass(HOUR).await;
    let expected: Vec<_> = contents.iter().map(|(key, n)| bill(key, &format!("revision {n}"))).collect();
    let found = plan.target.bills();
    if found != expected || !contents.keys().all(|key| rig.is_done(key)) {
        return Err(format!("seed {seed}: expected {expected:#?}\nfound {found:#?}"));
    }
    Ok(())
}

fn first_violation(worlds: u64, sabotage: Sabotage) -> Option<String> {
    (0..worlds).find_map(|seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(live_through(seed, sabotage)).err()
    })
}

#[test]
fn a_crash_at_any_instant_loses_nothing_and_doubles_nothing() {
    assert_eq!(first_violation(400, Sabotage::None).unwrap_or_default(), "");
}

#[test]
fn crashes_are_noticed_where_requests_leave_before_their_intent() {
    assert!(first_violation(400, Sabotage::NoIntent).is_some());
}

#[test]
fn crashes_are_noticed_where_lost_answers_are_not_verified() {
    assert!(first_violation(400, Sabotage::NoVerify).is_some());
}

#[test]
fn crashes_are_noticed_where_nobody_waits_for_settling() {
    assert!(first_violation(400, Sabotage::NoSettle).is_some());
}
