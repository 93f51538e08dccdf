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
    of_tenants: Arc<Mutex<HashMap<TenantId, usize>>>,
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
            of_tenants: Arc::default(),
            limits,
        }
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    fn enter(&self, tenant: &TenantId) -> Answer<Place> {
        let refused = |whose: &str| {
            let detail = format!("{whose} has as many uploads under way as are taken at once");
            Problem::new(Code::TooManyRequests, detail).retry_after(COME_AGAIN).closing()
        };
        let mut of_tenants = self.of_tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let own = of_tenants.get(tenant).copied().unwrap_or(0);
        if own >= self.limits.at_once_of_tenant {
            return Err(refused("the tenant"));
        }
        let place = self.places.clone().try_acquire_owned().map_err(|_| refused("the engine"))?;
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
