//! The thread that writes large values into files of their own, before their batch joins a group.
//!
//! A file costs a hash, a write and a sync of its own. In the committer everybody's next batch would
//! wait for it; here only its own batch waits, and what its tenant sent after that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;

use super::batch::Error;
use super::blobs::Blobs;
#[cfg(feature = "failpoints")]
use super::committer::injected;
use super::row::Digest;
use super::sled_store::{Core, guarded};

/// Files that a batch will name which is not applied yet: nobody may remove them.
#[derive(Debug, Default)]
pub(super) struct Awaited(Mutex<HashMap<Digest, usize>>);

impl Awaited {
    fn add(&self, digests: &[Digest]) {
        let mut awaited = self.lock();
        for digest in digests {
            *awaited.entry(*digest).or_default() += 1;
        }
    }

    /// Their batch is applied, or will never be.
    pub fn take(&self, digests: &[Digest]) {
        let mut awaited = self.lock();
        for digest in digests {
            let left = awaited.get_mut(digest).map_or(0, |count| {
                *count -= 1;
                *count
            });
            if left == 0 {
                awaited.remove(digest);
            }
        }
    }

    /// Runs `remove` where no batch waits for the file, and lets none begin to meanwhile.
    pub fn unless_awaited<T>(&self, digest: &Digest, remove: impl FnOnce() -> T) -> Option<T> {
        let awaited = self.lock();
        (!awaited.contains_key(digest)).then(remove)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends when the queue is closed and nothing in it waits for a file.
pub(super) fn start(core: Arc<Core>) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("state-filer".into()).spawn(move || {
        while let Some((ticket, values)) = core.queue.next_to_file() {
            // Said to hang like a group where the disk does.
            let beat = core.pulse.begin(Instant::now());
            let digests: Vec<Digest> = values.iter().map(|value| Blobs::digest(value)).collect();
            core.awaited.add(&digests);
            let written = guarded(|| write(&core, &digests, &values));
            core.pulse.end(beat, Instant::now(), 0);
            if !core.queue.filed(ticket, written.map(|()| digests.clone())) {
                core.awaited.take(&digests);
            }
        }
    })
}

fn write(core: &Core, digests: &[Digest], values: &[Bytes]) -> Result<(), Error> {
    core.blobs.write(digests.iter().zip(values.iter().map(|value| &value[..])))?;
    fail::fail_point!("state::after_filing", |_| Err(injected("after_filing")));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_awaited_until_the_last_batch_that_names_it_is_applied() {
        let awaited = Awaited::default();
        let is_awaited = |digest| awaited.unless_awaited(&digest, || ()).is_none();
        awaited.add(&[[1; 32], [2; 32], [1; 32]]);
        awaited.add(&[[2; 32]]);
        assert_eq!([1, 2, 3].map(|n| is_awaited([n; 32])), [true, true, false]);
        awaited.take(&[[1; 32], [2; 32], [1; 32]]);
        assert_eq!([1, 2, 3].map(|n| is_awaited([n; 32])), [false, true, false]);
        awaited.take(&[[2; 32]]);
        assert!(!is_awaited([2; 32]));
    }
}
