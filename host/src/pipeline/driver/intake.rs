//! What comes in: pages, cursors and reductions that others hand over, put into rounds.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::connectors::SourceDocument;
use crate::fault::{Code, Fault};
use crate::model::{Digest, DocumentKey};
use crate::state::Batch;

use super::super::instant;
use super::super::ledger::{Cursor, Error};
use super::super::retention;
use super::super::round::Work;
use super::super::step::Event;
use super::commits::Then;
use super::handle::Request;
use super::{Driver, ROUND_LIMIT, Rest};

impl Driver {
    pub(super) async fn requested(&mut self, first: Request) -> Result<(), Error> {
        // Before anybody is answered: who hands over a page and then waits for idle must not see the idle of before.
        self.rest.send_replace(Rest::Busy);
        let mut next = Some(first);
        let mut works = Vec::new();
        let mut dones = Vec::new();
        let mut taken = 0;
        while let Some(request) = next {
            match request {
                Request::Page { documents, done } => {
                    works.extend(documents.into_iter().map(|document| self.received(document)));
                    dones.push(done);
                }
                Request::Cursor { cursor, done } => {
                    // After every page before it, in the same batch as those still open.
                    dones.push(done);
                    self.submit_pages(&mut works, Some(&cursor), &mut dones).await?;
                }
                Request::Backfill { backfill, done } => {
                    self.submit_pages(&mut works, None, &mut dones).await?;
                    self.settle_all().await?;
                    let mut batch = Batch::new();
                    self.parts.ledger.put_backfill(&mut batch, &backfill);
                    instant::pass!(self.parts.scheme, "backfill.before");
                    self.parts.ledger.commit(batch).await?;
                    instant::pass!(self.parts.scheme, "backfill.after");
                    let _ = done.send(());
                }
                Request::BadPage { page, bytes, done } => {
                    let mut batch = Batch::new();
                    self.parts.ledger.put_bad_page(&mut batch, &page, bytes);
                    self.parts.ledger.commit(batch).await?;
                    let _ = done.send(());
                }
                Request::Reduce { keys, before, done } => {
                    // Bodies and lines are looked up where they lie.
                    self.submit_pages(&mut works, None, &mut dones).await?;
                    self.settle_all().await?;
                    let reduced = retention::reduce(&self.parts.ledger, &keys, before, (self.parts.now)()).await?;
                    self.meter.kept(-i64::try_from(reduced.bytes).unwrap_or(i64::MAX));
                    let _ = done.send(reduced.documents);
                }
            }
            taken += 1;
            next = if taken < ROUND_LIMIT { self.pages.try_recv().ok() } else { None };
        }
        self.submit_pages(&mut works, None, &mut dones).await
    }

    /// Whoever handed them over hears once they are durable.
    async fn submit_pages(
        &mut self,
        works: &mut Vec<Work>,
        cursor: Option<&Cursor>,
        dones: &mut Vec<oneshot::Sender<()>>,
    ) -> Result<(), Error> {
        if dones.is_empty() {
            return Ok(());
        }
        let (works, dones) = (std::mem::take(works), std::mem::take(dones));
        let read_to = cursor.and_then(|cursor| cursor.read_to);
        self.submit_rounds(&works, cursor, Then::Received { documents: works.len(), read_to, dones }).await
    }

    fn received(&mut self, document: SourceDocument) -> Work {
        let SourceDocument { key, body, cancelled } = document;
        let digest = Digest::of(&body);
        let body: Arc<str> = body.into();
        let limit = self.parts.document_limit_bytes;
        let (key, fault) = match key {
            Ok(key) if body.len() > limit => {
                let fault = Fault::park(Code::DocumentTooLarge, "the document is larger than the scheme takes")
                    .with_limit("document_limit_bytes", limit as u64, body.len() as u64);
                (key, Some(fault))
            }
            Ok(key) => (key, None),
            Err(problem) => (stand_in_key(&digest), Some(Fault::park(Code::KeyMissing, problem))),
        };
        if fault.is_none() {
            self.bodies.keep(digest, body.clone());
        }
        let mut work = Work::new(key, Event::Received { body: digest, cancelled, fault });
        work.bodies.push((digest, body));
        work
    }
}

/// The key of a document that has none: no vendor's key begins with an exclamation mark and has 64 hex digits.
pub(in super::super) fn stand_in_key(digest: &Digest) -> DocumentKey {
    DocumentKey::new(format!("!{digest}")).expect("a digest in hex is a usable key")
}
