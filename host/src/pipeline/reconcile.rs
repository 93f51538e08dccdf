//! Compares source, ledger and target over a span, and changes nothing.
//!
//! Three walks: every document that the source serves for the span, with its bills asked for at the target; every
//! document of the ledger that belongs to the span and was not served; every bill that the target lists for the days of
//! the span. Pages, bills and rows of the ledger pass through; only keys are kept.
//!
//! A reader may rely on this: nothing here commits, and of a target nothing is called but its questions. Its source is
//! one of its own, for a source may remember what it handed over as done.

pub mod judge;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::connectors::{self, Difference, Job, Page, PageSink, SinkClosed, Source, SourceDocument, Span};
use crate::fault::{Code, Disposition, Fault};
use crate::model::{Digest, Document, DocumentKey, Outcome, TargetKey};
use crate::telemetry::mask_text;

use super::driver::{Parts, stand_in_key};
use super::gate::Permit;
use super::ledger::{Error as LedgerError, Owner};
use super::subject::{End, Existence, Phase, Subject};
use super::transformer::Task;
use judge::{Claim, Class, Judgement, Wanted, Word, judge};

/// What is to be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// One document or bill that a person may want to look at. Masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub class: Class,
    /// The document's key; none for a bill that no document has.
    pub document: Option<String>,
    /// The bill's number; none for a document without one.
    pub bill: Option<String>,
    pub reason: String,
    /// The fault's code, where the document is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

/// The counts, and what could not be answered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Documents that the source served for the span.
    pub documents: u64,
    /// Bills that the target listed for the days of the span.
    pub listed: u64,
    /// Of those, bills that the ledger knows by another scheme.
    pub of_other_schemes: u64,
    pub agrees: u64,
    pub missing: u64,
    pub differs: u64,
    pub foreign: u64,
    pub not_served: u64,
    pub left_out: u64,
    pub not_asked: u64,
    /// What this could not answer, in words.
    pub unanswered: Vec<String>,
}

impl Totals {
    pub fn count(&self, class: Class) -> u64 {
        match class {
            Class::Agrees => self.agrees,
            Class::Missing => self.missing,
            Class::Differs => self.differs,
            Class::Foreign => self.foreign,
            Class::NotServed => self.not_served,
            Class::LeftOut => self.left_out,
            Class::NotAsked => self.not_asked,
        }
    }

    pub fn differences(&self) -> u64 {
        Class::ALL.into_iter().filter(|class| class.is_difference()).map(|class| self.count(class)).sum()
    }

    fn add(&mut self, class: Class) {
        *match class {
            Class::Agrees => &mut self.agrees,
            Class::Missing => &mut self.missing,
            Class::Differs => &mut self.differs,
            Class::Foreign => &mut self.foreign,
            Class::NotServed => &mut self.not_served,
            Class::LeftOut => &mut self.left_out,
            Class::NotAsked => &mut self.not_asked,
        } += 1;
    }
}

/// What a reconciliation says while it works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// How far the source was read, and how many documents came.
    Progress { read_to: Timestamp, documents: u64 },
    /// Everything but what agrees.
    Entry(Entry),
    /// The last line of one that came to its end.
    Totals(Totals),
    /// The last line of one that did not, and why.
    Unfinished(String),
}

/// Documents that one call of the sandbox takes, and bills of one question: as the driver has them.
const BATCH: usize = 50;
/// Tries of a question that fails in a way that passes by itself.
const TRIES: u32 = 5;
/// A version cannot have been received before it was made, clocks that differ aside.
const CLOCKS_DIFFER: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

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

/// One bill to be asked for.
struct Question {
    document: DocumentKey,
    key: TargetKey,
    body: String,
    id: Option<String>,
    claim: Claim,
}

/// A served document and the ledger's word on it.
struct Case {
    key: DocumentKey,
    document: SourceDocument,
    subject: Subject,
    /// The ledger's latest version is the one served.
    same: bool,
    word: Word,
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

    // What the source serves.

    async fn window(&mut self, start: Timestamp, end: Timestamp) -> Result<(), Broken> {
        let span = Span::Window { start, end };
        let mut tries = 0;
        loop {
            let permit = self.permit_of_source()?;
            let source = self.source;
            let mut sink = Sink { work: self, broken: None };
            let result = source.read(&span, &mut sink).await;
            if let Some(broken) = sink.broken.take() {
                return Err(broken);
            }
            drop(permit);
            match result {
                Ok(_) => return Ok(()),
                Err(error) => self.wait_after(&error, &mut tries).await?,
            }
        }
    }

