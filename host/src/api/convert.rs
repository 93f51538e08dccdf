//! The errors of the layers below as problems, each variant on purpose.

use std::time::Duration;

use jiff::Timestamp;

use super::problem::{Code, Entry, Problem, QuotaHit};
use crate::fault;
use crate::registry::Error as RegistryError;

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
        RegistryError::Sealed(_) | RegistryError::Row { .. } => Problem::internal(said),
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
