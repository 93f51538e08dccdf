//! The ledger: typed rows over the store's seam. One [`Ledger`] is one scheme's view; it cannot reach another's rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::{Digest, DocumentKey, SchemeId, TargetKey, TenantId};
use crate::state::{self, Batch, CommitError, Expect, Key, KeyBuilder, Receipt, Revision, Store, Table};

use super::backfill::Backfill;
use super::recent::Recent;
use super::reference::Revision as TableRevision;
use super::round::Destination;
use super::step::Event;
use super::subject::Subject;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] state::Error),
    /// A row that this version of Crossdock cannot read.
    #[error("a row of {table:?} cannot be read: {detail}")]
    Row { table: Table, detail: String },
    /// Somebody else claimed a row between our look and our commit.
    #[error("a row of {0:?} changed meanwhile")]
    Conflict(Table),
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict { table, .. } => Error::Conflict(table),
            CommitError::Store(error) => Error::Store(error),
        }
    }
}

/// One scheme's part of the ledger.
#[derive(Clone)]
pub struct Ledger {
    store: Arc<dyn Store>,
    tenant: TenantId,
    scheme: SchemeId,
    /// Where nobody else commits the scheme's subjects.
    recent: Option<Recent>,
}

/// Who owns a target key of a [`Destination`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub scheme: SchemeId,
    pub document: DocumentKey,
}

/// How far a scheme has read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// Everything modified before this instant is in the ledger.
    pub read_to: Option<Timestamp>,
    /// The row version up to which everything is in the ledger, for sources that count so.
    pub row_version: Option<i64>,
    /// When the last wider pass was completed.
    pub swept_at: Option<Timestamp>,
}

/// One line of a document's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub at: Timestamp,
    pub event: Event,
    /// What the guest logged, for [`Event::Transformed`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<String>,
    /// Linear memory that its instance held at the end, likewise; that of its page where documents share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The revisions of the reference tables that the guest looked things up in, likewise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, TableRevision>,
}

/// A page that could not be read, kept for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadPage {
    pub at: Timestamp,
    pub detail: String,
    pub digest: Digest,
}

/// What the index of unfinished subjects says of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Open {
    /// The engine has something to do.
    pub work: bool,
    /// Versions that wait for a person.
    pub parked: u32,
    /// All of the engine's work waits for a reference table.
    #[serde(default)]
    pub waits: bool,
}

impl Open {
    /// The subject's row in the index; `None` where it has none.
    pub fn row_of(subject: &Subject) -> Option<Self> {
        subject.is_open().then(|| Self::of(subject))
    }

    /// What the index says of the subject, were it in there.
    pub fn of(subject: &Subject) -> Self {
        let parked = u32::try_from(subject.parked().count()).unwrap_or(u32::MAX);
        Self { work: subject.has_work(), parked, waits: subject.only_waits() }
    }
}

/// How many subjects of a scheme are unfinished, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Versions that wait for a person.
    pub parked: i64,
    /// Documents that the engine has something to do with.
    pub working: i64,
    /// Documents that wait for a reference table.
    pub waiting: i64,
}

impl Tally {
    pub fn add(&mut self, open: Open) {
        self.count(open, 1);
    }

    pub fn remove(&mut self, open: Open) {
        self.count(open, -1);
    }

    fn count(&mut self, open: Open, sign: i64) {
        self.parked += sign * i64::from(open.parked);
        self.working += sign * i64::from(open.work && !open.waits);
        self.waiting += sign * i64::from(open.work && open.waits);
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.parked += other.parked;
        self.working += other.working;
        self.waiting += other.waiting;
    }
}

impl Ledger {
    pub fn new(store: Arc<dyn Store>, tenant: TenantId, scheme: SchemeId) -> Self {
        Self { store, tenant, scheme, recent: None }
    }

    /// The same for whoever alone commits the scheme's subjects, as long as this and its clones live: it remembers what it
    /// committed and need not read it back.
    pub fn remembering(self) -> Self {
        Self { recent: Some(Recent::default()), ..self }
    }

    pub fn scheme(&self) -> &SchemeId {
        &self.scheme
    }

    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    fn prefix(&self) -> KeyBuilder {
        KeyBuilder::scheme(&self.tenant, &self.scheme)
    }

    fn document_key(&self, key: &DocumentKey) -> Key {
        self.prefix().text(key.as_str()).build()
    }

    /// How the keys of documents begin that begin so.
    fn keys_with(&self, prefix: &str) -> Key {
        let mut key = self.prefix().build();
        key.0.extend_from_slice(prefix.as_bytes());
        key
    }

    pub fn subject(&self, key: &DocumentKey) -> Result<Option<Subject>, Error> {
        if let Some(subject) = self.recent.as_ref().and_then(|recent| recent.get(key)) {
            return Ok(Some(Subject::clone(&subject)));
        }
        self.read(Table::Subjects, &self.document_key(key))
    }

