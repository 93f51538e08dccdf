//! What leaves: transformations, requests and questions, each once its turn has come and nothing is paused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::connectors::{Job, Pass, Step};
use crate::fault::{Code, Disposition, Fault};
use crate::model::{Digest, Document, TargetKey};

use super::super::apart::apart;
use super::super::bisection::Bill;
use super::super::gate::Permit;
use super::super::instant;
use super::super::ledger::Error;
use super::super::queues::Errand;
use super::super::round::Work;
use super::super::step::{Action, Event, Sabotage};
use super::super::subject::{Fate, Phase, Subject, TargetWrite};
use super::super::transformer::{Ran, Task};
use super::commits::Then;
use super::{Driver, Finished, Parts, Shipment, TRANSFORM_BYTES};

/// What a commit of intents takes at most, as a rule; where it takes longer, the request's deadline moves.
const INTENT_SLACK: Duration = Duration::from_millis(250);

/// Bills that were intended together and leave together.
pub(super) struct Departure {
    step: Step,
    shipments: Vec<Shipment>,
    /// What each says, and the vendor's id of what stands there already.
    bodies: Vec<(Digest, Option<String>)>,
    permit: Permit,
    pass: Option<Pass>,
    began: tokio::time::Instant,
    timeout: Duration,
}

impl Driver {
    /// Starts whatever may start.
    pub(super) async fn dispatch(&mut self) -> Result<(), Error> {
        // Where the disk is full, each commit may be the store's last.
        if self.parts.gates.is_work_held() {
            (self.awaited, self.pass) = (None, None);
            return Ok(());
        }
        self.look_at_the_meter();
        while self.transforms_running < self.parts.flow.transforms_at_once && self.start_transform()? {}
        loop {
            let (asks, writes) = (self.wants_ask(), self.wants_write());
            if (asks || writes)
                && let (Some(road), None) = (&self.road, &self.pass)
            {
                if self.awaited.is_none() {
                    let (road, caller) = (road.clone(), self.caller.clone());
                    self.awaited = Some(Box::pin(async move { road.pass(&caller).await }));
                }
                return Ok(());
            }
            let began = asks && self.start_ask()? || writes && self.start_write().await?;
            if !began {
                // Nothing to send, or nothing that may be sent beside what is under way: somebody else's turn.
                (self.awaited, self.pass) = (None, None);
                return Ok(());
            }
        }
    }

    /// Who has used its share waits with what is to be run. What was run is written all the same: it costs no fuel.
    fn look_at_the_meter(&mut self) {
        let waits = !self.queues.transforms.is_empty();
        let throttled = self.meter.exceeded((self.parts.now)()).filter(|_| waits);
        if throttled != self.throttled {
            self.parts.watcher.throttled(throttled.as_ref());
            self.throttled = throttled;
        }
    }

    /// Runs an exchange with the target's pass, where its road wants one.
    fn exchange<F>(&mut self, pass: Option<Pass>, exchange: F)
    where
        F: Future<Output = Finished> + Send + 'static,
    {
        match pass {
            Some(pass) => self.running.spawn(pass.carry(exchange)),
            None => self.running.spawn(exchange),
        };
    }

    /// One question at a time: it carries many keys, and what comes back frees what waits behind it.
    fn wants_ask(&self) -> bool {
        self.asks_running < 1 && !self.queues.asks.is_empty() && !self.target_rests() && !self.is_paused()
    }

    fn wants_write(&self) -> bool {
        let more_may_join = self.transforms_running > 0 && self.queues.writes.len() < self.write_limit();
        self.writes_running < self.parts.flow.writes_at_once
            && !self.queues.writes.is_empty()
            && !more_may_join
            && !self.target_rests()
            && !self.is_paused()
    }

    fn target_rests(&self) -> bool {
        let now = (self.parts.now)();
        self.target_not_before.is_some_and(|at| at > now)
    }

