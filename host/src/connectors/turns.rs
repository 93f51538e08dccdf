//! Who of several waiting goes next: the more urgent first, equals in turn, and nobody for ever last.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Turns in a row that the most urgent may take while others wait; the next is one of the others'. So a scheme of the
/// highest priority has nine tenths of a connection that is never idle, and the rest share one.
const IN_A_ROW: u32 = 9;

/// For whom a request is sent. Whoever has the same name shares one place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub name: Arc<str>,
    /// From 0 to 9, larger first.
    pub priority: u8,
}

/// Those who wait, by caller.
///
/// Of the callers of the highest priority that wait, the one goes next whose last turn was longest ago: as long as two
/// of them wait, neither gets two turns before the other gets one, however many requests either has. After
/// [`IN_A_ROW`] turns with less urgent callers waiting, the next turn is the one of theirs whose last was longest ago.
#[derive(Debug)]
pub struct Turns<T> {
    lanes: BTreeMap<Arc<str>, Lane<T>>,
    /// Turns given so far.
    given: u64,
    /// Turns given since one of the less urgent had one, while some waited.
    in_a_row: u32,
    arrivals: u64,
}

#[derive(Debug)]
struct Lane<T> {
    priority: u8,
    /// Number of its last turn; kept while nobody waits, or coming and going would pay.
    last: u64,
    waiting: VecDeque<(Place, T)>,
}

/// A place in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u64);

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { lanes: BTreeMap::new(), given: 0, in_a_row: 0, arrivals: 0 }
    }
}

impl<T> Turns<T> {
    /// Behind those of the same caller that wait already.
    pub fn push(&mut self, caller: &Caller, waiting: T) -> Place {
        self.arrivals += 1;
        let place = Place(self.arrivals);
        let lane = self.lanes.entry(caller.name.clone()).or_insert_with(|| Lane {
            priority: caller.priority,
            last: 0,
            waiting: VecDeque::new(),
        });
        lane.priority = caller.priority;
        lane.waiting.push_back((place, waiting));
        place
    }

    /// Somebody stopped waiting.
    pub fn remove(&mut self, caller: &Caller, place: Place) {
        if let Some(lane) = self.lanes.get_mut(&caller.name) {
            lane.waiting.retain(|(other, _)| *other != place);
        }
    }

    /// Takes out all that `goes` names, in no particular order.
    pub fn drain(&mut self, mut goes: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut gone = Vec::new();
        for lane in self.lanes.values_mut() {
            for (place, waiting) in std::mem::take(&mut lane.waiting) {
                match goes(&waiting) {
                    true => gone.push(waiting),
                    false => lane.waiting.push_back((place, waiting)),
                }
            }
        }
        gone
    }

