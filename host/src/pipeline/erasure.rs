//! What goes when a person has a document erased: its bodies, those of its bills, and its history.
//!
//! What no other document of the scheme names goes in the very batch that leaves the fingerprint of the row, so a kill costs
//! all of it or nothing. To know what others name takes a walk over the scheme, which is made before, beside the driver. The
//! batch fails where the walk is out of date: where the document has had an event since, or where a body that is to go was
//! put again by whoever names it now.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::model::{Digest, DocumentKey};
use crate::state::{Batch, Key, Revision};

use super::apart::apart;
use super::ledger::{Error, Ledger, Line};
use super::step::{Event, Verdict};

/// Lines of history that go with the row, in one commit. Of a longer history the oldest go before, with the bodies that
/// only they name.
const LINES_AT_ONCE: usize = 500;
/// Rows that one look into the ledger brings.
const LOOK: usize = 500;

/// What may go with one document, as it stood when it was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clearance {
    /// The document's events at that time.
    pub events: u64,
    bodies: Vec<(Digest, Key, Revision)>,
}

impl Clearance {
    pub fn digests(&self) -> impl Iterator<Item = &Digest> {
        self.bodies.iter().map(|(digest, ..)| digest)
    }

    /// Puts the removals into the batch that carries the row.
    pub(super) fn carry_out(&self, ledger: &Ledger, batch: &mut Batch, key: &DocumentKey) -> Result<(), Error> {
        ledger.remove_lines(batch, key, usize::MAX)?;
        ledger.remove_pages_of(batch, key)?;
        for (_, row, since) in &self.bodies {
            ledger.remove_body(batch, row.clone(), *since);
        }
        Ok(())
    }
}

/// Some documents of one scheme that are to be erased, one after the other, after one walk.
pub struct Erasure {
    ledger: Ledger,
    cases: HashMap<DocumentKey, Case>,
    /// Who names a body, of the documents that are to be erased and are not yet.
    namers: HashMap<Digest, BTreeSet<DocumentKey>>,
    /// What any other document names.
    shared: HashSet<Digest>,
}

/// What the ledger holds of one document.
#[derive(Debug, Clone)]
struct Case {
    events: u64,
    bodies: Vec<(Digest, Key, Revision)>,
}

impl Erasure {
    /// Looks up what the ledger holds of the documents, and what of it others need. Walks over the whole scheme.
    pub async fn prepare(ledger: &Ledger, keys: &[DocumentKey]) -> Result<Self, Error> {
        let (of, wanted) = (ledger.clone(), keys.to_vec());
        // The bodies' revisions first: whatever is put again from now on has a later one.
        let cases: Result<HashMap<_, _>, Error> =
            apart(move || wanted.into_iter().map(|key| Ok((key.clone(), case(&of, &key)?))).collect()).await;
        let cases: HashMap<DocumentKey, Case> = cases?;
        let all: HashSet<Digest> =
            cases.values().flat_map(|case| case.bodies.iter().map(|(digest, ..)| *digest)).collect();
        let mut erasure = Self { ledger: ledger.clone(), cases, namers: HashMap::new(), shared: HashSet::new() };
        if all.is_empty() {
            return Ok(erasure);
        }
        let of = ledger.clone();
        let named = apart(move || namers(&of, &all)).await?;
        for (key, digest) in named {
            if erasure.cases.contains_key(&key) {
                erasure.namers.entry(digest).or_default().insert(key);
            } else {
                erasure.shared.insert(digest);
            }
        }
        Ok(erasure)
    }

    /// What may go with this document now. Takes the oldest lines of a long history away at once.
    pub async fn clearance(&self, key: &DocumentKey) -> Result<Clearance, Error> {
        let Some(case) = self.cases.get(key) else { return Ok(Clearance { events: 0, bodies: Vec::new() }) };
        let is_free = |digest: &Digest| {
            let others = self.namers.get(digest).is_some_and(|namers| namers.iter().any(|namer| namer != key));
            !others && !self.shared.contains(digest)
        };
        let bodies: Vec<_> = case.bodies.iter().filter(|(digest, ..)| is_free(digest)).cloned().collect();
        let rest = self.thin(key, bodies).await?;
        Ok(Clearance { events: case.events, bodies: rest })
    }

