//! Where the ledger keeps fetched tables: a small row that says of when a table is, and a large value that is written
//! only when the content changed.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::{Batch, Expect, Key, KeyBuilder, Store, Table};

use super::super::ledger::{Error, decode, encode};
use super::edition::{Edition, Entries, Revision};
use super::table::TableId;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    revision: Revision,
    fetched_at: Timestamp,
    changed_at: Timestamp,
}

#[derive(Clone)]
pub(super) struct Shelf {
    pub(super) store: Arc<dyn Store>,
}

impl Shelf {
    /// `None` where it was never fetched, or where what is there cannot be read: unlike a document, a table can be
    /// fetched again.
    pub fn load(&self, id: &TableId) -> Result<Option<Edition>, Error> {
        let Some(head) = self.store.get(Table::References, &key(id, "head"))? else { return Ok(None) };
        let head: Head = decode(Table::References, &head.value)?;
        let content = self.store.get(Table::References, &key(id, "content"));
        let entries = match content.map(|row| row.map(|row| Entries::from_content(&row.value))) {
            Ok(Some(Ok(entries))) if *entries.revision() == head.revision => entries,
            other => {
                let why = match other {
                    Ok(Some(Ok(_))) => "its content is another revision's".into(),
                    Ok(Some(Err(error))) => error.to_string(),
                    Ok(None) => "its content is missing".into(),
                    Err(error) => error.to_string(),
                };
                tracing::warn!(table = %id, "the kept reference table cannot be used and is fetched anew: {why}");
                return Ok(None);
            }
        };
        let Head { fetched_at, changed_at, .. } = head;
        Ok(Some(Edition { entries, fetched_at, changed_at, missing: HashSet::new() }))
    }

    /// Durable on return. `content` only where it is not there already.
    pub async fn keep(&self, id: &TableId, edition: &Edition, content: Option<Vec<u8>>) -> Result<(), Error> {
        let Edition { entries, fetched_at, changed_at, .. } = edition;
        let head = Head { revision: entries.revision().clone(), fetched_at: *fetched_at, changed_at: *changed_at };
        let mut batch = Batch::new();
        batch.put(Table::References, key(id, "head"), encode(&head));
        if let Some(content) = content {
            batch.put(Table::References, key(id, "content"), content);
        }
        self.store.commit(batch).await?;
        Ok(())
    }

    /// Removes the tables that are none of these; says how many rows went. Whoever wants one again fetches it again.
    pub async fn forget_others(&self, wanted: &BTreeSet<Key>) -> Result<usize, Error> {
        let rows = self.store.keys(Table::References, &Key::default(), None, ROWS)?;
        let mut batch = Batch::new();
        let mut count = 0;
        for (row, since) in rows.into_iter().filter(|(row, _)| !wanted.contains(row)) {
            batch.expect(Table::References, row.clone(), Expect::At(since)).remove(Table::References, row);
            count += 1;
        }
        if count > 0 {
            self.store.commit(batch).await?;
        }
        Ok(count)
    }
}

/// More rows than the tables of any engine have; what is over waits for the next call.
const ROWS: usize = 10_000;

pub(super) fn rows(id: &TableId) -> [Key; 2] {
    ["head", "content"].map(|part| key(id, part))
}

fn key(id: &TableId, part: &str) -> Key {
    let TableId { tenant, connection, table } = id;
    KeyBuilder::new().text(tenant.as_str()).text(connection.as_str()).text(table).text(part).build()
}
