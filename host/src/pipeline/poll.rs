//! Reads a scheme's source: windows up to now − lag, the cursor after each, and the wider second pass.
//!
//! The cursor moves only when its window was read completely and everything of it is durable, so a crash, a pause or an
//! error costs at most the work of one window, which is read again from its start.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::connectors::{self, Page, PageSink, ReadSummary, SinkClosed, Source, Span};
use crate::fault::{Code, Disposition, Fault};
use crate::model::{ConnectionName, Digest, SchemeId, TenantId};
use crate::telemetry::mask_text;

use super::driver::{Handle, Now};
use super::gate::{Gates, Pause, Scope};
use super::lane::{Lane, Turn};
use super::ledger::{BadPage, Cursor, Error as LedgerError, Ledger};
use super::watch::{Hold, Stage, Watcher};

/// The wider second pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    pub every: SignedDuration,
    pub over: SignedDuration,
}

/// How a scheme reads.
#[derive(Clone)]
pub struct Reading {
    pub tenant: TenantId,
    pub scheme: SchemeId,
    pub connection: ConnectionName,
    pub source: Arc<dyn Source>,
    /// Nothing that was modified before this is asked for.
    pub start_at: Timestamp,
    /// Windows end this long before now: a vendor may show a change late.
    pub lag: SignedDuration,
    pub sweep: Option<Sweep>,
    /// Count by row versions instead of times, where the source can.
    pub by_row_version: bool,
    pub ledger: Ledger,
    pub gates: Gates,
    pub lane: Lane,
    pub watcher: Arc<dyn Watcher>,
    pub now: Now,
}

/// For whom a window is read.
#[derive(Clone, Copy)]
pub(super) enum Manner<'a> {
    /// The live reader has the lane for its whole pass.
    Live,
    /// A backfill takes it page by page, leaves room in the driver for what the live reader brings, and is told of
    /// every page that was handed over.
    Aside(&'a (dyn Fn(usize) + Sync)),
}

/// Documents under way beyond which a backfill hands over no further page: a tenth of what the driver takes, so that
/// what the live reader brings waits behind few others.
const ASIDE_BACKLOG: usize = 200;

/// Why a pass ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Fault(Fault),
    /// Paused, shut down, or the driver is gone.
    #[error("stopped")]
    Stopped,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// How often is looked whether a page that is held back may go on.
pub const HOLD_LOOK: Duration = Duration::from_secs(1);
/// Reads of one page that may fail as unreadable before the scheme is paused.
const UNREADABLE_LIMIT: u32 = 3;

impl Reading {
    /// One pass: everything from the cursor up to now − lag, then the sweep where it is due. On a fault that a pause
    /// follows from, the pause is already recorded.
    pub async fn pass(&self, driver: &Handle, stop: &CancellationToken) -> Result<(), Error> {
        let result = self.read_all(driver, stop).await;
        if let Err(Error::Fault(fault)) = &result {
            self.watcher.polled(Err(fault));
            self.pause_for(fault).await?;
        } else if result.is_ok() {
            self.watcher.polled(Ok(()));
        }
        result
    }

    async fn read_all(&self, driver: &Handle, stop: &CancellationToken) -> Result<(), Error> {
        let _turn = tokio::select! {
            biased;
            turn = self.lane.take() => turn,
            () = stop.cancelled() => return Err(Error::Stopped),
        };
        let mut cursor = self.ledger.cursor()?;
        if self.by_row_version {
            return self.read_versions(&mut cursor, driver, stop).await;
        }
        let end = self.horizon();
        while cursor.read_to.unwrap_or(self.start_at) < end {
            let start = cursor.read_to.unwrap_or(self.start_at);
            let window_end = self.window_end(start, end);
            self.read(&Span::Window { start, end: window_end }, driver, stop, Manner::Live).await?;
            cursor.read_to = Some(window_end);
            self.move_cursor(cursor.clone(), driver, stop).await?;
        }
        self.sweep(&mut cursor, end, driver, stop).await
    }

