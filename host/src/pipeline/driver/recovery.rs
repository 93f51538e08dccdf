//! What the ledger holds and memory does not: taken up at a start, and whenever most of what memory holds is worked off.

use crate::model::DocumentKey;

use super::super::ledger::Error;
use super::super::queues::Errand;
use super::super::round::Work;
use super::super::step::Event;
use super::super::subject::Phase;
use super::{Driver, count};

impl Driver {
    /// Counts what an earlier run left unfinished, and has it taken up.
    pub(super) async fn recover(&mut self) -> Result<(), Error> {
        let mut after = None;
        loop {
            let open = self.parts.ledger.open(after.as_ref(), 500)?;
            let Some((last, _)) = open.last() else { break };
            after = Some(last.clone());
            open.iter().for_each(|(_, open)| self.tally.add(*open));
            tokio::task::yield_now().await;
        }
        self.laps.wake();
        self.parts.watcher.parked_total(count(self.tally.parked) as u64);
        Ok(())
    }

    /// Takes up what has had no room in memory, once most of what had is worked off.
    pub(super) async fn refill(&mut self) -> Result<(), Error> {
        while self.has_room_for_more() {
            // Their rows are looked up where they lie.
            self.settle_all().await?;
            let Some(keys) = self.laps.next(&self.parts.ledger)? else { return Ok(()) };
            let queued = self.queues.documents();
            let is_held = |key: &DocumentKey| queued.contains(key) || self.under_way.contains_key(key);
            let (held, free): (Vec<_>, Vec<_>) = keys.into_iter().partition(is_held);
            self.take_up_newer(&held)?;
            let works: Vec<Work> = free.into_iter().map(|key| Work::new(key, Event::Restarted)).collect();
            self.round(&works).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    pub(super) fn has_room_for_more(&self) -> bool {
        // What is taken up is committed first.
        !self.parts.gates.is_work_held()
            && self.laps.are_due()
            && self.queues.len() < self.parts.flow.errands_limit.div_ceil(2)
    }

    /// Of a document that memory knows, a newer version may have been left behind: what memory holds is then an older
    /// one's, comes to nothing, and brings nobody back to the document.
    fn take_up_newer(&mut self, held: &[DocumentKey]) -> Result<(), Error> {
        let now = (self.parts.now)();
        let known = self.queues.to_transform();
        for key in held {
            let Some(subject) = self.parts.ledger.subject(key)? else { continue };
            let received = subject.versions.iter().filter_map(|version| match version.phase {
                Phase::Received { tries } => Some((version.number, tries > 0)),
                _ => None,
            });
            for (version, alone) in received {
                let one = (key.clone(), version);
                if !self.in_runs.contains(&one) && !known.contains(&one) {
                    self.queues.push(Errand::Transform { key: one.0, version, alone }, None, now);
                }
            }
        }
        Ok(())
    }
}
