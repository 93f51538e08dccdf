//! All fetched tables of an engine, each once for all schemes that use it. They come and go with the schemes.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;

use crate::connectors::ReferenceSource;
use crate::fault::{Code, Fault};
use crate::state::Store;

use super::super::driver::Now;
use super::super::gate::{Gates, Pause, Scope};
use super::super::ledger::Error;
use super::super::tally::{Follower, Tally};
use super::Listener;
use super::catalogue::Catalogue;
use super::keeper;
use super::shelf::{self, Shelf};
use super::table::{FetchedTable, Rhythm, Status, TableId};

/// Fetches in a row that fail before whoever waits in the foreground gives up. The last comes some fifteen seconds after
/// the first.
const TRIES: u32 = 3;

/// A table that some scheme uses.
pub struct Wanted {
    pub id: TableId,
    pub rhythm: Rhythm,
    pub source: Arc<dyn ReferenceSource>,
}

#[derive(Clone)]
pub struct Library(Arc<Inner>);

pub(super) struct Inner {
    tables: RwLock<BTreeMap<TableId, Arc<FetchedTable>>>,
    pub(super) shelf: Shelf,
    pub(super) gates: Gates,
    pub(super) now: Now,
    pub(super) listener: Arc<dyn Listener>,
    /// Fetches that ended, of all tables.
    pub(super) changed: Tally,
}

impl Library {
    /// Takes up what an earlier run kept. Blocking.
    pub fn open(
        store: Arc<dyn Store>,
        gates: Gates,
        now: Now,
        listener: Arc<dyn Listener>,
        wanted: Vec<Wanted>,
    ) -> Result<Self, Error> {
        let (tables, shelf) = (RwLock::default(), Shelf { store });
        let library = Self(Arc::new(Inner { tables, shelf, gates, now, listener, changed: Tally::default() }));
        for wanted in wanted {
            library.add(wanted)?;
        }
        Ok(library)
    }

    /// A scheme uses this table from now on. Takes up what an earlier run kept of it, where nobody used it until now;
    /// then a keeper is to be started. Blocking.
    pub fn add(&self, wanted: Wanted) -> Result<Arc<FetchedTable>, Error> {
        let Wanted { id, rhythm, source } = wanted;
        if let Some(known) = self.table(&id) {
            known.share(rhythm);
            return Ok(known);
        }
        let edition = self.0.shelf.load(&id)?;
        let table = Arc::new(FetchedTable::new(id.clone(), rhythm, source, edition, (self.0.now)()));
        // Somebody else may have been faster: the first one stays, for it may have a keeper already.
        let mut tables = self.0.tables.write().unwrap_or_else(PoisonError::into_inner);
        let kept = tables.entry(id).or_insert(table).clone();
        drop(tables);
        kept.share(rhythm);
        Ok(kept)
    }

    /// No scheme uses the table any more. Its keeper is to be stopped first.
    pub fn remove(&self, id: &TableId) {
        let removed = self.0.tables.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        if let Some(table) = removed {
            table.close((self.0.now)());
            self.0.changed.add_one();
        }
    }

    pub fn table(&self, id: &TableId) -> Option<Arc<FetchedTable>> {
        self.0.tables.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    pub fn tables(&self) -> Vec<Arc<FetchedTable>> {
        self.0.tables.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Counts the fetches that ended, of all tables.
    pub fn changes(&self) -> Follower {
        self.0.changed.follow()
    }

    /// Removes what was kept of tables that no scheme names any more; says how many rows went.
    pub async fn forget_unwanted(&self) -> Result<usize, Error> {
        let wanted = self.tables().iter().flat_map(|table| shelf::rows(&table.id)).collect();
        self.0.shelf.forget_others(&wanted).await
    }

    /// One task for each of these tables, until `stop`. Whoever starts them waits for them.
    pub fn keepers(
        &self,
        which: &dyn Fn(&TableId) -> bool,
        stop: &CancellationToken,
    ) -> Vec<impl Future<Output = ()> + Send + use<>> {
        let wanted = self.tables().into_iter().filter(|table| which(&table.id));
        wanted.map(|table| keeper::keep(self.0.clone(), table, stop.clone())).collect()
    }

    /// Fetches a table now, whatever its age, and answers how it stands then. A keeper must be at work.
    pub async fn refresh(&self, id: &TableId) -> Result<Status, Fault> {
        let unknown = || Fault::park(Code::ConfigurationInvalid, format!("no scheme uses {id}"));
        let table = self.table(id).ok_or_else(unknown)?;
        let order = table.order();
        tokio::pin!(order);
        loop {
            let change = self.0.gates.change();
            tokio::pin!(change);
            change.as_mut().enable();
            if let (Some(pause), false) = (self.pause(id), table.status().fetching) {
                return Err(Fault::park(
                    Code::VendorUnreachable,
                    format!("{} is paused: {}", pause.scope, pause.reason),
                ));
            }
            tokio::select! {
                biased;
                done = &mut order => return done.map(|()| table.status()),
                () = change => {}
            }
        }
    }

    /// The pause that keeps a table from being fetched.
    pub fn pause(&self, id: &TableId) -> Option<Pause> {
        self.0.gates.pause_of(&Scope::Connection(id.tenant.clone(), id.connection.clone()))
    }

    /// Why a table that somebody waits for is not to be expected soon, where that is so.
    pub fn hopeless(&self, table: &FetchedTable) -> Option<String> {
        if !table.is_wanted() {
            return None;
        }
        if let Some(pause) = self.pause(&table.id) {
            return Some(format!("{}: {} is paused: {}", table.id, pause.scope, pause.reason));
        }
        let failure = table.failure()?;
        let passes = failure.fault.disposition.passes();
        let given_up = failure.count >= TRIES || !passes;
        given_up.then(|| format!("{}: {} (tried {} times)", table.id, failure.fault, failure.count))
    }

    /// Completes with the reasons once one of the tables is not to be expected soon.
    pub async fn despair(&self, catalogue: &Catalogue) -> Vec<String> {
        let mut changes = self.changes();
        loop {
            let gates = self.0.gates.change();
            tokio::pin!(gates);
            gates.as_mut().enable();
            let hopeless: Vec<String> = catalogue.fetched().filter_map(|(_, table)| self.hopeless(table)).collect();
            if !hopeless.is_empty() {
                return hopeless;
            }
            tokio::select! {
                biased;
                () = changes.grown() => {}
                () = gates => {}
            }
        }
    }
}