    async fn read_versions(&self, cursor: &mut Cursor, driver: &Handle, stop: &CancellationToken) -> Result<(), Error> {
        // The vendor counts from 1; below it lies nothing.
        let row_version = cursor.row_version.unwrap_or(1);
        let began_at = (self.now)();
        let summary = self.read(&Span::After { row_version, since: self.start_at }, driver, stop, Manner::Live).await?;
        cursor.row_version = summary.row_version.or(Some(row_version));
        cursor.read_to = Some(began_at);
        self.move_cursor(cursor.clone(), driver, stop).await
    }

    async fn sweep(
        &self,
        cursor: &mut Cursor,
        end: Timestamp,
        driver: &Handle,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let Some(sweep) = self.sweep else { return Ok(()) };
        // The first pass has just read everything there is: the first sweep is due one interval later.
        let Some(swept_at) = cursor.swept_at else {
            cursor.swept_at = Some(end);
            return self.move_cursor(cursor.clone(), driver, stop).await;
        };
        if end.duration_since(swept_at) < sweep.every {
            return Ok(());
        }
        let mut start = end.checked_sub(sweep.over).unwrap_or(self.start_at).max(self.start_at);
        while start < end {
            let window_end = self.window_end(start, end);
            self.read(&Span::Window { start, end: window_end }, driver, stop, Manner::Live).await?;
            start = window_end;
        }
        cursor.swept_at = Some(end);
        self.move_cursor(cursor.clone(), driver, stop).await
    }

    /// Waits behind the pages in a driver whose backlog is full, and no pause waits for that.
    async fn move_cursor(&self, cursor: Cursor, driver: &Handle, stop: &CancellationToken) -> Result<(), Error> {
        tokio::select! {
            biased;
            moved = driver.cursor(cursor) => moved.map_err(|_| Error::Stopped),
            () = self.closing(stop) => Err(Error::Stopped),
        }
    }

