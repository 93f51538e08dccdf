//! Takes up from the ledger what memory had no room for.
//!
//! A driver holds so many errands in memory and leaves the rest in the ledger. When it has worked off most of what it
//! holds, it goes on through the index of unfinished documents where it stopped, lap after lap, until a lap during which
//! nothing was left behind. The same laps take up what an earlier run left, and whoever waited for a reference table that
//! has come. So the memory of a scheme does not grow with what it has to do.

use crate::model::DocumentKey;

use super::ledger::{Error, Ledger, Open};

/// Rows of the index that are read at once.
const PAGE: usize = 500;

#[derive(Debug, Default)]
pub struct Laps {
    /// A lap is under way, or due.
    due: bool,
    /// Up to where the lap has come.
    after: Option<DocumentKey>,
    /// Something was left behind since the lap began, perhaps in the part that it has passed.
    again: bool,
    /// Whoever waits for a reference table is taken up by the lap under way, and by the next.
    wakes: bool,
    wakes_next: bool,
    /// The oldest generation of the tables that a waiting document was run with.
    waits_beyond: Option<u64>,
}

impl Laps {
    /// A document was left in the ledger.
    pub fn leave_behind(&mut self) {
        (self.due, self.again) = (true, true);
    }

    /// A document run with this generation of the tables found one wanting.
    pub fn ran_with(&mut self, generation: u64) {
        self.waits_beyond = Some(self.waits_beyond.map_or(generation, |oldest| oldest.min(generation)));
    }

    /// Has those who wait taken up once, where a table was fetched since one of them was run. Tables may have been
    /// fetched between a run and the commit of what came of it, so the generation of the run counts.
    pub fn wake_for_tables(&mut self, generation: u64) {
        if self.waits_beyond.is_some_and(|oldest| generation > oldest) {
            self.wake();
        }
    }

    /// Has everything unfinished taken up, and whoever waits as well.
    pub fn wake(&mut self) {
        self.waits_beyond = None;
        self.wakes_next = true;
        (self.due, self.again) = (true, true);
    }

    /// Whether the ledger may hold unfinished documents that memory knows nothing of.
    pub fn are_due(&self) -> bool {
        self.due
    }

    /// The next documents to be taken up. `None` at the end of the last lap.
    pub fn next(&mut self, ledger: &Ledger) -> Result<Option<Vec<DocumentKey>>, Error> {
        if !self.due {
            return Ok(None);
        }
        if self.after.is_none() {
            self.again = false;
            self.wakes = std::mem::take(&mut self.wakes_next);
        }
        let page = ledger.open(self.after.as_ref(), PAGE)?;
        self.after = page.last().map(|(key, _)| key.clone());
        if self.after.is_none() {
            self.due = self.again;
            return Ok(self.due.then(Vec::new));
        }
        let wakes = self.wakes;
        let wanted = |open: &Open| open.work && (wakes || !open.waits);
        let taken = page.into_iter().filter(|(_, open)| wanted(open));
        Ok(Some(taken.map(|(key, _)| key).collect()))
    }
}
