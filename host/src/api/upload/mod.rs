//! Uploads: how many at once, how slow, how large; where what has come waits; and what is made of it.

mod check;
mod entries;
mod form;
mod report;
mod spool;
mod trial;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use check::take;
pub use entries::entries;
pub use report::Report;

use super::problem::{Answer, Code, Problem};
use crate::model::TenantId;

/// When to come again where all places are taken: an upload that compiles takes some seconds.
const COME_AGAIN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub struct Limits {
    /// All of one upload, the samples among it.
    pub bytes: u64,
    /// Under way at once, in all and of one tenant. A slow one holds a place and a file, no memory.
    pub at_once: usize,
    pub at_once_of_tenant: usize,
    /// Looked at and compiled at once: each of these is in memory whole.
    pub in_memory: usize,
    /// For a place among these.
    pub memory_timeout: Duration,
    /// Between two pieces.
    pub piece_timeout: Duration,
    /// For all of it to come.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 40 << 20,
            at_once: 8,
            at_once_of_tenant: 2,
            in_memory: 2,
            // Longer than a component of the standard class compiles; behind two interpreters, come again.
            memory_timeout: Duration::from_secs(60),
            piece_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(300),
        }
    }
}

/// The places of uploads.
pub struct Uploads {
    directory: PathBuf,
    limits: Limits,
    places: Arc<Semaphore>,
    in_memory: Arc<Semaphore>,
    /// A tenant's own place of those in memory: the others are for others.
    in_memory_of_tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
    of_tenants: Arc<Mutex<HashMap<TenantId, usize>>>,
}

/// The right to have an upload in memory; given back when dropped.
#[derive(Debug)]
pub struct InMemory {
    _own: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

/// A place; given back when dropped.
pub struct Place {
    tenant: TenantId,
    of_tenants: Arc<Mutex<HashMap<TenantId, usize>>>,
    _place: OwnedSemaphorePermit,
}

impl Uploads {
    /// `directory` is where unfinished uploads lie, as files without a name.
    pub fn new(directory: &Path, limits: Limits) -> Self {
        Self {
            directory: directory.into(),
            places: Arc::new(Semaphore::new(limits.at_once)),
            in_memory: Arc::new(Semaphore::new(limits.in_memory)),
            in_memory_of_tenants: Mutex::default(),
            of_tenants: Arc::default(),
            limits,
        }
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A place in memory, once there is one; the tenant's own upload before this one comes first.
    async fn memory_for(&self, tenant: &TenantId) -> Answer<InMemory> {
        let own = {
            let mut all = self.in_memory_of_tenants.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody else holds or awaits these.
            all.retain(|_, own| Arc::strong_count(own) > 1);
            all.entry(tenant.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
        };
        let both = async {
            let own = own.acquire_owned().await.map_err(Problem::internal)?;
            let place = self.in_memory.clone().acquire_owned().await.map_err(Problem::internal)?;
            Ok(InMemory { _own: own, _place: place })
        };
        tokio::time::timeout(self.limits.memory_timeout, both).await.unwrap_or_else(|_| {
            let detail = "other uploads are being compiled, and this one has waited for as long as one may";
            Err(Problem::new(Code::TooManyRequests, detail).retry_after(COME_AGAIN).closing())
        })
    }

    /// Once no upload is in memory.
    #[cfg(test)]
    pub async fn memory_is_free(&self) {
        let all = u32::try_from(self.limits.in_memory).unwrap();
        drop(self.in_memory.acquire_many(all).await.unwrap());
    }

    fn enter(&self, tenant: &TenantId) -> Answer<Place> {
        let refused = |whose: &str, limit: &str| {
            let again = COME_AGAIN.as_secs();
            let detail =
                format!("{whose} has as many uploads under way as are taken at once: {limit}; try again in {again} s");
            Problem::new(Code::TooManyRequests, detail).retry_after(COME_AGAIN).closing()
        };
        let mut of_tenants = self.of_tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let own = of_tenants.get(tenant).copied().unwrap_or(0);
        if own >= self.limits.at_once_of_tenant {
            return Err(refused("the tenant", &self.limits.at_once_of_tenant.to_string()));
        }
        // A second place only while others are free for others.
        if own > 0 && self.places.available_permits() * 2 <= self.limits.at_once {
            return Err(refused("the tenant", "one, while half of the engine's places are taken"));
        }
        let place = self
            .places
            .clone()
            .try_acquire_owned()
            .map_err(|_| refused("the engine", &self.limits.at_once.to_string()))?;
        of_tenants.insert(tenant.clone(), own + 1);
        Ok(Place { tenant: tenant.clone(), of_tenants: self.of_tenants.clone(), _place: place })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of_tenants = self.of_tenants.lock().unwrap_or_else(PoisonError::into_inner);
        match of_tenants.get_mut(&self.tenant) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(of_tenants.remove(&self.tenant)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tenant_has_one_upload_in_memory_and_whoever_waits_too_long_is_told_to_come_again() {
        let limits = Limits { memory_timeout: Duration::ZERO, ..Limits::default() };
        let uploads = Uploads::new(Path::new("/nonexistent"), limits);
        let [acme, globex, initech] = ["acme", "globex", "initech"].map(|name| TenantId::new(name).unwrap());
        let first = uploads.memory_for(&acme).await.unwrap();
        let refused = uploads.memory_for(&acme).await.unwrap_err();
        assert_eq!((refused.code(), refused.waits()), (Code::TooManyRequests, Some(COME_AGAIN)));
        let second = uploads.memory_for(&globex).await.unwrap();
        assert!(uploads.memory_for(&initech).await.is_err(), "the engine has two");
        drop(first);
        let third = uploads.memory_for(&initech).await.unwrap();
        drop((second, third));
        uploads.memory_for(&acme).await.unwrap();
        assert!(uploads.in_memory_of_tenants.lock().unwrap().len() <= 2, "who has none is forgotten");
    }

    #[test]
    fn a_tenant_has_a_second_place_only_while_more_than_half_of_all_are_free() {
        let limits = Limits { at_once: 4, at_once_of_tenant: 2, ..Limits::default() };
        let uploads = Uploads::new(Path::new("/nonexistent"), limits);
        let [acme, globex, initech] = ["acme", "globex", "initech"].map(|name| TenantId::new(name).unwrap());
        let first = uploads.enter(&acme).unwrap_or_else(|problem| panic!("{problem:?}"));
        let theirs = uploads.enter(&globex).unwrap_or_else(|problem| panic!("{problem:?}"));
        let refused = uploads.enter(&acme).err().unwrap();
        assert_eq!((refused.code(), refused.waits()), (Code::TooManyRequests, Some(COME_AGAIN)));
        assert!(uploads.enter(&initech).is_ok(), "a first place is there for others");
        drop(theirs);
        let second = uploads.enter(&acme).unwrap_or_else(|problem| panic!("{problem:?}"));
        let third = uploads.enter(&acme).err().expect("a third is nobody's");
        assert!(third.detail().contains("at once: 2; try again in 5 s"), "{}", third.detail());
        drop(first);
        assert!(uploads.enter(&acme).is_ok(), "what is given back is free again");
        drop(second);
        assert!(uploads.of_tenants.lock().unwrap().is_empty(), "who has none is forgotten");
    }
}
