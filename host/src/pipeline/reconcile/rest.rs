//! The second and third walk: what the ledger has and the source does not serve, what the target lists and nobody wrote.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::connectors;
use crate::model::TargetKey;

use super::super::subject::Existence;
use super::judge::{Class, Judgement, Word};
use super::{Broken, Stretch, Work};

/// A version cannot have been received before it was made, clocks that differ aside.
const CLOCKS_DIFFER: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// Whose a listed bill is.
enum Author {
    Us,
    AnotherScheme,
    Nobody,
}

impl Work<'_> {
    pub(super) async fn what_is_not_served(&mut self) -> Result<(), Broken> {
        let Stretch { from, to } = *self.stretch;
        let earliest = from.checked_sub(CLOCKS_DIFFER).unwrap_or(from);
        let (mut after, mut undated) = (None, 0_u64);
        loop {
            let rows = self.parts.ledger.subjects(after.as_ref(), 500)?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.clone());
            for (key, subject) in rows {
                let Some(latest) = subject.latest() else { continue };
                // What came since the comparison began was perhaps not there yet when its window was read.
                let is_of_then = (earliest..=self.began).contains(&latest.received_at);
                if !is_of_then || self.seen.contains(&key) {
                    continue;
                }
                let body = self.parts.ledger.body(latest.served())?.unwrap_or_default();
                match self.source.lies_within(&body, from, to) {
                    Some(true) => {
                        let bills: Vec<&str> = subject.standing_keys().into_iter().map(TargetKey::as_str).collect();
                        let bill = if bills.is_empty() { None } else { Some(bills.join(", ")) };
                        let word = Word::of(latest);
                        let why = "the source does not serve it for this span any more: deleted, of another status, or \
                                   changed since";
                        let judgement = Judgement::new(Class::NotServed, format!("{}; {why}", word.reason()));
                        self.tell(Some(&key), bill.as_deref(), &word, judgement).await?;
                    }
                    Some(false) => {}
                    None => undated += 1,
                }
            }
        }
        if undated > 0 {
            self.cannot(&format!(
                "of {undated} documents of the ledger, received since, nobody can say whether they belong to this span"
            ));
        }
        Ok(())
    }

    pub(super) async fn what_nobody_wrote(&mut self) -> Result<(), Broken> {
        // Every target known so far keeps its books by China's days.
        let zone = TimeZone::fixed(jiff::tz::offset(8));
        let day = |at: Timestamp| at.to_zoned(zone.clone()).date();
        let last = day(self.stretch.to.checked_sub(jiff::SignedDuration::from_nanos(1)).unwrap_or(self.stretch.to));
        let mut today = day(self.stretch.from);
        while today <= last {
            let Some(listed) = self.list(today).await? else {
                self.cannot("bills of the target that no document has: this target cannot list its bills by day");
                return Ok(());
            };
            self.totals.listed += listed.len() as u64;
            for bill in listed {
                match self.author(&bill.keys)? {
                    Author::Us => {}
                    Author::AnotherScheme => self.totals.of_other_schemes += 1,
                    Author::Nobody if bill.keys.iter().any(|key| self.foreign.contains(key)) => {}
                    Author::Nobody => {
                        let reason =
                            format!("dated {today}, and not written by the ledger; no document of the span has it");
                        let judgement = Judgement::new(Class::Foreign, reason);
                        self.tell(None, Some(&bill.number), &Word::NeverReceived, judgement).await?;
                    }
                }
            }
            let Ok(next) = today.tomorrow() else { break };
            today = next;
        }
        Ok(())
    }

    async fn list(&self, day: jiff::civil::Date) -> Result<Option<Vec<connectors::Listed>>, Broken> {
        let mut tries = 0;
        loop {
            let permit = self.permit_of_target()?;
            let result = self.parts.target.bills_of(day).await;
            drop(permit);
            match result {
                Ok(listed) => return Ok(listed),
                Err(error) => self.wait_after(&error, &mut tries).await?,
            }
        }
    }

    fn author(&self, keys: &[TargetKey]) -> Result<Author, Broken> {
        let mut author = Author::Nobody;
        for key in keys {
            let Some(owner) = self.parts.ledger.owner(&self.parts.destination, key)? else { continue };
            if owner.scheme != self.parts.scheme {
                author = Author::AnotherScheme;
                continue;
            }
            let subject = self.parts.ledger.subject(&owner.document)?.unwrap_or_default();
            // Claimed and surely not written: what stands there is not ours.
            if subject.targets.get(key).is_some_and(|held| held.existence != Existence::No) {
                return Ok(Author::Us);
            }
        }
        Ok(author)
    }
}
