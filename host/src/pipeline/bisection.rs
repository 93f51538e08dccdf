//! Finds the bill that makes a target refuse a whole request: by halves, so that the others are written soon and the bad
//! one is told alone.
//!
//! It holds nothing that the ledger does not know: after a restart the bills travel together once more, are refused once
//! more, and are divided anew.

use std::collections::{BTreeMap, HashMap};

use crate::model::{DocumentKey, TargetKey};

/// One bill of one version.
pub type Bill = (DocumentKey, u64, TargetKey);

/// Bills whose request was refused without a word on which of them it was, in the parts that travel next.
///
/// Of `n` bills that left in one request, of which `k` are bad, each refused part costs two more requests, and on each of
/// the ⌈log₂ n⌉ levels at most `k` parts are refused. So there are at most 2·k·⌈log₂ n⌉ + 1 requests, and never more than
/// 2·n − 1: one for each bill, and those that were divided.
#[derive(Debug, Default)]
pub struct Bisection {
    /// The part that each bill belongs to.
    parts: HashMap<(DocumentKey, u64), BTreeMap<TargetKey, Part>>,
    last: u64,
}

/// Bills of one part share a request with each other and with nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part(u64);

impl Bisection {
    /// The part that the bill travels in; `None` where it may travel with any other that has none.
    pub fn part_of(&self, (key, version, target): &Bill) -> Option<Part> {
        self.parts.get(&(key.clone(), *version))?.get(target).copied()
    }

    /// Divides what was refused together into two halves.
    pub fn halve(&mut self, bills: &[Bill]) {
        let (first, second) = bills.split_at(bills.len().div_ceil(2));
        for half in [first, second] {
            self.set_apart(half);
        }
    }

    /// Lets each of them travel alone.
    pub fn scatter(&mut self, bills: &[Bill]) {
        for bill in bills {
            self.set_apart(std::slice::from_ref(bill));
        }
    }

    fn set_apart(&mut self, bills: &[Bill]) {
        self.last += 1;
        for (key, version, target) in bills {
            self.parts.entry((key.clone(), *version)).or_default().insert(target.clone(), Part(self.last));
        }
    }

    /// The bill was not what the target objected to.
    pub fn clear(&mut self, (key, version, target): &Bill) {
        let of_version = (key.clone(), *version);
        if let Some(targets) = self.parts.get_mut(&of_version) {
            targets.remove(target);
            if targets.is_empty() {
                self.parts.remove(&of_version);
            }
        }
    }

    /// Nothing more of this version is to be sent.
    pub fn forget(&mut self, key: &DocumentKey, version: u64) {
        self.parts.remove(&(key.clone(), version));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn bills(count: usize) -> Vec<Bill> {
        let bill = |n| (DocumentKey::new(format!("d{n}")).unwrap(), 1, TargetKey::new(format!("T{n}")).unwrap());
        (0..count).map(bill).collect()
    }

    /// Sends what is left, part by part, to a target that refuses a request with a bad bill in it.
    fn check(count: usize, bad: &BTreeSet<usize>) {
        let all = bills(count);
        let mut bisection = Bisection::default();
        let (mut left, mut written, mut blamed) = (all.clone(), Vec::new(), Vec::new());
        let mut requests = 0;
        while let Some(first) = left.first() {
            let part = bisection.part_of(first);
            let (request, others) = left.into_iter().partition(|bill| bisection.part_of(bill) == part);
            left = others;
            let request: Vec<Bill> = request;
            requests += 1;
            match request.iter().any(|bill| bad.iter().any(|n| all[*n] == *bill)) {
                false => written.extend(request),
                true if request.len() == 1 => blamed.extend(request),
                true => {
                    bisection.halve(&request);
                    left.extend(request);
                }
            }
        }
        blamed.sort();
        let mut expected: Vec<Bill> = bad.iter().map(|n| all[*n].clone()).collect();
        expected.sort();
        assert_eq!((blamed, written.len()), (expected, count - bad.len()), "{count} bills, bad {bad:?}");
        let levels = count.next_power_of_two().ilog2() as usize;
        let bound = (2 * bad.len() * levels + 1).min(2 * count - 1);
        assert!(requests <= bound, "{requests} requests for {count} bills, bad {bad:?}: {bound} are enough");
    }

    #[test]
    fn the_bad_bills_are_found_within_the_bound_wherever_they_are() {
        for count in 1..=64 {
            check(count, &BTreeSet::new());
            check(count, &(0..count).collect());
            for first in 0..count {
                check(count, &BTreeSet::from([first]));
                check(count, &BTreeSet::from([first, (first * 7 + 3) % count]));
                check(count, &(first..count).step_by(5).collect());
            }
        }
    }

    #[test]
    fn two_bills_of_one_version_may_stand_in_two_parts() {
        let key = DocumentKey::new("d").unwrap();
        let bill = |name: &str| (key.clone(), 1, TargetKey::new(name).unwrap());
        let mut bisection = Bisection::default();
        bisection.halve(&[bill("a"), bill("b")]);
        let parts = (bisection.part_of(&bill("a")), bisection.part_of(&bill("b")));
        assert!(parts.0.is_some() && parts.1.is_some() && parts.0 != parts.1, "{parts:?}");
        bisection.clear(&bill("a"));
        assert_eq!((bisection.part_of(&bill("a")), bisection.part_of(&bill("b"))), (None, parts.1));
        bisection.forget(&key, 1);
        assert_eq!(bisection.part_of(&bill("b")), None);
        assert!(bisection.parts.is_empty());
    }
}
