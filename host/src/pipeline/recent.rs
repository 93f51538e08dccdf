//! Subjects as they were last committed, kept by whoever alone commits them: a document goes through four commits within a
//! second or two, and reading its row back for each step costs as much as deciding it. Bounded; what is not here is read
//! from the store.
//!
//! Beside them, and for as long as their batches are under way, the subjects as these will leave them: the store says what
//! they were before.

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
    /// As the last of the batches under way leaves it, and in how many it is.
    coming: HashMap<DocumentKey, (usize, Arc<Subject>)>,
    subjects: HashMap<DocumentKey, (u64, Arc<Subject>)>,
    /// Oldest first; an entry whose number is not the subject's any more says nothing.
    order: VecDeque<(u64, DocumentKey)>,
    number: u64,
}

impl Recent {
    pub fn get(&self, key: &DocumentKey) -> Option<Arc<Subject>> {
        let kept = self.lock();
        let coming = kept.coming.get(key).map(|(_, subject)| subject);
        coming.or_else(|| kept.subjects.get(key).map(|(_, subject)| subject)).cloned()
    }

    /// A batch with this subject is under way; [`Recent::has_come`] ends that.
    pub fn is_coming(&self, key: &DocumentKey, subject: Subject) {
        let subject = Arc::new(subject);
        let mut kept = self.lock();
        let entry = kept.coming.entry(key.clone()).or_insert_with(|| (0, subject.clone()));
        *entry = (entry.0 + 1, subject);
    }

    /// One of the batches under way is durable.
    pub fn has_come(&self, key: &DocumentKey) {
        let mut kept = self.lock();
        let Some((batches, _)) = kept.coming.get_mut(key) else { return };
        *batches -= 1;
        if *batches == 0
            && let Some((_, subject)) = kept.coming.remove(key)
        {
            kept.keep(key, subject);
        }
    }

    /// Only what is durable.
    pub fn keep(&self, key: &DocumentKey, subject: Subject) {
        let subject = Arc::new(subject);
        let mut kept = self.lock();
        // It came after all that is under way.
        if let Some((_, coming)) = kept.coming.get_mut(key) {
            *coming = subject;
            return;
        }
        kept.keep(key, subject);
    }

    pub fn forget(&self, key: &DocumentKey) {
        self.lock().subjects.remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep(&mut self, key: &DocumentKey, subject: Arc<Subject>) {
        if subject.versions.len() > VERSIONS_LIMIT || subject.targets.len() > TARGETS_LIMIT {
            self.subjects.remove(key);
            return;
        }
        self.number += 1;
        self.subjects.insert(key.clone(), (self.number, subject));
        self.order.push_back((self.number, key.clone()));
        while self.order.len() > SUBJECTS_KEPT * 2 || self.subjects.len() > SUBJECTS_KEPT {
            let Some((number, key)) = self.order.pop_front() else { return };
            if self.subjects.get(&key).is_some_and(|(newest, _)| *newest == number) {
                self.subjects.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::subject::Held;
    use super::*;
    use crate::model::TargetKey;

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
    fn what_a_batch_under_way_leaves_is_given_until_the_last_of_them_is_durable() {
        let recent = Recent::default();
        recent.keep(&key(1), subject(1));
        recent.is_coming(&key(1), subject(2));
        recent.is_coming(&key(1), subject(3));
        recent.forget(&key(1));
        assert_eq!(recent.get(&key(1)).unwrap().events, 3);
        recent.has_come(&key(1));
        recent.keep(&key(1), subject(4));
        recent.forget(&key(1));
        assert_eq!(recent.get(&key(1)).unwrap().events, 4, "another of its batches is under way");
        recent.has_come(&key(1));
        assert_eq!(recent.get(&key(1)).unwrap().events, 4);
        recent.forget(&key(1));
        assert_eq!(recent.get(&key(1)), None);
        // However many versions it carries: the store does not have it yet.
        let held = |number: usize| (TargetKey::new(format!("t{number}")).unwrap(), Held::default());
        let large = Subject { targets: (0..=TARGETS_LIMIT).map(held).collect(), ..Subject::default() };
        recent.is_coming(&key(2), large.clone());
        assert_eq!(recent.get(&key(2)).as_deref(), Some(&large));
        recent.has_come(&key(2));
        assert_eq!(recent.get(&key(2)), None);
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
