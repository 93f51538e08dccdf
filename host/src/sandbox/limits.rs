//! The limits of one call, as a scheme may set them.

use serde::{Deserialize, Serialize};

use super::settings::{ModuleClass, Settings};

/// What one document may use. Made from [`Settings`] for a class of modules; a scheme may override each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub fuel: u64,
    pub deadline_ms: u64,
    /// Over [`Settings::memory_ceiling_bytes`] it counts as that.
    pub memory_limit_bytes: u64,
    pub table_elements_limit: u64,
    pub input_limit_bytes: u64,
    pub output_limit_bytes: u64,
    pub output_documents_limit: u64,
    pub host_calls_limit: u64,
    pub lookup_limit_bytes: u64,
    pub log_lines_limit: u64,
    pub log_limit_bytes: u64,
}

impl Limits {
    /// What a document may use of a module of this class, where its scheme says nothing else.
    pub fn of(settings: &Settings, class: ModuleClass) -> Self {
        let (fuel, deadline_ms) = match class {
            ModuleClass::Standard => (settings.fuel, settings.deadline_ms),
            ModuleClass::Interpreter => (settings.interpreter_fuel, settings.interpreter_deadline_ms),
        };
        Self {
            fuel,
            deadline_ms,
            memory_limit_bytes: settings.memory_limit_bytes,
            table_elements_limit: settings.table_elements_limit,
            input_limit_bytes: settings.input_limit_bytes,
            output_limit_bytes: settings.output_limit_bytes,
            output_documents_limit: settings.output_documents_limit,
            host_calls_limit: settings.host_calls_limit,
            lookup_limit_bytes: settings.lookup_limit_bytes,
            log_lines_limit: settings.log_lines_limit,
            log_limit_bytes: settings.log_limit_bytes,
        }
    }
}
