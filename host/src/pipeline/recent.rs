//! Subjects as they were last committed, kept by whoever alone commits them: a document goes through four commits within a
//! second or two, and reading its row back for each step costs as much as deciding it. Bounded; what is not here is read
//! from the store.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::DocumentKey;

use super::subject::Subject;

/// What a driver has in its queues and under way, and a little more. An entry is one or two kilobytes.
const SUBJECTS_KEPT: usize = 4_096;
/// A record that changes all day carries many versions; its row is read again each time.
const VERSIONS_LIMIT: usize = 4;
const TARGETS_LIMIT: usize = 16;

#[derive(Debug, Clone, Default)]
pub struct Recent(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    subjects: HashMap<DocumentKey, (u64, Arc<Subject>)>,
    /// Oldest first; an entry whose number is not the subject's any more says nothing.
    order: VecDeque<(u64, DocumentKey)>,
    number: u64,
}

impl Recent {
    pub fn get(&self, key: &DocumentKey) -> Option<Arc<Subject>> {
        self.lock().subjects.get(key).map(|(_, subject)| subject.clone())
    }

    /// Only what is durable.
    pub fn keep(&self, key: &DocumentKey, subject: Subject) {
        let mut kept = self.lock();
        if subject.versions.len() > VERSIONS_LIMIT || subject.targets.len() > TARGETS_LIMIT {
            kept.subjects.remove(key);
            return;
        }
        kept.number += 1;
        let number = kept.number;
        kept.subjects.insert(key.clone(), (number, Arc::new(subject)));
        kept.order.push_back((number, key.clone()));
        while kept.order.len() > SUBJECTS_KEPT * 2 || kept.subjects.len() > SUBJECTS_KEPT {
            let Some((number, key)) = kept.order.pop_front() else { return };
            if kept.subjects.get(&key).is_some_and(|(newest, _)| *newest == number) {
                kept.subjects.remove(&key);
            }
        }
    }

    pub fn forget(&self, key: &DocumentKey) {
        self.lock().subjects.remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> DocumentKey {
        DocumentKey::new(format!("d{number}")).unwrap()
    }

    fn subject(events: u64) -> Subject {
        Subject { events, ..Subject::default() }
    }

    #[test]
    fn gives_the_last_that_was_kept_and_nothing_once_it_is_forgotten() {
        let recent = Recent::default();
        recent.keep(&key(1), subject(1));
        recent.keep(&key(1), subject(2));
        assert_eq!(recent.get(&key(1)).unwrap().events, 2);
        recent.forget(&key(1));
        assert_eq!(recent.get(&key(1)), None);
    }

    #[test]
    fn keeps_the_newest_and_no_more_than_it_may() {
        let recent = Recent::default();
        for number in 0..SUBJECTS_KEPT + 10 {
            recent.keep(&key(number), subject(1));
        }
        assert_eq!((recent.get(&key(9)), recent.get(&key(10)).is_some()), (None, true));
        // One that is kept again and again pushes others out no sooner, and the order does not grow with it.
        for _ in 0..SUBJECTS_KEPT * 3 {
            recent.keep(&key(0), subject(1));
        }
        let kept = recent.lock();
        assert!(kept.order.len() <= SUBJECTS_KEPT * 2 && kept.subjects.len() <= SUBJECTS_KEPT);
    }
}
