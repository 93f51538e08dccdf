//! What becomes of a version: received, transformed, superseded, ended.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::connectors::Step;
use crate::fault::{Code, Disposition, Fault};
use crate::model::{Digest, TargetKey};

use super::super::subject::{End, Existence, Fate, Missed, Phase, TargetWrite, Version, Waits};
use super::{Action, Emitted, OnChange, Run, Verdict, later};

impl Run<'_> {
    pub(super) fn received(&mut self, body: Digest, cancelled: bool, fault: Option<Fault>) {
        // Read again, by an overlapping window or a second pass: nothing new.
        if self.subject.latest().is_some_and(|latest| latest.served() == body && latest.cancelled == cancelled) {
            return;
        }
        let number = self.subject.latest().map_or(1, |latest| latest.number + 1);
        let version = Version {
            number,
            body,
            received_at: self.moment.now,
            cancelled,
            edited: None,
            chosen_module: None,
            module: None,
            fuel: 0,
            approved: false,
            waits: None,
            phase: Phase::Held,
        };
        let held = self.subject.targets.clone();
        self.supersede(number, |older| older.is_surely_unwritten(&held));
        self.subject.versions.push(version);
        if let Some(fault) = fault {
            self.park(number, fault, Vec::new());
        } else if !self.subject.is_blocked() {
            self.begin(number);
        }
    }

    pub(super) fn begin(&mut self, number: u64) {
        let Some(version) = self.subject.version_mut(number) else { return };
        version.phase = Phase::Received { tries: 0 };
        self.actions.push(Action::Transform { version: number, not_before: None, alone: false });
    }

    pub(super) fn transformed(&mut self, number: u64, module: Digest, fuel: u64, verdict: Verdict) {
        let Some(version) = self.subject.version_mut(number) else { return };
        // A verdict over a version that was superseded meanwhile, or a second verdict, comes too late.
        let Phase::Received { tries } = version.phase else { return };
        version.module = Some(module);
        version.fuel = fuel;
        let (cancelled, approved) = (version.cancelled, version.approved);
        if let Verdict::Waits { table, key, at } = verdict {
            // Kept from the first look-up that could not be answered: a table fetched since then answers for all of them.
            let since = version.waits.as_ref().map_or(at, |waits| waits.since);
            version.waits = Some(Waits { since, missed: Some(Missed { table, key }) });
            self.actions.push(Action::Await { version: number });
            return;
        }
        // A run that a fault ended is made again, and still for the same reason.
        if !matches!(verdict, Verdict::Fault(_)) {
            version.waits = None;
        }
        let standing = !self.subject.standing_keys().is_empty();
        match verdict {
            Verdict::Skip(reason) if standing => {
                let fault = if cancelled {
                    source_cancelled()
                } else {
                    Fault::park(
                        Code::TargetKeysChanged,
                        format!("the module now skips ({}: {}) what was written before", reason.code, reason.message),
                    )
                };
                self.park(number, fault, Vec::new());
            }
            Verdict::Skip(reason) => self.finish(number, End::Skipped(reason), Vec::new()),
            Verdict::Reject(reason) => {
                let place = reason.field.as_deref().map(|field| format!(" at {field}")).unwrap_or_default();
                let fault = Fault::park(Code::Rejected, format!("{}{place}: {}", reason.code, reason.message));
                self.park(number, fault, Vec::new());
            }
            Verdict::Fault(fault) => self.transform_failed(number, tries, fault),
            Verdict::Waits { .. } => {}
            Verdict::Emit(_) if cancelled && standing => self.park(number, source_cancelled(), Vec::new()),
            Verdict::Emit(emitted) => self.emitted(number, approved, emitted),
        }
    }

    pub(super) fn transform_failed(&mut self, number: u64, tries: u32, fault: Fault) {
        let after_ms = match fault.disposition {
            Disposition::Retry { after_ms } => after_ms,
            Disposition::Park | Disposition::Verify => {
                self.park(number, fault, Vec::new());
                return;
            }
            // Not the document's fault: the driver pauses the scheme, and the document waits for the resume.
            Disposition::PauseConnection
            | Disposition::PauseScheme
            | Disposition::StopScheme
            | Disposition::RefuseStart => None,
        };
        // Waiting for a table, or for a machine, says nothing of how long the module takes.
        let tries = if fault.code == Code::GuestDeadline { tries + 1 } else { tries };
        if fault.code == Code::GuestDeadline && tries >= self.rules.deadline_tries {
            self.park(number, Fault { disposition: Disposition::Park, ..fault }, Vec::new());
            return;
        }
        let not_before = Some(self.after(tries.max(1), after_ms));
        if let Some(version) = self.subject.version_mut(number) {
            version.phase = Phase::Received { tries };
            self.actions.push(Action::Transform { version: number, not_before, alone: tries > 0 });
        }
    }

    pub(super) fn emitted(&mut self, number: u64, approved: bool, emitted: Vec<Emitted>) {
        if let Some(taken) = emitted.iter().find(|one| one.taken_by.is_some()) {
            let owner = taken.taken_by.as_ref().map(ToString::to_string).unwrap_or_default();
            let fault = Fault::park(
                Code::TargetKeyTaken,
                format!("target key {} belongs to source document {owner}", taken.key),
            );
            self.park(number, fault, Vec::new());
            return;
        }
        let standing: BTreeSet<TargetKey> = self.subject.standing_keys().into_iter().cloned().collect();
        let keys: BTreeSet<TargetKey> = emitted.iter().map(|one| one.key.clone()).collect();
        // The sandbox sees to both; here they would end as a version that never ends.
        if keys.is_empty() || keys.len() < emitted.len() {
            let code = if keys.is_empty() { Code::EmptyEmit } else { Code::GuestOutputInvalid };
            self.park(number, Fault::park(code, "the module emitted no bill, or one key twice"), Vec::new());
            return;
        }
        let frozen: Vec<(TargetKey, String)> =
            emitted.iter().filter_map(|one| Some((one.key.clone(), one.frozen.clone()?))).collect();
        let mut writes: Vec<TargetWrite> = emitted.into_iter().map(fresh_write).collect();
        if standing.is_empty() {
            for write in &writes {
                self.subject.targets.entry(write.key.clone()).or_default();
            }
            self.write(number, writes);
            return;
        }
        // A key that was intended together with those that stand, and whose write was refused, may be missing or come
        // back: a document of two bills, one of them refused, can be tried again.
        let known = |key| self.subject.targets.contains_key(key);
        if !standing.is_subset(&keys) || !keys.iter().all(known) {
            let list = |keys: &BTreeSet<TargetKey>| keys.iter().map(TargetKey::as_str).collect::<Vec<_>>().join(", ");
            let fault = Fault::park(
                Code::TargetKeysChanged,
                format!("earlier versions wrote [{}], this one would write [{}]", list(&standing), list(&keys)),
            );
            self.park(number, fault, Vec::new());
            return;
        }
        let (mut changed, mut missing) = (false, false);
        for write in &mut writes {
            match self.subject.targets.get(&write.key) {
                Some(held) if held.existence == Existence::No => missing = true,
                Some(held) if held.complete && held.body == Some(write.body) => write.fate = Fate::Unchanged,
                Some(_) | None => changed = true,
            }
        }
        if !changed {
            self.write(number, writes);
            return;
        }
        let on_change = if approved { OnChange::Update } else { self.rules.on_change };
        match on_change {
            OnChange::Ignore if missing => {
                self.park(number, changed_after_write("some of its bills were never written"), writes);
            }
            OnChange::Ignore => self.finish(number, End::Ignored, writes),
            OnChange::Park => self.park(number, changed_after_write("the scheme says to ask a person"), writes),
            OnChange::Update if !self.rules.target_updatable => {
                self.park(number, changed_after_write("this target cannot change what is written"), writes);
            }
            OnChange::Update if !frozen.is_empty() => {
                let words: Vec<String> = frozen.iter().map(|(key, words)| format!("{key}: {words}")).collect();
                let message = format!("the target cannot change a written bill in this way: {}", words.join("; "));
                self.park(number, Fault::park(Code::ChangeImpossible, message), writes);
            }
            OnChange::Update => {
                for write in &mut writes {
                    self.plan_update(write);
                }
                self.write(number, writes);
            }
        }
    }

    /// How a bill that stands, or may stand, is to be changed.
    pub(super) fn plan_update(&self, write: &mut TargetWrite) {
        let held = self.subject.targets.get(&write.key).cloned().unwrap_or_default();
        if write.fate != Fate::Ready || held.existence == Existence::No {
            return;
        }
        if self.rules.target_askable {
            // What to do first depends on the state the bill is in by now: ask. An older write of which not everything
            // is known may still be committing.
            let wait = if held.complete { Duration::ZERO } else { self.rules.settle };
            write.step = Step::Update;
            write.fate = Fate::Asking { settled_at: later(self.moment.now, wait), tries: 0 };
        } else if held.existence == Existence::Yes {
            write.step = Step::Update;
        } else {
            let fault = Fault::park(
                Code::WriteUnknown,
                "whether an earlier version was written is not known, and this target cannot be asked",
            );
            write.fate = Fate::Stopped { fault };
        }
    }

    /// Puts the bills under way, or ends the version where none has anything left to do.
    pub(super) fn write(&mut self, number: u64, writes: Vec<TargetWrite>) {
        for write in &writes {
            let (version, target) = (number, write.key.clone());
            match write.fate {
                Fate::Ready => self.actions.push(Action::Enqueue { version, target, not_before: None }),
                Fate::Resend { settled_at } => {
                    self.actions.push(Action::Enqueue { version, target, not_before: Some(settled_at) });
                }
                Fate::Asking { .. } => self.actions.push(Action::Ask { version, target, not_before: None }),
                _ => {}
            }
        }
        if let Some(version) = self.subject.version_mut(number) {
            version.phase = Phase::Writing { targets: writes };
        }
        self.settle(number);
    }

    /// A newer version arrived while this one's write was in doubt; once nothing of it stands, it gives way.
    pub(super) fn gives_way(&mut self, number: u64) -> bool {
        let by = self.subject.latest().map_or(number, |latest| latest.number);
        let unwritten = |version: &Version| version.is_surely_unwritten(&self.subject.targets);
        if by == number || !self.subject.version(number).is_some_and(unwritten) {
            return false;
        }
        self.supersede(by, |version| version.number == number);
        self.release();
        true
    }

    /// Ends the version if none of its bills is under way any more.
    pub(super) fn settle(&mut self, number: u64) {
        if self.gives_way(number) {
            return;
        }
        let Some(version) = self.subject.version(number) else { return };
        let Phase::Writing { targets } = &version.phase else { return };
        let under_way =
            |write: &TargetWrite| !matches!(write.fate, Fate::Written | Fate::Unchanged | Fate::Stopped { .. });
        if targets.iter().any(under_way) {
            return;
        }
        let writes = targets.clone();
        // The gravest fault speaks for the version: an unknown write must never hide behind a refusal.
        let fault = writes
            .iter()
            .filter_map(|write| match &write.fate {
                Fate::Stopped { fault } => Some(fault),
                _ => None,
            })
            .max_by_key(|fault| (fault.code == Code::WriteUnknown, fault.code == Code::LeftUnaudited))
            .cloned();
        match fault {
            Some(fault) => self.park(number, fault, writes),
            None if writes.iter().all(|write| write.fate == Fate::Unchanged) => {
                self.finish(number, End::Unchanged, writes);
            }
            None => self.finish(number, End::Written, writes),
        }
    }

    pub(super) fn park(&mut self, number: u64, fault: Fault, targets: Vec<TargetWrite>) {
        let Some(version) = self.subject.version_mut(number) else { return };
        self.actions.push(Action::Parked { version: number, code: fault.code });
        version.phase = Phase::Parked { fault, targets };
        self.release();
    }

    pub(super) fn finish(&mut self, number: u64, end: End, targets: Vec<TargetWrite>) {
        let written = matches!(end, End::Written | End::Unchanged);
        if let Some(version) = self.subject.version_mut(number) {
            version.phase = Phase::Done { end, targets: ended(targets) };
        }
        if written {
            // What an older version was parked for is settled by the newer one that stands now.
            self.supersede(number, |older| matches!(older.phase, Phase::Parked { .. }));
        }
        self.actions.push(Action::Finished { version: number });
        self.release();
    }

    /// Lets the newest waiting version go on, where nothing holds it back any more.
    pub(super) fn release(&mut self) {
        if self.subject.is_blocked() {
            return;
        }
        let waiting = self.subject.versions.iter().rev().find(|version| version.phase == Phase::Held);
        let Some(newest) = waiting.map(|version| version.number) else { return };
        // Parked and surely unwritten: the waiting version takes its place.
        let held = self.subject.targets.clone();
        self.supersede(newest, |older| older.is_surely_unwritten(&held));
        self.begin(newest);
    }

    /// Ends older versions, those that `gives_way` names, in favour of `by`.
    pub(super) fn supersede(&mut self, by: u64, gives_way: impl Fn(&Version) -> bool) {
        for older in self.subject.versions.iter_mut().filter(|older| older.number < by) {
            if !matches!(older.phase, Phase::Done { .. }) && gives_way(older) {
                older.phase = superseded(&older.phase, by);
                self.actions.push(Action::Finished { version: older.number });
            }
        }
    }
}

