//! A world around the step function: a source whose documents change, a target that loses answers, commits late and
//! refuses, and a machine that crashes. No clock but the world's own, no chance but the seed's.
//!
//! In most worlds the target knows no uniqueness: whoever writes twice is seen to have written twice. In the others it
//! refuses a number twice, and some numbers are taken by somebody else from the beginning.

use std::collections::BTreeMap;

use super::super::subject::{End, Phase};
use super::tests::{assert_invariants, key, rules};
use super::*;
use crate::connectors::DUPLICATE_NUMBER;

const SETTLE_MS: u64 = 1_000;
const TIMEOUT_MS: u64 = 500;
const DOCUMENTS: usize = 3;
/// The id of a bill that somebody else made.
const FOREIGN: &str = "foreign";

/// A small generator whose whole state is a seed that can be printed (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A bill at the target.
#[derive(Debug, Clone)]
struct Bill {
    key: TargetKey,
    id: String,
    body: Digest,
    audited: bool,
}

/// A record of the source: revision 0 is the first; its content says which bills it becomes.
#[derive(Debug, Clone)]
struct Record {
    revision: u64,
    cancelled: bool,
    /// Bills the module makes of it.
    bills: u64,
}

/// What is on its way to the engine or the target; lost in a crash unless it is the target's own.
#[derive(Debug, Clone)]
enum Errand {
    Do(usize, Action),
    Tell(usize, Event),
    /// The target carries a request out.
    Commit {
        document: usize,
        target: TargetKey,
        step: Step,
        body: Digest,
        revision: u64,
    },
}

struct World {
    chance: Chance,
    rules: Rules,
    /// Milliseconds since the beginning.
    now_ms: u64,
    /// When the engine was started last.
    up_since_ms: u64,
    records: Vec<Record>,
    subjects: Vec<Subject>,
    /// Due time and arrival, then what is due.
    agenda: BTreeMap<(u64, u64), Errand>,
    arrivals: u64,
    bills: Vec<Bill>,
    /// The newest revision that the target carried out for each key.
    newest: BTreeMap<TargetKey, u64>,
    /// While false, nothing goes wrong any more: the world comes to rest.
    trouble: bool,
    /// The target refuses a number that is taken.
    unique: bool,
    /// A write is an upsert by key.
    upsert: bool,
    /// The bodies that people handed in, and of which document.
    edits: BTreeMap<Digest, usize>,
    story: Vec<String>,
}

fn at(ms: u64) -> Timestamp {
    let begin: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    later(begin, Duration::from_millis(ms))
}

fn body(document: usize, revision: u64) -> Digest {
    Digest::of(format!("document {document} revision {revision}"))
}

fn bill_body(document: usize, revision: u64, bill: u64) -> Digest {
    // Every fourth revision changes nothing that the target would see.
    let seen = revision - u64::from(revision % 4 == 3);
    Digest::of(format!("bill {bill} of document {document} revision {seen}"))
}

fn bill_of_edit(body: Digest, bill: u64) -> Digest {
    Digest::of(format!("bill {bill} of {body}"))
}

fn bill_key(document: usize, bill: u64) -> TargetKey {
    key(&format!("D{document}-{bill}"))
}

impl World {
    fn new(seed: u64, sabotage: Sabotage) -> Self {
        let mut chance = Chance(seed);
        let on_change = [OnChange::Update, OnChange::Park, OnChange::Ignore][chance.below(3) as usize];
        let rules = Rules {
            on_change,
            settle: Duration::from_millis(SETTLE_MS),
            retry_cap: Duration::from_secs(2),
            // Short enough that some bills are given up while there is trouble.
            give_up_after: Duration::from_millis(if seed % 3 == 1 { 500 } else { 3_600_000 }),
            target_askable: !chance.one_in(5),
            sabotage,
            ..rules()
        };
        let records =
            (0..DOCUMENTS).map(|_| Record { revision: 0, cancelled: false, bills: 1 + chance.below(2) }).collect();
        let unique = chance.one_in(3);
        let mut bills = Vec::new();
        if unique && chance.one_in(2) {
            let body = Digest::of(FOREIGN);
            bills.push(Bill { key: bill_key(0, 0), id: FOREIGN.into(), body, audited: true });
        }
        Self {
            chance,
            rules,
            unique,
            upsert: false,
            now_ms: 0,
            up_since_ms: 0,
            records,
            subjects: vec![Subject::default(); DOCUMENTS],
            agenda: BTreeMap::new(),
            arrivals: 0,
            bills,
            newest: BTreeMap::new(),
            trouble: true,
            edits: BTreeMap::new(),
            story: vec![format!("seed {seed}, {on_change:?}")],
        }
    }

