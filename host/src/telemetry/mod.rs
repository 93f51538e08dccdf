//! What the engine says of itself: log lines, metrics, alerts. Nothing here decides anything, and nothing waits for it:
//! a webhook that is down or a log that is slow never holds a document up.
//!
//! Personal data passes [`mask_json`] or [`mask_text`] before it is shown to anyone who did not ask for it.

mod alert;
mod log;
mod mask;
mod metrics;

use std::fmt;

use crate::model::{SchemeId, TenantId};

pub use alert::{Alert, AlertKind, AlertSettings, AlertWorker, Alerts, Post, Subject};
pub use log::{InitError, LogFormat, check_level, init};
pub use mask::{Personal, is_identifier, is_personal_field, mask_json, mask_text, replace_patterns};
pub use metrics::{HOLD_REASONS, Metrics, Outcome, RoadNumbers, Stage, TableNumbers};

/// A scheme by its full name: its own is unique only within its tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemeRef {
    pub tenant: TenantId,
    pub scheme: SchemeId,
}

/// Whether a person means this scheme: by its name, or as `TENANT/SCHEME` where several tenants have one of that name.
pub fn is_named(tenant: &TenantId, scheme: &SchemeId, text: &str) -> bool {
    match text.split_once('/') {
        Some((of, name)) => of == tenant.as_str() && name == scheme.as_str(),
        None => text == scheme.as_str(),
    }
}

impl fmt::Display for SchemeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.scheme)
    }
}
