//! Runs a scheme's last documents through its module and through another one, and says where the two differ. Nothing is
//! committed, nothing is written, no table is fetched for it; it holds one document at a time and goes last in the
//! sandbox's line.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::capsule::Outcome;
use crate::fault::{Code, Fault};
use crate::model::{Digest, Document, DocumentKey, SchemeId, TenantId};
use crate::pipeline::gate::Gates;
use crate::pipeline::ledger::{Error as LedgerError, Ledger};
use crate::pipeline::quota::Exceeded;
use crate::pipeline::subject::{Subject, Version};
use crate::sandbox::{Call, Isolation, Limits, Module, Sandbox};
use crate::telemetry::SchemeRef;

use super::super::transformer::SandboxTransformer;
use super::Floor;

/// Documents that one comparison looks at. A thousand of them take a minute or two.
pub const LAST_LIMIT: usize = 1_000;
/// Documents of which the differences are told; of the others it is their number.
const TOLD_LIMIT: usize = 100;
/// Fields told of one document, and characters of each: a module may emit anything.
const FIELDS_LIMIT: usize = 20;
const FIELD_LIMIT: usize = 200;
/// Whoever waits for it waits for the module, not for the machine.
const PATIENCE: u64 = 5;
/// The most that one document's run takes, whatever the scheme may take and however patient we are: somebody waits, and
/// there are a thousand of them.
const DEADLINE_LIMIT_MS: u64 = 60_000;
const LOWEST: u8 = 0;
/// Documents that one look into the ledger brings.
const LOOK: usize = 500;

#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    #[error("there is no such scheme")]
    NotFound,
    #[error("the scheme stands still: {0}")]
    StandsStill(String),
    /// It is not for this scheme.
    #[error("{0}")]
    Module(Fault),
    #[error("a comparison of this tenant is under way already")]
    Busy,
    #[error("the tenant has used its {}", .0.quota)]
    Quota(Exceeded),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the engine is stopping")]
    Stopping,
}

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CompareReport {
    /// The module that runs.
    #[schema(value_type = String)]
    pub present: Digest,
    #[schema(value_type = String)]
    pub candidate: Digest,
    /// Documents that ran through both.
    pub documents: usize,
    /// Documents of which at least one field, or the outcome's kind, differs.
    pub differing: usize,
    /// Of these, those whose outcome is of another kind, or has another code.
    pub changed_outcomes: usize,
    /// Documents that ended at a look-up whose answer is not known now, in one of the two: nothing is known of them.
    pub undecided: usize,
    /// Documents that could have been compared.
    pub available: usize,
    /// Nothing differed, and nothing was undecided.
    pub clean: bool,
    pub present_fuel: FuelUse,
    pub candidate_fuel: FuelUse,
    /// The newest ones.
    pub differences: Vec<DocumentDifference>,
    pub differences_left_out: usize,
}

/// Fuel of the documents, beside what one document may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct FuelUse {
    pub p50: u64,
    pub p99: u64,
    pub most: u64,
    pub limit: u64,
    /// In thousandths of the limit.
    pub p50_permille: u64,
    pub p99_permille: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DocumentDifference {
    #[schema(value_type = String)]
    pub key: DocumentKey,
    pub version: u64,
    pub present: Compared,
    pub candidate: Compared,
    /// Where the outcomes differ, as JSON pointers below `/emit`, `/skip`, `/reject` or `/fault`.
    pub fields: Vec<String>,
    pub fields_left_out: usize,
}

/// What a module made of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Compared {
    /// `emit`, `skip`, `reject` or `fault`.
    pub outcome: String,
    /// Of a skip, a reject or a fault.
    pub code: Option<String>,
    /// Bills emitted.
    pub bills: usize,
    pub fuel: u64,
}