    /// A target that cannot be asked, and where the same bytes twice are the same as once.
    fn upsert(seed: u64, sabotage: Sabotage) -> Self {
        let mut world = Self::new(seed, sabotage);
        (world.rules.target_askable, world.rules.target_resend) = (false, Resend::SafeUpsert);
        (world.unique, world.upsert) = (false, true);
        world.bills.clear();
        world
    }

    /// Lives through some trouble and comes to rest; the violation that was found, if one was.
    fn run(mut self) -> Result<(), String> {
        for document in 0..DOCUMENTS {
            self.poll(document)?;
        }
        let steps = 40 + self.chance.below(60);
        for _ in 0..steps {
            match self.chance.below(12) {
                0 | 1 => self.change()?,
                2 => self.crash()?,
                3 => {
                    let document = self.chance.below(DOCUMENTS as u64) as usize;
                    self.person(document)?;
                }
                4 => {
                    let document = self.chance.below(DOCUMENTS as u64) as usize;
                    self.poll(document)?;
                }
                _ => self.advance()?,
            }
        }
        self.trouble = false;
        for document in 0..DOCUMENTS {
            self.poll(document)?;
        }
        let mut turns = 0;
        while !self.agenda.is_empty() {
            self.advance()?;
            turns += 1;
            if turns > 5_000 {
                return self.violation("the world does not come to rest");
            }
        }
        self.at_rest()
    }

    fn violation<T>(&self, what: &str) -> Result<T, String> {
        let story = self.story.join("\n");
        Err(format!("{what}\n{story}\nbills: {:#?}\nsubjects: {:#?}", self.bills, self.subjects))
    }

    fn later(&mut self, wait_ms: u64, errand: Errand) {
        self.arrivals += 1;
        self.agenda.insert((self.now_ms + wait_ms, self.arrivals), errand);
    }

    fn change(&mut self) -> Result<(), String> {
        let document = self.chance.below(DOCUMENTS as u64) as usize;
        let cancelled = self.chance.one_in(10);
        let record = &mut self.records[document];
        record.revision += 1;
        record.cancelled |= cancelled;
        self.poll(document)
    }

    fn poll(&mut self, document: usize) -> Result<(), String> {
        let Record { revision, cancelled, .. } = self.records[document];
        self.take(document, &Event::Received { body: body(document, revision), cancelled, fault: None })
    }

    /// What is committed stays; what was on its way to us is lost; what the target had taken in, it carries out.
    fn crash(&mut self) -> Result<(), String> {
        self.story.push(format!("{} ms: crash", self.now_ms));
        self.up_since_ms = self.now_ms;
        self.agenda.retain(|_, errand| matches!(errand, Errand::Commit { .. }));
        for document in 0..DOCUMENTS {
            if self.subjects[document].has_work() {
                self.take(document, &Event::Restarted)?;
            }
        }
        // What was not durable is read again.
        for document in 0..DOCUMENTS {
            self.poll(document)?;
        }
        Ok(())
    }

    /// A person looks at what is parked. Their word is true: "I checked" is said only of what is not there and cannot
    /// come any more.
    fn person(&mut self, document: usize) -> Result<(), String> {
        let Some((version, fault)) = self.subjects[document].parked().last().map(|(v, fault)| (v.number, fault.code))
        else {
            return Ok(());
        };
        let coming = self
            .agenda
            .values()
            .any(|errand| matches!(errand, Errand::Commit { document: whose, .. } if *whose == document));
        let there = self.bills.iter().any(|bill| bill.key.as_str().starts_with(&format!("D{document}-")));
        let mode = match self.chance.below(3) {
            0 => RetryMode::Plain,
            1 => RetryMode::AfterVerify,
            _ if coming || there => RetryMode::Plain,
            _ => RetryMode::IChecked,
        };
        if self.chance.one_in(5) {
            let body = Digest::of(format!("edit {} of document {document}", self.edits.len()));
            self.edits.insert(body, document);
            return self.take(document, &Event::Edited { version, body, by: None });
        }
        if self.chance.one_in(8) {
            return self.take(document, &Event::Erased { reason: "asked for".into(), by: None });
        }
        if self.chance.one_in(6) && fault != Code::WriteUnknown {
            return self.take(document, &Event::Discard { version, reason: "enough".into(), by: None });
        }
        self.take(document, &Event::Retry { version, mode, module: None, by: None })
    }

