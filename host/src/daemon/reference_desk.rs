//! The office's answers about reference tables: how they stand, what is in them, and why a document waits for one.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{self, ReferenceFrom};
use crate::fault::{Code, Fault};
use crate::model::{ConnectionName, SchemeId, TenantId};
use crate::pipeline::ledger::Error as LedgerError;
use crate::pipeline::reference::{Catalogue, Entries, Failure, Revision, Status, TableId};
use crate::pipeline::subject::{Phase, Version, Waits};
use crate::telemetry::mask_text;

use super::office::{Desk, Office, OfficeError};

/// Which tables are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFilter {
    #[serde(default)]
    pub table: Option<String>,
    /// Only tables that this scheme uses.
    #[serde(default)]
    pub scheme: Option<String>,
}

/// A table as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableView {
    pub table: String,
    pub tenant: TenantId,
    pub origin: Origin,
    /// The schemes that use it.
    pub schemes: Vec<SchemeId>,
    /// `None` where it was never fetched.
    pub revision: Option<Revision>,
    pub entries: usize,
    pub bytes: usize,
    /// Documents that wait for it.
    pub waiting: u64,
}

/// Where a table comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Read at the start.
    File(std::path::PathBuf),
    /// Uploaded under this name.
    Uploaded(String),
    Connection {
        connection: ConnectionName,
        fetched_at: Option<Timestamp>,
        /// When this content was first seen.
        changed_at: Option<Timestamp>,
        due_at: Timestamp,
        fetching: bool,
        /// Why the connection is not asked.
        paused: Option<String>,
        failure: Option<Box<Failure>>,
    },
}

/// What somebody wants to see of a table.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TableQuestion {
    #[serde(flatten)]
    pub filter: TableFilter,
    /// Only this entry.
    #[serde(default)]
    pub key: Option<String>,
    /// Entries, in the order of their keys, where no key is asked for.
    #[serde(default)]
    pub limit: usize,
}

/// A table with some of its entries: key and JSON text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TableContent {
    pub view: TableView,
    pub entries: Vec<(String, Box<serde_json::value::RawValue>)>,
}

impl Office {
    /// Every table that is meant. Walks over the unfinished documents, so it may take a while.
    pub fn tables(&self, tenant: Option<&TenantId>, filter: &TableFilter) -> Result<Vec<TableView>, OfficeError> {
        let mut views = Vec::new();
        let chosen = self.chosen(tenant, filter.scheme.as_deref())?;
        let named = |name: &str| filter.table.as_deref().is_none_or(|wanted| wanted == name);
        let desks = self.desks();
        let mut waiting = BTreeMap::<(&TenantId, &SchemeId, String), u64>::new();
        for desk in &desks {
            for (table, count) in desk.waiting()? {
                *waiting.entry((&desk.tenant, &desk.scheme, table)).or_default() += count;
            }
        }
        let waiting = |tenant: &TenantId, schemes: &[SchemeId], table: &str| {
            schemes.iter().filter_map(|scheme| waiting.get(&(tenant, scheme, table.to_owned()))).sum()
        };
        for status in self.library.tables().iter().map(|table| table.status()) {
            let users = desks.iter().filter(|desk| desk.uses(&status.id));
            let is_chosen = chosen.iter().any(|desk| desk.uses(&status.id));
            if !is_chosen || !named(&status.id.table) {
                continue;
            }
            let schemes: Vec<SchemeId> = users.map(|desk| desk.scheme.clone()).collect();
            let waiting = waiting(&status.id.tenant, &schemes, &status.id.table);
            views.push(self.fetched_view(status, schemes, waiting));
        }
        for desk in chosen {
            let fixed = desk.catalogue().into_iter().flat_map(Catalogue::fixed);
            for (table, entries) in fixed.filter(|(table, _)| named(table)) {
                views.push(desk.file_view(table, entries));
            }
        }
        views.sort_by(|one, other| {
            (&one.table, &one.tenant, &one.schemes).cmp(&(&other.table, &other.tenant, &other.schemes))
        });
        if let (true, Some(table)) = (views.is_empty(), &filter.table) {
            let mut known: Vec<String> =
                self.tables(tenant, &TableFilter::default())?.into_iter().map(|view| view.table).collect();
            known.dedup();
            return Err(OfficeError::NoSuchTable(table.clone(), known.join(", ")));
        }
        Ok(views)
    }