    fn write_limit(&self) -> usize {
        self.parts.flow.write_batch.min(self.parts.target.capabilities().batch_limit).max(1)
    }

    /// Asked for only once it is clear what will be sent: giving a permit back wakes whoever waits at a gate, this
    /// driver too, and a driver that takes one to find nothing to do would wake itself for ever.
    pub(super) fn permit(&self) -> Option<Permit> {
        self.parts.gates.enter(&self.parts.tenant, &self.parts.destination.connection, &self.parts.scheme)
    }

    pub(super) fn is_paused(&self) -> bool {
        let Parts { gates, tenant, destination, scheme, .. } = &self.parts;
        gates.blocked_by(tenant, &destination.connection, scheme).is_some()
    }

    pub(super) fn body(&self, digest: &Digest) -> Result<Arc<str>, Error> {
        if let Some(body) = self.bodies.get(digest) {
            return Ok(body);
        }
        let body = self.parts.ledger.body(*digest)?;
        body.map(Into::into)
            .ok_or_else(|| Error::Store(crate::state::Error::Damaged { detail: format!("body {digest} is missing") }))
    }

    pub(super) fn start_transform(&mut self) -> Result<bool, Error> {
        let is_held = self.throttled.is_some() || self.parts.gates.is_paused(&self.scope());
        if self.queues.transforms.is_empty() || is_held {
            return Ok(false);
        }
        let mut keys = Vec::new();
        let mut tasks: Vec<Task> = Vec::new();
        let mut bytes = 0;
        while let Some((key, version, alone)) = self.queues.transforms.pop_front() {
            if alone && !tasks.is_empty() {
                self.queues.transforms.push_front((key, version, alone));
                break;
            }
            let Some(subject) = self.parts.ledger.subject(&key)? else { continue };
            let Some(found) = subject.version(version) else { continue };
            let Phase::Received { tries } = found.phase else { continue };
            let document = Arc::new(Document { key: key.clone(), body: self.body(&found.body)?.to_string() });
            bytes += document.body.len();
            let waits_since = found.waits.as_ref().map(|waits| waits.since);
            let (received_at, patient, module) = (found.received_at, tries > 0, found.chosen_module);
            tasks.push(Task { document, received_at, patient, waits_since, module });
            keys.push((key, version));
            if alone || bytes >= TRANSFORM_BYTES || tasks.len() >= self.parts.flow.transform_batch {
                break;
            }
        }
        if tasks.is_empty() {
            return Ok(false);
        }
        let transformer = self.parts.transformer.clone();
        let generation = self.generation();
        self.begins(keys.iter().map(|(key, _)| key));
        self.in_runs.extend(keys.iter().cloned());
        self.transforms_running += 1;
        self.running.spawn(async move {
            let began = Instant::now();
            let module = transformer.module();
            let mut ran = apart(move || transformer.run(&tasks)).await;
            if ran.is_empty() {
                ran.push(no_result(module));
            }
            let left = keys.split_off(ran.len().min(keys.len()));
            let results = keys.into_iter().zip(ran).map(|((key, version), ran)| (key, version, ran)).collect();
            Finished::Transformed { took: began.elapsed(), results, left, generation }
        });
        Ok(true)
    }