    fn advance(&mut self) -> Result<(), String> {
        let Some(((due_ms, _), errand)) = self.agenda.pop_first() else { return Ok(()) };
        self.now_ms = self.now_ms.max(due_ms);
        match errand {
            Errand::Tell(document, event) => self.take(document, &event),
            Errand::Do(document, action) => self.act(document, action),
            Errand::Commit { target, step, .. } if self.is_taken(&target, step) => Ok(()),
            Errand::Commit { target, step, body, revision, .. } => {
                self.carry_out(&target, step, body, revision).map(drop)
            }
        }
    }

    fn take(&mut self, document: usize, event: &Event) -> Result<(), String> {
        self.story.push(format!("{} ms: {document} {event:?}", self.now_ms));
        let moment =
            Moment { now: at(self.now_ms), dice: self.chance.next() as u32, at_work_since: at(self.up_since_ms) };
        let Ok(stepped) = step(&self.subjects[document], event, moment, &self.rules) else { return Ok(()) };
        // A sabotaged rule breaks invariants before it does harm; what is to be seen here is the harm.
        if self.rules.sabotage == Sabotage::None {
            assert_invariants(&stepped.subject);
        }
        self.subjects[document] = stepped.subject;
        for action in stepped.actions {
            self.story.push(format!("    -> {action:?}"));
            let wait_ms = match &action {
                Action::Transform { not_before, .. }
                | Action::Enqueue { not_before, .. }
                | Action::Ask { not_before, .. } => not_before
                    .map_or(0, |time| u64::try_from(time.duration_since(at(self.now_ms)).as_millis()).unwrap_or(0)),
                // The table is fetched some time.
                Action::Await { .. } => 40,
                Action::Send { .. } | Action::Parked { .. } | Action::Finished { .. } => 0,
            };
            let wait_ms = wait_ms + self.chance.below(3);
            self.later(wait_ms, Errand::Do(document, action));
        }
        Ok(())
    }

    fn act(&mut self, document: usize, action: Action) -> Result<(), String> {
        match action {
            Action::Transform { version, .. } | Action::Await { version } => {
                let event = self.transform(document, version);
                let wait_ms = self.chance.below(20);
                event.map_or(Ok(()), |event| {
                    self.later(wait_ms, Errand::Tell(document, event));
                    Ok(())
                })
            }
            Action::Enqueue { version, target, .. } => {
                let deadline = at(self.now_ms + TIMEOUT_MS);
                self.take(document, &Event::Dispatched { version, target, deadline })
            }
            Action::Send { version, target, step, body, attempt, .. } => {
                self.send(document, version, target, step, body, attempt)
            }
            Action::Ask { version, target, .. } => self.ask(document, version, target),
            Action::Parked { .. } | Action::Finished { .. } => Ok(()),
        }
    }

    fn transform(&mut self, document: usize, version: u64) -> Option<Event> {
        let found = self.subjects[document].version(version)?;
        let (cancelled, found) = (found.cancelled, found.body);
        let bills_of: Box<dyn Fn(u64) -> Digest> = if self.edits.contains_key(&found) {
            Box::new(move |bill| bill_of_edit(found, bill))
        } else {
            let revision = (0..=self.records[document].revision).find(|at| body(document, *at) == found)?;
            Box::new(move |bill| bill_body(document, revision, bill))
        };
        let bills = self.records[document].bills;
        let reason = || Reason { code: "r".into(), message: "m".into(), field: None };
        let verdict = match self.chance.below(if self.trouble { 14 } else { 100 }) {
            0 => Verdict::Reject(reason()),
            1 => Verdict::Fault(Fault::retry(Code::GuestDeadline, None, "slow")),
            2 => Verdict::Waits { table: "t".into(), key: "k".into(), at: at(self.now_ms) },
            _ if cancelled => Verdict::Skip(reason()),
            _ => Verdict::Emit(
                (0..bills)
                    .map(|bill| Emitted {
                        key: bill_key(document, bill),
                        body: bills_of(bill),
                        taken_by: None,
                        frozen: None,
                    })
                    .collect(),
            ),
        };
        Some(Event::Transformed { version, module: Digest::of("module"), fuel: 1, verdict })
    }

