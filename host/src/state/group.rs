//! Several batches that become durable with one sync.
//!
//! Each batch is checked against the tree as it would be after the batches ahead of it, so that joining a group changes
//! when a batch is written and never whether. A batch that does not fit leaves nothing behind.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::batch::{Batch, Error, Expect, Key, Revision, Table};
use super::row::{self, Digest, Head, INLINE_LIMIT_BYTES, Payload, Row};
use super::sum::{self, Sum};
use super::walk::TreeChange;

/// What a group needs from the store: the rows as they stand.
pub(super) trait Ground {
    /// As it lies there, with what its header says.
    fn row(&self, tree_key: &[u8]) -> Result<Option<(Head, sled::IVec)>, Error>;
}

/// The expectation that did not hold.
#[derive(Debug)]
pub(super) struct Conflict {
    pub table: Table,
    pub key: Key,
    pub found: Option<Revision>,
}

/// Rows as they lie in the tree: each is read once, written out once, and summed as it is.
#[derive(Debug)]
struct Change {
    before: Option<(Head, sled::IVec)>,
    after: Option<(Head, Vec<u8>)>,
}

#[derive(Debug)]
pub(super) struct Group {
    lease: u64,
    last: Revision,
    changes: BTreeMap<Vec<u8>, Change>,
}

impl Group {
    pub fn new(lease: u64, last: Revision) -> Self {
        Self { lease, last, changes: BTreeMap::new() }
    }

    /// The sum over all rows as it will be, from what it is.
    pub fn sum(&self, mut sum: Sum) -> Sum {
        for (tree_key, change) in self.changes.iter().filter(|(tree_key, _)| sum::counts(tree_key)) {
            if let Some((_, before)) = &change.before {
                sum.take(tree_key, before);
            }
            if let Some((_, after)) = &change.after {
                sum.add(tree_key, after);
            }
        }
        sum
    }

    /// The revision of the last batch that fitted.
    pub fn last(&self) -> Revision {
        self.last
    }

    /// The batch's revision if its expectations hold. Its large values are in durable files, under `files` in the order of its
    /// writes.
    pub fn add(
        &mut self,
        batch: &Batch,
        files: &[Digest],
        ground: &impl Ground,
    ) -> Result<Result<Revision, Conflict>, Error> {
        for (table, key, expectation) in &batch.expectations {
            let found = self.revision_of(&row::tree_key(*table, key), ground)?;
            let holds = match expectation {
                Expect::Absent => found.is_none(),
                Expect::At(revision) => found == Some(*revision),
            };
            if !holds {
                return Ok(Err(Conflict { table: *table, key: key.clone(), found }));
            }
        }
        let revision = Revision(self.last.0 + 1);
        let mut files = files.iter();
        for (table, key, value) in &batch.writes {
            let after = value.as_ref().map(|bytes| self.new_row(revision, bytes, &mut files)).transpose()?;
            self.change(row::tree_key(*table, key), after, ground)?;
        }
        self.last = revision;
        Ok(Ok(revision))
    }

    /// Puts a row of the store's own beside the batches.
    pub fn set(&mut self, tree_key: Vec<u8>, value: Bytes, ground: &impl Ground) -> Result<(), Error> {
        let row = Row { revision: self.last, lease: self.lease, payload: Payload::Inline(value) };
        self.change(tree_key, Some(row), ground)
    }

    /// Every row that changes, those among them that say which files are in use; and the files that a row needed before
    /// and that perhaps none needs now.
    pub fn into_changes(self) -> (Vec<TreeChange>, Vec<Digest>) {
        let mut out = Vec::with_capacity(self.changes.len());
        let mut dropped = Vec::new();
        for (tree_key, change) in self.changes {
            let before = change.before.as_ref().and_then(|(head, _)| head.file.as_ref());
            let after = change.after.as_ref().and_then(|(head, _)| head.file.as_ref());
            if before != after {
                out.extend(before.map(|digest| (row::file_use_key(digest, &tree_key), None)));
                out.extend(after.map(|digest| (row::file_use_key(digest, &tree_key), Some(Vec::new()))));
                dropped.extend(before);
            }
            out.push((tree_key, change.after.map(|(_, raw)| raw)));
        }
        (out, dropped)
    }

    fn new_row<'a>(
        &self,
        revision: Revision,
        bytes: &Bytes,
        files: &mut impl Iterator<Item = &'a Digest>,
    ) -> Result<Row, Error> {
        let payload = if bytes.len() > INLINE_LIMIT_BYTES {
            let missing = || Error::Failed { detail: "a large value came without its file".into() };
            Payload::File { digest: *files.next().ok_or_else(missing)?, length_bytes: bytes.len() as u64 }
        } else {
            Payload::Inline(bytes.clone())
        };
        Ok(Row { revision, lease: self.lease, payload })
    }

    fn revision_of(&self, tree_key: &[u8], ground: &impl Ground) -> Result<Option<Revision>, Error> {
        let row = match self.changes.get(tree_key) {
            Some(change) => change.after.as_ref().map(|(head, _)| head.revision),
            None => ground.row(tree_key)?.map(|(head, _)| head.revision),
        };
        Ok(row)
    }

    fn change(&mut self, tree_key: Vec<u8>, after: Option<Row>, ground: &impl Ground) -> Result<(), Error> {
        let after = after.map(|row| (row.head(), row.encode()));
        if let Some(change) = self.changes.get_mut(&tree_key) {
            change.after = after;
            return Ok(());
        }
        let before = ground.row(&tree_key)?;
        self.changes.insert(tree_key, Change { before, after });
        Ok(())
    }
}