fn fresh_write(emitted: Emitted) -> TargetWrite {
    TargetWrite {
        key: emitted.key,
        body: emitted.body,
        step: Step::Create,
        attempt: 0,
        disputes: 0,
        verified: false,
        doubts: 0,
        first_tried_at: None,
        fate: Fate::Ready,
    }
}

fn superseded(phase: &Phase, by: u64) -> Phase {
    let targets = match phase {
        Phase::Writing { targets } | Phase::Parked { targets, .. } | Phase::Done { targets, .. } => targets.clone(),
        Phase::Received { .. } | Phase::Held => Vec::new(),
    };
    Phase::Done { end: End::Superseded { by }, targets: ended(targets) }
}

/// What a finished version keeps of its bills: those that came to an end, not those that were only planned.
pub(super) fn ended(mut writes: Vec<TargetWrite>) -> Vec<TargetWrite> {
    writes.retain(|write| matches!(write.fate, Fate::Written | Fate::Unchanged | Fate::Stopped { .. }));
    writes
}

fn source_cancelled() -> Fault {
    Fault::park(Code::SourceCancelled, "the source cancelled a document whose bill was, or may have been, written")
}

fn changed_after_write(why: &str) -> Fault {
    Fault::park(Code::ChangedAfterWrite, format!("the source changed after the bill was written; {why}"))
}