    pub(super) fn start_ask(&mut self) -> Result<bool, Error> {
        let (mut questions, mut jobs): (Vec<Bill>, Vec<Job>) = (Vec::new(), Vec::new());
        let mut shared = None;
        // As many keys as one question can carry within the length of a request line that every server takes.
        while jobs.len() < 50 {
            let Some(bill) = self.queues.asks.pop_front() else { break };
            let part = self.queues.bisection.part_of(&bill);
            if shared.is_some_and(|shared| shared != part) {
                self.queues.asks.push_front(bill);
                break;
            }
            let (key, version, target) = bill;
            let subject = self.parts.ledger.subject(&key)?;
            let Some(write) = subject.as_ref().and_then(|subject| find_write(subject, version, &target)) else {
                continue;
            };
            if !matches!(write.fate, Fate::Asking { .. }) || questions.iter().any(|(_, _, asked)| *asked == target) {
                continue;
            }
            let id = subject.as_ref().and_then(|subject| subject.targets.get(&target)).and_then(|held| held.id.clone());
            jobs.push(Job { key: target.clone(), body: self.body(&write.body)?.to_string(), id });
            questions.push((key, version, target));
            shared = Some(part);
        }
        if jobs.is_empty() {
            return Ok(false);
        }
        let Some(permit) = self.permit() else {
            // Paused in this very moment, from another thread.
            self.queues.asks.extend(questions);
            return Ok(false);
        };
        let target = self.parts.target.clone();
        let _scheme = self.parts.scheme.clone();
        // Taken before the question leaves: what it shows is at least as new as this.
        let asked_at = (self.parts.now)();
        self.asks_running += 1;
        self.begins(questions.iter().map(|(key, ..)| key));
        let pass = self.pass.take();
        self.exchange(pass, async move {
            let began = Instant::now();
            instant::pass!(_scheme, "question.before");
            let result = target.look_up(&jobs).await;
            instant::pass!(_scheme, "question.after");
            drop(permit);
            Finished::Asked { took: began.elapsed(), asked_at, questions, result }
        });
        Ok(true)
    }

    pub(super) async fn start_write(&mut self) -> Result<bool, Error> {
        let (now, began) = ((self.parts.now)(), tokio::time::Instant::now());
        let limit = self.write_limit();
        let timeout = self.parts.target.request_timeout();
        let deadline = ends_by(now, INTENT_SLACK + timeout);
        let Some((step, picked)) = self.pick_writes(limit)? else { return Ok(false) };
        let Some(permit) = self.permit() else {
            self.queues.writes.extend(picked);
            return Ok(false);
        };
        let (mut bodies, mut shipments) = (Vec::new(), Vec::new());
        if self.parts.rules.sabotage == Sabotage::NoIntent {
            for (key, version, target) in picked {
                let Some(subject) = self.parts.ledger.subject(&key)? else { continue };
                let Some(write) = find_write(&subject, version, &target) else { continue };
                bodies.push((write.body, subject.targets.get(&target).and_then(|held| held.id.clone())));
                shipments.push(Shipment { key, version, target, attempt: write.attempt + 1, deadline });
            }
        } else {
            let works: Vec<Work> = picked
                .into_iter()
                .map(|(key, version, target)| Work::new(key, Event::Dispatched { version, target, deadline }))
                .collect();
            for (key, action) in self.submit_round(&works, None, Then::Nothing).await? {
                let Action::Send { version, target, body, id, attempt, .. } = action else { continue };
                bodies.push((body, id));
                shipments.push(Shipment { key, version, target, attempt, deadline });
            }
        }
        if shipments.is_empty() {
            return Ok(true);
        }
        self.on_the_wire.extend(shipments.iter().map(|one| one.target.clone()));
        self.writes_running += 1;
        self.begins(shipments.iter().map(|one| &one.key));
        let pass = self.pass.take();
        self.depart_after_the_last(Departure { step, shipments, bodies, permit, pass, began, timeout }).await?;
        Ok(true)
    }

    /// The intent is durable.
    pub(super) async fn depart(&mut self, departure: Departure) -> Result<(), Error> {
        let Departure { step, shipments, bodies, permit, pass, began, timeout } = departure;
        self.postpone(began, timeout, &shipments).await?;
        let mut jobs = Vec::with_capacity(shipments.len());
        for (one, (body, id)) in shipments.iter().zip(bodies) {
            jobs.push(Job { key: one.target.clone(), body: self.body(&body)?.to_string(), id });
        }
        let target = self.parts.target.clone();
        let _scheme = self.parts.scheme.clone();
        self.exchange(pass, async move {
            let began = Instant::now();
            instant::pass!(_scheme, "send.before");
            let result = target.write(step, &jobs).await;
            instant::pass!(_scheme, "send.after");
            drop(permit);
            Finished::Wrote { took: began.elapsed(), shipments, result }
        });
        Ok(())
    }

