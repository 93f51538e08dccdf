//! What comes back: verdicts, answers and findings, turned into events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::connectors::{self, Answer, Failure};
use crate::fault::{Class, Code, Disposition, Fault};
use crate::model::{Digest, DocumentKey, Outcome, TargetKey};
use crate::telemetry::mask_text;

use super::super::bisection::Bill;
use super::super::gate::{Pause, Scope};
use super::super::ledger::Error;
use super::super::round::Work;
use super::super::step::{Emitted, Event, OnChange, Sabotage, Verdict};
use super::super::subject::Subject;
use super::super::transformer::{Miss, Ran};
use super::super::watch::Stage;
use super::commits::Then;
use super::{Driver, Finished, Parts, ROUND_LIMIT, Shipment};

impl Driver {
    pub(super) async fn finished(&mut self, first: Result<Finished, tokio::task::JoinError>) -> Result<(), Error> {
        let mut works = Vec::new();
        let mut pauses = Vec::new();
        let mut next = Some(first);
        let mut taken = 0;
        while let Some(finished) = next {
            match finished {
                Ok(finished) => self.digest(finished, &mut works, &mut pauses)?,
                // A panic in a task of ours is our defect. Its documents are unfinished in the ledger, and a restart
                // takes them up again; until then the scheme stops, loudly.
                Err(error) => {
                    let detail = format!("a task of the scheme died: {error}");
                    return Err(Error::Store(crate::state::Error::Failed { detail }));
                }
            }
            taken += 1;
            next = if taken < ROUND_LIMIT { self.running.try_join_next() } else { None };
        }
        self.submit_rounds(&works, None, Then::Nothing).await?;
        for (scope, fault) in pauses {
            let now = (self.parts.now)();
            let pause = Pause {
                scope: scope.clone(),
                since: now,
                reason: fault.message.clone(),
                code: Some(fault.code),
                by: None,
            };
            let reason = mask_text(&fault.message);
            tracing::error!(scheme = %self.parts.scheme, %scope, code = %fault.code, reason, "paused");
            self.parts.gates.pause(pause, false).await?;
            self.parts.watcher.paused(&scope, &fault.message);
        }
        Ok(())
    }

