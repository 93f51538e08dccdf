//! What others hold of a driver: they hand it pages and orders, and see how much it has to do.

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use crate::connectors::{self, SourceDocument};
use crate::model::DocumentKey;

use super::super::backfill::Backfill;
use super::super::command::{CommandError, Order};
use super::super::ledger::{BadPage, Cursor};

/// What others ask of a driver.
#[derive(Debug)]
pub(super) enum Request {
    Page { documents: Vec<SourceDocument>, done: oneshot::Sender<()> },
    Cursor { cursor: Cursor, done: oneshot::Sender<()> },
    Backfill { backfill: Backfill, done: oneshot::Sender<()> },
    BadPage { page: BadPage, bytes: Bytes, done: oneshot::Sender<()> },
    Reduce { keys: Vec<DocumentKey>, before: Timestamp, done: oneshot::Sender<u64> },
}

/// A person's order, apart from the pages: a full backlog holds pages back, and must not hold back whoever clears it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) order: Order,
    pub(super) done: oneshot::Sender<Result<u64, CommandError>>,
}

/// A handle to a running driver. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) orders: mpsc::Sender<Asked>,
    pub(super) rest: watch::Receiver<Rest>,
    pub(super) backlog: watch::Receiver<Backlog>,
}

/// What a scheme has still to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Unfinished documents in the ledger; not those that wait for a reference table, which hold nothing else back.
    pub documents: usize,
    /// No page is taken until it is worked off to the lower mark.
    pub is_full: bool,
    /// That mark.
    pub resume: usize,
}

/// How much a driver has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    Busy,
    /// Only documents that wait for a reference table.
    Waits,
    Idle,
}

impl Handle {
    /// Commits a page; returns once it is durable. `Err` where the driver has stopped.
    pub async fn page(&self, documents: Vec<SourceDocument>) -> Result<(), connectors::SinkClosed> {
        self.hand_over(documents).await?.await.map_err(|_| connectors::SinkClosed)
    }

    /// The same without waiting: what is handed over afterwards, the cursor too, is committed after it. The receiver hears
    /// once it is durable, or that the driver has stopped.
    pub async fn hand_over(
        &self,
        documents: Vec<SourceDocument>,
    ) -> Result<oneshot::Receiver<()>, connectors::SinkClosed> {
        let (done, durable) = oneshot::channel();
        self.requests.send(Request::Page { documents, done }).await.map_err(|_| connectors::SinkClosed)?;
        Ok(durable)
    }

    /// Moves the cursor, durably, after every page handed over before.
    pub async fn cursor(&self, cursor: Cursor) -> Result<(), connectors::SinkClosed> {
        self.ask(|done| Request::Cursor { cursor, done }).await
    }

    /// Moves a backfill on, durably, after every page handed over before.
    pub async fn backfill(&self, backfill: Backfill) -> Result<(), connectors::SinkClosed> {
        self.ask(|done| Request::Backfill { backfill, done }).await
    }

    /// Completes once fewer than so many documents are unfinished. `Err` where the driver has stopped.
    pub async fn room(&self, backlog: usize) -> Result<(), connectors::SinkClosed> {
        let mut seen = self.backlog.clone();
        seen.wait_for(|seen| seen.documents < backlog).await.map(|_| ()).map_err(|_| connectors::SinkClosed)
    }

    pub fn backlog(&self) -> Backlog {
        *self.backlog.borrow()
    }

    /// Completes once pages are taken. `Err` where the driver has stopped.
    pub async fn takes_pages(&self) -> Result<(), connectors::SinkClosed> {
        let mut seen = self.backlog.clone();
        seen.wait_for(|seen| !seen.is_full).await.map(|_| ()).map_err(|_| connectors::SinkClosed)
    }

    pub async fn bad_page(&self, page: BadPage, bytes: Bytes) -> Result<(), connectors::SinkClosed> {
        self.ask(|done| Request::BadPage { page, bytes, done }).await
    }

    /// Takes bodies' names and history of those of the documents away that were finished before then; says of how many.
    /// `Err` where the driver has stopped.
    pub async fn reduce(&self, keys: Vec<DocumentKey>, before: Timestamp) -> Result<u64, connectors::SinkClosed> {
        let (done, answer) = oneshot::channel();
        let request = Request::Reduce { keys, before, done };
        self.requests.send(request).await.map_err(|_| connectors::SinkClosed)?;
        answer.await.map_err(|_| connectors::SinkClosed)
    }

    /// Returns the version it applied to.
    pub async fn command(&self, order: Order) -> Result<u64, CommandError> {
        let stopped = || CommandError::Stopped("its task has ended".into());
        let (done, answer) = oneshot::channel();
        self.orders.send(Asked { order, done }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Completes when the driver has nothing to do, now or later.
    pub async fn idle(&self) {
        let mut rest = self.rest.clone();
        // An error means that the driver is gone, and with it everything it had to do.
        let _ = rest.wait_for(|rest| *rest == Rest::Idle).await;
    }

    /// Completes when the driver has nothing to do, or nothing but wait for a reference table.
    pub async fn rests(&self) -> Rest {
        let mut rest = self.rest.clone();
        rest.wait_for(|rest| *rest != Rest::Busy).await.map_or(Rest::Idle, |rest| *rest)
    }

    async fn ask(&self, request: impl FnOnce(oneshot::Sender<()>) -> Request) -> Result<(), connectors::SinkClosed> {
        let (done, answer) = oneshot::channel();
        self.requests.send(request(done)).await.map_err(|_| connectors::SinkClosed)?;
        answer.await.map_err(|_| connectors::SinkClosed)
    }
}
