//! What people ask for: another try, another body, giving up, forgetting.

use std::time::Duration;

use crate::connectors::{Resend, Step};
use crate::fault::Code;
use crate::model::Digest;

use super::super::subject::{ERASED, Edited, End, Existence, Fate, Held, Phase, TargetWrite, Version, Waits};
use super::versions::ended;
use super::{Action, Refusal, RetryMode, Run, later};

impl Run<'_> {
    pub(super) fn retry(&mut self, number: u64, mode: RetryMode, module: Option<Digest>) -> Result<(), Refusal> {
        let latest = self.subject.latest().map_or(0, |latest| latest.number);
        let version = self.subject.version(number).ok_or(Refusal::NoSuchVersion(number))?;
        let Phase::Parked { fault, targets } = &version.phase else { return Err(self.not_parked(number)) };
        let (code, writes) = (fault.code, targets.clone());
        if matches!(code, Code::WriteUnknown | Code::LeftUnaudited) {
            if module.is_some() {
                return Err(Refusal::NothingToRun(number));
            }
            return self.take_up(number, code, writes, mode);
        }
        if latest > number {
            return Err(Refusal::Outdated(latest));
        }
        let blocked = self.subject.is_blocked();
        // A look at the target says nothing of a request that is on its way.
        if mode == RetryMode::IChecked && !blocked {
            self.believe_absent(&writes);
        }
        if let Some(version) = self.subject.version_mut(number) {
            version.approved |= code == Code::ChangedAfterWrite;
            // Each retry says which module it wants; one that names none is the scheme's again.
            version.chosen_module = module;
            // What was missing may have been added a moment ago: only a later look proves that it is not there.
            version.waits = Some(Waits { since: self.moment.now, missed: None });
            version.phase = Phase::Held;
        }
        if !blocked {
            self.begin(number);
        }
        Ok(())
    }

    fn not_parked(&self, number: u64) -> Refusal {
        match self.subject.removed_at(number) {
            Some(at) => Refusal::Removed { version: number, at },
            None => Refusal::NotParked(number),
        }
    }

    /// Goes on with bills that were sent: asks for them, or takes a person's word.
    fn take_up(
        &mut self,
        number: u64,
        code: Code,
        mut writes: Vec<TargetWrite>,
        mode: RetryMode,
    ) -> Result<(), Refusal> {
        // A newer version that went to work meanwhile would be overtaken by this one.
        if let Some(newer) = self.subject.versions.iter().rev().find(|other| other.number > number && other.has_begun())
        {
            return Err(Refusal::Outdated(newer.number));
        }
        let askable = self.rules.target_askable;
        writes.iter_mut().for_each(|write| write.first_tried_at = None);
        match mode {
            RetryMode::Plain if code == Code::WriteUnknown => return Err(Refusal::Unknown(number)),
            // To send the same bytes again is all the asking that such a target allows.
            RetryMode::AfterVerify if !askable && self.rules.target_resend == Resend::SafeUpsert => {
                let settled_at = later(self.moment.now, self.rules.settle);
                for write in &mut writes {
                    let Fate::Stopped { fault } = &write.fate else { continue };
                    if fault.code == Code::WriteUnknown {
                        write.doubts = 1;
                        write.fate = Fate::Resend { settled_at };
                    }
                }
            }
            RetryMode::AfterVerify | RetryMode::Plain if !askable => return Err(Refusal::NotAskable),
            RetryMode::Plain | RetryMode::AfterVerify => {
                for write in &mut writes {
                    let Fate::Stopped { fault } = &write.fate else { continue };
                    // When a lost request ended is not stored with a parked bill; a whole settling time is safe.
                    let lost = fault.code == Code::WriteUnknown;
                    let wait = if lost { self.rules.settle } else { Duration::ZERO };
                    write.fate = Fate::Asking { settled_at: later(self.moment.now, wait), tries: 0 };
                }
            }
            RetryMode::IChecked => {
                for write in &mut writes {
                    let Fate::Stopped { fault } = &write.fate else { continue };
                    if write.step == Step::Create || fault.code == Code::BillGone {
                        write.step = Step::Create;
                        self.subject.targets.insert(write.key.clone(), Held::default());
                    }
                    write.doubts = 0;
                    write.fate = Fate::Ready;
                }
            }
        }
        self.write(number, writes);
        Ok(())
    }

    /// A person looked and says that the bills in question are not there.
    fn believe_absent(&mut self, writes: &[TargetWrite]) {
        let gone = |write: &TargetWrite| matches!(&write.fate, Fate::Stopped { fault } if fault.code == Code::BillGone);
        for (key, held) in &mut self.subject.targets {
            if held.existence == Existence::Maybe || writes.iter().any(|write| write.key == *key && gone(write)) {
                *held = Held::default();
            }
        }
    }

    pub(super) fn discard(&mut self, number: u64, reason: &str) -> Result<(), Refusal> {
        let version = self.subject.version(number).ok_or(Refusal::NoSuchVersion(number))?;
        let Phase::Parked { targets, .. } = &version.phase else { return Err(self.not_parked(number)) };
        let writes = targets.clone();
        self.finish(number, End::Discarded { reason: reason.into() }, writes);
        Ok(())
    }

    /// The person's body takes the parked version's place, as a newer version of the source's would; only that the source
    /// goes on serving what it served.
    pub(super) fn edited(&mut self, number: u64, body: Digest, by: Option<&str>) -> Result<(), Refusal> {
        let latest = self.subject.latest().map_or(0, |latest| latest.number);
        let original = self.subject.version(number).ok_or(Refusal::NoSuchVersion(number))?;
        let Phase::Parked { fault, .. } = &original.phase else { return Err(self.not_parked(number)) };
        if latest > number {
            return Err(Refusal::Outdated(latest));
        }
        if !original.is_surely_unwritten(&self.subject.targets) {
            return Err(Refusal::MayBeWritten(number));
        }
        // Under the key that was made up for it, it would be another document than the one that the source mends.
        if fault.code == Code::KeyMissing {
            return Err(Refusal::NoKey(number));
        }
        if original.body == body {
            return Err(Refusal::SameBody(number));
        }
        let now = self.moment.now;
        let version = Version {
            number: number + 1,
            body,
            // The same record, served when it was served: what a module makes of that time does not change with an edit.
            received_at: original.received_at,
            cancelled: original.cancelled,
            edited: Some(Edited { from: number, source: original.served(), at: now, by: by.map(Into::into) }),
            chosen_module: None,
            module: None,
            fuel: 0,
            approved: original.approved || fault.code == Code::ChangedAfterWrite,
            waits: Some(Waits { since: now, missed: None }),
            phase: Phase::Held,
        };
        let held = self.subject.targets.clone();
        self.supersede(number + 1, |older| older.is_surely_unwritten(&held));
        self.subject.versions.push(version);
        if !self.subject.is_blocked() {
            self.begin(number + 1);
        }
        Ok(())
    }

    pub(super) fn erased(&mut self) -> Result<(), Refusal> {
        for version in &self.subject.versions {
            match &version.phase {
                Phase::Writing { .. } => return Err(Refusal::BeingWritten(version.number)),
                Phase::Parked { fault, .. } if fault.code == Code::WriteUnknown => {
                    return Err(Refusal::FateUnknown(version.number));
                }
                Phase::Parked { .. } | Phase::Received { .. } | Phase::Held | Phase::Done { .. } => {}
            }
        }
        let latest = self.subject.latest().map(|latest| latest.number);
        if latest.is_some_and(|latest| !self.subject.is_open() && self.subject.is_erased(latest)) {
            return Ok(());
        }
        for version in &mut self.subject.versions {
            let targets = match &version.phase {
                Phase::Received { .. } | Phase::Held => Vec::new(),
                Phase::Parked { targets, .. } => targets.clone(),
                Phase::Writing { .. } | Phase::Done { .. } => continue,
            };
            version.phase = Phase::Done { end: End::Discarded { reason: ERASED.into() }, targets: ended(targets) };
            self.actions.push(Action::Finished { version: version.number });
        }
        self.subject.erase(self.moment.now);
        Ok(())
    }
}
