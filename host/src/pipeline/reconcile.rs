//! Compares source, ledger and target over a span, and changes nothing.
//!
//! Three walks: every document that the source serves for the span, with its bills asked for at the target; every
//! document of the ledger that belongs to the span and was not served; every bill that the target lists for the days of
//! the span. Pages, bills and rows of the ledger pass through; only keys are kept.
//!
//! A reader may rely on this: nothing here commits, and of a target nothing is called but its questions. Its source is
//! one of its own, for a source may remember what it handed over as done.

mod asked;
pub mod judge;
mod report;
mod rest;
mod served;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::connectors::{self, Difference, Source};
use crate::fault::Disposition;
use crate::model::{DocumentKey, TargetKey};
use crate::telemetry::mask_text;

use super::driver::Parts;
use super::ledger::Error as LedgerError;
use judge::{Class, Judgement, Word};
pub use report::{Entry, Line, Stretch, Totals};

/// Documents that one call of the sandbox takes, and bills of one question: as the driver has them.
const BATCH: usize = 50;
/// Tries of a question that fails in a way that passes by itself.
const TRIES: u32 = 5;

/// Compares, and says everything on `lines`, the totals or the failure last.
pub async fn reconcile(parts: &Parts, source: Arc<dyn Source>, stretch: &Stretch, lines: mpsc::Sender<Line>) {
    let mut work = Work {
        parts,
        source: &*source,
        stretch,
        began: (parts.now)(),
        lines: &lines,
        totals: Totals::default(),
        seen: HashSet::new(),
        foreign: HashSet::new(),
    };
    let last = match work.all().await {
        Ok(()) => Line::Totals(work.totals),
        Err(Broken::Off(why)) => Line::Unfinished(mask_text(&why)),
        Err(Broken::Deaf) => return,
    };
    // Whoever asked may have gone; there is nothing left to do.
    let _ = lines.send(last).await;
}

/// Why a comparison does not come to its end.
#[derive(Debug)]
enum Broken {
    /// In words.
    Off(String),
    /// Nobody listens any more.
    Deaf,
}

impl From<LedgerError> for Broken {
    fn from(error: LedgerError) -> Self {
        Broken::Off(error.to_string())
    }
}

struct Work<'a> {
    parts: &'a Parts,
    source: &'a dyn Source,
    stretch: &'a Stretch,
    began: Timestamp,
    lines: &'a mpsc::Sender<Line>,
    totals: Totals,
    /// Every document that the source served: a disturbed pass, or a window read again, shows one twice.
    seen: HashSet<DocumentKey>,
    /// Bills already told of as somebody else's, which the target lists as well.
    foreign: HashSet<TargetKey>,
}

impl Work<'_> {
    async fn all(&mut self) -> Result<(), Broken> {
        if !self.parts.target.capabilities().askable {
            self.cannot("the target cannot be asked for a bill: what was written is told by the ledger alone");
        }
        let mut start = self.stretch.from;
        while start < self.stretch.to {
            let end = match self.source.window_limit() {
                Some(limit) if limit.is_positive() => start.checked_add(limit).unwrap_or(self.stretch.to),
                Some(_) | None => self.stretch.to,
            };
            let end = end.min(self.stretch.to);
            self.window(start, end).await?;
            start = end;
            let documents = self.totals.documents;
            self.say(Line::Progress { read_to: end, documents }).await?;
        }
        self.what_is_not_served().await?;
        self.what_nobody_wrote().await
    }

    fn cannot(&mut self, what: &str) {
        self.totals.unanswered.push(what.into());
    }

    async fn say(&self, line: Line) -> Result<(), Broken> {
        self.lines.send(line).await.map_err(|_| Broken::Deaf)
    }

    fn paused(&self, connection: &crate::model::ConnectionName) -> Broken {
        let Parts { gates, tenant, scheme, .. } = self.parts;
        let pause = gates.blocked_by(tenant, connection, scheme);
        let words = pause.map_or("paused".to_owned(), |pause| {
            format!(
                "{} is paused ({}), and a comparison would send requests: resume it first",
                pause.scope, pause.reason
            )
        });
        Broken::Off(words)
    }

    /// Waits where the fault passes by itself, and gives up where it does not, or not soon.
    async fn wait_after(&self, error: &connectors::Error, tries: &mut u32) -> Result<(), Broken> {
        let fault = error.fault();
        *tries += 1;
        let Disposition::Retry { after_ms } = fault.disposition else { return Err(Broken::Off(fault.to_string())) };
        if *tries >= TRIES {
            return Err(Broken::Off(format!("{fault} (tried {tries} times)")));
        }
        tracing::warn!(scheme = %self.parts.scheme, tries, "a question failed, asking again: {}", mask_text(&fault.to_string()));
        tokio::time::sleep(Duration::from_millis(after_ms.unwrap_or(0)) + self.parts.rules.retry_base * *tries).await;
        Ok(())
    }

    async fn tell(
        &mut self,
        document: Option<&DocumentKey>,
        bill: Option<&str>,
        word: &Word,
        judgement: Judgement,
    ) -> Result<(), Broken> {
        let Judgement { class, reason, differences } = judgement;
        self.totals.add(class);
        if matches!(class, Class::Agrees | Class::NotAsked) {
            return Ok(());
        }
        let masked = |one: Difference| Difference {
            intended: mask_text(&one.intended),
            found: mask_text(&one.found),
            field: one.field,
        };
        let entry = Entry {
            class,
            document: document.map(ToString::to_string),
            bill: bill.map(str::to_owned),
            reason: mask_text(&reason),
            code: word.code(),
            differences: differences.into_iter().map(masked).collect(),
        };
        self.say(Line::Entry(entry)).await
    }
}

#[cfg(test)]
mod tests;
