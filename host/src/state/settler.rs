//! The thread that makes durable what the committer applied, in its order, and answers.
//!
//! A sync costs as long as the groups beside it take to apply, so the two go side by side: while one group is synced, the
//! next is checked, packed and applied. Nothing is answered before the sync that covers it, and no more than
//! [`UNSETTLED_LIMIT`] groups are under way, so that what waits meanwhile still becomes one group.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

use super::batch::{Error, Revision};
#[cfg(feature = "failpoints")]
use super::committer::injected;
use super::committer::send;
use super::directory;
use super::format::sled_failed;
use super::health::Beat;
use super::queue::{Answer, Room};
use super::row::Digest;
use super::sled_store::{Core, guarded};

/// Groups that are applied and not durable yet: one that is synced and one that is next.
const UNSETTLED_LIMIT: usize = 2;

/// A group that stands in the tree and is not durable yet.
pub(super) struct Applied {
    /// The store that it was applied to. A rewrite may have put another in its place since; that has the group, synced.
    pub db: sled::Db,
    pub reached: Revision,
    /// Files that perhaps no row needs once this is durable.
    pub dropped: Vec<Digest>,
    pub answers: Vec<(oneshot::Sender<Answer>, Revision)>,
    /// Given back after the answers: a group in work takes memory too.
    pub rooms: Vec<Room>,
    pub beat: Beat,
}

/// How many groups are applied and not durable.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    count: Mutex<usize>,
    fewer: Condvar,
}

impl Unsettled {
    pub fn add(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn remove(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.fewer.notify_all();
    }

    /// Until another group may be applied.
    pub fn wait_for_room(&self) {
        self.wait_until(|count| count < UNSETTLED_LIMIT);
    }

    /// Until all that was applied is durable, or the store has failed.
    pub fn wait_for_none(&self) {
        self.wait_until(|count| count == 0);
    }

    fn wait_until(&self, enough: impl Fn(usize) -> bool) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        while !enough(*count) {
            count = self.fewer.wait(count).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The way to the thread, which ends when the way does.
pub(super) fn start(core: Arc<Core>) -> std::io::Result<(SyncSender<Applied>, JoinHandle<()>)> {
    let (sender, receiver) = sync_channel(UNSETTLED_LIMIT);
    let settler =
        std::thread::Builder::new().name("state-settler".into()).spawn(move || settle_all(&core, &receiver))?;
    Ok((sender, settler))
}

fn settle_all(core: &Core, applied: &Receiver<Applied>) {
    let mut broken: Option<Error> = None;
    while let Ok(group) = applied.recv() {
        let settled = match &broken {
            // After a failed sync the kernel may say that a later one went well.
            Some(error) => Err(error.clone()),
            None => guarded(|| settle(core, &group)),
        };
        match settled {
            Ok(()) => answer(core, group),
            Err(error) => {
                // Closed before anyone hears of it: whoever hears must find it closed.
                core.fail(error.clone());
                refuse(core, group, &error);
                broken = Some(error);
            }
        }
    }
}

/// The order of flush, sync, mark and answer is what the store promises.
fn settle(core: &Core, group: &Applied) -> Result<(), Error> {
    fail::fail_point!("state::after_apply", |_| Err(injected("after_apply")));
    group.db.flush().map_err(|error| sled_failed(&error))?;
    fail::fail_point!("state::after_flush", |_| Err(injected("after_flush")));
    core.directory.sync().map_err(|error| directory::io_failed("syncing the store", &error))?;
    fail::fail_point!("state::after_sync", |_| Err(injected("after_sync")));
    core.directory
        .note_acknowledged(group.reached)
        .map_err(|error| directory::io_failed("marking what is acknowledged", &error))
}

fn answer(core: &Core, group: Applied) {
    core.garbage.lock().unwrap_or_else(PoisonError::into_inner).extend(group.dropped);
    core.pulse.end(group.beat, Instant::now(), group.answers.len());
    core.unsettled.remove();
    for (answer, revision) in group.answers {
        send(answer, Ok(revision));
    }
    drop(group.rooms);
}

/// Nobody can say whether the group is durable.
pub(super) fn refuse(core: &Core, group: Applied, error: &Error) {
    core.pulse.end(group.beat, Instant::now(), 0);
    core.unsettled.remove();
    for (answer, _) in group.answers {
        send(answer, Err(error.clone().into()));
    }
    drop(group.rooms);
}
