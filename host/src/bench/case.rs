//! Runs cases in the sandbox and says of each whether it gave what it should.

use crossdock_guest::testing::{Case, Difference, EXAMPLE, Unreadable};
use crossdock_guest::{Outcome as GuestOutcome, Reason as GuestReason, TargetDocument as GuestDocument};
use jiff::Timestamp;
use serde_json::Value;

use super::Laboratory;
use super::laboratory::Tables;
use crate::capsule::{Answers, Asked};
use crate::model::{Document, DocumentKey, Outcome, Reason, SchemeId, TenantId};
use crate::sandbox::{Call, Context, Isolation, Limits, LogLine, Module, References, Run};

/// A case to be run. What surrounds it is an example's, unless it was captured from production.
#[derive(Debug, Clone)]
pub struct Specimen {
    pub case: Case,
    pub captured: Option<Captured>,
}

/// What production surrounded a document with.
#[derive(Debug, Clone)]
pub struct Captured {
    pub context: Context,
    pub limits: Limits,
    pub lookups: Vec<Asked>,
}

impl From<Case> for Specimen {
    fn from(case: Case) -> Self {
        Self { case, captured: None }
    }
}

impl Specimen {
    /// What surrounds the document, and the document, as the sandbox takes them.
    pub fn surroundings(&self, module: &Module) -> Result<(Context, Document), String> {
        let (context, document) = surroundings(module, &self.case)?;
        Ok((self.captured.as_ref().map_or(context, |captured| captured.context.clone()), document))
    }

    pub fn limits<'a>(&'a self, usual: &'a Limits) -> &'a Limits {
        self.captured.as_ref().map_or(usual, |captured| &captured.limits)
    }
}

/// What became of one case.
#[derive(Debug, Clone)]
pub struct CaseRun {
    pub name: String,
    pub verdict: Verdict,
    /// `None` where nothing was run.
    pub used: Option<Used>,
    pub logs: Vec<LogLine>,
    pub logs_dropped: u64,
}

/// What one case took, and how large it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    pub fuel: u64,
    pub memory_bytes: u64,
    pub elapsed_us: u64,
    pub input_bytes: u64,
    /// Of the longest list of objects in the document.
    pub lines: u64,
    pub emitted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    /// It gave something else; never empty.
    Differs(Vec<Difference>),
    /// It gave what it should, and took more fuel than the case allows.
    FuelAboveCase {
        allowed: u64,
    },
    /// Nobody has said what it should give.
    NoExpectation,
    /// The module failed: the fault's code, and its words.
    Fault {
        code: &'static str,
        message: String,
    },
    /// The case cannot be run as it stands.
    Unreadable {
        problem: String,
    },
}

/// A case and what came of it, for whoever writes expectations.
pub struct Answered {
    pub case: Case,
    pub outcome: Option<GuestOutcome>,
}

/// Runs cases one by one, each in a fresh instance; or each in an instance that has run it before, which shows a mapping
/// that keeps something from one document to the next.
pub fn run(
    laboratory: &Laboratory,
    module: &Module,
    cases: Vec<Result<Specimen, Unreadable>>,
    isolation: Isolation,
    limits: &Limits,
) -> Vec<(CaseRun, Option<Answered>)> {
    cases.into_iter().map(|case| one(laboratory, module, case, isolation, limits)).collect()
}

fn one(
    laboratory: &Laboratory,
    module: &Module,
    specimen: Result<Specimen, Unreadable>,
    isolation: Isolation,
    limits: &Limits,
) -> (CaseRun, Option<Answered>) {
    let unreadable = |name: String, problem: String| {
        let verdict = Verdict::Unreadable { problem };
        (CaseRun { name, verdict, used: None, logs: Vec::new(), logs_dropped: 0 }, None)
    };
    let specimen = match specimen {
        Ok(specimen) => specimen,
        Err(Unreadable { name, problem }) => return unreadable(name, problem),
    };
    let (context, document) = match specimen.surroundings(module) {
        Ok(surroundings) => surroundings,
        Err(problem) => return unreadable(specimen.case.name, problem),
    };
    let limits = specimen.limits(limits).clone();
    let Specimen { case, captured } = specimen;
    let tables = Tables(case.tables.clone());
    let answers = captured.map(|captured| Answers::new(&captured.lookups));
    let references: &dyn References = match &answers {
        Some(answers) => answers,
        None => &tables,
    };
    let call = Call { context: &context, document: &document, deadline_ms: None };
    let calls = match isolation {
        Isolation::Document => vec![call],
        Isolation::Batch => vec![call, call],
    };
    let runs = laboratory.run_all(module, &calls, isolation, &limits, references);
    let Some(run) = runs.into_iter().next_back() else {
        return unreadable(case.name, "the sandbox gave no answer".into());
    };
    if let Some((table, key)) = answers.and_then(|answers| answers.missed()) {
        return unreadable(case.name, unanswered(&table, &key));
    }
    judge(case, run)
}

