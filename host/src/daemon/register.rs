//! What is looked up by scheme while schemes come and go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::telemetry::SchemeRef;

/// One entry for each scheme, in the order in which they came. A clone is the same register. Whoever looks has all
/// entries of one moment, and holds nobody up.
pub(super) struct Register<T>(Arc<Mutex<Arc<Entries<T>>>>);

type Entries<T> = Vec<(SchemeRef, T)>;

impl<T> Clone for Register<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Register<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Arc::new(Vec::new()))))
    }
}

impl<T: Clone> Register<T> {
    /// In the place of the scheme's earlier entry, where there is one.
    pub fn put(&self, scheme: &SchemeRef, entry: T) {
        let mut register = self.lock();
        let entries = Arc::make_mut(&mut *register);
        match entries.iter_mut().find(|(name, _)| name == scheme) {
            Some((_, old)) => *old = entry,
            None => entries.push((scheme.clone(), entry)),
        }
    }

    pub fn remove(&self, scheme: &SchemeRef) {
        Arc::make_mut(&mut *self.lock()).retain(|(name, _)| name != scheme);
    }

    pub fn get(&self, scheme: &SchemeRef) -> Option<T> {
        self.look().iter().find(|(name, _)| name == scheme).map(|(_, entry)| entry.clone())
    }

    /// As it is at this moment.
    pub fn look(&self) -> Arc<Entries<T>> {
        self.lock().clone()
    }

    pub fn entries(&self) -> Vec<T> {
        self.look().iter().map(|(_, entry)| entry.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Entries<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> FromIterator<(SchemeRef, T)> for Register<T> {
    fn from_iter<I: IntoIterator<Item = (SchemeRef, T)>>(entries: I) -> Self {
        Self(Arc::new(Mutex::new(Arc::new(entries.into_iter().collect()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SchemeId, TenantId};

    fn name(tenant: &str, scheme: &str) -> SchemeRef {
        SchemeRef { tenant: TenantId::new(tenant).unwrap(), scheme: SchemeId::new(scheme).unwrap() }
    }

    #[test]
    fn a_scheme_that_comes_back_has_its_place_again_and_who_looked_before_sees_what_was() {
        let register = Register::default();
        let (b, a, other) = (name("t", "b"), name("t", "a"), name("u", "b"));
        for (scheme, entry) in [(&b, 1), (&a, 2), (&other, 3)] {
            register.put(scheme, entry);
        }
        let before = register.look();
        register.clone().put(&b, 4);
        register.remove(&a);
        assert_eq!(register.entries(), [4, 3], "the order is that in which they came");
        assert_eq!((register.get(&b), register.get(&a), register.get(&other)), (Some(4), None, Some(3)));
        assert_eq!(before.iter().map(|(_, entry)| *entry).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
