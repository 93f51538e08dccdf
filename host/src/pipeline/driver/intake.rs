//! What comes in: pages, cursors and reductions that others hand over, put into rounds.

use std::sync::Arc;

use crate::connectors::SourceDocument;
use crate::fault::{Code, Fault};
use crate::model::{Digest, DocumentKey};
use crate::state::Batch;

use super::super::instant;
use super::super::ledger::{Cursor, Error};
use super::super::retention;
use super::super::round::{Settled, Work, portion};
use super::super::step::Event;
use super::handle::Request;
use super::{Driver, ROUND_LIMIT, Rest};

impl Driver {
    pub(super) async fn requested(&mut self, first: Request) -> Result<(), Error> {
        // Before anybody is answered: who hands over a page and then waits for idle must not see the idle of before.
        self.rest.send_replace(Rest::Busy);
        let mut next = Some(first);
        let mut works = Vec::new();
        let mut dones = Vec::new();
        while let Some(request) = next {
            match request {
                Request::Page { documents, done } => {
                    works.extend(documents.into_iter().map(|document| self.received(document)));
                    dones.push(done);
                }
                Request::Cursor { cursor, done } => {
                    // After every page before it, in the same batch as those still open.
                    self.commit_pages(&works, Some(&cursor)).await?;
                    works.clear();
                    dones.push(done);
                    if let Some(read_to) = cursor.read_to {
                        self.parts.watcher.read_to(read_to);
                    }
                }
                Request::Backfill { backfill, done } => {
                    self.commit_pages(&works, None).await?;
                    works.clear();
                    let mut batch = Batch::new();
                    self.parts.ledger.put_backfill(&mut batch, &backfill);
                    instant::pass!(self.parts.scheme, "backfill.before");
                    self.parts.ledger.commit(batch).await?;
                    instant::pass!(self.parts.scheme, "backfill.after");
                    dones.push(done);
                }
                Request::BadPage { page, bytes, done } => {
                    let mut batch = Batch::new();
                    self.parts.ledger.put_bad_page(&mut batch, &page, bytes);
                    self.parts.ledger.commit(batch).await?;
                    dones.push(done);
                }
                Request::Reduce { keys, before, done } => {
                    let reduced = retention::reduce(&self.parts.ledger, &keys, before, (self.parts.now)()).await?;
                    self.meter.kept(-i64::try_from(reduced.bytes).unwrap_or(i64::MAX));
                    let _ = done.send(reduced.documents);
                }
            }
            next = if dones.len() < ROUND_LIMIT { self.pages.try_recv().ok() } else { None };
        }
        if !works.is_empty() {
            self.commit_pages(&works, None).await?;
        }
        // As with idle: who looks for room after its page must see that page.
        self.show_backlog();
        for done in dones {
            let _ = done.send(());
        }
        Ok(())
    }

    /// As many rounds as it takes for works that carry large bodies; the cursor goes with the last.
    pub(super) async fn rounds(&mut self, works: &[Work], cursor: Option<&Cursor>) -> Result<Settled, Error> {
        let (first, mut rest) = works.split_at(portion(works));
        let mut all = self.round(first, cursor.filter(|_| rest.is_empty())).await?;
        while !rest.is_empty() {
            let (next, later) = rest.split_at(portion(rest));
            let settled = self.round(next, cursor.filter(|_| later.is_empty())).await?;
            all.changed += settled.changed;
            all.actions.extend(settled.actions);
            rest = later;
        }
        Ok(all)
    }

    async fn commit_pages(&mut self, works: &[Work], cursor: Option<&Cursor>) -> Result<(), Error> {
        let settled = self.rounds(works, cursor).await?;
        if !works.is_empty() {
            self.parts.watcher.received(works.len(), settled.changed);
        }
        Ok(())
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