    /// What a batch with this subject has become durable as.
    pub(super) fn remember(&self, key: &DocumentKey, subject: Subject) {
        if let Some(recent) = &self.recent {
            recent.keep(key, subject);
        }
    }

    /// Nothing more is expected to happen to it soon.
    /// What a batch with this subject, which is under way, will leave; until [`Ledger::has_come`] for each such batch.
    pub(super) fn is_coming(&self, key: &DocumentKey, subject: Subject) {
        if let Some(recent) = &self.recent {
            recent.is_coming(key, subject);
        }
    }

    pub(super) fn has_come(&self, key: &DocumentKey) {
        if let Some(recent) = &self.recent {
            recent.has_come(key);
        }
    }

    pub(super) fn forget(&self, key: &DocumentKey) {
        if let Some(recent) = &self.recent {
            recent.forget(key);
        }
    }

    /// Writes the subject and keeps the index of unfinished ones true; `before` is its row there now.
    pub fn put_subject(&self, batch: &mut Batch, key: &DocumentKey, subject: &Subject, before: Option<Open>) {
        // Until the batch is durable the store says what is.
        self.forget(key);
        let row = self.document_key(key);
        batch.put(Table::Subjects, row.clone(), encode(subject));
        match Open::row_of(subject) {
            after if after == before => {}
            Some(open) => {
                batch.put(Table::Open, row, encode(&open));
            }
            None => {
                batch.remove(Table::Open, row);
            }
        }
    }

    /// Bytes of bodies and history that the scheme's documents hold, as they were counted coming in. Walks over all of
    /// them, until it is told that nobody wants to know any more.
    pub fn kept_bytes(&self, gives_up: &dyn Fn() -> bool) -> Result<u64, Error> {
        let (mut bytes, mut after): (u64, Option<DocumentKey>) = (0, None);
        loop {
            let subjects = self.subjects(after.as_ref(), 500)?;
            bytes += subjects.iter().map(|(_, subject)| subject.kept_bytes).sum::<u64>();
            match subjects.last() {
                Some((last, _)) if !gives_up() => after = Some(last.clone()),
                Some(_) | None => return Ok(bytes),
            }
        }
    }

    /// Subjects that are not finished, in key order, after `after`.
    pub fn open(&self, after: Option<&DocumentKey>, limit: usize) -> Result<Vec<(DocumentKey, Open)>, Error> {
        self.open_with("", after, limit)
    }

    /// Those whose keys begin so.
    pub fn open_with(
        &self,
        prefix: &str,
        after: Option<&DocumentKey>,
        limit: usize,
    ) -> Result<Vec<(DocumentKey, Open)>, Error> {
        let after = after.map(|key| self.document_key(key));
        let rows = self.store.scan(Table::Open, &self.keys_with(prefix), after.as_ref(), limit)?;
        rows.into_iter()
            .map(|(key, row)| Ok((self.tail(Table::Open, &key)?, decode(Table::Open, &row.value)?)))
            .collect()
    }

    /// All subjects, in key order, after `after`.
    pub fn subjects(&self, after: Option<&DocumentKey>, limit: usize) -> Result<Vec<(DocumentKey, Subject)>, Error> {
        self.subjects_with("", after, limit)
    }

    /// Those whose keys begin so.
    pub fn subjects_with(
        &self,
        prefix: &str,
        after: Option<&DocumentKey>,
        limit: usize,
    ) -> Result<Vec<(DocumentKey, Subject)>, Error> {
        let after = after.map(|key| self.document_key(key));
        let rows = self.store.scan(Table::Subjects, &self.keys_with(prefix), after.as_ref(), limit)?;
        rows.into_iter()
            .map(|(key, row)| Ok((self.tail(Table::Subjects, &key)?, decode(Table::Subjects, &row.value)?)))
            .collect()
    }

    /// The document key at the end of a row's key.
    fn tail(&self, table: Table, key: &Key) -> Result<DocumentKey, Error> {
        let prefix = self.prefix().build();
        let rest = key.as_bytes().get(prefix.as_bytes().len()..).unwrap_or_default();
        let text = rest.split(|byte| *byte == 0).next().unwrap_or_default();
        let bad = |detail: String| Error::Row { table, detail };
        let text = std::str::from_utf8(text).map_err(|error| bad(error.to_string()))?;
        DocumentKey::new(text).map_err(|error| bad(error.to_string()))
    }

    pub fn put_body(&self, batch: &mut Batch, digest: Digest, body: impl Into<Bytes>) {
        batch.put(Table::Bodies, self.body_key(digest), body);
    }