    /// This one is erased, and names nothing any more.
    pub fn erased(&mut self, key: &DocumentKey) {
        self.cases.remove(key);
        for namers in self.namers.values_mut() {
            namers.remove(key);
        }
    }

    /// Removes what is more of a history than one commit takes, with the bodies that nothing else of the document names.
    /// Says which bodies are left.
    async fn thin(
        &self,
        key: &DocumentKey,
        mut bodies: Vec<(Digest, Key, Revision)>,
    ) -> Result<Vec<(Digest, Key, Revision)>, Error> {
        loop {
            let lines = self.ledger.lines_after(key, None, LINES_AT_ONCE + 1)?;
            if lines.len() <= LINES_AT_ONCE {
                return Ok(bodies);
            }
            let subject = self.ledger.subject(key)?.unwrap_or_default();
            let kept: HashSet<Digest> = subject.all_bodies().collect();
            let named: HashSet<Digest> = lines
                .iter()
                .take(LINES_AT_ONCE)
                .flat_map(|(_, line)| bodies_of(line))
                .filter(|digest| !kept.contains(digest))
                .collect();
            let (go, stay) = bodies.into_iter().partition(|(digest, ..)| named.contains(digest));
            let go: Vec<(Digest, Key, Revision)> = go;
            let mut batch = Batch::new();
            self.ledger.remove_lines(&mut batch, key, LINES_AT_ONCE)?;
            for (_, row, since) in go {
                self.ledger.remove_body(&mut batch, row, since);
            }
            self.ledger.commit(batch).await?;
            bodies = stay;
        }
    }
}

/// Which documents name which of the bodies.
fn namers(ledger: &Ledger, all: &HashSet<Digest>) -> Result<Vec<(DocumentKey, Digest)>, Error> {
    let (mut named, mut after) = (Vec::new(), None);
    loop {
        let subjects = ledger.subjects(after.as_ref(), LOOK)?;
        let Some((last, _)) = subjects.last() else { return Ok(named) };
        after = Some(last.clone());
        for (key, subject) in &subjects {
            let of_these = subject.named_bodies().filter(|digest| all.contains(digest));
            named.extend(of_these.map(|digest| (key.clone(), digest)));
        }
    }
}

fn case(ledger: &Ledger, key: &DocumentKey) -> Result<Case, Error> {
    let subject = ledger.subject(key)?.unwrap_or_default();
    let mut digests: BTreeSet<Digest> = subject.all_bodies().collect();
    // Versions that the row has forgotten, and outcomes that later runs replaced, are in the history alone.
    let mut after = None;
    loop {
        let lines = ledger.lines_after(key, after, LINES_AT_ONCE)?;
        let Some((last, _)) = lines.last() else { break };
        after = Some(*last);
        digests.extend(lines.iter().flat_map(|(_, line)| bodies_of(line)));
    }
    let mut bodies = Vec::new();
    for digest in digests {
        bodies.extend(ledger.body_row(digest)?.map(|(row, since)| (digest, row, since)));
    }
    Ok(Case { events: subject.events, bodies })
}

/// The bodies that a line of history speaks of.
fn bodies_of(line: &Line) -> Vec<Digest> {
    match &line.event {
        Event::Received { body, .. } | Event::Edited { body, .. } => vec![*body],
        Event::Transformed { verdict: Verdict::Emit(emitted), .. } => emitted.iter().map(|one| one.body).collect(),
        Event::Transformed {
            verdict: Verdict::Skip(_) | Verdict::Reject(_) | Verdict::Fault(_) | Verdict::Waits { .. },
            ..
        }
        | Event::Dispatched { .. }
        | Event::Postponed { .. }
        | Event::ClockLeapt { .. }
        | Event::Answered { .. }
        | Event::Failed { .. }
        | Event::RefusedTogether { .. }
        | Event::Found { .. }
        | Event::AskFailed { .. }
        | Event::Restarted
        | Event::Retry { .. }
        | Event::Discard { .. }
        | Event::Erased { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