impl Floor {
    /// Runs the scheme's last documents through its module and through the candidate. It ends where nobody waits for it
    /// any more.
    pub async fn compare(
        &self,
        tenant: &TenantId,
        scheme: &SchemeId,
        candidate: Module,
        last: usize,
    ) -> Result<CompareReport, CompareError> {
        let name = SchemeRef { tenant: tenant.clone(), scheme: scheme.clone() };
        let desk = self.registers.office.desks.get(&name).ok_or(CompareError::NotFound)?;
        let works = desk.at_work().map_err(|error| CompareError::StandsStill(error.to_string()))?;
        works.transformer.fits(&candidate).map_err(CompareError::Module)?;
        let turns = {
            let mut comparing = self.comparing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            comparing.entry(tenant.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
        };
        let turn = turns.try_acquire_owned().map_err(|_| CompareError::Busy)?;
        let cancel = self.stop.child_token();
        let _gone = cancel.clone().drop_guard();
        let bench = Bench {
            sandbox: works.transformer.sandbox.with_priority(LOWEST),
            transformer: works.transformer.clone(),
            ledger: desk.ledger.clone(),
            gates: self.registers.gates.clone(),
            cancel,
        };
        let work = move || {
            let _turn = turn;
            bench.compare(&candidate, last.min(LAST_LIMIT))
        };
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(CompareError::Stopping))
    }
}

struct Bench {
    sandbox: Sandbox,
    transformer: Arc<SandboxTransformer>,
    ledger: Ledger,
    gates: Gates,
    cancel: CancellationToken,
}

/// One document's run.
struct Ran {
    outcome: Outcome,
    fuel: u64,
    is_decided: bool,
}

impl Bench {
    fn compare(&self, candidate: &Module, last: usize) -> Result<CompareReport, CompareError> {
        let present = self.transformer.current();
        let mut tally = Tally::default();
        let (newest, available) = self.newest(last)?;
        tally.available = available;
        for key in newest {
            if self.cancel.is_cancelled() {
                return Err(CompareError::Stopping);
            }
            let Some(subject) = self.ledger.subject(&key)? else { continue };
            let Some(version) = runnable(&subject) else { continue };
            let Some(body) = self.ledger.body(version.body)? else {
                tally.available = tally.available.saturating_sub(1);
                continue;
            };
            let number = version.number;
            let document = Document { key, body };
            let one = self.run(&present, version, &document)?;
            let other = self.run(candidate, version, &document)?;
            tally.take(document.key, number, &one, &other);
        }
        let limit = |module: &Module| (self.transformer.limits)(module.class()).fuel;
        Ok(tally.report((present.digest(), limit(&present)), (candidate.digest(), limit(candidate))))
    }

    /// In a fresh instance each, so that the fuel is what it is defined to be.
    fn run(&self, module: &Module, version: &Version, document: &Document) -> Result<Ran, CompareError> {
        let (transformer, now) = (&self.transformer, (self.transformer.now)());
        if let Some(exceeded) = self.gates.meter(&transformer.tenant).exceeded(now) {
            return Err(CompareError::Quota(exceeded));
        }
        let own = (transformer.limits)(module.class());
        let limits = within(own.clone(), self.gates.meter(&transformer.tenant).quota().fuel_per_minute);
        let context = transformer.context(version.received_at);
        let call = Call { context: &context, document, deadline_ms: Some(patient(limits.deadline_ms)) };
        let since = version.waits.as_ref().map_or(version.received_at, |waits| waits.since);
        let opened = transformer.catalogue.open(now);
        let view = opened.quiet_view(Some(since));
        let mut runs = self.sandbox.transform(module, &[call], Isolation::Document, &limits, &view);
        let run = runs.pop().ok_or(CompareError::Stopping)?;
        self.gates.meter(&transformer.tenant).charge(now, 0, run.fuel);
        let outcome = Outcome::from(&run.verdict);
        let undecided = [Code::ReferencePending, Code::GuestDeadline, Code::Internal].map(Code::as_str);
        // It ran dry here, and would not have in the scheme.
        let is_cut = |code: &str| code == Code::GuestFuelExhausted.as_str() && limits.fuel < own.fuel;
        let says_nothing = |code: &str| undecided.contains(&code) || is_cut(code);
        let is_decided = !matches!(&outcome, Outcome::Fault { code, .. } if says_nothing(code));
        Ok(Ran { outcome, fuel: run.fuel, is_decided })
    }

