//! Takes away what finished documents no longer need: their bodies, their history, the words in it.
//!
//! What stays of a document is its fingerprint: the digest of every version, how each ended, the target keys and what
//! stands under them. So whatever comes later is judged as if nothing had been taken: a version that is read again is
//! known, an equal bill is `unchanged`, another key is `target_keys_changed`, a number keeps its owner. Documents that are
//! unfinished, parked or of an unknown fate are never touched.
//!
//! Two steps, each in small batches that stand alone, so that a kill between any two of them costs nothing but the rest:
//! the driver, who alone changes subjects, turns a document into its fingerprint; then bodies that no subject names go,
//! whosever they were.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::model::{Digest, DocumentKey};
use crate::state::{Batch, Key, Revision};

use super::driver::Handle;
use super::ledger::{Error, Ledger, Open};

/// Documents in one commit: with some lines of history each, a batch is as large as a round of the driver's.
const AT_ONCE: usize = 50;
/// Lines of one document's history that go with it in one commit. A longer one goes in several, its oldest lines first.
const LINES_AT_ONCE: usize = 500;
/// Rows that one look into the ledger brings.
const LOOK: usize = 500;
/// Between two commits: schemes come first.
const PAUSE: Duration = Duration::from_millis(20);

/// How much of a tenant's finished documents is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// For how long after the last event. `None`: for ever.
    pub time: Option<SignedDuration>,
    /// At most so many bytes of bodies and history, the newest of them. `None`: however many there are.
    pub bytes: Option<u64>,
}

/// A scheme of the tenant, with its driver.
#[derive(Clone)]
pub struct Member {
    pub ledger: Ledger,
    pub handle: Handle,
}

/// What one pass over a tenant did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passed {
    /// Documents of which only the fingerprint is left now.
    pub reduced: u64,
    /// Bodies and pages that were removed.
    pub removed: u64,
    /// Bytes of bodies and history that the tenant's documents hold after it, as the ledger counted them coming in.
    pub kept_bytes: u64,
}

/// One pass over the schemes of one tenant. Ends early when `stop` is cancelled: the next pass does the rest.
pub async fn pass(schemes: &[Member], keep: &Keep, now: Timestamp, stop: &CancellationToken) -> Result<Passed, Error> {
    let mut census = Census::default();
    for scheme in schemes {
        census = look(&scheme.ledger, census, |census, _, subject| census.count(subject)).await?;
    }
    let mut passed = Passed { kept_bytes: census.total, ..Passed::default() };
    let Some(before) = census.cut(keep, now) else { return Ok(passed) };
    for scheme in schemes {
        let due = move |due: &mut Vec<DocumentKey>, key: DocumentKey, subject: &Subject| {
            if subject.finished_at().is_some_and(|finished| finished < before) {
                due.push(key);
            }
        };
        let due = look(&scheme.ledger, Vec::new(), due).await?;
        for keys in due.chunks(AT_ONCE) {
            if stop.is_cancelled() {
                return Ok(passed);
            }
            // A driver that has stopped said why; its documents wait for the next start.
            let Ok(reduced) = scheme.handle.reduce(keys.to_vec(), before).await else { break };
            passed.reduced += reduced;
            tokio::time::sleep(PAUSE).await;
        }
        passed.removed += sweep(&scheme.ledger, stop).await?;
        let mut batch = Batch::new();
        let pages = scheme.ledger.remove_bad_pages(&mut batch, before, LOOK)?;
        if pages > 0 && committed(&scheme.ledger, batch).await? {
            passed.removed += pages as u64;
        }
    }
    passed.kept_bytes = census.total.saturating_sub(census.before(before));
    Ok(passed)
}

use super::subject::Subject;

/// What became fingerprints in one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reduced {
    pub documents: u64,
    /// What was kept of them before.
    pub bytes: u64,
}

/// Turns those of the documents that were finished before then into their fingerprints, in one commit. Only for the
/// driver, who alone changes subjects.
pub(super) async fn reduce(
    ledger: &Ledger,
    keys: &[DocumentKey],
    before: Timestamp,
    now: Timestamp,
) -> Result<Reduced, Error> {
    let mut batch = Batch::new();
    let mut reduced = Reduced::default();
    for key in keys {
        let Some(mut subject) = ledger.subject(key)? else { continue };
        if subject.finished_at().is_none_or(|finished| finished >= before) {
            continue;
        }
        let is_last_of_it = ledger.remove_lines(&mut batch, key, LINES_AT_ONCE)? < LINES_AT_ONCE;
        let (bytes, open) = (subject.kept_bytes, Open::row_of(&subject));
        if is_last_of_it && subject.reduce(now) {
            ledger.put_subject(&mut batch, key, &subject, open);
            reduced.documents += 1;
            reduced.bytes += bytes;
        }
    }
    if !batch.is_empty() {
        ledger.commit(batch).await?;
    }
    Ok(reduced)
}