    pub fn len(&self) -> usize {
        self.lanes.values().map(|lane| lane.waiting.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whoever goes next; it has had its turn.
    pub fn next(&mut self) -> Option<T> {
        let waiting = || self.lanes.iter().filter(|(_, lane)| !lane.waiting.is_empty());
        let highest = waiting().map(|(_, lane)| lane.priority).max()?;
        let others_wait = waiting().any(|(_, lane)| lane.priority < highest);
        let others_turn = others_wait && self.in_a_row >= IN_A_ROW;
        let (name, _) = waiting()
            .filter(|(_, lane)| (lane.priority == highest) != others_turn)
            .min_by_key(|(_, lane)| (lane.last, lane.waiting.front().map(|(place, _)| *place)))?;
        let name = name.clone();
        self.in_a_row = match (others_wait, others_turn) {
            (true, false) => self.in_a_row + 1,
            (true, true) => 0,
            (false, _) => self.in_a_row,
        };
        self.given += 1;
        let lane = self.lanes.get_mut(&name)?;
        lane.last = self.given;
        lane.waiting.pop_front().map(|(_, waiting)| waiting)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn caller(name: &str, priority: u8) -> Caller {
        Caller { name: name.into(), priority }
    }

    /// Everybody's requests, in the order of their turns.
    fn order(backlogs: &[(&str, u8, usize)]) -> Vec<String> {
        let mut turns = Turns::default();
        for (name, priority, requests) in backlogs {
            for _ in 0..*requests {
                turns.push(&caller(name, *priority), (*name).to_owned());
            }
        }
        std::iter::from_fn(|| turns.next()).collect()
    }

    #[test]
    fn the_more_urgent_goes_first_and_equals_take_turns() {
        assert_eq!(order(&[("a", 5, 3), ("b", 5, 1), ("c", 9, 2)]), ["c", "c", "a", "b", "a", "a"]);
    }

    #[test]
    fn of_ten_turns_one_is_for_those_who_are_less_urgent() {
        let order = order(&[("urgent", 9, 100), ("five", 5, 5), ("none", 0, 5)]);
        let turns = |name: &str| order.iter().take(40).filter(|one| *one == name).count();
        assert_eq!((turns("urgent"), turns("five"), turns("none")), (36, 2, 2), "{order:?}");
        assert_eq!(order.iter().position(|name| name != "urgent"), Some(9));
    }

    #[test]
    fn whoever_stops_waiting_leaves_no_gap() {
        let mut turns = Turns::default();
        let (a, b) = (caller("a", 5), caller("b", 5));
        let gone = turns.push(&a, 1);
        turns.push(&a, 2);
        turns.push(&b, 3);
        turns.remove(&a, gone);
        assert_eq!((turns.len(), turns.next(), turns.next(), turns.next()), (2, Some(2), Some(3), None));
        turns.push(&b, 4);
        turns.push(&a, 5);
        assert_eq!(turns.drain(|one| *one == 4), [4]);
        assert_eq!((turns.next(), turns.is_empty()), (Some(5), true));
    }

    #[test]
    fn coming_and_going_does_not_pay() {
        let mut turns = Turns::default();
        for _ in 0..10 {
            turns.push(&caller("stays", 5), "stays");
        }
        let mut given = HashMap::<&str, u32>::new();
        for _ in 0..10 {
            // Leaves the order after each turn, and comes again at once.
            turns.push(&caller("comes", 5), "comes");
            *given.entry(turns.next().unwrap()).or_default() += 1;
        }
        assert_eq!(given["stays"], 5);
    }

    proptest! {
        #[test]
        fn as_long_as_equals_wait_no_two_are_more_than_one_turn_apart(
            backlogs in proptest::collection::vec(1..60_usize, 2..8),
            arrivals in proptest::collection::vec((0..8_usize, 0..400_usize), 0..40),
            // A more and a less urgent caller, who come and go, disturb nothing between the equals.
            strangers in proptest::collection::vec((any::<bool>(), 0..400_usize), 0..40),
        ) {
            let names: Vec<String> = (0..backlogs.len()).map(|n| format!("s{n}")).collect();
            let mut turns = Turns::default();
            let mut left: HashMap<String, usize> = HashMap::new();
            for (name, backlog) in names.iter().zip(&backlogs) {
                for _ in 0..*backlog {
                    turns.push(&caller(name, 5), name.clone());
                }
                left.insert(name.clone(), *backlog);
            }
            // Turns of each since all of those still in the race began to wait together.
            let mut had: HashMap<String, i64> = names.iter().map(|name| (name.clone(), 0)).collect();
            for turn in 0..400 {
                for (who, at) in &arrivals {
                    let name = &names[who % names.len()];
                    // Only who never stopped waiting is in the race.
                    if *at == turn && left[name] > 0 {
                        turns.push(&caller(name, 5), name.clone());
                        *left.get_mut(name).unwrap() += 1;
                    }
                }
                for (urgent, at) in &strangers {
                    if *at == turn {
                        let priority = if *urgent { 9 } else { 0 };
                        turns.push(&caller(if *urgent { "urgent" } else { "idle" }, priority), "stranger".to_owned());
                    }
                }
                let Some(next) = turns.next() else { break };
                let Some(count) = left.get_mut(&next) else { continue };
                *count -= 1;
                *had.get_mut(&next).unwrap() += 1;
                let racing: Vec<i64> = names.iter().filter(|name| left[*name] > 0).map(|name| had[name]).collect();
                let (least, most) = (racing.iter().min(), racing.iter().max());
                if let (Some(least), Some(most)) = (least, most) {
                    prop_assert!(most - least <= 1, "{had:?} after {turn} turns");
                }
            }
        }
    }
}