    /// The documents that were received last, the newest first, and how many there are in all. Walks over all of them, and
    /// holds so many.
    fn newest(&self, last: usize) -> Result<(Vec<DocumentKey>, usize), CompareError> {
        let mut available = 0;
        let mut newest = BinaryHeap::<Reverse<(Timestamp, DocumentKey)>>::new();
        let mut after: Option<DocumentKey> = None;
        loop {
            if self.cancel.is_cancelled() {
                return Err(CompareError::Stopping);
            }
            let subjects = self.ledger.subjects(after.as_ref(), LOOK)?;
            let Some((seen, _)) = subjects.last() else { break };
            after = Some(seen.clone());
            for (key, subject) in subjects {
                let Some(version) = runnable(&subject) else { continue };
                available += 1;
                newest.push(Reverse((version.received_at, key)));
                if newest.len() > last {
                    newest.pop();
                }
            }
        }
        let sorted = newest.into_sorted_vec();
        Ok((sorted.into_iter().map(|Reverse((_, key))| key).collect(), available))
    }
}

/// A scheme's limits may be as large as it likes, for its documents are charged one by one and wait. Here nothing waits: a
/// run takes no more than the tenant's whole minute has.
fn within(own: Limits, fuel_per_minute: Option<u64>) -> Limits {
    Limits { fuel: own.fuel.min(fuel_per_minute.unwrap_or(u64::MAX)), ..own }
}

fn patient(deadline_ms: u64) -> u64 {
    deadline_ms.saturating_mul(PATIENCE).min(DEADLINE_LIMIT_MS)
}

/// The version that can be run again: the newest, unless what it came with was taken away.
fn runnable(subject: &Subject) -> Option<&Version> {
    subject.latest().filter(|version| subject.removed_at(version.number).is_none())
}

#[derive(Default)]
struct Tally {
    documents: usize,
    differing: usize,
    changed_outcomes: usize,
    undecided: usize,
    available: usize,
    present: Vec<u64>,
    candidate: Vec<u64>,
    differences: Vec<DocumentDifference>,
}

impl Tally {
    fn take(&mut self, key: DocumentKey, version: u64, one: &Ran, other: &Ran) {
        if !(one.is_decided && other.is_decided) {
            self.undecided += 1;
            return;
        }
        self.documents += 1;
        self.present.push(one.fuel);
        self.candidate.push(other.fuel);
        let fields = one.outcome.differences(&other.outcome);
        let (present, candidate) = (compared(one), compared(other));
        let has_changed = (&present.outcome, &present.code) != (&candidate.outcome, &candidate.code);
        if fields.is_empty() && !has_changed {
            return;
        }
        self.differing += 1;
        self.changed_outcomes += usize::from(has_changed);
        if self.differences.len() < TOLD_LIMIT {
            let fields_left_out = fields.len().saturating_sub(FIELDS_LIMIT);
            let fields = fields.into_iter().take(FIELDS_LIMIT);
            let fields = fields.map(|field| field.at.chars().take(FIELD_LIMIT).collect()).collect();
            self.differences.push(DocumentDifference { key, version, present, candidate, fields, fields_left_out });
        }
    }

    fn report(self, present: (Digest, u64), candidate: (Digest, u64)) -> CompareReport {
        CompareReport {
            present: present.0,
            candidate: candidate.0,
            documents: self.documents,
            differing: self.differing,
            changed_outcomes: self.changed_outcomes,
            undecided: self.undecided,
            available: self.available,
            clean: self.differing == 0 && self.undecided == 0,
            present_fuel: fuel(self.present, present.1),
            candidate_fuel: fuel(self.candidate, candidate.1),
            differences_left_out: self.differing - self.differences.len(),
            differences: self.differences,
        }
    }
}

fn compared(ran: &Ran) -> Compared {
    let (outcome, code, bills) = match &ran.outcome {
        Outcome::Emit(bills) => ("emit", None, bills.len()),
        Outcome::Skip(why) => ("skip", Some(why.code.clone()), 0),
        Outcome::Reject(why) => ("reject", Some(why.code.clone()), 0),
        Outcome::Fault { code, .. } => ("fault", Some(code.clone()), 0),
    };
    let code = code.map(|code| code.chars().take(FIELD_LIMIT).collect());
    Compared { outcome: outcome.into(), code, bills, fuel: ran.fuel }
}