    /// Completes when the scheme is paused or stopped.
    async fn closing(&self, stop: &CancellationToken) {
        loop {
            let change = self.gates.change();
            tokio::pin!(change);
            change.as_mut().enable();
            if self.is_paused() {
                return;
            }
            tokio::select! {
                biased;
                () = change => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Up to where a window may reach now.
    pub fn horizon(&self) -> Timestamp {
        let now = (self.now)();
        // Vendors count in whole seconds; a window that ends between two would lose the second's later part.
        let end = now.checked_sub(self.lag).unwrap_or(now);
        Timestamp::from_second(end.as_second()).unwrap_or(end)
    }

    pub(super) fn window_end(&self, start: Timestamp, end: Timestamp) -> Timestamp {
        match self.source.window_limit() {
            Some(limit) if limit.is_positive() => start.checked_add(limit).unwrap_or(end).min(end),
            Some(_) | None => end,
        }
    }

    pub(super) async fn read(
        &self,
        span: &Span,
        driver: &Handle,
        stop: &CancellationToken,
        manner: Manner<'_>,
    ) -> Result<ReadSummary, Error> {
        let mut unreadable = 0;
        loop {
            let Some(permit) = self.gates.enter(&self.tenant, &self.connection, &self.scheme) else {
                return Err(Error::Stopped);
            };
            let mut sink =
                Sink { reading: self, driver, stop, manner, turn: None, under_way: VecDeque::new(), closed: false };
            if matches!(manner, Manner::Aside(_)) && sink.take_turn().await.is_err() {
                return Err(Error::Stopped);
            }
            let began = std::time::Instant::now();
            // A source that asks for bill after bill at the vendor's pace hands nothing over for a while, and would notice
            // a stop only then. A read that is given up has changed nothing, and is begun again from the cursor.
            let result = tokio::select! {
                biased;
                () = stop.cancelled() => Err(connectors::Error::Stopped),
                result = self.source.read(span, &mut sink) => result,
            };
            // Also of a read that failed: what came is kept. `closed` says it where a page was not taken.
            let _ = sink.settle(0).await;
            drop((permit, sink.turn.take()));
            self.watcher.stage(Stage::Poll, began.elapsed());
            if let Err(error) = &result {
                self.gates.heed(&self.tenant, &self.connection, &error.fault());
            }
            match result {
                // A connector that goes on after its sink closed has not handed everything over, whatever it says.
                Ok(_) if sink.closed => return Err(Error::Stopped),
                Ok(summary) => return Ok(summary),
                Err(connectors::Error::Stopped) => return Err(Error::Stopped),
                Err(connectors::Error::Unreadable { detail, bytes }) => {
                    let digest = Digest::of(&bytes);
                    let page = BadPage { at: (self.now)(), detail: detail.clone(), digest };
                    driver.bad_page(page, bytes).await.map_err(|_| Error::Stopped)?;
                    unreadable += 1;
                    if unreadable >= UNREADABLE_LIMIT {
                        let message =
                            format!("a page stayed unreadable {unreadable} times, its bytes are kept: {detail}");
                        return Err(Error::Fault(Fault::new(Code::PageUnreadable, Disposition::PauseScheme, message)));
                    }
                    tracing::warn!(scheme = %self.scheme, unreadable, "a page is unreadable, asking again: {}", mask_text(&detail));
                    self.wait(Duration::from_millis(200) * unreadable, stop).await?;
                }
                Err(connectors::Error::TooLarge { limit_bytes }) => {
                    let fault = Fault::new(
                        Code::PageTooLarge,
                        Disposition::PauseScheme,
                        "a page of one record is over the response cap",
                    );
                    return Err(Error::Fault(fault.with_limit("response_limit_bytes", limit_bytes, limit_bytes + 1)));
                }
                Err(error) => return Err(Error::Fault(source_fault(&error))),
            }
        }
    }

    /// Why nothing is to be read now, where that is so. A pause is another matter.
    pub fn hold(&self, driver: &Handle) -> Option<Hold> {
        if let Some(fault) = self.gates.low_disk() {
            return Some(Hold::Disk(fault));
        }
        if let Some(exceeded) = self.gates.meter(&self.tenant).ledger_full((self.now)()) {
            return Some(Hold::Quota(exceeded));
        }
        let backlog = driver.backlog();
        if backlog.is_full {
            return Some(Hold::Backlog(backlog));
        }
        let wait = self.gates.road(&self.tenant, &self.connection)?.opens_in();
        (!wait.is_zero()).then_some(Hold::Down(wait))
    }

    async fn wait(&self, wait: Duration, stop: &CancellationToken) -> Result<(), Error> {
        tokio::select! {
            biased;
            () = tokio::time::sleep(wait) => Ok(()),
            () = stop.cancelled() => Err(Error::Stopped),
        }
    }

    pub(super) async fn pause_for(&self, fault: &Fault) -> Result<(), Error> {
        let scope = match fault.disposition {
            Disposition::PauseConnection => Scope::Connection(self.tenant.clone(), self.connection.clone()),
            Disposition::PauseScheme | Disposition::StopScheme | Disposition::RefuseStart => {
                Scope::Scheme(self.tenant.clone(), self.scheme.clone())
            }
            Disposition::Retry { .. } | Disposition::Verify | Disposition::Park => return Ok(()),
        };
        tracing::error!(scheme = %self.scheme, %scope, code = %fault.code, reason = mask_text(&fault.message), "paused");
        let since = (self.now)();
        let pause =
            Pause { scope: scope.clone(), since, reason: fault.message.clone(), code: Some(fault.code), by: None };
        self.gates.pause(pause, false).await?;
        self.watcher.paused(&scope, &fault.message);
        Ok(())
    }

    fn is_paused(&self) -> bool {
        self.gates.blocked_by(&self.tenant, &self.connection, &self.scheme).is_some()
    }
}

/// A read that the source refuses in so many words is a setting of ours, not a document's fault: nothing can park.
fn source_fault(error: &connectors::Error) -> Fault {
    let fault = error.fault();
    match fault.disposition {
        Disposition::Park => Fault { disposition: Disposition::PauseScheme, code: Code::OperationUnknown, ..fault },
        Disposition::Retry { .. }
        | Disposition::Verify
        | Disposition::PauseConnection
        | Disposition::PauseScheme
        | Disposition::StopScheme
        | Disposition::RefuseStart => fault,
    }
}

struct Sink<'a> {
    reading: &'a Reading,
    driver: &'a Handle,
    stop: &'a CancellationToken,
    manner: Manner<'a>,
    /// A backfill's; the live reader's pass has its own.
    turn: Option<Turn>,
    /// Pages that were handed over and are not known to be durable.
    under_way: VecDeque<oneshot::Receiver<()>>,
    closed: bool,
}

/// Pages under way while the next is asked for. More would be memory, and no faster: the vendor answers one at a time.
const PAGES_UNDER_WAY: usize = 2;

impl Sink<'_> {
    async fn hand_over(&mut self, page: Page) -> Result<(), SinkClosed> {
        // Nothing of the window is asked for while it waits here, so the source being down is of no concern.
        while let Some(hold @ (Hold::Disk(_) | Hold::Backlog(_) | Hold::Quota(_))) = self.reading.hold(self.driver) {
            self.reading.watcher.held(Some(&hold));
            tokio::select! {
                biased;
                () = self.reading.closing(self.stop) => return Err(SinkClosed),
                () = tokio::time::sleep(HOLD_LOOK) => {}
            }
        }
        self.reading.watcher.held(None);
        let durable = tokio::select! {
            biased;
            durable = self.driver.hand_over(page.documents) => durable?,
            () = self.reading.closing(self.stop) => return Err(SinkClosed),
        };
        self.under_way.push_back(durable);
        match self.manner {
            // What the source is asked for next is read while this is committed.
            Manner::Live => self.settle(PAGES_UNDER_WAY).await,
            Manner::Aside(_) => self.settle(0).await,
        }
    }

    /// Waits until at most so many pages are under way. Fails, now and later, where one was not taken.
    async fn settle(&mut self, pages: usize) -> Result<(), SinkClosed> {
        while self.under_way.len() > pages {
            let Some(mut durable) = self.under_way.pop_front() else { break };
            let taken = tokio::select! {
                biased;
                durable = &mut durable => durable.is_ok(),
                // Where the scheme is paused with a full backlog, the page would wait for the resume, the reader for the
                // page, and whoever pauses for the reader. Without an answer the window is read again.
                () = self.reading.closing(self.stop) => false,
            };
            if !taken {
                self.closed = true;
                return Err(SinkClosed);
            }
        }
        Ok(())
    }

    /// Lets the live reader pass, and its documents: only then is the next page asked for.
    async fn give_way(&mut self) -> Result<(), SinkClosed> {
        self.turn = None;
        tokio::select! {
            biased;
            () = self.reading.closing(self.stop) => return Err(SinkClosed),
            room = self.driver.room(ASIDE_BACKLOG) => room?,
        }
        self.take_turn().await
    }

    async fn take_turn(&mut self) -> Result<(), SinkClosed> {
        let turn = tokio::select! {
            biased;
            () = self.reading.closing(self.stop) => return Err(SinkClosed),
            turn = self.reading.lane.take() => turn,
        };
        self.turn = Some(turn);
        Ok(())
    }
}

#[async_trait]
impl PageSink for Sink<'_> {
    async fn page(&mut self, page: Page) -> Result<(), SinkClosed> {
        tracing::debug!(scheme = %self.reading.scheme, documents = page.documents.len(), position = %page.position, "page");
        let documents = page.documents.len();
        let mut handed_over = if page.documents.is_empty() { Ok(()) } else { self.hand_over(page).await };
        if let (Manner::Aside(tell), Ok(())) = (self.manner, handed_over) {
            tell(documents);
            handed_over = self.give_way().await;
        }
        self.closed |= handed_over.is_err() || self.stop.is_cancelled() || self.reading.is_paused();
        if self.closed { Err(SinkClosed) } else { Ok(()) }
    }

    async fn durable(&mut self) -> Result<(), SinkClosed> {
        self.settle(0).await
    }
}

#[cfg(test)]
mod tests;