    fn send(
        &mut self,
        document: usize,
        version: u64,
        target: TargetKey,
        step: Step,
        body: Digest,
        attempt: u32,
    ) -> Result<(), String> {
        let revision = version;
        let (number, key) = (version, target.clone());
        let answer = |answer| Event::Answered { version: number, target: key.clone(), attempt, answer };
        let failed = |fault, may_have_written| Event::Failed {
            version: number,
            target: key.clone(),
            attempt,
            fault,
            may_have_written,
        };
        let travel_ms = self.chance.below(50);
        let lost = || failed(Fault::retry(Code::VendorTimeout, None, "no answer"), true);
        let luck = if self.trouble { self.chance.below(12) } else { 99 };
        if self.is_taken(&target, step) && luck > 2 {
            let code = DUPLICATE_NUMBER.into();
            let event = answer(Told::Refused { code, message: "number taken".into(), saved: None });
            self.later(travel_ms, Errand::Tell(document, event));
            return Ok(());
        }
        let event = match luck {
            // The request was taken in, the connection dropped, and it is carried out late, before it has settled.
            0..=2 => {
                let late_ms = self.chance.below(TIMEOUT_MS + SETTLE_MS - 100);
                self.later(late_ms, Errand::Commit { document, target: target.clone(), step, body, revision });
                lost()
            }
            3 => lost(),
            4 => failed(Fault::retry(Code::VendorUnreachable, None, "no connection"), false),
            5 => answer(Told::Refused { code: "7".into(), message: "no".into(), saved: None }),
            6 => {
                let fault = Fault::park(Code::TargetRefused, "all of it");
                let others = self.chance.below(3) as usize;
                match others {
                    0 => failed(fault, false),
                    _ => Event::RefusedTogether { version: number, target: key.clone(), attempt, fault, others },
                }
            }
            7 if step == Step::Create || step == Step::Update => {
                let id = self.carry_out(&target, step, body, revision)?;
                self.audit(&target, false);
                answer(Told::Refused {
                    code: "8".into(),
                    message: "not audited".into(),
                    saved: Some((id, Step::Audit)),
                })
            }
            8 => {
                self.carry_out(&target, step, body, revision)?;
                answer(Told::Unmentioned)
            }
            9 if step == Step::Create => {
                let id = self.carry_out(&target, step, body, revision)?;
                self.audit(&target, false);
                answer(Told::Done { id: Some(id), next: Some(Step::Audit) })
            }
            _ => {
                let id = self.carry_out(&target, step, body, revision)?;
                let next = (step == Step::Unaudit).then_some(Step::Update);
                answer(Told::Done { id: Some(id), next })
            }
        };
        self.later(travel_ms, Errand::Tell(document, event));
        Ok(())
    }

    fn is_taken(&self, target: &TargetKey, step: Step) -> bool {
        self.unique && step == Step::Create && self.bills.iter().any(|bill| bill.key == *target)
    }

    /// The target does what it is told. It would even make the same bill twice: that is what must not happen.
    fn carry_out(&mut self, target: &TargetKey, step: Step, body: Digest, revision: u64) -> Result<String, String> {
        self.story.push(format!("{} ms: the target carries out {step:?} of {target}, version {revision}", self.now_ms));
        let newest = self.newest.entry(target.clone()).or_default();
        if revision < *newest {
            return self.violation("an older version was written after a newer one");
        }
        *newest = revision;
        let standing = self.bills.iter_mut().find(|bill| bill.key == *target);
        if let (true, Step::Create, Some(bill)) = (self.upsert, step, standing) {
            if bill.body != body {
                return self.violation("a bill was made over another");
            }
            bill.audited = true;
            return Ok(bill.id.clone());
        }
        if step == Step::Create {
            let id = format!("id {}", self.bills.len());
            self.bills.push(Bill { key: target.clone(), id: id.clone(), body, audited: true });
            if self.bills.iter().filter(|bill| bill.key == *target).count() > 1 {
                return self.violation("a bill stands twice");
            }
            return Ok(id);
        }
        let Some(bill) = self.bills.iter_mut().find(|bill| bill.key == *target) else {
            return self.violation("a step on a bill that does not exist");
        };
        if bill.id == FOREIGN {
            return self.violation("somebody else's bill was touched");
        }
        match step {
            Step::Unaudit => bill.audited = false,
            Step::Update => (bill.body, bill.audited) = (body, true),
            Step::Submit | Step::Audit | Step::Create => bill.audited = true,
        }
        Ok(bill.id.clone())
    }

    fn audit(&mut self, target: &TargetKey, audited: bool) {
        self.bills.iter_mut().filter(|bill| bill.key == *target).for_each(|bill| bill.audited = audited);
    }