    /// The request leaves only now, and what the ledger says of its end must be true, or a restart would believe too early
    /// that it cannot be carried out any more.
    async fn postpone(
        &mut self,
        mut since: tokio::time::Instant,
        timeout: Duration,
        shipments: &[Shipment],
    ) -> Result<(), Error> {
        let mut slack = INTENT_SLACK;
        while since.elapsed() > slack {
            // A store that is slow now is slow with this commit as well.
            slack = since.elapsed() * 2;
            since = tokio::time::Instant::now();
            let deadline = ends_by((self.parts.now)(), slack + timeout);
            let later = |one: &Shipment| {
                let (version, target, attempt) = (one.version, one.target.clone(), one.attempt);
                Work::new(one.key.clone(), Event::Postponed { version, target, attempt, deadline })
            };
            let works: Vec<Work> = shipments.iter().map(later).collect();
            self.round(&works).await?;
        }
        Ok(())
    }

    /// Bills that may share one request: one step, distinct target keys, none of them already under way; and of what was
    /// refused together, one part.
    pub(super) fn pick_writes(&mut self, limit: usize) -> Result<Option<(Step, Vec<Bill>)>, Error> {
        let now = (self.parts.now)();
        let mut shared = None;
        let mut picked: Vec<Bill> = Vec::new();
        let mut left = Vec::new();
        // Looking further than a few requests ahead costs more than it finds.
        while picked.len() < limit && left.len() <= limit * 4 {
            let Some(bill) = self.queues.writes.pop_front() else { break };
            let part = self.queues.bisection.part_of(&bill);
            if shared.is_some_and(|(_, shared)| shared != part) {
                left.push(bill);
                continue;
            }
            let (key, version, target) = bill;
            let Some(subject) = self.parts.ledger.subject(&key)? else { continue };
            let Some(write) = find_write(&subject, version, &target) else { continue };
            if let Fate::Resend { settled_at } = write.fate
                && settled_at > now
            {
                self.queues.push(Errand::Write { key, version, target }, Some(settled_at), now);
                continue;
            }
            if !write.is_due(now) {
                continue;
            }
            let busy = self.on_the_wire.contains(&target) || picked.iter().any(|(_, _, other)| *other == target);
            // In doubt, alone: the answer is then about this bill and nothing else.
            let in_doubt = write.doubts > 0;
            if busy || shared.is_some_and(|(step, _)| step != write.step) || (in_doubt && !picked.is_empty()) {
                left.push((key, version, target));
                continue;
            }
            shared = Some((write.step, part));
            picked.push((key, version, target));
            if in_doubt {
                break;
            }
        }
        for item in left.into_iter().rev() {
            self.queues.writes.push_front(item);
        }
        Ok(shared.map(|(step, _)| (step, picked)))
    }
}

/// The end of a request that leaves at `now`.
pub(super) fn ends_by(now: Timestamp, takes: Duration) -> Timestamp {
    let takes = jiff::SignedDuration::try_from(takes).unwrap_or(jiff::SignedDuration::MAX);
    now.checked_add(takes).unwrap_or(Timestamp::MAX)
}

fn find_write<'a>(subject: &'a Subject, version: u64, target: &TargetKey) -> Option<&'a TargetWrite> {
    match &subject.version(version)?.phase {
        Phase::Writing { targets } => targets.iter().find(|write| write.key == *target),
        _ => None,
    }
}

/// What stands in for a result that the sandbox owes: a defect of ours, not the document's.
fn no_result(module: Digest) -> Ran {
    let fault = Fault::new(Code::Internal, Disposition::StopScheme, "the sandbox gave no result for this document");
    Ran::failed(module, fault)
}
