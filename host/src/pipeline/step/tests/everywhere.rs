//! Every event in every state that can be reached.

use super::*;

/// One event of each kind, for each version and key there is. A new kind of event must be added here to compile.
fn events(version: u64, target: &TargetKey, attempt: u32, now: Timestamp) -> Vec<Event> {
    use Event as E;
    let example = |event: &Event| match event {
        E::Received { .. }
        | E::Transformed { .. }
        | E::Dispatched { .. }
        | E::Postponed { .. }
        | E::ClockLeapt { .. }
        | E::Answered { .. }
        | E::Failed { .. }
        | E::RefusedTogether { .. }
        | E::Found { .. }
        | E::AskFailed { .. }
        | E::Restarted
        | E::Retry { .. }
        | E::Discard { .. }
        | E::Edited { .. }
        | E::Erased { .. } => (),
    };
    let target = || target.clone();
    let mut events = vec![
        E::Restarted,
        E::ClockLeapt { deadline: now },
        E::Discard { version, reason: "enough".into(), by: None },
        E::Erased { reason: "asked for".into(), by: None },
    ];
    for cancelled in [false, true] {
        for fault in [None, Some(Fault::park(Code::DocumentTooLarge, "too large"))] {
            events.push(E::Received { body: Digest::of("new"), cancelled, fault });
        }
    }
    let module = Digest::of("module");
    let faults = || {
        let dispositions = [
            Disposition::Retry { after_ms: Some(5) },
            Disposition::Verify,
            Disposition::Park,
            Disposition::PauseConnection,
            Disposition::PauseScheme,
            Disposition::StopScheme,
            Disposition::RefuseStart,
        ];
        dispositions.map(|disposition| match disposition {
            Disposition::Retry { .. }
            | Disposition::Verify
            | Disposition::Park
            | Disposition::PauseConnection
            | Disposition::PauseScheme
            | Disposition::StopScheme
            | Disposition::RefuseStart => Fault::new(Code::GuestDeadline, disposition, "fault"),
        })
    };
    let verdicts = [
        emit(&[("A", "x")]),
        emit(&[("A", "z"), ("B", "y")]),
        emit(&[("C", "z")]),
        emit(&[]),
        Verdict::Skip(reason()),
        Verdict::Reject(reason()),
        missed("M-1"),
    ];
    for verdict in verdicts.into_iter().chain(faults().map(Verdict::Fault)) {
        events.push(E::Transformed { version, module, fuel: 1, verdict });
    }
    events.push(E::Dispatched { version, target: target(), deadline: later(now, SETTLE) });
    let steps =
        [None, Some(Step::Create), Some(Step::Unaudit), Some(Step::Update), Some(Step::Submit), Some(Step::Audit)];
    for next in steps {
        if next != Some(Step::Create) {
            events.push(E::Answered { version, target: target(), attempt, answer: Told::Done { id: None, next } });
            events.push(E::Found { version, target: target(), asked_at: later(now, SETTLE * 9), finding: ours(next) });
            events.push(E::Found {
                version,
                target: target(),
                asked_at: later(now, SETTLE * 9),
                finding: differs(next),
            });
            events.push(E::Found { version, target: target(), asked_at: Timestamp::MIN, finding: differs(next) });
        }
    }
    for asked_at in [Timestamp::MIN, now, Timestamp::MAX] {
        events.push(E::Found { version, target: target(), asked_at, finding: Seen::Absent });
    }
    let refused = |code: &str| Told::Refused { code: code.into(), message: "no".into(), saved: None };
    for answer in [refused("7"), refused(DUPLICATE_NUMBER), saved(Step::Audit), saved(Step::Submit), Told::Unmentioned]
    {
        events.push(E::Answered { version, target: target(), attempt, answer });
    }
    for fault in faults() {
        for may_have_written in [false, true] {
            let fault = fault.clone();
            events.push(E::Failed { version, target: target(), attempt, fault, may_have_written });
        }
        let fault_of_all = fault.clone();
        events.push(E::RefusedTogether { version, target: target(), attempt, fault: fault_of_all, others: 2 });
        events.push(E::AskFailed { version, target: target(), fault });
    }
    for mode in [RetryMode::Plain, RetryMode::AfterVerify, RetryMode::IChecked] {
        for module in [None, Some(Digest::of("other"))] {
            events.push(E::Retry { version, mode, module, by: Some("li".into()) });
        }
    }
    for body in ["a", "edit"] {
        events.push(E::Edited { version, body: Digest::of(body), by: Some("li".into()) });
    }
    events.iter().for_each(example);
    events
}