    pub(super) fn digest(
        &mut self,
        finished: Finished,
        works: &mut Vec<Work>,
        pauses: &mut Vec<(Scope, Fault)>,
    ) -> Result<(), Error> {
        match finished {
            Finished::Transformed { took, results, left, generation } => {
                self.transforms_running -= 1;
                self.ends(results.iter().map(|(key, ..)| key));
                self.ends(left.iter().map(|(key, _)| key));
                let ran = results.iter().map(|(key, version, _)| (key, version));
                for (key, version) in ran.chain(left.iter().map(|(key, version)| (key, version))) {
                    self.in_runs.remove(&(key.clone(), *version));
                }
                if results.iter().any(|(_, _, ran)| ran.missed.is_some()) {
                    self.laps.ran_with(generation);
                }
                for (key, version) in left.into_iter().rev() {
                    self.queues.transforms.push_front((key, version, false));
                }
                self.parts.watcher.stage(Stage::Transform, took);
                for (key, version, ran) in results {
                    works.push(self.transformed(key, version, ran, pauses)?);
                }
            }
            Finished::Wrote { took, shipments, result } => {
                self.writes_running -= 1;
                self.ends(shipments.iter().map(|one| &one.key));
                self.parts.watcher.stage(Stage::Write, took);
                for shipment in &shipments {
                    self.on_the_wire.remove(&shipment.target);
                }
                self.wrote(shipments, result, works, pauses);
            }
            Finished::Asked { took, asked_at, questions, result } => {
                self.asks_running -= 1;
                self.ends(questions.iter().map(|(key, ..)| key));
                self.parts.watcher.stage(Stage::Verify, took);
                match result {
                    Ok(findings) => {
                        let findings = findings.into_iter().map(Some).chain(std::iter::repeat(None));
                        works.extend(questions.into_iter().zip(findings).map(|((key, version, target), finding)| {
                            let event = match finding {
                                Some(finding) => Event::Found { version, target, asked_at, finding: finding.into() },
                                None => Event::AskFailed { version, target, fault: unmentioned() },
                            };
                            Work::new(key, event)
                        }));
                    }
                    Err(error) => {
                        let mut fault = error.fault();
                        self.vendor_fault(&fault, pauses);
                        // One question can make the target refuse all that were put with it. A question writes nothing, and
                        // waits longer each time: each is asked alone at once.
                        if fault.disposition == Disposition::Park && questions.len() > 1 {
                            self.queues.bisection.scatter(&questions);
                            fault.disposition = Disposition::Retry { after_ms: None };
                        }
                        works.extend(questions.into_iter().map(|(key, version, target)| {
                            Work::new(key, Event::AskFailed { version, target, fault: fault.clone() })
                        }));
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn transformed(
        &mut self,
        key: DocumentKey,
        version: u64,
        ran: Ran,
        pauses: &mut Vec<(Scope, Fault)>,
    ) -> Result<Work, Error> {
        self.parts.watcher.fuel(ran.fuel);
        let mut bodies = Vec::new();
        let verdict = match ran.verdict {
            Err(_) if let Some(Miss { table, key, at }) = ran.missed => Verdict::Waits { table, key, at },
            Ok(Outcome::Skip(reason)) => Verdict::Skip(reason),
            Ok(Outcome::Reject(reason)) => Verdict::Reject(reason),
            Ok(Outcome::Emit(documents)) => {
                let standing = self.standing(&key)?;
                let mut emitted = Vec::new();
                let mut mismatch = None;
                for document in documents {
                    match self.parts.target.key_of(&document.body) {
                        Ok(key) if key == document.key => {}
                        Ok(key) => mismatch = Some(format!("says {}, its body says {key}", document.key)),
                        Err(problem) => mismatch = Some(format!("says {}, its body: {problem}", document.key)),
                    }
                    let digest = Digest::of(&document.body);
                    let body: Arc<str> = document.body.into();
                    self.bodies.keep(digest, body.clone());
                    bodies.push((digest, body.clone()));
                    let frozen = self.frozen(&standing, &document.key, digest, &body)?;
                    emitted.push(Emitted { key: document.key, body: digest, taken_by: None, frozen });
                }
                match mismatch {
                    Some(problem) => Verdict::Fault(Fault::park(Code::TargetKeyMismatch, problem)),
                    None => Verdict::Emit(emitted),
                }
            }
            Err(fault) => {
                self.parts.watcher.faulted(&fault);
                match fault.disposition {
                    Disposition::Retry { .. } | Disposition::Verify | Disposition::Park => {}
                    // Nothing of the vendor's: whatever it says, it is this scheme that cannot go on.
                    Disposition::PauseConnection
                    | Disposition::PauseScheme
                    | Disposition::StopScheme
                    | Disposition::RefuseStart => pauses.push((self.scope(), fault.clone())),
                }
                Verdict::Fault(fault)
            }
        };
        let event = Event::Transformed { version, module: ran.module, fuel: ran.fuel, verdict };
        let memory_bytes = Some(ran.memory_bytes);
        Ok(Work { logs: ran.logs, memory_bytes, tables: ran.tables, bodies, ..Work::new(key, event) })
    }

    /// The document with its bills as they stand, where this scheme would change one. Nobody else needs a look into the
    /// ledger for each document that is transformed.
    fn standing(&self, key: &DocumentKey) -> Result<Subject, Error> {
        match self.parts.rules.on_change {
            OnChange::Update => Ok(self.parts.ledger.subject(key)?.unwrap_or_default()),
            OnChange::Ignore | OnChange::Park => Ok(Subject::default()),
        }
    }

    /// What stands in the way of changing what stands under the key into `body`.
    fn frozen(&self, subject: &Subject, key: &TargetKey, digest: Digest, body: &str) -> Result<Option<String>, Error> {
        let held = subject.targets.get(key);
        let Some(standing) = held.and_then(|held| held.body).filter(|standing| *standing != digest) else {
            return Ok(None);
        };
        let Some(reduced) = subject.reduced.filter(|_| matches!(self.parts.ledger.body(standing), Ok(None))) else {
            return Ok(self.parts.target.check_change(&self.body(&standing)?, body).err());
        };
        // A target that changes whatever it is told does not look. One that looks cannot, and a person has to.
        let looks = self.parts.target.check_change("", body).is_err();
        Ok(looks
            .then(|| format!("what stands there was removed from the ledger at {} and cannot be compared", reduced.at)))
    }

    pub(super) fn wrote(
        &mut self,
        shipments: Vec<Shipment>,
        result: Result<Vec<connectors::Answer>, connectors::Error>,
        works: &mut Vec<Work>,
        pauses: &mut Vec<(Scope, Fault)>,
    ) {
        if self.parts.rules.sabotage == Sabotage::NoIntent {
            works.extend(shipments.iter().map(|one| {
                let (version, target, deadline) = (one.version, one.target.clone(), one.deadline);
                Work::new(one.key.clone(), Event::Dispatched { version, target, deadline })
            }));
        }
        let answers = match result {
            Ok(mut answers) => {
                // A job without an answer is a job that the answer does not mention.
                answers.resize(shipments.len(), Answer::Unmentioned);
                answers
            }
            Err(error) => vec![Answer::Failed(Failure::of(&error, 0)); shipments.len()],
        };
        let mut told = Vec::new();
        let mut refused: BTreeMap<usize, Vec<(Shipment, Fault)>> = BTreeMap::new();
        for (one, answer) in shipments.into_iter().zip(answers) {
            let Failure { fault, may_have_written, request } = match answer.try_into() {
                Ok(answer) => {
                    self.queues.bisection.clear(&one.bill());
                    let Shipment { key, version, target, attempt, .. } = one;
                    works.push(Work::new(key, Event::Answered { version, target, attempt, answer }));
                    continue;
                }
                Err(failure) => failure,
            };
            // Several jobs of one failed request bring the same fault.
            if !told.contains(&fault) {
                let words = mask_text(&fault.to_string());
                tracing::warn!(scheme = %self.parts.scheme, code = %fault.code, may_have_written, "a write failed: {words}");
                self.vendor_fault(&fault, pauses);
                told.push(fault.clone());
            }
            if !may_have_written && fault.disposition == Disposition::Park && fault.class() == Class::TargetRefused {
                refused.entry(request).or_default().push((one, fault));
                continue;
            }
            let Shipment { key, version, target, attempt, .. } = one;
            works.push(Work::new(key, Event::Failed { version, target, attempt, fault, may_have_written }));
        }
        for together in refused.into_values() {
            self.refused(together, works);
        }
    }

    /// A request was refused without a word on which of its bills it was. One bad bill can make a target refuse all that
    /// travelled with it: they are sent again by halves, until whoever is refused is alone.
    fn refused(&mut self, together: Vec<(Shipment, Fault)>, works: &mut Vec<Work>) {
        let bills: Vec<Bill> = together.iter().map(|(one, _)| one.bill()).collect();
        let others = bills.len() - 1;
        if others > 0 {
            self.queues.bisection.halve(&bills);
        }
        works.extend(together.into_iter().map(|(one, fault)| {
            let Shipment { key, version, target, attempt, .. } = one;
            let event = match others {
                0 => Event::Failed { version, target, attempt, fault, may_have_written: false },
                _ => Event::RefusedTogether { version, target, attempt, fault, others },
            };
            Work::new(key, event)
        }));
    }

    /// What a vendor's fault means beyond the documents it hit.
    pub(super) fn vendor_fault(&mut self, fault: &Fault, pauses: &mut Vec<(Scope, Fault)>) {
        self.parts.watcher.faulted(fault);
        let Parts { tenant, destination, rules, gates, .. } = &self.parts;
        gates.heed(tenant, &destination.connection, fault);
        match fault.disposition {
            Disposition::PauseConnection => {
                pauses.push((Scope::Connection(tenant.clone(), destination.connection.clone()), fault.clone()));
            }
            Disposition::PauseScheme | Disposition::StopScheme | Disposition::RefuseStart => {
                pauses.push((self.scope(), fault.clone()));
            }
            // The road says when it is open again.
            Disposition::Retry { .. } if fault.code == Code::CircuitOpen => {}
            Disposition::Retry { after_ms } => {
                let asked = after_ms.map(Duration::from_millis).unwrap_or(rules.retry_base);
                let wait = jiff::SignedDuration::try_from(asked).unwrap_or(jiff::SignedDuration::ZERO);
                // Never shorter than another request was told to wait.
                let until = (self.parts.now)().checked_add(wait).unwrap_or(Timestamp::MAX);
                self.target_not_before = self.target_not_before.max(Some(until));
            }
            Disposition::Park | Disposition::Verify => {}
        }
    }
}

fn unmentioned() -> Fault {
    Fault::retry(Code::ResponseUnreadable, None, "the target's answer does not mention this bill")
}