    fn ask(&mut self, document: usize, version: u64, target: TargetKey) -> Result<(), String> {
        let Some(version_row) = self.subjects[document].version(version) else { return Ok(()) };
        let Phase::Writing { targets } = &version_row.phase else { return Ok(()) };
        let Some(intended) = targets.iter().find(|write| write.key == target).map(|write| write.body) else {
            return Ok(());
        };
        if !self.rules.target_askable {
            return self.violation("a target that cannot be asked was asked");
        }
        let travel_ms = self.chance.below(50);
        if self.trouble && self.chance.one_in(6) {
            let fault = Fault::retry(Code::VendorError, None, "502");
            self.later(travel_ms, Errand::Tell(document, Event::AskFailed { version, target, fault }));
            return Ok(());
        }
        let finding = match self.bills.iter().find(|bill| bill.key == target) {
            None => Seen::Absent,
            Some(bill) if bill.body == intended => {
                Seen::Ours { id: bill.id.clone(), next: (!bill.audited).then_some(Step::Audit) }
            }
            Some(bill) => {
                let next = Some(if bill.audited { Step::Unaudit } else { Step::Update });
                Seen::Differs { id: bill.id.clone(), next, differences: Vec::new() }
            }
        };
        let asked_at = at(self.now_ms);
        self.later(travel_ms, Errand::Tell(document, Event::Found { version, target, asked_at, finding }));
        Ok(())
    }

    /// Nothing is lost: the latest version of each record stands, or it is plain why it does not.
    fn at_rest(&self) -> Result<(), String> {
        for (document, subject) in self.subjects.iter().enumerate() {
            let Some(latest) = subject.latest() else { return self.violation("a record was lost") };
            let record = &self.records[document];
            if latest.served() != body(document, record.revision) {
                return self.violation("the latest revision was lost");
            }
            if subject.has_work() {
                return self.violation("work was forgotten");
            }
            match &latest.phase {
                Phase::Done { end: End::Written | End::Unchanged, .. } => {
                    for bill in 0..record.bills {
                        let wanted = match latest.edited {
                            Some(_) => bill_of_edit(latest.body, bill),
                            None => bill_body(document, record.revision, bill),
                        };
                        let mut standing = self.bills.iter().filter(|one| one.key == bill_key(document, bill));
                        if !standing.next().is_some_and(|bill| bill.body == wanted && bill.audited) {
                            return self.violation("a bill counts as written, and is not there as it should be");
                        }
                    }
                }
                Phase::Done { end: End::Skipped(_), .. } if record.cancelled => {}
                Phase::Done { end: End::Ignored, .. } if self.rules.on_change == OnChange::Ignore => {}
                Phase::Done { end: End::Discarded { .. }, .. } | Phase::Parked { .. } => {}
                Phase::Held if subject.parked().any(|(_, fault)| fault.code == Code::WriteUnknown) => {}
                other => return self.violation(&format!("a record rests in {other:?}")),
            }
        }
        Ok(())
    }
}

/// Worlds that a run of the tests lives through. A minute's work of a laptop is 500,000.
const WORLDS: u64 = 4_000;

fn first_violation(sabotage: Sabotage) -> Option<String> {
    (0..WORLDS).find_map(|seed| World::new(seed, sabotage).run().err())
}

fn first_violation_of_upserts(sabotage: Sabotage) -> Option<String> {
    (0..WORLDS).find_map(|seed| World::upsert(seed, sabotage).run().err())
}

#[test]
fn in_no_world_of_upserts_is_a_document_lost_or_overtaken_or_other_bytes_sent_in_doubt() {
    if let Some(violation) = first_violation_of_upserts(Sabotage::None) {
        panic!("{violation}");
    }
}

#[test]
fn a_world_of_upserts_that_does_not_settle_lets_an_old_version_come_behind_a_new_one() {
    let violation = first_violation_of_upserts(Sabotage::NoSettle).expect("nothing noticed that nobody settles");
    assert!(violation.starts_with("an older version was written after a newer one"), "{violation}");
}

#[test]
fn in_no_world_is_a_document_lost_or_written_twice_or_overtaken() {
    if let Some(violation) = first_violation(Sabotage::None) {
        panic!("{violation}");
    }
}

#[test]
fn a_world_that_does_not_verify_lost_answers_writes_twice() {
    let violation = first_violation(Sabotage::NoVerify).expect("nothing noticed that lost answers are not verified");
    assert!(violation.starts_with("a bill stands twice"), "{violation}");
}

#[test]
fn a_world_that_believes_absent_before_settling_writes_twice() {
    let violation = first_violation(Sabotage::NoSettle).expect("nothing noticed that nobody waits for settling");
    assert!(violation.starts_with("a bill stands twice"), "{violation}");
}