/// A look-up that a capsule has no answer to.
pub fn unanswered(table: &str, key: &str) -> String {
    format!(
        "the module looks up {key:?} in {table}, which the capsule's did not; `crossdock replay --as-case` makes a case of \
         the capsule, to which the entry can be added"
    )
}

fn judge(case: Case, run: Run) -> (CaseRun, Option<Answered>) {
    let outcome = run.verdict.as_ref().map(guest_outcome);
    let used = Used {
        fuel: run.fuel,
        memory_bytes: run.memory_bytes,
        elapsed_us: u64::try_from(run.elapsed.as_micros()).unwrap_or(u64::MAX),
        input_bytes: case.document.body.len() as u64,
        lines: lines(&case.document.body),
        emitted: matches!(outcome, Ok(GuestOutcome::Emit(_))),
    };
    let verdict = match (&outcome, &case.expected) {
        (Err(error), _) => {
            let fault = error.fault();
            Verdict::Fault { code: fault.code.as_str(), message: fault.to_string() }
        }
        (Ok(_), None) => Verdict::NoExpectation,
        (Ok(outcome), Some(expected)) => match (expected.differences(outcome), case.fuel) {
            (differences, _) if !differences.is_empty() => Verdict::Differs(differences),
            // Fuel is defined on a fresh instance.
            (_, Some(allowed)) if !run.fuel_shared && run.fuel > allowed => Verdict::FuelAboveCase { allowed },
            _ => Verdict::Passed,
        },
    };
    let case_run = CaseRun {
        name: case.name.clone(),
        verdict,
        used: Some(used),
        logs: run.logs.clone(),
        logs_dropped: run.logs_dropped,
    };
    let outcome = outcome.ok();
    (case_run, Some(Answered { case, outcome }))
}

/// What surrounds a case's document, and the document, as the sandbox takes them.
fn surroundings(module: &Module, case: &Case) -> Result<(Context, Document), String> {
    let said = module.description();
    let received_at: Timestamp =
        case.received_at.parse().map_err(|error| format!("received_at {:?}: {error}", case.received_at))?;
    let context = Context {
        tenant: TenantId::new(EXAMPLE).map_err(|error| error.to_string())?,
        scheme: SchemeId::new(EXAMPLE).map_err(|error| error.to_string())?,
        source: said.source.as_str().into(),
        target: said.target.as_str().into(),
        parameters: case.parameters.as_str().into(),
        received_at,
    };
    let key = DocumentKey::new(case.document.key.clone()).map_err(|error| format!("the document's key {error}"))?;
    Ok((context, Document { key, body: case.document.body.clone() }))
}

/// The host's outcome as the SDK knows it, whose expectations it is compared with.
pub fn guest_outcome(outcome: &Outcome) -> GuestOutcome {
    let reason = |reason: &Reason| GuestReason {
        code: reason.code.clone(),
        message: reason.message.clone(),
        field: reason.field.clone(),
    };
    match outcome {
        Outcome::Emit(bills) => GuestOutcome::Emit(
            bills.iter().map(|bill| GuestDocument { key: bill.key.to_string(), body: bill.body.clone() }).collect(),
        ),
        Outcome::Skip(why) => GuestOutcome::Skip(reason(why)),
        Outcome::Reject(why) => GuestOutcome::Reject(reason(why)),
    }
}

/// Lines of a document: the longest list of objects in it.
pub fn lines(body: &str) -> u64 {
    fn longest(value: &Value) -> usize {
        match value {
            Value::Array(rows) => {
                let own = rows.iter().filter(|row| row.is_object()).count();
                rows.iter().map(longest).max().unwrap_or(0).max(own)
            }
            Value::Object(fields) => fields.values().map(longest).max().unwrap_or(0),
            _ => 0,
        }
    }
    serde_json::from_str(body).map_or(0, |value| longest(&value) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_list_of_objects_counts_as_lines() {
        for (body, count) in [
            ("{}", 0),
            ("not JSON", 0),
            (r#"{"a":[1,2,3],"items":[{},{}]}"#, 2),
            (r#"{"head":{"rows":[{"x":[{},{},{}]}]}}"#, 3),
            (r#"[{},{}]"#, 2),
        ] {
            assert_eq!(lines(body), count, "{body}");
        }
    }
}
