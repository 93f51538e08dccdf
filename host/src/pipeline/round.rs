//! One round of the driver: some events in, one durable batch, then the actions that follow from it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::model::{ConnectionName, Digest, DocumentKey, OperationName, TargetKey};
use crate::state::{Batch, Table};

use super::erasure::Clearance;
use super::ledger::{Cursor, Error, Ledger, Line, Open, Owner, Tally};
use super::reference::Revision;
use super::step::{Action, Event, Moment, Refusal, Rules, Verdict, step};
use super::subject::{Phase, Subject};

/// An event for one document, with what must become durable in the same batch.
#[derive(Debug, Clone)]
pub struct Work {
    pub key: DocumentKey,
    pub event: Event,
    /// What the guest logged.
    pub logs: Vec<String>,
    /// Linear memory that its instance held at the end.
    pub memory_bytes: Option<u64>,
    /// The revisions of the reference tables that the guest looked things up in.
    pub tables: BTreeMap<String, Revision>,
    /// Bodies that the event names.
    pub bodies: Vec<(Digest, Arc<str>)>,
    /// What goes with the document where it is erased.
    pub clearance: Option<Clearance>,
}

impl Work {
    pub fn new(key: DocumentKey, event: Event) -> Self {
        Self {
            key,
            event,
            logs: Vec::new(),
            memory_bytes: None,
            tables: BTreeMap::new(),
            bodies: Vec::new(),
            clearance: None,
        }
    }
}

/// Bytes of bodies that one batch takes; beyond it the rest goes into further ones. Between two batches the committer
/// writes what other tenants have, so a page of large documents keeps nobody waiting for all of it.
const BATCH_BYTES: usize = 4 << 20;

/// How many of the first works go into one batch: at least one.
pub fn portion(works: &[Work]) -> usize {
    let mut bytes = 0;
    let fits = |work: &&Work| {
        bytes += work.bodies.iter().map(|(_, body)| body.len()).sum::<usize>();
        bytes <= BATCH_BYTES
    };
    works.iter().take_while(fits).count().max(1).min(works.len())
}

/// What came of a round, after its commit.
#[derive(Debug, Default)]
pub struct Settled {
    pub actions: Vec<(DocumentKey, Action)>,
    /// Why a work was refused, by its index.
    pub refusals: HashMap<usize, Refusal>,
    /// Works that changed something.
    pub changed: usize,
    /// What is unfinished: after minus before.
    pub change: Tally,
    /// Bytes of bodies and history: what came in, less what was erased.
    pub kept_bytes: i64,
}

/// Where a scheme's bills go: part of every owner's key.
#[derive(Debug, Clone)]
pub struct Destination {
    pub connection: ConnectionName,
    pub operation: OperationName,
    /// Whose numbers the operation writes, where it writes several: the form.
    pub number_space: Option<String>,
}

/// Times a round is done again because another scheme claimed the same target key between our look and our commit.
const CONFLICTS_LIMIT: u32 = 16;

/// Works that were stepped, and what is to become durable of them.
pub struct Prepared {
    pub batch: Batch,
    /// As the batch leaves them.
    pub subjects: BTreeMap<DocumentKey, Subject>,
    pub settled: Settled,
}

/// Steps every work. The ledger is as it was.
pub fn prepare_round(
    ledger: &Ledger,
    destination: &Destination,
    rules: &Rules,
    moment: Moment,
    works: &[Work],
    cursor: Option<&Cursor>,
) -> Result<Prepared, Error> {
    let mut round = Round {
        ledger,
        destination,
        rules,
        moment,
        batch: Batch::new(),
        subjects: BTreeMap::new(),
        claims: HashMap::new(),
        settled: Settled::default(),
    };
    for (index, work) in works.iter().enumerate() {
        round.take(index, work)?;
    }
    if let Some(cursor) = cursor {
        ledger.put_cursor(&mut round.batch, cursor);
    }
    let Round { mut batch, subjects, mut settled, .. } = round;
    let put = |(key, (before, subject)): (DocumentKey, (Option<Open>, Subject))| {
        ledger.put_subject(&mut batch, &key, &subject, before);
        settled.change.remove(before.unwrap_or_default());
        settled.change.add(Open::of(&subject));
        (key, subject)
    };
    let subjects = subjects.into_iter().map(put).collect();
    Ok(Prepared { batch, subjects, settled })
}

/// Steps every work, commits all of it as one batch, and returns the actions. Nothing is half done: on an error the
/// ledger is as it was.
pub async fn commit_round(
    ledger: &Ledger,
    destination: &Destination,
    rules: &Rules,
    moment: Moment,
    works: &[Work],
    cursor: Option<&Cursor>,
) -> Result<Settled, Error> {
    let prepared = prepare_round(ledger, destination, rules, moment, works, cursor)?;
    commit_prepared(ledger, destination, rules, moment, works, cursor, prepared).await
}