    pub fn body(&self, digest: Digest) -> Result<Option<String>, Error> {
        let Some(row) = self.store.get(Table::Bodies, &self.body_key(digest))? else { return Ok(None) };
        let text = String::from_utf8(row.value.to_vec());
        text.map(Some).map_err(|error| Error::Row { table: Table::Bodies, detail: error.to_string() })
    }

    fn body_key(&self, digest: Digest) -> Key {
        self.prefix().text(&digest.to_string()).build()
    }

    pub fn owner(&self, destination: &Destination, target: &TargetKey) -> Result<Option<Owner>, Error> {
        self.read(Table::Owners, &self.owner_key(destination, target))
    }

    /// Claims a target key for a document. The batch fails as a conflict where somebody else was faster.
    pub fn claim(&self, batch: &mut Batch, destination: &Destination, target: &TargetKey, document: &DocumentKey) {
        let key = self.owner_key(destination, target);
        let owner = Owner { scheme: self.scheme.clone(), document: document.clone() };
        batch.expect(Table::Owners, key.clone(), Expect::Absent).put(Table::Owners, key, encode(&owner));
    }

    fn owner_key(&self, destination: &Destination, target: &TargetKey) -> Key {
        let Destination { connection, operation, number_space } = destination;
        KeyBuilder::new()
            .text(self.tenant.as_str())
            .text(connection.as_str())
            .text(operation.as_str())
            .text(number_space.as_deref().unwrap_or_default())
            .text(target.as_str())
            .build()
    }

    pub fn cursor(&self) -> Result<Cursor, Error> {
        Ok(self.read(Table::Cursors, &self.prefix().build())?.unwrap_or_default())
    }

    pub fn put_cursor(&self, batch: &mut Batch, cursor: &Cursor) {
        batch.put(Table::Cursors, self.prefix().build(), encode(cursor));
    }

    /// The scheme's backfill, the last one where it has ended.
    pub fn backfill(&self) -> Result<Option<Backfill>, Error> {
        self.read(Table::Cursors, &self.backfill_key())
    }

    pub fn put_backfill(&self, batch: &mut Batch, backfill: &Backfill) {
        batch.put(Table::Cursors, self.backfill_key(), encode(backfill));
    }

    /// Beside the cursor, which has no such part.
    fn backfill_key(&self) -> Key {
        self.prefix().text("backfill").build()
    }

    /// Says how long the line is as a row.
    pub fn put_line(&self, batch: &mut Batch, key: &DocumentKey, sequence: u64, line: &Line) -> usize {
        let row = encode(line);
        let length = row.len();
        batch.put(Table::History, self.prefix().text(key.as_str()).number(sequence).build(), row);
        length
    }

    /// The newest lines of a subject's history, oldest of them first. Lines are numbered by the subject's events.
    pub fn history(&self, key: &DocumentKey, events: u64, limit: usize) -> Result<Vec<Line>, Error> {
        let skipped = events.saturating_sub(limit as u64);
        let after = (skipped > 0).then(|| self.prefix().text(key.as_str()).number(skipped).build());
        let rows = self.store.scan(Table::History, &self.document_key(key), after.as_ref(), limit)?;
        rows.iter().map(|(_, row)| decode(Table::History, &row.value)).collect()
    }

    /// The oldest lines of a subject's history after the one of that number, oldest first, with their numbers.
    pub fn lines_after(&self, key: &DocumentKey, after: Option<u64>, limit: usize) -> Result<Vec<(u64, Line)>, Error> {
        let after = after.map(|number| self.prefix().text(key.as_str()).number(number).build());
        let rows = self.store.scan(Table::History, &self.document_key(key), after.as_ref(), limit)?;
        let number = |row: &Key| {
            let tail = row.as_bytes().last_chunk().ok_or("its key has no number");
            let detail = |why: &str| Error::Row { table: Table::History, detail: why.into() };
            tail.map(|tail| u64::from_be_bytes(*tail)).map_err(detail)
        };
        rows.iter().map(|(row, stored)| Ok((number(row)?, decode(Table::History, &stored.value)?))).collect()
    }

    /// Removes the oldest lines of a subject's history, at most `limit`; says how many.
    pub fn remove_lines(&self, batch: &mut Batch, key: &DocumentKey, limit: usize) -> Result<usize, Error> {
        let rows = self.store.keys(Table::History, &self.document_key(key), None, limit)?;
        let count = rows.len();
        for (row, _) in rows {
            batch.remove(Table::History, row);
        }
        Ok(count)
    }

    /// Bodies in the order of their digests, after `after`: where they lie, and since which batch.
    pub fn bodies(&self, after: Option<&Key>, limit: usize) -> Result<Vec<(Key, Digest, Revision)>, Error> {
        let rows = self.store.keys(Table::Bodies, &self.prefix().build(), after, limit)?;
        let digest = |key: &Key| {
            let tail = key.as_bytes().get(self.prefix().build().as_bytes().len()..).unwrap_or_default();
            let text = std::str::from_utf8(tail).unwrap_or_default().trim_end_matches('\0');
            Digest::try_from(text.to_owned())
                .map_err(|_| Error::Row { table: Table::Bodies, detail: "its key is no digest".into() })
        };
        rows.into_iter().map(|(key, revision)| Ok((key.clone(), digest(&key)?, revision))).collect()
    }