    fn permit_of_source(&self) -> Result<Permit, Broken> {
        let Parts { gates, tenant, source_connection, scheme, .. } = self.parts;
        gates.enter(tenant, source_connection, scheme).ok_or_else(|| self.paused(source_connection))
    }

    /// A pause waits for every reader that holds a permit.
    fn check_source(&self) -> Result<(), Broken> {
        let Parts { gates, tenant, source_connection, scheme, .. } = self.parts;
        match gates.blocked_by(tenant, source_connection, scheme) {
            Some(_) => Err(self.paused(source_connection)),
            None => Ok(()),
        }
    }

    fn permit_of_target(&self) -> Result<Permit, Broken> {
        let Parts { gates, tenant, destination, scheme, .. } = self.parts;
        gates.enter(tenant, &destination.connection, scheme).ok_or_else(|| self.paused(&destination.connection))
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

    async fn served(&mut self, documents: Vec<SourceDocument>) -> Result<(), Broken> {
        let mut cases = Vec::new();
        for document in documents {
            let key = document.key.clone().unwrap_or_else(|_| stand_in_key(&Digest::of(&document.body)));
            if !self.seen.insert(key.clone()) {
                continue;
            }
            // A source may serve more than was asked for: whole days, or days before.
            if self.source.lies_within(&document.body, self.stretch.from, self.stretch.to) == Some(false) {
                continue;
            }
            self.totals.documents += 1;
            let known = self.parts.ledger.subject(&key)?;
            let body = Digest::of(&document.body);
            let latest = known.as_ref().and_then(Subject::latest);
            let same = latest.is_some_and(|latest| latest.body == body && latest.cancelled == document.cancelled);
            let word = match latest {
                None => Word::NeverReceived,
                Some(_) if !same => Word::NewerAtSource,
                Some(latest) => Word::of(latest),
            };
            cases.push(Case { key, document, subject: known.unwrap_or_default(), same, word });
        }
        let mut questions = Vec::new();
        for chunk in cases.chunks(BATCH) {
            let mut unknown = Vec::new();
            for case in chunk {
                match self.recorded(case, &mut questions)? {
                    Told::Yes => {}
                    Told::AsItWere(judgement) => self.tell(Some(&case.key), None, &case.word, judgement).await?,
                    Told::No => unknown.push(case),
                }
            }
            for (case, verdict) in self.run(&unknown).await? {
                self.transformed(case, verdict, &mut questions).await?;
            }
        }
        self.ask(questions).await
    }

    /// What the ledger already knows of the bills, where it has this very version and an outcome of it.
    fn recorded(&self, case: &Case, questions: &mut Vec<Question>) -> Result<Told, Broken> {
        let Some(latest) = case.subject.latest().filter(|_| case.same) else { return Ok(Told::No) };
        let bills = match &latest.phase {
            Phase::Received { .. } | Phase::Held => return Ok(Told::No),
            Phase::Writing { targets } => targets,
            Phase::Parked { targets, .. } if targets.is_empty() => return Ok(Told::No),
            Phase::Parked { targets, .. } => targets,
            Phase::Done { end: End::Written | End::Unchanged | End::Superseded { .. }, targets } => targets,
            Phase::Done { end: End::Ignored | End::Discarded { .. }, .. } if self.stands_unseen(case)? => {
                let why = "what was written for an earlier version was removed by retention and is not compared";
                return Ok(Told::AsItWere(Judgement::new(Class::NotAsked, why)));
            }
            Phase::Done { end: End::Ignored, .. } => {
                self.standing(case, &Wanted::Bill, questions)?;
                return Ok(Told::Yes);
            }
            Phase::Done { end: End::Skipped(reason), .. } => {
                let why = format!("skipped: {}: {}", reason.code, reason.message);
                return Ok(Told::AsItWere(Judgement::new(Class::LeftOut, why)));
            }
            // A person gave this version up; what an earlier one wrote is to stand as it was.
            Phase::Done { end: End::Discarded { reason }, .. } => {
                if self.standing(case, &Wanted::Bill, questions)? {
                    return Ok(Told::Yes);
                }
                let why = format!("discarded: {reason}");
                return Ok(Told::AsItWere(Judgement::new(Class::LeftOut, why)));
            }
        };
        let mut found = Vec::new();
        for bill in bills {
            match self.parts.ledger.body(bill.body)? {
                Some(body) => found.push(question(case, bill.key.clone(), body, Wanted::Bill)),
                // What the module makes of it today is what should be there.
                None if self.is_reduced(case)? => return Ok(Told::No),
                None => return Err(missing_body(&bill.body)),
            }
        }
        questions.extend(found);
        Ok(Told::Yes)
    }

    /// Looked up anew: retention may have come since.
    fn is_reduced(&self, case: &Case) -> Result<bool, Broken> {
        Ok(self.parts.ledger.subject(&case.key)?.is_some_and(|subject| subject.reduced.is_some()))
    }

    /// Whether something stands of which retention left no more than its number.
    fn stands_unseen(&self, case: &Case) -> Result<bool, Broken> {
        for digest in case.subject.targets.values().filter_map(|held| held.body) {
            if self.parts.ledger.body(digest)?.is_none() && self.is_reduced(case)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The bills that earlier versions wrote, as they were last written. Whether there are any.
    fn standing(&self, case: &Case, wanted: &Wanted, questions: &mut Vec<Question>) -> Result<bool, Broken> {
        let mut any = false;
        for (key, held) in case.subject.targets.iter().filter(|(_, held)| held.existence != Existence::No) {
            let body = match held.body {
                Some(digest) => self.parts.ledger.body(digest)?.unwrap_or_default(),
                None => String::new(),
            };
            questions.push(question(case, key.clone(), body, wanted.clone()));
            any = true;
        }
        Ok(any)
    }

    /// Runs the module for documents whose outcome the ledger does not have.
    async fn run<'c>(&self, cases: &[&'c Case]) -> Result<Vec<(&'c Case, Result<Outcome, Fault>)>, Broken> {
        let mut done = Vec::new();
        let (mut waits, mut waits_since) = (0, None);
        while done.len() < cases.len() {
            let tasks: Vec<Task> = cases[done.len()..].iter().map(|case| self.task(case, waits_since)).collect();
            let transformer = self.parts.transformer.clone();
            let ran = tokio::task::spawn_blocking(move || transformer.run(&tasks)).await;
            let ran = ran.ok().filter(|ran| !ran.is_empty());
            let ran = ran.ok_or_else(|| Broken::Off("the sandbox gave no answer".into()))?;
            for one in ran {
                // A table that is being fetched, or a busy machine: the same documents again, a moment later.
                if let Err(Fault { disposition: Disposition::Retry { after_ms }, .. }) = &one.verdict
                    && waits < TRIES
                {
                    waits += 1;
                    waits_since = waits_since.or(Some((self.parts.now)()));
                    let wait = Duration::from_millis(after_ms.unwrap_or(0)).max(self.parts.rules.retry_base);
                    tokio::time::sleep(wait).await;
                    break;
                }
                if let Some(case) = cases.get(done.len()) {
                    done.push((*case, one.verdict));
                }
            }
        }
        Ok(done)
    }

    fn task(&self, case: &Case, waits_since: Option<Timestamp>) -> Task {
        let received_at = case.subject.latest().filter(|_| case.same).map(|latest| latest.received_at);
        Task {
            document: Arc::new(Document { key: case.key.clone(), body: case.document.body.clone() }),
            received_at: received_at.unwrap_or_else(|| (self.parts.now)()),
            patient: true,
            waits_since,
        }
    }

    async fn transformed(
        &mut self,
        case: &Case,
        verdict: Result<Outcome, Fault>,
        questions: &mut Vec<Question>,
    ) -> Result<(), Broken> {
        let verdict = match &case.document.key {
            Ok(_) => verdict,
            Err(problem) => Err(Fault::park(Code::KeyMissing, problem.clone())),
        };
        let is_void = case.document.cancelled && matches!(verdict, Ok(Outcome::Emit(_)));
        if is_void && self.standing(case, &Wanted::Nothing("cancelled at the source".into()), questions)? {
            return Ok(());
        }
        let bills = match verdict {
            Ok(Outcome::Emit(bills)) => bills,
            Ok(Outcome::Skip(reason)) => {
                let why = format!("skipped: {}: {}", reason.code, reason.message);
                if !self.standing(case, &Wanted::Nothing(why.clone()), questions)? {
                    self.tell(Some(&case.key), None, &case.word, Judgement::new(Class::LeftOut, why)).await?;
                }
                return Ok(());
            }
            Ok(Outcome::Reject(reason)) => {
                let why = format!("the module rejects it: {}: {}", reason.code, reason.message);
                return self.no_bill(case, &why, questions).await;
            }
            Err(fault) => return self.no_bill(case, &fault.to_string(), questions).await,
        };
        for bill in bills {
            let destination = &self.parts.destination;
            if let Err(problem) = self.parts.target.key_of(&bill.body) {
                self.no_bill(case, &problem, questions).await?;
                continue;
            }
            match self.parts.ledger.owner(destination, &bill.key)? {
                Some(owner) if !self.is_of(&owner, &case.key) => {
                    let Owner { scheme, document } = owner;
                    let why = format!("its number belongs to document {document} of scheme {scheme}");
                    let judgement = Judgement::new(Class::Missing, format!("{}; {why}", case.word.reason()));
                    self.tell(Some(&case.key), Some(bill.key.as_str()), &case.word, judgement).await?;
                }
                _ => questions.push(question(case, bill.key, bill.body, Wanted::Bill)),
            }
        }
        Ok(())
    }

    fn is_of(&self, owner: &Owner, key: &DocumentKey) -> bool {
        owner.scheme == self.parts.scheme && owner.document == *key
    }

    /// A document that no bill can be made of: what earlier versions wrote is asked for, and the rest is missing.
    async fn no_bill(&mut self, case: &Case, why: &str, questions: &mut Vec<Question>) -> Result<(), Broken> {
        let reason = match &case.word {
            Word::Parked(_) => case.word.reason(),
            Word::NeverReceived | Word::NewerAtSource | Word::Waiting(_) | Word::Done => {
                format!("{}, and no bill could be made of it: {why}", case.word.reason())
            }
        };
        if self.standing(case, &Wanted::Unmade(reason.clone()), questions)? {
            return Ok(());
        }
        self.tell(Some(&case.key), None, &case.word, Judgement::new(Class::Missing, reason)).await
    }

    async fn ask(&mut self, questions: Vec<Question>) -> Result<(), Broken> {
        let mut group: Vec<Question> = Vec::new();
        for question in questions {
            // Two bills of one key never share a question: nobody could say whose the finding is.
            if group.len() == BATCH || group.iter().any(|other| other.key == question.key) {
                self.ask_group(std::mem::take(&mut group)).await?;
            }
            group.push(question);
        }
        self.ask_group(group).await
    }

    async fn ask_group(&mut self, group: Vec<Question>) -> Result<(), Broken> {
        if group.is_empty() {
            return Ok(());
        }
        let mut findings = Vec::new();
        if self.parts.target.capabilities().askable {
            let job = |one: &Question| Job { key: one.key.clone(), body: one.body.clone(), id: one.id.clone() };
            let jobs: Vec<Job> = group.iter().map(job).collect();
            let mut tries = 0;
            loop {
                let permit = self.permit_of_target()?;
                let result = self.parts.target.look_up(&jobs).await;
                drop(permit);
                match result {
                    Ok(found) if found.len() == jobs.len() => break findings = found,
                    Ok(_) => {
                        let words = "the target's answer does not mention every bill that was asked for";
                        return Err(Broken::Off(words.into()));
                    }
                    Err(error) => self.wait_after(&error, &mut tries).await?,
                }
            }
        }
        let findings = findings.into_iter().map(Some).chain(std::iter::repeat(None));
        for (question, finding) in group.into_iter().zip(findings) {
            let Question { document, key, claim, .. } = question;
            let judgement = judge(&claim, finding);
            if judgement.class == Class::Foreign {
                self.foreign.insert(key.clone());
            }
            self.tell(Some(&document), Some(key.as_str()), &claim.word, judgement).await?;
        }
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

    // What the ledger has and the source does not serve.

    async fn what_is_not_served(&mut self) -> Result<(), Broken> {
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
                let body = self.parts.ledger.body(latest.body)?.unwrap_or_default();
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

    // What the target lists and nobody wrote.

    async fn what_nobody_wrote(&mut self) -> Result<(), Broken> {
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

/// What the ledger had to say of a served document.
enum Told {
    /// Its bills are to be asked for.
    Yes,
    /// Nothing is to be asked.
    AsItWere(Judgement),
    /// The module has to say.
    No,
}

/// Whose a listed bill is.
enum Author {
    Us,
    AnotherScheme,
    Nobody,
}

fn question(case: &Case, key: TargetKey, body: String, wanted: Wanted) -> Question {
    let held = case.subject.targets.get(&key);
    Question {
        document: case.key.clone(),
        body,
        id: held.and_then(|held| held.id.clone()),
        claim: Claim { word: case.word.clone(), held: held.map(|held| held.existence).unwrap_or_default(), wanted },
        key,
    }
}

fn missing_body(digest: &Digest) -> Broken {
    Broken::Off(format!("the store is damaged: body {digest} is missing"))
}

/// Compares each page as it comes, so that no more than one is held.
struct Sink<'a, 'b> {
    work: &'a mut Work<'b>,
    broken: Option<Broken>,
}

#[async_trait]
impl PageSink for Sink<'_, '_> {
    async fn page(&mut self, page: Page) -> Result<(), SinkClosed> {
        let result = match self.work.check_source() {
            Ok(()) => self.work.served(page.documents).await,
            Err(broken) => Err(broken),
        };
        result.map_err(|broken| {
            self.broken = Some(broken);
            SinkClosed
        })
    }
}

#[cfg(test)]
mod tests;
