//! The first walk: every document that the source serves, with the bills that it has or would have.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::connectors::{Page, PageSink, SinkClosed, SourceDocument, Span};
use crate::fault::{Code, Disposition, Fault};
use crate::model::{Digest, Document, DocumentKey, Outcome, TargetKey};

use super::super::driver::{Parts, stand_in_key};
use super::super::gate::Permit;
use super::super::ledger::Owner;
use super::super::subject::{End, Existence, Phase, Subject};
use super::super::transformer::Task;
use super::asked::Question;
use super::judge::{Claim, Class, Judgement, Wanted, Word};
use super::{BATCH, Broken, TRIES, Work};

/// A served document and the ledger's word on it.
struct Case {
    key: DocumentKey,
    document: SourceDocument,
    subject: Subject,
    /// The ledger's latest version is the one served.
    same: bool,
    word: Word,
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

impl Work<'_> {
    pub(super) async fn window(&mut self, start: Timestamp, end: Timestamp) -> Result<(), Broken> {
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
            let same = latest.is_some_and(|latest| latest.served() == body && latest.cancelled == document.cancelled);
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
            module: None,
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

    async fn durable(&mut self) -> Result<(), SinkClosed> {
        Ok(())
    }
}
