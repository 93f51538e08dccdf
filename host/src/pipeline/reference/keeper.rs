//! Keeps one table: waits until it is due, fetches it through the gate, puts it away, and tells everybody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::fault::{Code, Disposition, Fault};
use crate::telemetry::mask_text;

use super::super::apart::apart;
use super::super::gate::{Pause, Scope};
use super::super::instant;
use super::edition::{Edition, Entries};
use super::library::Inner;
use super::table::{Begun, FetchedTable};

/// A table is held in memory, and read whole at the start.
const TABLE_LIMIT_BYTES: usize = 64 << 20;

pub(super) async fn keep(library: Arc<Inner>, table: Arc<FetchedTable>, stop: CancellationToken) {
    loop {
        let called = table.called.notified();
        let change = library.gates.change();
        tokio::pin!(change);
        change.as_mut().enable();
        let now = (library.now)();
        let due = table.due_at();
        if due > now {
            let wait = Duration::try_from(due.duration_since(now)).unwrap_or_default();
            tokio::select! {
                biased;
                () = tokio::time::sleep(wait) => {}
                () = called => {}
                () = stop.cancelled() => return,
            }
            continue;
        }
        // Asked for only once it is clear that it is used: giving a permit back wakes whoever waits at a gate.
        match library.gates.enter_connection(&table.id.tenant, &table.id.connection) {
            Some(_permit) => tokio::select! {
                biased;
                () = fetch(&library, &table) => {}
                // A read that nobody waits for any more.
                () = stop.cancelled() => return,
            },
            None => tokio::select! {
                biased;
                () = change => {}
                () = stop.cancelled() => return,
            },
        }
    }
}

async fn fetch(library: &Inner, table: &FetchedTable) {
    let begun = table.begin((library.now)());
    let fault = match bring(library, table, &begun).await {
        Ok(edition) => {
            tracing::info!(table = %table.id, entries = edition.entries.len(), revision = %edition.entries.revision(), "fetched a reference table");
            table.succeed(begun, edition);
            library.changed.add_one();
            library.listener.fetched(&table.id, Ok(()));
            return;
        }
        Err(fault) => fault,
    };
    let words = mask_text(&fault.to_string());
    tracing::warn!(table = %table.id, code = %fault.code, "a reference table could not be fetched: {words}");
    library.listener.fetched(&table.id, Err(&fault));
    let now = (library.now)();
    table.fail(begun, fault.clone(), now);
    library.gates.heed(&table.id.tenant, &table.id.connection, &fault);
    let pauses = match fault.disposition {
        Disposition::PauseConnection => true,
        // A table is no scheme's own, so there is no scheme to pause or stop: it is tried again, and whoever waits sees why.
        Disposition::Retry { .. }
        | Disposition::Verify
        | Disposition::Park
        | Disposition::PauseScheme
        | Disposition::StopScheme
        | Disposition::RefuseStart => false,
    };
    if pauses {
        let scope = Scope::Connection(table.id.tenant.clone(), table.id.connection.clone());
        let pause =
            Pause { scope: scope.clone(), since: now, reason: fault.message.clone(), code: Some(fault.code), by: None };
        tracing::error!(%scope, code = %fault.code, reason = words, "paused");
        // A store that fails stops the schemes loudly; the gate is shut in memory all the same.
        if library.gates.pause(pause, false).await.is_ok() {
            library.listener.paused(&scope, &fault);
        }
    }
    library.changed.add_one();
}

async fn bring(library: &Inner, table: &FetchedTable, begun: &Begun) -> Result<Edition, Fault> {
    if let Some(fault) = library.gates.low_disk() {
        return Err(fault);
    }
    let rows = table.source.fetch(&table.id.table).await.map_err(|error| error.fault())?;
    let before = table.edition();
    let entries: BTreeMap<String, String> = rows.into_iter().collect();
    // An account does not lose all its materials; a right that was withdrawn, or a bad day of the vendor's, looks like it.
    if entries.is_empty() && before.as_ref().is_some_and(|before| !before.entries.is_empty()) {
        let message = format!("{} was served empty, where it had entries before; those are kept", table.id);
        return Err(Fault::retry(Code::ResponseUnreadable, None, message));
    }
    let bytes: usize = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > TABLE_LIMIT_BYTES {
        let message = format!("{} is larger than a reference table may be", table.id);
        let fault = Fault::retry(Code::ResponseTooLarge, None, message);
        return Err(fault.with_limit("table_limit_bytes", TABLE_LIMIT_BYTES as u64, bytes as u64));
    }
    // Sorting and hashing a hundred thousand entries takes a while.
    let (entries, content) = apart(|| Entries::with_content(entries)).await;
    let same = before.filter(|before| before.entries.revision() == entries.revision());
    let changed_at = same.as_ref().map_or(begun.at, |before| before.changed_at);
    let edition = Edition { entries, fetched_at: begun.at, changed_at, missing: Default::default() };
    let content = same.is_none().then_some(content);
    instant::pass!(table.id.connection, "reference.before");
    let kept = library.shelf.keep(&table.id, &edition, content).await;
    instant::pass!(table.id.connection, "reference.after");
    kept.map_err(|error| {
        Fault::retry(Code::StoreFailed, None, "the table could not be kept").with_internal(error.to_string())
    })?;
    Ok(edition)
}