    /// One table and some of its entries.
    pub fn table(&self, tenant: Option<&TenantId>, question: &TableQuestion) -> Result<TableContent, OfficeError> {
        let mut views = self.tables(tenant, &question.filter)?;
        let Some(view) = views.pop() else { return Err(OfficeError::NotUsable("name a table".into())) };
        if !views.is_empty() {
            return Err(OfficeError::NotUsable(format!(
                "there are several {}: name a scheme with --scheme",
                view.table
            )));
        }
        let owned = |(key, value): (&str, &str)| {
            let value = serde_json::value::RawValue::from_string(value.to_owned());
            value.map(|value| (key.to_owned(), value)).map_err(|error| OfficeError::NotUsable(error.to_string()))
        };
        let of = |entries: &Entries| match &question.key {
            Some(key) => entries.get(key).map(|value| owned((key, value))).into_iter().collect(),
            None => entries.first(question.limit).into_iter().map(owned).collect::<Result<Vec<_>, _>>(),
        };
        let entries = match &view.origin {
            Origin::File(_) | Origin::Uploaded(_) => {
                let desks = self.desks();
                let is_meant = |desk: &&Arc<Desk>| view.schemes.contains(&desk.scheme) && desk.tenant == view.tenant;
                let tables = desks.iter().filter(is_meant).filter_map(|desk| desk.catalogue());
                let fixed = tables.flat_map(|tables| tables.fixed()).find(|(table, _)| *table == view.table);
                fixed.map(|(_, entries)| of(entries)).transpose()?
            }
            Origin::Connection { connection, .. } => {
                let id =
                    TableId { tenant: view.tenant.clone(), connection: connection.clone(), table: view.table.clone() };
                let edition = self.library.table(&id).and_then(|table| table.edition());
                edition.map(|edition| of(&edition.entries)).transpose()?
            }
        };
        Ok(TableContent { view, entries: entries.unwrap_or_default() })
    }

    /// The fetched tables that are meant.
    pub fn fetched_tables(&self, tenant: Option<&TenantId>, filter: &TableFilter) -> Result<Vec<TableId>, OfficeError> {
        let views = self.tables(tenant, filter)?;
        let ids: Vec<TableId> = views
            .into_iter()
            .filter_map(|view| match view.origin {
                Origin::File(_) | Origin::Uploaded(_) => None,
                Origin::Connection { connection, .. } => {
                    Some(TableId { tenant: view.tenant, connection, table: view.table })
                }
            })
            .collect();
        if ids.is_empty() {
            let message = "nothing to fetch: tables from files are read when the engine starts";
            return Err(OfficeError::NotUsable(message.into()));
        }
        Ok(ids)
    }

    /// Fetches the tables that are meant, whatever their age. Their keepers must be at work.
    pub async fn refresh(
        &self,
        tenant: Option<&TenantId>,
        filter: &TableFilter,
    ) -> Result<Vec<TableView>, OfficeError> {
        let ids = self.fetched_tables(tenant, filter)?;
        let refreshed = futures::future::join_all(ids.iter().map(|id| self.library.refresh(id))).await;
        let failed = ids.iter().zip(refreshed).filter_map(|(id, refreshed)| Some((id, refreshed.err()?)));
        let problems: Vec<String> =
            failed.map(|(id, fault)| format!("{id}: {}", mask_text(&fault.to_string()))).collect();
        if problems.is_empty() {
            self.tables(tenant, filter)
        } else {
            Err(OfficeError::NotFetched(problems.join("\n")))
        }
    }

