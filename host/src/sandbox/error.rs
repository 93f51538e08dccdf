//! Everything that can go wrong in the sandbox, one variant per limit, with the facts.

use crate::fault::{Code, Fault};

/// Why a module was not taken or a document has no outcome. Plain facts: [`Error::fault`] judges them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the module used all its fuel")]
    FuelExhausted { limit: u64 },
    #[error("the module did not finish within {limit_ms} ms, with {fuel_left} units of fuel left")]
    DeadlinePassed { limit_ms: u64, elapsed_ms: u64, fuel_left: u64 },
    /// `wanted` is what the store would have held after the growth that was denied.
    #[error("the module asked for more memory than it may have, and failed without it: {trap}")]
    MemoryExhausted { limit: u64, wanted: u64, trap: String },
    #[error("the module asked for more table elements than it may have, and failed without them: {trap}")]
    TableExhausted { limit: u64, wanted: u64, trap: String },
    #[error("the module recursed too deep")]
    StackOverflow { limit: u64 },
    #[error("the module trapped: {trap}")]
    Trap { trap: String },
    /// More bytes in one crossing than the host is willing to lift.
    #[error("the module handed over more bytes in one crossing than the host takes")]
    CrossingTooLarge { limit: u64 },
    #[error("the bills of one outcome are too large together")]
    OutputTooLarge { limit: u64, used: u64 },
    #[error("the outcome holds too many bills")]
    TooManyTargetDocuments { limit: u64, used: u64 },
    #[error("the module called the host too often")]
    HostCallsExhausted { limit: u64 },
    #[error("the answers to the module's look-ups are too large together")]
    LookupBytesExhausted { limit: u64, used: u64 },
    #[error("the module called {function}, which the empty WASI does not have")]
    WasiUnsupported { function: String },
    #[error("the module ended itself with exit instead of giving an outcome")]
    Exited { code: u8 },
    #[error("the module emitted an empty list; \"nothing to do\" is said with skip")]
    EmptyEmit,
    #[error("{problem}")]
    OutcomeInvalid { problem: String },
    #[error("the look-up of {key:?} in {table:?} waits for the table")]
    ReferencePending { table: String, key: String },
    #[error("the document's body is larger than the scheme takes")]
    DocumentTooLarge { limit: u64, used: u64 },
    #[error("the scheme's parameters are too large")]
    ParametersTooLarge { limit: u64, used: u64 },
    /// All reasons at once.
    #[error("the module cannot be run: {}", problems.join("; "))]
    ModuleRefused { problems: Vec<String> },
    /// A limit of the pre-scan or of the compiling child; `used` is at least what was seen.
    #[error("the module is over a limit of its class: {limit_name}")]
    CompileLimit { limit_name: &'static str, limit: u64, used: u64 },
    /// Where artefacts are kept cannot be read or written.
    #[error("artefact store: {problem}")]
    Artefacts { problem: String },
    #[error("the sandbox failed: {problem}")]
    Internal { problem: String },
}

impl Error {
    /// Whose fault it is and what happens next.
    pub fn fault(&self) -> Fault {
        let said = self.to_string();
        match self {
            Error::FuelExhausted { limit } => {
                Fault::park(Code::GuestFuelExhausted, said).with_limit("fuel", *limit, *limit)
            }
            // As likely our machine as their module: the driver counts the attempts and parks.
            Error::DeadlinePassed { limit_ms, elapsed_ms, .. } => {
                Fault::retry(Code::GuestDeadline, None, said).with_limit("deadline_ms", *limit_ms, *elapsed_ms)
            }
            Error::MemoryExhausted { limit, wanted, .. } => {
                Fault::park(Code::GuestMemoryExhausted, said).with_limit("memory_limit_bytes", *limit, *wanted)
            }
            Error::TableExhausted { limit, wanted, .. } => {
                Fault::park(Code::GuestTableExhausted, said).with_limit("table_elements_limit", *limit, *wanted)
            }
            Error::StackOverflow { limit } => {
                Fault::park(Code::GuestStackOverflow, said).with_limit("stack_limit_bytes", *limit, *limit)
            }
            Error::Trap { .. } | Error::Exited { .. } => Fault::park(Code::GuestTrap, said),
            Error::CrossingTooLarge { limit } => Fault::park(Code::GuestOutputTooLarge, said).with_limit(
                "hostcall_bytes",
                *limit,
                limit.saturating_add(1),
            ),
            Error::OutputTooLarge { limit, used } => {
                Fault::park(Code::GuestOutputTooLarge, said).with_limit("output_limit_bytes", *limit, *used)
            }
            Error::TooManyTargetDocuments { limit, used } => {
                Fault::park(Code::GuestOutputTooLarge, said).with_limit("output_documents_limit", *limit, *used)
            }
            Error::HostCallsExhausted { limit } => Fault::park(Code::GuestHostCallsExhausted, said).with_limit(
                "host_calls_limit",
                *limit,
                limit.saturating_add(1),
            ),
            Error::LookupBytesExhausted { limit, used } => {
                Fault::park(Code::GuestHostCallsExhausted, said).with_limit("lookup_limit_bytes", *limit, *used)
            }
            Error::WasiUnsupported { .. } => Fault::park(Code::GuestWasiUnsupported, said),
            Error::EmptyEmit => Fault::park(Code::EmptyEmit, said),
            Error::OutcomeInvalid { .. } => Fault::park(Code::GuestOutputInvalid, said),
            // The host refreshes the table and runs the document again.
            Error::ReferencePending { .. } => Fault::retry(Code::ReferencePending, None, said),
            Error::DocumentTooLarge { limit, used } => {
                Fault::park(Code::DocumentTooLarge, said).with_limit("input_limit_bytes", *limit, *used)
            }
            Error::ParametersTooLarge { limit, used } => {
                Fault::park(Code::ParametersInvalid, said).with_limit("parameters_limit_bytes", *limit, *used)
            }
            Error::ModuleRefused { .. } => Fault::park(Code::ModuleRefused, said),
            Error::CompileLimit { limit_name, limit, used } => {
                Fault::park(Code::ModuleCompileLimit, said).with_limit(limit_name, *limit, *used)
            }
            Error::Artefacts { .. } => Fault::new(
                Code::Internal,
                crate::fault::Disposition::StopScheme,
                "the engine cannot reach its compiled modules",
            )
            .with_internal(said),
            Error::Internal { .. } => Fault::new(
                Code::Internal,
                crate::fault::Disposition::StopScheme,
                "the sandbox failed; the document is kept",
            )
            .with_internal(said),
        }
    }

    pub(super) fn refused(problem: impl Into<String>) -> Self {
        Error::ModuleRefused { problems: vec![problem.into()] }
    }
}