/// Removes the bodies that no subject names: those of reduced documents, and what superseded outcomes and forgotten
/// versions left. Says how many.
///
/// A body that somebody names from now on is put again by whoever does, in the same batch; it has a later revision then
/// than the look began with, and stays.
async fn sweep(ledger: &Ledger, stop: &CancellationToken) -> Result<u64, Error> {
    let began = ledger.commit(Batch::new()).await?;
    let name = |named: &mut HashSet<u64>, _, subject: &Subject| {
        named.extend(subject.named_bodies().map(|digest| short(&digest)))
    };
    let named = look(ledger, HashSet::new(), name).await?;
    let mut removed = 0;
    let mut after: Option<Key> = None;
    while !stop.is_cancelled() {
        let (ledger_of, from) = (ledger.clone(), after.clone());
        let bodies = aside(move || ledger_of.bodies(from.as_ref(), LOOK)).await?;
        let Some((last, ..)) = bodies.last() else { break };
        after = Some(last.clone());
        let unnamed = |(_, digest, since): &(Key, Digest, Revision)| *since <= began && !named.contains(&short(digest));
        let mut batch = Batch::new();
        let mut count = 0;
        for (row, _, since) in bodies.into_iter().filter(unnamed) {
            ledger.remove_body(&mut batch, row, since);
            count += 1;
        }
        if count > 0 {
            // Where one of them was put again in this very moment, all of these wait for the next pass.
            if committed(ledger, batch).await? {
                removed += count;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(removed)
}

async fn committed(ledger: &Ledger, batch: Batch) -> Result<bool, Error> {
    match ledger.commit(batch).await {
        Ok(_) => Ok(true),
        Err(Error::Conflict(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Eight bytes tell bodies apart; where they do not, one body too many is kept. Millions of names fit into memory so.
fn short(digest: &Digest) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Walks over a scheme's subjects, off the threads that answer others.
async fn look<T: Send + 'static>(
    ledger: &Ledger,
    mut found: T,
    take: impl Fn(&mut T, DocumentKey, &Subject) + Copy + Send + 'static,
) -> Result<T, Error> {
    let mut after: Option<DocumentKey> = None;
    loop {
        let (ledger, from) = (ledger.clone(), after);
        let (seen, last) = aside(move || {
            let subjects = ledger.subjects(from.as_ref(), LOOK)?;
            let last = subjects.last().map(|(key, _)| key.clone());
            for (key, subject) in subjects {
                take(&mut found, key, &subject);
            }
            Ok((found, last))
        })
        .await?;
        found = seen;
        if last.is_none() {
            return Ok(found);
        }
        after = last;
    }
}

async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            Err(Error::Store(crate::state::Error::Failed { detail: format!("a look at the ledger: {error}") }))
        }
    }
}

/// What finished documents hold, by the hour in which they were finished.
#[derive(Debug, Default)]
struct Census {
    by_hour: BTreeMap<i64, u64>,
    /// Of unfinished ones as well: they count, and are never taken.
    total: u64,
}

const HOUR: i64 = 3_600;

impl Census {
    fn count(&mut self, subject: &Subject) {
        self.total += subject.kept_bytes;
        if let Some(finished) = subject.finished_at() {
            *self.by_hour.entry(finished.as_second().div_euclid(HOUR)).or_default() += subject.kept_bytes;
        }
    }

    /// What was finished before then is to go. `None` where nothing is.
    fn cut(&self, keep: &Keep, now: Timestamp) -> Option<Timestamp> {
        let by_time = keep.time.map(|time| now.checked_sub(time).unwrap_or(Timestamp::MIN));
        let by_size = keep.bytes.and_then(|bytes| {
            let mut surplus = self.total.checked_sub(bytes).filter(|surplus| *surplus > 0)?;
            for (hour, held) in &self.by_hour {
                surplus = surplus.saturating_sub(*held);
                if surplus == 0 {
                    return Timestamp::from_second((hour + 1) * HOUR).ok();
                }
            }
            // All that is finished does not suffice: the rest is unfinished.
            self.by_hour.last_key_value().and_then(|(hour, _)| Timestamp::from_second((hour + 1) * HOUR).ok())
        });
        // Nothing that happens while this runs.
        [by_time, by_size].into_iter().flatten().max().map(|before| before.min(now))
    }

    fn before(&self, before: Timestamp) -> u64 {
        self.by_hour.range(..before.as_second().div_euclid(HOUR)).map(|(_, held)| held).sum()
    }
}

#[cfg(test)]
mod tests;
