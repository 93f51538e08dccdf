//! The errors of the layers below as problems, each variant on purpose.

use std::time::Duration;

use jiff::Timestamp;

use super::problem::{Answer, Code, Entry, Problem, QuotaHit};
use crate::config::{Objection, Severity};
use crate::daemon::{CompareError, FloorError, OfficeError};
use crate::fault;
use crate::pipeline::command::CommandError;
use crate::pipeline::ledger::Error as LedgerError;
use crate::pipeline::quota::Exceeded;
use crate::registry::Error as RegistryError;
use crate::telemetry::mask_text;

/// In `map_err`.
#[allow(clippy::needless_pass_by_value)]
pub fn registry_problem(error: RegistryError) -> Problem {
    let said = error.to_string();
    match error {
        RegistryError::NotFound { what, id } => Problem::no_such(what, &id),
        RegistryError::Exists { .. } => Problem::new(Code::Conflict, said),
        RegistryError::Conflict { .. } => Problem::new(Code::PreconditionFailed, said),
        RegistryError::InUse { by, .. } => {
            let user = |name| Entry { pointer: String::new(), detail: name, remedy: String::new() };
            Problem::new(Code::InUse, said).with_errors(by.into_iter().map(user).collect())
        }
        RegistryError::Immutable { .. } => Problem::new(Code::Immutable, said),
        RegistryError::Invalid { field, problem, remedy } => Problem::at(field, problem, remedy),
        RegistryError::Quota { quota, limit, used, resets_at } => over_quota(quota, limit, used, resets_at),
        RegistryError::ManagedByFile { .. } => Problem::new(Code::ManagedByFile, said),
        RegistryError::Policy { policy, remedy } => {
            let code = match policy {
                "require_signature" => Code::SignatureRequired,
                "require_clean_compare" => Code::CompareRequired,
                _ => Code::Forbidden,
            };
            let entry = Entry { pointer: String::new(), detail: said.clone(), remedy };
            Problem::new(code, said).with_errors(vec![entry])
        }
        RegistryError::State { problem, remedy } => {
            let entry = Entry { pointer: String::new(), detail: problem, remedy };
            Problem::new(Code::Conflict, said).with_errors(vec![entry])
        }
        RegistryError::Suspended { .. } => Problem::new(Code::Forbidden, said),
        RegistryError::Busy => Problem::new(Code::Unavailable, said).retry_after(Duration::from_secs(1)),
        RegistryError::Sealed(_) | RegistryError::Unopened { .. } => Problem::new(Code::Conflict, said),
        RegistryError::Row { .. } => Problem::internal(said),
        RegistryError::Store(error) => error.fault().into(),
    }
}

pub fn over_quota(quota: &str, limit: u64, used: u64, resets_at: Option<Timestamp>) -> Problem {
    let detail = format!("the tenant's quota {quota} is used up: {used} of {limit}");
    let hit = QuotaHit { quota: quota.into(), limit, used, resets_at: resets_at.map(|at| at.to_string()) };
    let problem = Problem::new(Code::Fault(fault::Code::QuotaExceeded), detail).with_quota(hit);
    match resets_at.map(|at| at.duration_since(Timestamp::now())) {
        Some(wait) => problem.retry_after(Duration::try_from(wait).unwrap_or_default()),
        None => problem,
    }
}

/// What was changed is changed; what runs did not follow, and says why.
pub fn floor_problem(error: FloorError) -> Problem {
    let said = mask_text(&error.to_string());
    match error {
        FloorError::NotFound(what) => Problem::new(Code::NotFound, format!("there is no such {what}")),
        FloorError::ManagedByFile => Problem::new(Code::ManagedByFile, said),
        FloorError::Objections(objections) => objected(&objections, ""),
        FloorError::StandsStill(_) => Problem::new(Code::Conflict, said),
        FloorError::Module(fault) => fault.into(),
        FloorError::Registry(error) => registry_problem(error),
        FloorError::Stopping => Problem::new(Code::Unavailable, said),
    }
}

/// After a change: a scheme that cannot follow says why where it is shown, and the change is made all the same.
pub fn followed(result: Result<(), FloorError>) -> Answer<()> {
    match result {
        Ok(())
        | Err(
            FloorError::Objections(_) | FloorError::StandsStill(_) | FloorError::Module(_) | FloorError::NotFound(_),
        ) => Ok(()),
        Err(error) => Err(floor_problem(error)),
    }
}

pub fn compare_problem(error: CompareError) -> Problem {
    let said = mask_text(&error.to_string());
    match error {
        CompareError::NotFound => Problem::new(Code::NotFound, said),
        CompareError::StandsStill(_) => Problem::new(Code::Conflict, said),
        CompareError::Module(fault) => fault.into(),
        CompareError::Busy => Problem::new(Code::TooManyRequests, said).retry_after(Duration::from_secs(5)),
        CompareError::Quota(Exceeded { quota, limit, used, until, .. }) => over_quota(&quota, limit, used, until),
        CompareError::Ledger(error) => ledger_problem(error),
        CompareError::Stopping => Problem::new(Code::Unavailable, said),
    }
}

/// The mistakes among what was objected to.
pub fn mistakes(objections: &[Objection]) -> Vec<Objection> {
    objections.iter().filter(|one| one.severity == Severity::Mistake).cloned().collect()
}

/// `below` is where in the body the settings stand that were judged.
pub fn objected(objections: &[Objection], below: &str) -> Problem {
    let code = Code::Fault(fault::Code::ConfigurationInvalid);
    Problem::new(code, "the settings are not usable; errors says what is wrong").with_errors(entries(objections, below))
}

pub fn entries(objections: &[Objection], below: &str) -> Vec<Entry> {
    let entry = |one: &Objection| Entry {
        pointer: format!("{below}{}", one.pointer()),
        detail: one.message.clone(),
        remedy: one.remedy.clone(),
    };
    objections.iter().map(entry).collect()
}

pub fn ledger_problem(error: LedgerError) -> Problem {
    match error {
        LedgerError::Store(error) => error.fault().into(),
        error => Problem::internal(error),
    }
}

/// Off the async threads, which answer others.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)
}

pub fn office_problem(error: OfficeError) -> Problem {
    let said = mask_text(&error.to_string());
    match error {
        OfficeError::NoSuchDocument(key, _) => Problem::no_such("document", &key),
        OfficeError::Command(CommandError::NoSuchDocument(key)) => Problem::no_such("document", key.as_str()),
        OfficeError::NoSuchScheme(..) | OfficeError::NoSuchConnection(..) | OfficeError::NoSuchTable(..) => {
            Problem::new(Code::NotFound, said)
        }
        OfficeError::Ambiguous(_)
        | OfficeError::NotFetched(_)
        | OfficeError::Capsule(_)
        | OfficeError::StandsStill(..)
        | OfficeError::Command(CommandError::Refused(_) | CommandError::NothingParked(_) | CommandError::Changed(_)) => {
            Problem::new(Code::Conflict, said)
        }
        OfficeError::OperatorsPause(_) => Problem::new(Code::PausedByOperator, said),
        OfficeError::Command(CommandError::Stopped(_)) => Problem::new(Code::Unavailable, said),
        OfficeError::NotUsable(_) => Problem::invalid(said),
        OfficeError::Ledger(error) => ledger_problem(error),
        OfficeError::Audit(error) | OfficeError::Registry(error) => registry_problem(error),
    }
}
