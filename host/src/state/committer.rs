//! The one thread that writes rows. What it applied, the settler makes durable while this applies the next group.

use std::any::Any;
use std::io;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::batch::{CommitError, Error, Revision};
use super::filer;
use super::format::{self, Opened, REVISION_ROW, SUM_ROW, sled_failed};
use super::group::{Conflict, Ground, Group};
use super::queue::{Answer, Request};
use super::row::Head;
use super::settler::{self, Applied};
use super::sled_store::{Core, guarded, is_used, no_row};
use super::walk::TreeChange;

/// Starts the three threads. They end when the queue is closed and empty.
pub(super) fn start(core: &Arc<Core>, opened: Opened) -> io::Result<Vec<JoinHandle<()>>> {
    let (applied, settler) = settler::start(Arc::clone(core))?;
    let filer = filer::start(Arc::clone(core))?;
    let core = Arc::clone(core);
    let committer = std::thread::Builder::new().name("state-committer".into()).spawn(move || {
        let mut last = opened;
        while let Some(requests) = core.queue.gather() {
            let dropped = commit(&core, requests, &mut last, &applied);
            collect(&core, dropped);
            core.unsettled.wait_for_room();
        }
    })?;
    Ok(vec![filer, committer, settler])
}

/// Applies what fits and hands it on to be settled; answers the others. Says whether rows of large values went.
fn commit(core: &Core, requests: Vec<Request>, opened: &mut Opened, to_settle: &SyncSender<Applied>) -> bool {
    let Opened { last, sum, .. } = opened;
    let mut fitting: Vec<(oneshot::Sender<Answer>, Revision)> = Vec::with_capacity(requests.len());
    let beat = core.pulse.begin(Instant::now());
    let ground = Tree(core);
    let mut rooms = Vec::with_capacity(requests.len());
    let (mut awaited, mut unneeded) = (Vec::new(), Vec::new());
    let mut requests = requests.into_iter();
    let written = guarded(|| {
        let mut group = Group::new(core.lease, *last);
        for mut request in requests.by_ref() {
            let files = request.take_files();
            let Request { batch, answer, room, .. } = request;
            rooms.push(room);
            awaited.extend(files.iter().flatten().copied());
            match files.and_then(|files| Ok((group.add(&batch, &files, &ground)?, files))) {
                Ok((Ok(revision), _)) => fitting.push((answer, revision)),
                Ok((Err(conflict), files)) => {
                    unneeded.extend(files);
                    send(answer, Err(conflict.into()));
                }
                Err(error) => {
                    fitting.push((answer, *last));
                    return Err(error);
                }
            }
        }
        if fitting.is_empty() {
            return Ok(None);
        }
        let (reached, sum) = (group.last(), group.sum(*sum));
        group.set(format::own_key(REVISION_ROW), format::number_value(reached.0), &ground)?;
        group.set(format::own_key(SUM_ROW), Bytes::copy_from_slice(&sum.bytes()), &ground)?;
        let (changes, dropped) = group.into_changes();
        Ok(Some((apply(core, changes)?, reached, sum, dropped)))
    });
    core.awaited.take(&awaited);
    let any_unneeded = !unneeded.is_empty();
    core.garbage.lock().unwrap_or_else(PoisonError::into_inner).extend(unneeded);
    match written {
        Ok(Some((db, reached, reached_sum, dropped))) => {
            (*last, *sum) = (reached, reached_sum);
            let any_dropped = any_unneeded || !dropped.is_empty();
            core.unsettled.add();
            let applied = Applied { db, reached, dropped, answers: fitting, rooms, beat };
            if let Err(lost) = to_settle.send(applied) {
                // It ends after this thread; were it gone, nothing could become durable.
                core.fail(Error::Closed);
                settler::refuse(core, lost.0, &Error::Closed);
            }
            any_dropped
        }
        Ok(None) => {
            core.pulse.end(beat, Instant::now(), 0);
            any_unneeded
        }
        Err(error) => {
            // Closed before anyone hears of it: whoever hears must find it closed.
            core.fail(error.clone());
            core.pulse.end(beat, Instant::now(), 0);
            for answer in fitting.into_iter().map(|(answer, _)| answer).chain(requests.map(|request| request.answer)) {
                send(answer, Err(error.clone().into()));
            }
            false
        }
    }
}

/// Changes the tree as one atomic batch, which is not durable yet, and says of which store it was.
fn apply(core: &Core, changes: Vec<TreeChange>) -> Result<sled::Db, Error> {
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
    Ok(db)
}

/// Files removed between two groups: each costs the filesystem's journal, and whoever commits next waits for it.
const COLLECT_AT_ONCE: usize = 64;

/// Removes large values that neither a row needs any more nor a batch that is yet to come. Only once every group is settled:
/// where the row that went last came back with a crash, its file would be missing.
fn collect(core: &Core, dropped: bool) {
    if !dropped && core.garbage.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
        return;
    }
    core.unsettled.wait_for_none();
    fail::fail_point!("state::before_collect");
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
            // What a batch waits for is named by a row soon, or comes here again.
            core.awaited
                .unless_awaited(&digest, || match is_used(db, &digest)? {
                    true => Ok(()),
                    false => core.blobs.remove(&digest),
                })
                .transpose()?;
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
pub(super) fn injected(point: &str) -> Error {
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
}

impl From<Conflict> for CommitError {
    fn from(conflict: Conflict) -> Self {
        let Conflict { table, key, found } = conflict;
        CommitError::Conflict { table, key, found }
    }
}

pub(super) fn send(answer: oneshot::Sender<Answer>, outcome: Answer) {
    // The caller may have dropped its future; the batch stands all the same.
    let _ = answer.send(outcome);
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}