/// The kind of state that a version is in. A new phase or fate must be named here to compile.
fn kinds(subject: &Subject) -> BTreeSet<&'static str> {
    let mut kinds = BTreeSet::new();
    for version in &subject.versions {
        let (phase, targets): (_, &[TargetWrite]) = match &version.phase {
            Phase::Received { .. } => ("received", &[]),
            Phase::Held => ("held", &[]),
            Phase::Writing { targets } => ("writing", targets),
            Phase::Parked { targets, .. } => ("parked", targets),
            Phase::Done { targets, .. } => ("done", targets),
        };
        kinds.insert(phase);
        for write in targets {
            kinds.insert(match write.fate {
                Fate::Ready => "ready",
                Fate::Intended { .. } => "intended",
                Fate::Asking { .. } => "asking",
                Fate::Resend { .. } => "resend",
                Fate::Written => "written",
                Fate::Unchanged => "unchanged",
                Fate::Stopped { .. } => "stopped",
            });
        }
    }
    kinds
}

#[test]
fn every_event_in_every_state_that_can_be_reached_keeps_the_invariants() {
    let mut all_reached = BTreeSet::new();
    for on_change in [OnChange::Update, OnChange::Ignore, OnChange::Park] {
        for (target_askable, target_resend) in
            [(true, Resend::Never), (false, Resend::Never), (false, Resend::SafeUpsert)]
        {
            let mut begin = Tale::under(Rules { on_change, target_askable, target_resend, ..rules() });
            begin.received("a");
            // Once more from a bill that stands: the spread below seldom comes past it.
            let mut stands = begin.clone();
            stands.emit(&[("A", "x")]).dispatch("A").done("A", None);
            let mut seen = BTreeSet::new();
            let mut reached = BTreeSet::new();
            // Breadth first, one path to each state; the times in a state do not tell two states apart.
            let mut edge = vec![begin, stands];
            for _depth in 0..6 {
                let mut next = Vec::new();
                for tale in edge {
                    for event in every_event(&tale) {
                        let mut tale = tale.clone();
                        // What waits to be sent again is only sent once its time has come.
                        if target_resend == Resend::SafeUpsert && matches!(event, Event::Dispatched { .. }) {
                            tale.wait(SETTLE * 60);
                        }
                        if tale.try_event(&event).is_ok() && tale.changed && seen.insert(shape(&tale.subject)) {
                            reached.extend(kinds(&tale.subject));
                            next.push(tale);
                        }
                    }
                }
                // All states of the first steps, then a spread of the many that follow.
                let stride = (next.len() / 100).max(1);
                edge = next.into_iter().step_by(stride).collect();
            }
            all_reached.extend(reached);
        }
    }
    assert_eq!(all_reached.len(), 12, "not every phase and fate was reached: {all_reached:?}");
}

fn every_event(tale: &Tale) -> Vec<Event> {
    let mut all = Vec::new();
    for version in &tale.subject.versions {
        let writes: &[TargetWrite] = match &version.phase {
            Phase::Writing { targets } => targets,
            _ => &[],
        };
        for name in ["A", "B"] {
            let attempt = writes.iter().find(|write| write.key == key(name)).map_or(1, |write| write.attempt);
            all.extend(events(version.number, &key(name), attempt, tale.now));
        }
    }
    all
}

/// A state without its counters and times.
fn shape(subject: &Subject) -> String {
    let mut shape = String::new();
    for version in &subject.versions {
        let (name, targets): (String, &[TargetWrite]) = match &version.phase {
            Phase::Received { tries } => (format!("received {tries}"), &[]),
            Phase::Held => ("held".into(), &[]),
            Phase::Writing { targets } => ("writing".into(), targets),
            Phase::Parked { fault, targets } => (format!("parked {}", fault.code), targets),
            Phase::Done { end, targets } => (format!("done {end:?}"), targets),
        };
        shape += &format!("{} {name} {};", version.number.min(4), version.cancelled);
        for write in targets {
            let fate = match &write.fate {
                Fate::Ready => "ready".to_owned(),
                Fate::Intended { .. } => "intended".into(),
                Fate::Asking { .. } => "asking".into(),
                Fate::Resend { .. } => "resend".into(),
                Fate::Written => "written".into(),
                Fate::Unchanged => "unchanged".into(),
                Fate::Stopped { fault } => format!("stopped {}", fault.code),
            };
            shape += &format!("{} {:?} {fate} {};", write.key, write.step, write.attempt.min(2));
            shape += &format!("{};", write.doubts.min(2));
        }
    }
    for (key, held) in &subject.targets {
        shape += &format!("{key} {:?} {:?} {};", held.existence, held.body, held.complete);
    }
    shape
}
