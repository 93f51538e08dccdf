//! The one thread that writes.

use std::any::Any;
use std::io;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::batch::{CommitError, Error, Revision};
use super::directory;
use super::format::{self, Opened, REVISION_ROW, SUM_ROW, sled_failed};
use super::group::{Conflict, Ground, Group};
use super::queue::{Answer, Request};
use super::row::{Digest, Head};
use super::sled_store::{Core, guarded, is_used, no_row};
use super::walk::TreeChange;

/// Starts the thread. It ends when the queue is closed and empty.
pub(super) fn start(core: Arc<Core>, opened: Opened) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("state-committer".into()).spawn(move || {
        let mut last = opened;
        while let Some(requests) = core.queue.gather() {
            core.pulse.begin(Instant::now());
            let committed = commit(&core, requests, &mut last);
            core.pulse.end(Instant::now(), committed);
            collect(&core);
        }
    })
}

/// Answers every request; says how many batches became durable.
fn commit(core: &Core, requests: Vec<Request>, opened: &mut Opened) -> usize {
    let Opened { last, sum, .. } = opened;
    let mut fitting: Vec<(oneshot::Sender<Answer>, Revision)> = Vec::with_capacity(requests.len());
    let ground = Tree(core);
    let mut rooms = Vec::with_capacity(requests.len());
    let mut requests = requests.into_iter();
    let written = guarded(|| {
        let mut group = Group::new(core.lease, *last);
        for request in requests.by_ref() {
            let (batch, answer, room) = request.into_parts();
            rooms.push(room);
            match group.add(&batch, &ground) {
                Ok(Ok(revision)) => fitting.push((answer, revision)),
                Ok(Err(conflict)) => send(answer, Err(conflict.into())),
                Err(error) => {
                    fitting.push((answer, *last));
                    return Err(error);
                }
            }
        }
        if fitting.is_empty() {
            return Ok((group.last(), *sum));
        }
        let (reached, sum) = (group.last(), group.sum(*sum));
        group.set(format::own_key(REVISION_ROW), format::number_value(reached.0), &ground)?;
        group.set(format::own_key(SUM_ROW), Bytes::copy_from_slice(&sum.bytes()), &ground)?;
        let (changes, dropped) = group.into_changes();
        write(core, changes, reached)?;
        core.garbage.lock().unwrap_or_else(PoisonError::into_inner).extend(dropped);
        Ok((reached, sum))
    });
    match written {
        Ok(reached) => {
            (*last, *sum) = reached;
            let committed = fitting.len();
            for (answer, revision) in fitting {
                send(answer, Ok(revision));
            }
            committed
        }
        Err(error) => {
            // Closed before anyone hears of it: whoever hears must find it closed.
            core.fail(error.clone());
            for answer in fitting.into_iter().map(|(answer, _)| answer).chain(requests.map(|r| r.into_parts().1)) {
                send(answer, Err(error.clone().into()));
            }
            0
        }
    }
}

/// Makes a group durable. The order of apply, flush, sync and answer is what the store promises.
fn write(core: &Core, changes: Vec<TreeChange>, reached: Revision) -> Result<(), Error> {
    fail::fail_point!("state::before_apply", |_| Err(injected("before_apply")));
    let mut batch = sled::Batch::default();
    for (key, value) in &changes {
        match value {
            Some(value) => batch.insert(key.as_slice(), value.as_slice()),
            None => batch.remove(key.as_slice()),
        }
    }
    let mut gate = core.db.write().unwrap_or_else(PoisonError::into_inner);
    let db = gate.as_mut().ok_or(Error::Closed)?.clone();
    let applied = db.apply_batch(batch);
    if applied.is_ok() {
        tell(core, changes);
    }
    drop(gate);
    applied.map_err(|error| sled_failed(&error))?;
    fail::fail_point!("state::after_apply", |_| Err(injected("after_apply")));
    db.flush().map_err(|error| sled_failed(&error))?;
    fail::fail_point!("state::after_flush", |_| Err(injected("after_flush")));
    core.directory.sync().map_err(|error| directory::io_failed("syncing the store", &error))?;
    fail::fail_point!("state::after_sync", |_| Err(injected("after_sync")));
    core.directory
        .note_acknowledged(reached)
        .map_err(|error| directory::io_failed("marking what is acknowledged", &error))
}

/// Files removed between two groups: each costs the filesystem's journal, and whoever commits next waits for it.
const COLLECT_AT_ONCE: usize = 64;

/// Removes large values that no row needs any more. Only here, between two groups: a file that is written for a batch is
/// named by no row yet. That the rows which named these are gone is durable by now.
fn collect(core: &Core) {
    let mut garbage = core.garbage.lock().unwrap_or_else(PoisonError::into_inner);
    if garbage.is_empty() {
        return;
    }
    // A walk reads files of rows that may have gone since. It cannot begin while this is held.
    let tap = core.tap.lock().unwrap_or_else(PoisonError::into_inner);
    // Somebody reads a row and its file. What is left here goes after a later group, or at the next opening.
    let Ok(files) = core.files.try_write() else { return };
    if tap.is_some() {
        return;
    }
    let count = garbage.len().min(COLLECT_AT_ONCE);
    let collected = core.read(|db| {
        for digest in garbage.drain(..count) {
            if !is_used(db, &digest)? {
                core.blobs.remove(&digest)?;
            }
        }
        Ok(())
    });
    drop(files);
    if let Err(error) = collected {
        tracing::warn!(%error, "unused large values could not be removed");
    }
}

/// A backup that is being taken hears of every change before anybody can read it.
fn tell(core: &Core, changes: Vec<TreeChange>) {
    let tap = core.tap.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(tap) = &*tap {
        for change in changes {
            // A backup that ended does not hear it, and need not.
            let _ = tap.send(change);
        }
    }
}

#[cfg(feature = "failpoints")]
fn injected(point: &str) -> Error {
    Error::Failed { detail: format!("injected at {point}") }
}

/// The tree and the files under it, as a group sees them.
struct Tree<'a>(&'a Core);

impl Ground for Tree<'_> {
    fn row(&self, tree_key: &[u8]) -> Result<Option<(Head, sled::IVec)>, Error> {
        let db = self.0.db.read().unwrap_or_else(PoisonError::into_inner);
        let found = db.as_ref().ok_or(Error::Closed)?.get(tree_key).map_err(|error| sled_failed(&error))?;
        found.map(|raw| Ok((Head::read(&raw).ok_or_else(no_row)?, raw))).transpose()
    }

    fn write_file(&self, bytes: &[u8]) -> Result<Digest, Error> {
        self.0.blobs.write(bytes)
    }
}

impl From<Conflict> for CommitError {
    fn from(conflict: Conflict) -> Self {
        let Conflict { table, key, found } = conflict;
        CommitError::Conflict { table, key, found }
    }
}

fn send(answer: oneshot::Sender<Answer>, outcome: Answer) {
    // The caller may have dropped its future; the batch stands all the same.
    let _ = answer.send(outcome);
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}
