//! Joins the schemes' `reference` with the library: which tables the connections are to be asked for, and what of them each
//! scheme sees.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::{self, ReferenceFrom};
use crate::fault::Fault;
use crate::model::{ConnectionName, TenantId};
use crate::pipeline::gate::Scope;
use crate::pipeline::reference::{Catalogue, Entries, Library, Listener, Rhythm, TableId};
use crate::registry;
use crate::telemetry::{Alert, Alerts, Metrics, mask_text};

use super::engine::Engine;
use super::office::{Office, OfficeError};
use super::reference_desk::{TableFilter, TableView};
use super::register::Register;
use super::uploaded::Uploaded;

/// The fetched tables of a scheme, with how often each is to be fetched.
pub(super) fn fetched(scheme: &config::Scheme) -> impl Iterator<Item = (TableId, Rhythm)> {
    scheme.reference.iter().filter_map(|reference| match &reference.from {
        ReferenceFrom::File { .. } | ReferenceFrom::Uploaded { .. } => None,
        ReferenceFrom::Connection { connection, refresh, miss_interval } => {
            let id = table_id(&scheme.tenant, connection, &reference.table);
            Some((id, Rhythm { refresh: *refresh, miss_interval: *miss_interval }))
        }
    })
}

/// What a scheme's module sees. Blocking.
pub(super) fn catalogue(
    scheme: &config::Scheme,
    library: &Library,
    uploaded: &Uploaded,
) -> Result<Catalogue, registry::Error> {
    let (mut fixed, mut fetched) = (BTreeMap::new(), BTreeMap::new());
    for config::Reference { table, from } in &scheme.reference {
        match from {
            ReferenceFrom::File { entries, .. } => {
                fixed.insert(table.clone(), Arc::new(Entries::new((**entries).clone())));
            }
            ReferenceFrom::Uploaded { table: name } => {
                fixed.insert(table.clone(), uploaded.entries(&scheme.tenant, name)?);
            }
            ReferenceFrom::Connection { connection, .. } => {
                let found = library.table(&table_id(&scheme.tenant, connection, table));
                fetched.extend(found.map(|found| (table.clone(), found)));
            }
        }
    }
    Ok(Catalogue::new(fixed, fetched, library.changes()))
}

fn table_id(tenant: &TenantId, connection: &ConnectionName, table: &str) -> TableId {
    TableId { tenant: tenant.clone(), connection: connection.clone(), table: table.to_owned() }
}

/// Fetches tables where no engine runs that would.
pub async fn refresh_alone(
    engine: &Engine,
    office: &Office,
    filter: &TableFilter,
) -> Result<Vec<TableView>, OfficeError> {
    let wanted = office.fetched_tables(None, filter)?;
    let stop = CancellationToken::new();
    let keepers = engine.library.keepers(&|id| wanted.contains(id), &stop);
    tokio::select! {
        // First, so that the fetch that a keeper begins with is the one that was asked for.
        biased;
        refreshed = office.refresh(None, filter) => refreshed,
        _ = futures::future::join_all(keepers) => office.tables(None, filter),
    }
}

/// Tells metrics and alerts what becomes of fetches.
pub(super) struct Reporter {
    pub metrics: Metrics,
    pub alerts: Option<Alerts>,
    /// The connections whose tables each scheme uses.
    pub users: Register<Vec<Scope>>,
}

impl Listener for Reporter {
    fn fetched(&self, table: &TableId, result: Result<(), &Fault>) {
        self.metrics.request(&table.tenant, &table.connection, result.map_err(|fault| fault.code));
    }

    fn paused(&self, scope: &Scope, fault: &Fault) {
        if let Scope::Connection(tenant, connection) = scope {
            self.metrics.set_connection_paused(tenant, connection, true);
        }
        let Some(alerts) = &self.alerts else { return };
        let reason = mask_text(&format!("{scope}: {}", fault.message));
        for (scheme, _) in self.users.look().iter().filter(|(_, used)| used.contains(scope)) {
            self.metrics.set_scheme_paused(scheme, true);
            alerts.raise(Alert::SchemePaused { scheme: scheme.clone(), reason: reason.clone() });
        }
    }
}