    fn fetched_view(&self, status: Status, schemes: Vec<SchemeId>, waiting: u64) -> TableView {
        let Status { id, revision, entries, bytes, fetched_at, changed_at, due_at, fetching, failure } = status;
        let paused = self.library.pause(&id).map(|pause| mask_text(&format!("{}: {}", pause.scope, pause.reason)));
        let failure = failure.map(|failure| {
            let message = mask_text(&failure.fault.message);
            Box::new(Failure { fault: Fault { message, ..failure.fault }, ..failure })
        });
        let connection = id.connection;
        let origin = Origin::Connection { connection, fetched_at, changed_at, due_at, fetching, paused, failure };
        TableView { table: id.table, tenant: id.tenant, origin, schemes, revision, entries, bytes, waiting }
    }
}

impl Desk {
    fn uses(&self, id: &TableId) -> bool {
        self.catalogue().is_some_and(|tables| tables.fetched().any(|(_, table)| table.id == *id))
    }

    fn file_view(&self, table: &str, entries: &Entries) -> TableView {
        let references = self.works().map_or(&[][..], |works| works.references.as_slice());
        let meant = references.iter().filter(|reference| reference.table == table);
        let origin = meant.into_iter().find_map(|reference| match &reference.from {
            ReferenceFrom::File { file, .. } => Some(Origin::File(file.clone())),
            ReferenceFrom::Uploaded { table, .. } => Some(Origin::Uploaded(table.clone())),
            ReferenceFrom::Connection { .. } => None,
        });
        TableView {
            table: table.to_owned(),
            tenant: self.tenant.clone(),
            origin: origin.unwrap_or_else(|| Origin::File(std::path::PathBuf::new())),
            schemes: vec![self.scheme.clone()],
            revision: Some(entries.revision().clone()),
            entries: entries.len(),
            bytes: entries.bytes(),
            waiting: 0,
        }
    }

    /// Documents that wait, by the table that they wait for.
    fn waiting(&self) -> Result<BTreeMap<String, u64>, LedgerError> {
        let mut counts = BTreeMap::new();
        if self.catalogue().is_none_or(|tables| tables.fetched().next().is_none()) {
            return Ok(counts);
        }
        let mut after = None;
        loop {
            let open = self.ledger.open(after.as_ref(), 500)?;
            let Some((last, _)) = open.last() else { return Ok(counts) };
            after = Some(last.clone());
            for (key, _) in open.iter().filter(|(_, open)| open.work) {
                let subject = self.ledger.subject(key)?.unwrap_or_default();
                for table in subject.versions.iter().filter_map(awaited) {
                    *counts.entry(table.table.clone()).or_default() += 1;
                }
            }
        }
    }

    /// What a version waits for, where it waits for a reference table, and why the table has not come.
    pub(super) fn waits(&self, version: &Version) -> Option<(Code, String)> {
        let missed = awaited(version)?;
        let mut message = format!("waits for {} to say whether it has {:?}", missed.table, missed.key);
        let mut fetched = self.catalogue().into_iter().flat_map(Catalogue::fetched);
        let table = fetched.find(|(name, _)| *name == missed.table).map(|(_, table)| table);
        match table.map(|table| table.status()) {
            None => message.push_str("; the scheme has no such table any more"),
            Some(status) => {
                if let Some(Failure { fault, count, .. }) = status.failure {
                    message.push_str(&format!("; fetching it failed {count} times: {fault}"));
                } else if status.revision.is_none() {
                    message.push_str("; it was never fetched");
                }
            }
        }
        Some((Code::ReferencePending, mask_text(&message)))
    }
}

/// What a version waits for, where that is a reference table.
fn awaited(version: &Version) -> Option<&crate::pipeline::subject::Missed> {
    match (&version.phase, &version.waits) {
        (Phase::Received { .. }, Some(Waits { missed, .. })) => missed.as_ref(),
        _ => None,
    }
}

/// The connections that a scheme's tables come from.
pub(super) fn connections(references: &[config::Reference]) -> impl Iterator<Item = ConnectionName> {
    references.iter().filter_map(|reference| match &reference.from {
        ReferenceFrom::File { .. } | ReferenceFrom::Uploaded { .. } => None,
        ReferenceFrom::Connection { connection, .. } => Some(connection.clone()),
    })
}