/// The same for works that were stepped just now, which happens once more only where somebody was faster.
pub async fn commit_prepared(
    ledger: &Ledger,
    destination: &Destination,
    rules: &Rules,
    moment: Moment,
    works: &[Work],
    cursor: Option<&Cursor>,
    mut prepared: Prepared,
) -> Result<Settled, Error> {
    let mut conflicts = 0;
    loop {
        let Prepared { batch, subjects, settled } = prepared;
        if batch.is_empty() {
            return Ok(settled);
        }
        match ledger.commit(batch).await {
            Ok(_) => {
                for (key, subject) in subjects {
                    ledger.remember(&key, subject);
                }
                return Ok(settled);
            }
            // What was looked up for an erasure does not come right by trying again.
            Err(Error::Conflict(table)) if table != Table::Bodies && conflicts < CONFLICTS_LIMIT => conflicts += 1,
            Err(error) => return Err(error),
        }
        prepared = prepare_round(ledger, destination, rules, moment, works, cursor)?;
    }
}

struct Round<'a> {
    ledger: &'a Ledger,
    destination: &'a Destination,
    rules: &'a Rules,
    moment: Moment,
    batch: Batch,
    /// Changed subjects, with their rows in the index of unfinished ones before.
    subjects: BTreeMap<DocumentKey, (Option<Open>, Subject)>,
    /// Target keys claimed in this round.
    claims: HashMap<TargetKey, DocumentKey>,
    settled: Settled,
}

impl Round<'_> {
    fn take(&mut self, index: usize, work: &Work) -> Result<(), Error> {
        let (before, subject) = match self.subjects.get(&work.key) {
            Some((before, subject)) => (*before, subject.clone()),
            None => {
                let subject = self.ledger.subject(&work.key)?.unwrap_or_default();
                (Open::row_of(&subject), subject)
            }
        };
        let kept_before = subject.kept_bytes;
        let event = self.with_owners(&work.key, &work.event)?;
        let stepped = match step(&subject, &event, self.moment, self.rules) {
            Ok(stepped) => stepped,
            Err(refusal) => {
                self.settled.refusals.insert(index, refusal);
                return Ok(());
            }
        };
        self.settled.actions.extend(stepped.actions.into_iter().map(|action| (work.key.clone(), action)));
        if !stepped.changed {
            return Ok(());
        }
        self.settled.changed += 1;
        if let Event::Transformed { version, .. } = &event {
            self.claim(&work.key, *version, &stepped.subject)?;
        }
        let mut subject = stepped.subject;
        subject.touched_at = Some(self.moment.now);
        for (digest, body) in &work.bodies {
            self.ledger.put_body(&mut self.batch, *digest, body.as_bytes().to_vec());
            subject.kept_bytes += body.len() as u64;
            self.settled.kept_bytes += signed(body.len() as u64);
        }
        if let Some(clearance) = &work.clearance {
            clearance.carry_out(self.ledger, &mut self.batch, &work.key)?;
            self.settled.kept_bytes -= signed(kept_before);
        }
        let (logs, tables) = (work.logs.clone(), work.tables.clone());
        let line = Line { at: self.moment.now, event, logs, memory_bytes: work.memory_bytes, tables };
        let line_bytes = self.ledger.put_line(&mut self.batch, &work.key, subject.events, &line) as u64;
        subject.kept_bytes += line_bytes;
        self.settled.kept_bytes += signed(line_bytes);
        self.subjects.insert(work.key.clone(), (before, subject));
        Ok(())
    }

    /// Fills in who else owns the emitted target keys.
    fn with_owners(&self, key: &DocumentKey, event: &Event) -> Result<Event, Error> {
        let mut event = event.clone();
        if let Event::Transformed { verdict: Verdict::Emit(emitted), .. } = &mut event {
            for one in emitted {
                one.taken_by = self.stranger(&one.key, key)?;
            }
        }
        Ok(event)
    }

    fn owner(&self, target: &TargetKey) -> Result<Option<Owner>, Error> {
        if let Some(document) = self.claims.get(target) {
            return Ok(Some(Owner { scheme: self.ledger.scheme().clone(), document: document.clone() }));
        }
        self.ledger.owner(self.destination, target)
    }

    /// The owner of a target key, where that is another document than `key`. Another scheme's document of the same key
    /// is another document.
    fn stranger(&self, target: &TargetKey, key: &DocumentKey) -> Result<Option<DocumentKey>, Error> {
        let Some(Owner { scheme, document }) = self.owner(target)? else { return Ok(None) };
        if scheme == *self.ledger.scheme() {
            return Ok(Some(document).filter(|owner| owner != key));
        }
        // Only for people to read: a name too long for a key loses the scheme's.
        Ok(Some(DocumentKey::new(format!("{document} of scheme {scheme}")).unwrap_or(document)))
    }

    /// Claims the target keys of a version that is now being written.
    fn claim(&mut self, key: &DocumentKey, version: u64, subject: &Subject) -> Result<(), Error> {
        let Some(Phase::Writing { targets }) = subject.version(version).map(|version| &version.phase) else {
            return Ok(());
        };
        for write in targets {
            if self.owner(&write.key)?.is_none() {
                self.ledger.claim(&mut self.batch, self.destination, &write.key, key);
                self.claims.insert(write.key.clone(), key.clone());
            }
        }
        Ok(())
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
