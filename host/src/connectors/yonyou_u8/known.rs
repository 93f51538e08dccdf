//! The bills that were handed over already.

use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;

use crate::model::Digest;

/// Remembers the newest `limit` bills by number and row version. Forgetting one costs a call, never a bill.
#[derive(Debug)]
pub struct Known {
    limit: usize,
    bills: Mutex<Bills>,
}

#[derive(Debug, Default)]
struct Bills {
    set: HashSet<Digest>,
    order: VecDeque<Digest>,
}

/// `None` where the head has no row version: such a bill can change unseen and is always fetched.
pub fn mark(code: &str, timestamp: &str) -> Option<Digest> {
    let timestamp = timestamp.trim();
    (!timestamp.is_empty()).then(|| Digest::of(format!("{code}\n{timestamp}")))
}

impl Known {
    pub fn new(limit: usize) -> Self {
        Self { limit, bills: Mutex::default() }
    }

    pub fn has(&self, mark: &Digest) -> bool {
        self.bills.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).set.contains(mark)
    }

    pub fn add(&self, marks: impl IntoIterator<Item = Digest>) {
        let mut bills = self.bills.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for mark in marks {
            if bills.set.insert(mark) {
                bills.order.push_back(mark);
            }
            if bills.order.len() > self.limit
                && let Some(oldest) = bills.order.pop_front()
            {
                bills.set.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest_and_never_grows_over_its_limit() {
        let known = Known::new(2);
        let marks: Vec<_> = ["1", "2", "3"].iter().filter_map(|code| mark(code, " 7 ")).collect();
        known.add(marks.clone());
        assert_eq!(marks.iter().map(|mark| known.has(mark)).collect::<Vec<_>>(), [false, true, true]);
        let off = Known::new(0);
        off.add(marks.clone());
        assert!(!off.has(&marks[2]));
    }

    #[test]
    fn another_row_version_is_another_bill_and_none_is_never_known() {
        assert_ne!(mark("1", "7"), mark("1", "8"));
        assert_eq!(mark("1", "  "), None);
    }
}