    /// Where a body lies, and since which batch; `None` where it is not there.
    pub fn body_row(&self, digest: Digest) -> Result<Option<(Key, Revision)>, Error> {
        Ok(self.store.keys(Table::Bodies, &self.body_key(digest), None, 1)?.pop())
    }

    /// Removes a body, where nobody put it again since.
    pub fn remove_body(&self, batch: &mut Batch, row: Key, since: Revision) {
        batch.expect(Table::Bodies, row.clone(), Expect::At(since)).remove(Table::Bodies, row);
    }

    pub fn put_bad_page(&self, batch: &mut Batch, page: &BadPage, bytes: Bytes) {
        let at = u64::try_from(page.at.as_microsecond()).unwrap_or(0);
        batch.put(Table::BadPages, self.prefix().text("page").number(at).build(), encode(page));
        batch.put(Table::BadPages, self.bad_page_bytes(&page.digest), bytes);
    }

    pub fn bad_pages(&self, limit: usize) -> Result<Vec<BadPage>, Error> {
        let rows = self.store.scan(Table::BadPages, &self.prefix().text("page").build(), None, limit)?;
        rows.iter().map(|(_, row)| decode(Table::BadPages, &row.value)).collect()
    }

    /// Removes pages that were kept before then, and bytes that no page names any more. Few at a time: what is over
    /// waits for the next call.
    pub fn remove_bad_pages(&self, batch: &mut Batch, before: Timestamp, limit: usize) -> Result<usize, Error> {
        // The bytes first: those that a page is kept for from now on change their revision, and the batch fails.
        let bytes = self.store.keys(Table::BadPages, &self.prefix().text("bytes").build(), None, limit)?;
        let pages = self.store.scan(Table::BadPages, &self.prefix().text("page").build(), None, limit)?;
        let is_whole = pages.len() < limit;
        let (mut named, mut removed) = (BTreeSet::new(), 0);
        for (key, row) in pages {
            let page: BadPage = decode(Table::BadPages, &row.value)?;
            if page.at < before {
                batch.remove(Table::BadPages, key);
                removed += 1;
            } else {
                named.insert(self.bad_page_bytes(&page.digest));
            }
        }
        for (key, revision) in bytes.into_iter().filter(|(key, _)| is_whole && !named.contains(key)) {
            batch.expect(Table::BadPages, key.clone(), Expect::At(revision)).remove(Table::BadPages, key);
            removed += 1;
        }
        Ok(removed)
    }

    /// Removes the pages that speak of the document. A page that could not be read says in no other way whose it is.
    pub fn remove_pages_of(&self, batch: &mut Batch, key: &DocumentKey) -> Result<(), Error> {
        let mut after = None;
        loop {
            let pages = self.store.scan(Table::BadPages, &self.prefix().text("page").build(), after.as_ref(), 50)?;
            let Some((last, _)) = pages.last() else { return Ok(()) };
            after = Some(last.clone());
            for (row, page) in pages {
                let page: BadPage = decode(Table::BadPages, &page.value)?;
                let bytes = self.bad_page_bytes(&page.digest);
                let stored = self.store.get(Table::BadPages, &bytes)?;
                let speaks = |stored: &state::Stored| contains(&stored.value, key.as_str().as_bytes());
                if stored.as_ref().is_none_or(speaks) {
                    batch.remove(Table::BadPages, row).remove(Table::BadPages, bytes);
                }
            }
        }
    }

    fn bad_page_bytes(&self, digest: &Digest) -> Key {
        self.prefix().text("bytes").text(&digest.to_string()).build()
    }

    pub async fn commit(&self, batch: Batch) -> Result<Revision, Error> {
        Ok(self.submit(batch).await?.await?)
    }

    /// Has the batch committed after all that this scheme submitted before, without waiting for it.
    pub async fn submit(&self, mut batch: Batch) -> Result<Receipt, Error> {
        batch.on_account_of(self.tenant.clone());
        Ok(self.store.submit(batch).await?)
    }

    fn read<T: DeserializeOwned>(&self, table: Table, key: &Key) -> Result<Option<T>, Error> {
        self.store.get(table, key)?.map(|row| decode(table, &row.value)).transpose()
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Only our own plain structures come here: no maps with keys that are not text, nothing that can refuse.
    serde_json::to_vec(value).expect("a ledger row always has a JSON form")
}

pub(super) fn decode<T: DeserializeOwned>(table: Table, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::Row { table, detail: error.to_string() })
}
