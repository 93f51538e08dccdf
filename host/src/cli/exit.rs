//! Exit codes, the same for every command.

use std::process::ExitCode;

/// An exit code that is not success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Something did not work; standard error says what.
    Failed = 1,
    /// The arguments or the configuration are not usable; nothing was started.
    Usage = 2,
    /// `reconcile` alone: the comparison did not come to its end, so nobody knows whether there are differences.
    Unanswered = 3,
    /// Another engine holds the data directory.
    InUse = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl Exit {
    /// `reconcile` found differences: what did not work is not the comparison.
    pub const DIFFERENCES: Exit = Exit::Failed;
}

/// What `reconcile`'s help says of its exit codes.
pub const RECONCILE_HELP: &str = "Exit codes: 0 everything agrees; 1 differences were found; 2 arguments or \
     configuration not usable, nothing was started; 3 the comparison did not come to its end, standard error says why; \
     4 another engine holds the data directory.";

/// What every other command's help says of its exit codes.
pub const HELP: &str = "Exit codes: 0 done; 1 something did not work, standard error says what; \
     2 arguments or configuration not usable, nothing was started; 4 another engine holds the data directory.";
