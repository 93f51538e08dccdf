//! What becomes of one bill: sent, answered, asked about, written or stopped.

use std::time::Duration;

use jiff::Timestamp;

use crate::connectors::{DUPLICATE_NUMBER, Difference, Resend, Step};
use crate::fault::{Code, Disposition, Fault};
use crate::model::TargetKey;

use super::super::subject::{Existence, Fate, Held, Phase, TargetWrite};
use super::{ASK_REFUSALS_LIMIT, Action, DISPUTES_LIMIT, DOUBTS_LIMIT, Moment, Run, Sabotage, Seen, Told, later};

impl Run<'_> {
    pub(super) fn dispatched(&mut self, number: u64, target: &TargetKey, deadline: Timestamp) {
        let id = self.subject.targets.get(target).and_then(|held| held.id.clone());
        let now = self.moment.now;
        let Some(write) = self.write_mut(number, target) else { return };
        if !write.is_due(now) {
            return;
        }
        write.attempt += 1;
        write.first_tried_at.get_or_insert(now);
        write.fate = Fate::Intended { deadline };
        let (step, body, attempt) = (write.step, write.body, write.attempt);
        let held = self.subject.targets.entry(target.clone()).or_default();
        if held.existence == Existence::No {
            held.existence = Existence::Maybe;
        }
        held.complete = false;
        self.actions.push(Action::Send { version: number, target: target.clone(), step, body, id, attempt });
    }

    pub(super) fn postponed(&mut self, number: u64, target: &TargetKey, attempt: u32, deadline: Timestamp) {
        let Some((before, _)) = self.intended(number, target, attempt) else { return };
        if let Some(write) = self.write_mut(number, target) {
            write.fate = Fate::Intended { deadline: deadline.max(before) };
        }
    }

    /// What was to settle until some time on the old clock settles anew. Who looks at it earlier finds that it is not
    /// time yet, and waits.
    pub(super) fn clock_leapt(&mut self, deadline: Timestamp) {
        let settled_at = later(self.moment.now, self.rules.settle);
        for version in &mut self.subject.versions {
            let Phase::Writing { targets } = &mut version.phase else { continue };
            for write in targets {
                match &mut write.fate {
                    Fate::Intended { deadline: before } => *before = deadline.max(*before),
                    Fate::Asking { settled_at: before, .. } if write.attempt > 0 => *before = settled_at.max(*before),
                    Fate::Resend { settled_at: before } => *before = settled_at.max(*before),
                    Fate::Ready | Fate::Asking { .. } | Fate::Written | Fate::Unchanged | Fate::Stopped { .. } => {}
                }
            }
        }
    }

    pub(super) fn answered(&mut self, number: u64, target: &TargetKey, attempt: u32, told: &Told) {
        let Some((deadline, step)) = self.intended(number, target, attempt) else { return };
        match told {
            // The old content still stands; what was to be done with it is yet to come.
            Told::Done { id, next } if step == Step::Unaudit => {
                self.stands(number, target, id.clone(), next.or(Some(Step::Update)), false);
            }
            Told::Done { id, next } => self.stands(number, target, id.clone(), *next, true),
            Told::Refused { code, message, saved: Some((id, next)) } => {
                self.keep(target, Existence::Yes, Some(id.clone()));
                let words = format!("saved as {id}, then refused at {next:?}: {message} ({code})");
                if let Some(write) = self.write_mut(number, target) {
                    write.step = *next;
                }
                self.stop(number, target, Fault::park(Code::LeftUnaudited, words));
            }
            Told::Refused { code, message, .. } if code == DUPLICATE_NUMBER && step == Step::Create => {
                // Ours after all, or somebody else's: only the target can tell.
                let Some(write) = self.write_mut(number, target) else { return };
                write.disputes += 1;
                let (limit_reached, first_attempt) = (write.disputes > DISPUTES_LIMIT, write.attempt == 1);
                if !self.rules.target_askable {
                    let words = format!("{message} ({code}); this target cannot be asked whose bill it is");
                    if first_attempt {
                        self.keep(target, Existence::No, None);
                    }
                    let code = if first_attempt { Code::KeyOccupied } else { Code::WriteUnknown };
                    self.stop(number, target, Fault::park(code, words));
                } else if limit_reached {
                    self.keep(target, Existence::No, None);
                    let fault = Fault::park(
                        Code::KeyOccupied,
                        "the target says that this number is taken, and shows nothing under it",
                    );
                    self.stop(number, target, fault);
                } else {
                    // A bill may count at once and show in lists only later: an early "absent" proves nothing.
                    self.ask(number, target, later(self.moment.now, self.rules.settle));
                }
            }
            Told::Refused { code, message, saved: None } if self.is_in_doubt(number, target) => {
                self.stop(number, target, refused_in_doubt(&format!("{message} ({code})")));
            }
            Told::Refused { code, message, saved: None } => {
                if step == Step::Create {
                    self.keep(target, Existence::No, None);
                }
                let fault = Fault::park(Code::TargetRefused, format!("{message} ({code})"));
                self.stop(number, target, self.refused_at(step, fault));
            }
            Told::Unmentioned => self.unknown(number, target, deadline),
        }
    }

    pub(super) fn failed(
        &mut self,
        number: u64,
        target: &TargetKey,
        attempt: u32,
        fault: &Fault,
        may_have_written: bool,
    ) {
        let Some((deadline, step)) = self.intended(number, target, attempt) else { return };
        if may_have_written {
            self.unknown(number, target, deadline);
            return;
        }
        // This sending did nothing; an earlier one may have.
        let in_doubt = self.is_in_doubt(number, target);
        if step == Step::Create && !in_doubt {
            self.keep(target, Existence::No, None);
        }
        if fault.code == Code::CircuitOpen {
            self.withdraw(number, target);
            return;
        }
        match fault.disposition {
            Disposition::Park if in_doubt => self.stop(number, target, refused_in_doubt(&fault.message)),
            Disposition::Park => self.stop(number, target, self.refused_at(step, fault.clone())),
            Disposition::Retry { after_ms } => match self.tried_too_long(number, target) {
                None => {
                    let not_before = Some(self.after(attempt, after_ms));
                    self.ready(number, target, not_before);
                }
                Some(tried) => {
                    let words = format!("tried for {} s without success; at last: {fault}", tried.as_secs());
                    // What an earlier sending may have written is not unwritten because the later ones did nothing.
                    let fault = match in_doubt {
                        true => lost_before(&format!("the next ones were {words}")),
                        false => self.refused_at(step, Fault::park(Code::GaveUp, words)),
                    };
                    self.stop(number, target, fault);
                }
            },
            // The driver pauses the connection or the scheme; the bill waits, ready, for the resume.
            Disposition::Verify
            | Disposition::PauseConnection
            | Disposition::PauseScheme
            | Disposition::StopScheme
            | Disposition::RefuseStart => {
                let not_before = Some(self.after(attempt, None));
                self.ready(number, target, not_before);
            }
        }
    }

    /// Nothing was written and nobody is blamed yet: the bill goes again, in smaller company.
    pub(super) fn refused_together(&mut self, number: u64, target: &TargetKey, attempt: u32) {
        let Some((_, step)) = self.intended(number, target, attempt) else { return };
        if step == Step::Create && !self.is_in_doubt(number, target) {
            self.keep(target, Existence::No, None);
        }
        self.ready(number, target, None);
    }

    pub(super) fn found(&mut self, number: u64, target: &TargetKey, asked_at: Timestamp, seen: &Seen) {
        let Some(write) = self.write_mut(number, target) else { return };
        let Fate::Asking { settled_at, .. } = write.fate else { return };
        let step = write.step;
        let never_sent = write.attempt == 0;
        if !never_sent {
            write.verified = true;
        }
        let settled = asked_at >= settled_at || self.rules.sabotage == Sabotage::NoSettle;
        let existence = self.subject.targets.get(target).map_or(Existence::No, |held| held.existence);
        match seen {
            Seen::Ours { id, next: None } => self.stands(number, target, Some(id.clone()), None, true),
            Seen::Absent | Seen::Differs { .. } | Seen::Ours { .. } if !settled => {
                // What is not there yet, not changed yet or not audited yet may still come, and would come behind
                // whatever is sent now: ask again once it has settled.
                self.actions.push(Action::Ask {
                    version: number,
                    target: target.clone(),
                    not_before: Some(settled_at),
                });
            }
            Seen::Ours { id, next } => self.stands(number, target, Some(id.clone()), *next, true),
            Seen::Absent if step == Step::Create || existence == Existence::Maybe => {
                self.keep(target, Existence::No, None);
                if let Some(write) = self.write_mut(number, target) {
                    write.step = Step::Create;
                }
                self.ready(number, target, None);
            }
            Seen::Absent => {
                let fault = Fault::park(Code::BillGone, "the bill that was written is no longer at the target");
                self.stop(number, target, fault);
            }
            Seen::Differs { id, next, differences } => {
                let ours = existence == Existence::Yes;
                let changing = matches!(step, Step::Update | Step::Unaudit);
                match next {
                    Some(next) if changing && ours => {
                        self.keep(target, Existence::Yes, Some(id.clone()));
                        if let Some(write) = self.write_mut(number, target) {
                            write.step = *next;
                        }
                        self.ready(number, target, None);
                    }
                    _ => self.occupied(number, target, step, differences),
                }
            }
        }
    }

    pub(super) fn occupied(&mut self, number: u64, target: &TargetKey, step: Step, differences: &[Difference]) {
        // Somebody else's bill: ours was not made. Past the first step the bill is ours, and somebody changed it.
        if step == Step::Create {
            self.keep(target, Existence::No, None);
        }
        let shown: Vec<String> = differences
            .iter()
            .take(5)
            .map(|one| format!("{} is {} and should be {}", one.field, one.found, one.intended))
            .collect();
        let message = format!("the target holds another bill under this number: {}", shown.join("; "));
        self.stop(number, target, Fault::park(Code::KeyOccupied, message));
    }

    pub(super) fn ask_failed(&mut self, number: u64, target: &TargetKey, fault: &Fault) {
        let Some(write) = self.write_mut(number, target) else { return };
        let Fate::Asking { settled_at, tries } = write.fate else { return };
        let asked = u32::from(fault.code != Code::CircuitOpen);
        let (tries, sent) = (tries + asked, write.attempt > 0);
        write.fate = Fate::Asking { settled_at, tries };
        if fault.disposition == Disposition::Park && tries >= ASK_REFUSALS_LIMIT {
            let code = if sent { Code::WriteUnknown } else { fault.code };
            let message = format!("the target refuses to be asked what it holds: {}", fault.message);
            self.stop(number, target, Fault::park(code, message));
            return;
        }
        let wait = match fault.disposition {
            Disposition::Retry { after_ms } => after_ms,
            Disposition::Verify
            | Disposition::Park
            | Disposition::PauseConnection
            | Disposition::PauseScheme
            | Disposition::StopScheme
            | Disposition::RefuseStart => None,
        };
        let not_before = Some(self.after(tries, wait));
        self.actions.push(Action::Ask { version: number, target: target.clone(), not_before });
    }

    pub(super) fn restarted(&mut self) {
        let settled_at = later(self.moment.now, self.rules.settle);
        let askable = self.rules.target_askable;
        let resends = !askable && self.rules.target_resend == Resend::SafeUpsert;
        let mut lost = Vec::new();
        for version in &mut self.subject.versions {
            let number = version.number;
            match &mut version.phase {
                Phase::Received { tries } => {
                    let alone = *tries > 0;
                    self.actions.push(Action::Transform { version: number, not_before: None, alone });
                }
                Phase::Writing { targets } => {
                    for write in targets {
                        let target = write.key.clone();
                        match write.fate {
                            Fate::Ready => {
                                self.actions.push(Action::Enqueue { version: number, target, not_before: None });
                            }
                            Fate::Intended { deadline } if resends && self.rules.sabotage == Sabotage::None => {
                                lost.push((number, target, deadline));
                            }
                            // What was to be sent again may have been sent by an engine that died over it.
                            Fate::Resend { settled_at: before } if resends => {
                                let settled_at = before.max(settled_at);
                                write.fate = Fate::Resend { settled_at };
                                let not_before = Some(settled_at);
                                self.actions.push(Action::Enqueue { version: number, target, not_before });
                            }
                            Fate::Resend { .. } => lost.push((number, target, self.moment.now)),
                            Fate::Intended { .. } if !askable || self.rules.sabotage == Sabotage::NoVerify => {
                                lost.push((number, target, self.moment.now));
                            }
                            Fate::Intended { deadline } => {
                                // Where the engine died early in a long request, the target may be at it until the
                                // deadline all the same.
                                let settled_at = settled_at.max(later(deadline, self.rules.settle));
                                write.fate = Fate::Asking { settled_at, tries: 0 };
                                self.actions.push(Action::Ask { version: number, target, not_before: None });
                            }
                            // The settings no longer allow the question that was to be asked.
                            Fate::Asking { .. } if !askable => lost.push((number, target, self.moment.now)),
                            Fate::Asking { settled_at: before, .. } => {
                                // Asked before anything was sent (a planned update) needs no settling; else start anew.
                                let settled_at = if write.attempt == 0 { before } else { before.max(settled_at) };
                                write.fate = Fate::Asking { settled_at, tries: 0 };
                                self.actions.push(Action::Ask { version: number, target, not_before: None });
                            }
                            Fate::Written | Fate::Unchanged | Fate::Stopped { .. } => {}
                        }
                    }
                }
                Phase::Held | Phase::Parked { .. } | Phase::Done { .. } => {}
            }
        }
        for (number, target, deadline) in lost {
            self.unknown(number, &target, deadline);
        }
    }

    /// The bill stands at the target, with the intended content where it `carries` that; `next` is what it still needs.
    pub(super) fn stands(
        &mut self,
        number: u64,
        target: &TargetKey,
        id: Option<String>,
        next: Option<Step>,
        carries: bool,
    ) {
        let Some(write) = self.write_mut(number, target) else { return };
        let body = write.body;
        match next {
            // A step forward: the next one has its own time.
            Some(next) => (write.step, write.first_tried_at) = (next, None),
            None => write.fate = Fate::Written,
        }
        self.keep(target, Existence::Yes, id);
        if let Some(held) = self.subject.targets.get_mut(target) {
            held.complete = carries && next.is_none();
            if carries {
                held.body = Some(body);
            }
        }
        match next {
            Some(_) => self.ready(number, target, None),
            None => self.settle(number),
        }
    }

    pub(super) fn keep(&mut self, target: &TargetKey, existence: Existence, id: Option<String>) {
        let held = self.subject.targets.entry(target.clone()).or_default();
        held.existence = existence;
        if id.is_some() {
            held.id = id;
        }
        if existence == Existence::No {
            *held = Held::default();
        }
    }

    pub(super) fn unknown(&mut self, number: u64, target: &TargetKey, deadline: Timestamp) {
        if self.rules.sabotage == Sabotage::NoVerify {
            self.ready(number, target, None);
        } else if self.rules.target_askable {
            // The commit of the intent took its time before the request left: the deadline may lie behind us.
            self.ask(number, target, later(deadline.max(self.moment.now), self.rules.settle));
        } else if self.rules.target_resend == Resend::SafeUpsert {
            self.resend(number, target, deadline);
        } else {
            let fault = Fault::park(
                Code::WriteUnknown,
                "the answer to this write was lost and this target cannot be asked; look there before anything else",
            );
            self.stop(number, target, fault);
        }
    }

    /// Sends the same bytes again, once what was lost cannot come any more.
    fn resend(&mut self, number: u64, target: &TargetKey, deadline: Timestamp) {
        let Some(write) = self.write_mut(number, target) else { return };
        write.doubts += 1;
        let doubts = write.doubts;
        if doubts >= DOUBTS_LIMIT {
            let message = format!("sent {doubts} times, and no answer says that it was written; look at the target");
            self.stop(number, target, Fault::park(Code::WriteUnknown, message));
            return;
        }
        // The commit of the intent took its time before the request left: the deadline may lie behind us.
        let settled = match self.rules.sabotage {
            Sabotage::NoSettle => self.moment.now,
            Sabotage::None | Sabotage::NoIntent | Sabotage::NoVerify => {
                later(deadline.max(self.moment.now), self.rules.settle)
            }
        };
        let settled_at = settled.max(self.after(doubts, None));
        let Some(write) = self.write_mut(number, target) else { return };
        write.fate = Fate::Resend { settled_at };
        let not_before = Some(settled_at);
        self.actions.push(Action::Enqueue { version: number, target: target.clone(), not_before });
    }

    fn is_in_doubt(&mut self, number: u64, target: &TargetKey) -> bool {
        self.write_mut(number, target).is_some_and(|write| write.doubts > 0)
    }

    pub(super) fn ask(&mut self, number: u64, target: &TargetKey, settled_at: Timestamp) {
        let Some(write) = self.write_mut(number, target) else { return };
        write.fate = Fate::Asking { settled_at, tries: 0 };
        self.actions.push(Action::Ask { version: number, target: target.clone(), not_before: None });
    }

    pub(super) fn ready(&mut self, number: u64, target: &TargetKey, not_before: Option<Timestamp>) {
        let Some(write) = self.write_mut(number, target) else { return };
        write.fate = Fate::Ready;
        if !self.gives_way(number) {
            self.actions.push(Action::Enqueue { version: number, target: target.clone(), not_before });
        }
    }

    /// The intent came between the turn and the outage: nothing was tried, and nothing counts as a try.
    fn withdraw(&mut self, number: u64, target: &TargetKey) {
        if let Some(write) = self.write_mut(number, target) {
            write.attempt -= 1;
            if write.attempt == 0 {
                write.first_tried_at = None;
            }
        }
        self.ready(number, target, None);
    }

    pub(super) fn stop(&mut self, number: u64, target: &TargetKey, fault: Fault) {
        let Some(write) = self.write_mut(number, target) else { return };
        write.fate = Fate::Stopped { fault };
        self.settle(number);
    }

    pub(super) fn write_mut(&mut self, number: u64, target: &TargetKey) -> Option<&mut TargetWrite> {
        match &mut self.subject.version_mut(number)?.phase {
            Phase::Writing { targets } => targets.iter_mut().find(|write| write.key == *target),
            _ => None,
        }
    }

    /// The deadline and step of the attempt under way; `None` where an answer is stale.
    pub(super) fn intended(&mut self, number: u64, target: &TargetKey, attempt: u32) -> Option<(Timestamp, Step)> {
        let write = self.write_mut(number, target)?;
        match write.fate {
            Fate::Intended { deadline } if write.attempt == attempt => Some((deadline, write.step)),
            _ => None,
        }
    }

    /// How long these bytes have been tried, where that is longer than the scheme wants.
    fn tried_too_long(&mut self, number: u64, target: &TargetKey) -> Option<Duration> {
        let Moment { now, at_work_since, .. } = self.moment;
        let since = self.write_mut(number, target)?.first_tried_at?.max(at_work_since);
        let tried = Duration::try_from(now.duration_since(since)).ok()?;
        (tried >= self.rules.give_up_after).then_some(tried)
    }

    /// A refusal past the first step leaves a bill behind that is not in its final state.
    fn refused_at(&self, step: Step, fault: Fault) -> Fault {
        match step {
            Step::Create | Step::Unaudit => fault,
            // Nothing was taken off before the update: what stood before stands as it did.
            Step::Update if !self.rules.target_askable => fault,
            Step::Update | Step::Submit | Step::Audit => {
                let message = format!("refused at {step:?}: {}", fault.message);
                Fault { code: Code::LeftUnaudited, message, ..fault }
            }
        }
    }

    /// When to try again: the other side's own wait, or full jitter under a doubling ceiling.
    pub(super) fn after(&self, tries: u32, asked_ms: Option<u64>) -> Timestamp {
        let base = u64::try_from(self.rules.retry_base.as_millis()).unwrap_or(u64::MAX).max(1);
        let cap = u64::try_from(self.rules.retry_cap.as_millis()).unwrap_or(u64::MAX);
        let ceiling = base.saturating_mul(1_u64 << tries.min(20)).min(cap).max(1);
        let jittered = u64::from(self.moment.dice) % ceiling + 1;
        later(self.moment.now, Duration::from_millis(asked_ms.unwrap_or(0).saturating_add(jittered.min(ceiling))))
    }
}

/// A refusal says that this sending did nothing, and nothing of the one before it that was lost.
fn refused_in_doubt(words: &str) -> Fault {
    lost_before(&format!("now the target refuses them: {words}"))
}

fn lost_before(words: &str) -> Fault {
    Fault::park(Code::WriteUnknown, format!("an earlier sending of the same bytes was lost, and {words}"))
}
