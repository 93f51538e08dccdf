//! Rounds under way: stepped and submitted, and not durable yet. While the store settles them the driver steps the next
//! ones, from the subjects as these leave them.
//!
//! The store takes a scheme's batches in their order, and after one that fails it takes no other, so what is stepped from
//! a round that never becomes durable never becomes durable either. What could be in conflict with another scheme, and so
//! fail alone, is waited for at once. What follows from a round, and whoever asked for it, waits until it is durable.

use std::collections::VecDeque;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::model::DocumentKey;
use crate::state::Receipt;

use super::super::ledger::{Cursor, Error};
use super::super::round::{Prepared, Settled, Work, portion, prepare_round};
use super::super::step::{Action, Sabotage};
use super::super::watch::Stage;
use super::departures::Departure;
use super::{Driver, Parts};

/// Rounds under way at once. More would only wait in the store's line, with their bodies.
const COMMITS_LIMIT: usize = 6;

/// What waits for a round.
pub(super) enum Then {
    Nothing,
    /// Whoever handed over so many documents hears that they are durable, and others how far the scheme has read.
    Received {
        documents: usize,
        read_to: Option<Timestamp>,
        dones: Vec<oneshot::Sender<()>>,
    },
    /// What was intended leaves.
    Depart(Departure),
}

pub(super) struct Commit {
    /// `None` where nothing changed; those before it are waited for all the same.
    receipt: Option<Receipt>,
    began: Instant,
    keys: Vec<DocumentKey>,
    settled: Settled,
    then: Then,
    #[cfg(feature = "failpoints")]
    effects: std::collections::BTreeSet<&'static str>,
}

/// Once the first of them is durable; never, where there is none. May be given up and asked again.
pub(super) async fn first_durable(commits: &mut VecDeque<Commit>) -> Result<(), Error> {
    match commits.front_mut() {
        Some(Commit { receipt: Some(receipt), .. }) => receipt.await.map(|_| ()).map_err(Error::from),
        Some(Commit { receipt: None, .. }) => Ok(()),
        None => std::future::pending().await,
    }
}

impl Driver {
    /// As many rounds as it takes for works that carry large bodies; the cursor and `then` go with the last.
    pub(super) async fn submit_rounds(
        &mut self,
        mut works: &[Work],
        cursor: Option<&Cursor>,
        then: Then,
    ) -> Result<(), Error> {
        while let (first, rest) = works.split_at(portion(works))
            && !rest.is_empty()
        {
            let then = match &then {
                Then::Received { .. } => Then::Received { documents: first.len(), read_to: None, dones: Vec::new() },
                Then::Nothing | Then::Depart(_) => Then::Nothing,
            };
            self.submit_round(first, None, then).await?;
            works = rest;
        }
        let then = match then {
            Then::Received { read_to, dones, .. } => Then::Received { documents: works.len(), read_to, dones },
            then @ (Then::Nothing | Then::Depart(_)) => then,
        };
        let sends = self.submit_round(works, cursor, then).await?;
        debug_assert!(self.parts.rules.sabotage == Sabotage::NoIntent || sends.is_empty(), "only a dispatch sends");
        Ok(())
    }

    /// Submits a round and goes on; what follows from it is filed, and `then` done, once it is durable. What is to be sent
    /// is left to the caller. A round that could be in conflict is waited for here.
    pub(super) async fn submit_round(
        &mut self,
        works: &[Work],
        cursor: Option<&Cursor>,
        then: Then,
    ) -> Result<Vec<(DocumentKey, Action)>, Error> {
        while self.commits.len() >= COMMITS_LIMIT {
            self.settle_first().await?;
        }
        let moment = self.moment();
        let Parts { ledger, destination, rules, .. } = &self.parts;
        let prepared = prepare_round(ledger, destination, rules, moment, works, cursor)?;
        if prepared.batch.expects() {
            let settled = self.commit(works, cursor, moment, prepared).await?;
            self.go_on(then, &settled).await?;
            return Ok(settled.actions);
        }
        let Prepared { batch, subjects, mut settled } = prepared;
        let began = Instant::now();
        self.pass_instants("before", works, cursor);
        let receipt = match batch.is_empty() {
            true => None,
            false => Some(ledger.submit(batch).await?),
        };
        let keys = subjects.keys().cloned().collect();
        for (key, subject) in subjects {
            ledger.is_coming(&key, subject);
        }
        self.reckon(&settled);
        let is_send = |(_, action): &mut (DocumentKey, Action)| matches!(action, Action::Send { .. });
        let sends = settled.actions.extract_if(.., is_send).collect();
        self.commits.push_back(Commit {
            receipt,
            began,
            keys,
            settled,
            then,
            #[cfg(feature = "failpoints")]
            effects: super::super::instant::effects(works, cursor.is_some()),
        });
        Ok(sends)
    }

    /// What was intended in the round that was submitted last leaves once that is durable.
    pub(super) async fn depart_after_the_last(&mut self, departure: Departure) -> Result<(), Error> {
        match self.commits.back_mut() {
            Some(commit) => commit.then = Then::Depart(departure),
            None => self.depart(departure).await?,
        }
        Ok(())
    }

    /// Everything that was submitted is durable, and what followed from it is done.
    pub(super) async fn settle_all(&mut self) -> Result<(), Error> {
        while !self.commits.is_empty() {
            self.settle_first().await?;
        }
        Ok(())
    }

    async fn settle_first(&mut self) -> Result<(), Error> {
        first_durable(&mut self.commits).await?;
        self.settled().await
    }

    /// The first of the rounds under way is durable.
    pub(super) async fn settled(&mut self) -> Result<(), Error> {
        let Some(mut commit) = self.commits.pop_front() else { return Ok(()) };
        #[cfg(feature = "failpoints")]
        for effect in &commit.effects {
            super::super::instant::pass!(self.parts.scheme, format!("{effect}.after"));
        }
        self.parts.watcher.stage(Stage::Commit, commit.began.elapsed());
        for key in &commit.keys {
            self.parts.ledger.has_come(key);
        }
        // A person's order is never among them: it is waited for.
        self.file(&mut commit.settled, false)?;
        self.go_on(commit.then, &commit.settled).await
    }

    async fn go_on(&mut self, then: Then, settled: &Settled) -> Result<(), Error> {
        match then {
            Then::Nothing => Ok(()),
            Then::Received { documents, read_to, dones } => {
                if documents > 0 {
                    self.parts.watcher.received(documents, settled.changed);
                }
                if let Some(read_to) = read_to {
                    self.parts.watcher.read_to(read_to);
                }
                // As with idle: who looks for room after its page must see that page.
                self.show_backlog();
                for done in dones {
                    let _ = done.send(());
                }
                Ok(())
            }
            // It may have a commit of its own.
            Then::Depart(departure) => Box::pin(self.depart(departure)).await,
        }
    }
}