fn fuel(mut used: Vec<u64>, limit: u64) -> FuelUse {
    used.sort_unstable();
    // The smallest that at least so many hundredths are not above.
    let at = |hundredths: usize| {
        let rank = (used.len() * hundredths).div_ceil(100).max(1);
        used.get(rank - 1).copied().unwrap_or(0)
    };
    let permille = |fuel: u64| u64::try_from(u128::from(fuel) * 1_000 / u128::from(limit.max(1))).unwrap_or(u64::MAX);
    let (p50, p99) = (at(50), at(99));
    let (p50_permille, p99_permille) = (permille(p50), permille(p99));
    FuelUse { p50, p99, most: used.last().copied().unwrap_or(0), limit, p50_permille, p99_permille }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Reason, TargetDocument, TargetKey};
    use crate::sandbox::{ModuleClass, Settings};

    fn emits(body: &str, fuel: u64) -> Ran {
        let bill = TargetDocument { key: TargetKey::new("k").unwrap(), body: body.into() };
        Ran { outcome: Outcome::Emit(vec![bill]), fuel, is_decided: true }
    }

    fn skips(code: &str) -> Ran {
        let why = Reason { code: code.into(), message: String::new(), field: None };
        Ran { outcome: Outcome::Skip(why), fuel: 7, is_decided: true }
    }

    fn report(pairs: Vec<(Ran, Ran)>) -> CompareReport {
        let mut tally = Tally::default();
        for (number, (one, other)) in pairs.iter().enumerate() {
            tally.take(DocumentKey::new(format!("D{number}")).unwrap(), 1, one, other);
        }
        tally.report((Digest::of("one"), 1_000), (Digest::of("other"), 2_000))
    }

    #[test]
    fn equal_outcomes_are_clean_whatever_fuel_they_took() {
        let report =
            report((1..=100).map(|fuel| (emits("{\"a\":1}", fuel), emits("{ \"a\": 1 }", fuel * 10))).collect());
        assert!(report.clean && report.differences.is_empty(), "{report:?}");
        let fuel = report.present_fuel;
        assert_eq!((fuel.p50, fuel.p99, fuel.most, fuel.p50_permille, fuel.p99_permille), (50, 99, 100, 50, 99));
        assert_eq!(report.candidate_fuel.p99_permille, 495);
    }

    #[test]
    fn what_differs_is_told_field_by_field_and_a_changed_outcome_counts_as_such() {
        let report = report(vec![
            (emits("{\"a\":1,\"b\":{\"c\":2}}", 1), emits("{\"a\":1,\"b\":{\"c\":3}}", 1)),
            (emits("{}", 1), skips("void")),
            (skips("void"), skips("not_ours")),
            (skips("void"), skips("void")),
        ]);
        assert!(!report.clean);
        assert_eq!((report.documents, report.differing, report.changed_outcomes), (4, 3, 2));
        assert_eq!(report.differences[0].fields, ["/emit/0/body/b/c"]);
        assert_eq!(report.differences[1].candidate.code.as_deref(), Some("void"));
    }

    #[test]
    fn a_scheme_that_takes_as_much_as_it_likes_is_compared_within_the_tenants_minute() {
        let own = Limits { fuel: 1_000_000_000_000, ..Limits::of(&Settings::default(), ModuleClass::Standard) };
        assert_eq!(within(own.clone(), Some(50)), Limits { fuel: 50, ..own.clone() });
        assert_eq!(within(own.clone(), None), own);
        assert_eq!((patient(600_000), patient(2_000)), (60_000, 10_000));
    }

    #[test]
    fn a_document_that_could_not_be_decided_is_no_difference_and_not_clean() {
        let pending = Ran { is_decided: false, ..skips("x") };
        let report = report(vec![(skips("x"), pending)]);
        assert_eq!((report.documents, report.differing, report.undecided, report.clean), (0, 0, 1, false));
        assert_eq!(report.present_fuel.p99, 0);
    }

    #[test]
    fn a_report_is_small_however_much_differs() {
        let many = |value: u64| {
            let fields: Vec<String> = (0..500).map(|field| format!("\"{field:0>300}\":{value}")).collect();
            emits(&format!("{{{}}}", fields.join(",")), 1)
        };
        let report = report((0..300).map(|_| (many(1), many(2))).collect());
        assert_eq!((report.differing, report.differences.len(), report.differences_left_out), (300, 100, 200));
        let first = &report.differences[0];
        assert_eq!((first.fields.len(), first.fields_left_out), (20, 480));
        assert!(serde_json::to_string(&report).unwrap().len() < 700_000);
    }
}
