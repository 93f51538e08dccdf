//! What went wrong, whose fault it is, and what happens next.
//!
//! This module owns the classes, the codes and the dispositions. Each layer keeps an error type of its own with the
//! facts in its variants and turns it into a [`Fault`] in a `match` without a wildcard, so that a new error makes
//! somebody choose. A tenant reads `message`; the log also gets `internal`. Neither ever holds a secret.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The document or page as the source served it.
    SourceData,
    /// The tenant's module.
    Guest,
    /// The wall clock ran out while fuel was left: as likely our machine as their module.
    GuestDeadline,
    /// The target said no, in so many words.
    TargetRefused,
    /// The vendor did not answer, or not sensibly, and nothing can have been written.
    VendorDown,
    /// The vendor, or our own limit for it, asks us to wait.
    Throttled,
    /// A token, key, password or clock that the vendor does not accept.
    Credentials,
    /// A request left and its answer is not known.
    UnknownWrite,
    /// The operator's or tenant's settings.
    Configuration,
    /// A tenant is over its share.
    Quota,
    /// Ours: disk, store, a bug.
    Infrastructure,
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Try again by itself, not before `after_ms` where the other side named a wait.
    Retry { after_ms: Option<u64> },
    /// Ask the target what became of it before anything else.
    Verify,
    /// Set the document aside for a person.
    Park,
    /// Pause every scheme on this connection, with the reason.
    PauseConnection,
    /// Pause this scheme, with the reason.
    PauseScheme,
    /// Stop the scheme and say so loudly; keep the data.
    StopScheme,
    /// Start nothing.
    RefuseStart,
}

impl Disposition {
    /// Whether it is tried again without anybody doing anything.
    pub fn passes(self) -> bool {
        match self {
            Disposition::Retry { .. } => true,
            Disposition::Verify
            | Disposition::Park
            | Disposition::PauseConnection
            | Disposition::PauseScheme
            | Disposition::StopScheme
            | Disposition::RefuseStart => false,
        }
    }
}

macro_rules! codes {
    ($( $(#[$doc:meta])* $variant:ident = $text:literal, $class:ident; )*) => {
        /// A stable name for one thing that can go wrong. Each has a page `docs/errors/CODE.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code { $( $(#[$doc])* #[serde(rename = $text)] $variant, )* }

        impl Code {
            pub const ALL: &'static [Code] = &[ $( Code::$variant, )* ];
            pub fn as_str(self) -> &'static str {
                match self { $( Code::$variant => $text, )* }
            }
            pub fn class(self) -> Class {
                match self { $( Code::$variant => Class::$class, )* }
            }
        }
    };
}

codes! {
    /// A source document carries no usable key.
    KeyMissing = "key_missing", SourceData;
    /// A source document is over the scheme's cap.
    DocumentTooLarge = "document_too_large", SourceData;
    /// A page is not UTF-8, not JSON, or not the envelope it should be.
    PageUnreadable = "page_unreadable", SourceData;
    /// A page stays over the response cap even at one row.
    PageTooLarge = "page_too_large", SourceData;
    /// The source kept changing while a window was read.
    WindowDisturbed = "window_disturbed", SourceData;
    /// The source cancelled a document whose bill was written.
    SourceCancelled = "source_cancelled", SourceData;

    /// The module used all its fuel.
    GuestFuelExhausted = "guest_fuel_exhausted", Guest;
    /// The module asked for more memory than its limit and then failed.
    GuestMemoryExhausted = "guest_memory_exhausted", Guest;
    /// The module asked for more table elements than its limit and then failed.
    GuestTableExhausted = "guest_table_exhausted", Guest;
    /// The module recursed too deep.
    GuestStackOverflow = "guest_stack_overflow", Guest;
    /// The module trapped: a panic, an unreachable, an out-of-bounds access.
    GuestTrap = "guest_trap", Guest;
    /// The module handed back more bytes than the limit, in one value or in sum.
    GuestOutputTooLarge = "guest_output_too_large", Guest;
    /// The module called the host more often than the limit.
    GuestHostCallsExhausted = "guest_host_calls_exhausted", Guest;
    /// The module used something of its empty WASI that does not exist.
    GuestWasiUnsupported = "guest_wasi_unsupported", Guest;
    /// The module emitted an empty list.
    EmptyEmit = "empty_emit", Guest;
    /// The module emitted a body that is not JSON, an unusable key, or one key twice.
    GuestOutputInvalid = "guest_output_invalid", Guest;
    /// The key the module gave is not the key in the body it gave.
    TargetKeyMismatch = "target_key_mismatch", Guest;
    /// The module rejected the document.
    Rejected = "rejected", Guest;
    /// The module is not a component, or not one that this world can run.
    ModuleRefused = "module_refused", Guest;
    /// Compiling the module went over a limit.
    ModuleCompileLimit = "module_compile_limit", Guest;

    /// The wall clock ran out.
    GuestDeadline = "guest_deadline", GuestDeadline;

    /// The target refused the bill in its own words.
    TargetRefused = "target_refused", TargetRefused;
    /// A bill of this key exists at the target and is not ours.
    KeyOccupied = "key_occupied", TargetRefused;
    /// A later outcome names other target documents than an earlier one did.
    TargetKeysChanged = "target_keys_changed", TargetRefused;
    /// Another source document owns this target key.
    TargetKeyTaken = "target_key_taken", TargetRefused;
    /// The source changed after its bill was written, and the scheme says to ask a person.
    ChangedAfterWrite = "changed_after_write", TargetRefused;
    /// The source changed after its bill was written, in a way that the target cannot follow.
    ChangeImpossible = "change_impossible", TargetRefused;
    /// The bill that was written is no longer at the target.
    BillGone = "bill_gone", TargetRefused;
    /// The bill is saved and cannot be audited.
    LeftUnaudited = "left_unaudited", TargetRefused;

    /// No connection, or no answer before anything was sent.
    VendorUnreachable = "vendor_unreachable", VendorDown;
    /// The vendor took too long over a question that changes nothing.
    VendorTimeout = "vendor_timeout", VendorDown;
    /// The vendor answered 5xx or its like.
    VendorError = "vendor_error", VendorDown;
    /// The vendor's answer is not what its interface promises.
    ResponseUnreadable = "response_unreadable", VendorDown;
    /// The vendor's answer is over the cap.
    ResponseTooLarge = "response_too_large", VendorDown;
    /// The vendor counts as down, and nothing was sent.
    CircuitOpen = "circuit_open", VendorDown;
    /// A bill was tried for as long as the scheme wants, and was surely not written.
    GaveUp = "gave_up", VendorDown;

    /// The vendor, or the connection's own limit, asks for a pause.
    VendorThrottled = "vendor_throttled", Throttled;

    /// The vendor does not accept these credentials.
    CredentialsRefused = "credentials_refused", Credentials;
    /// The session or token ended and could not be renewed.
    SessionLost = "session_lost", Credentials;
    /// The vendor refuses our timestamps: one of the two clocks is wrong.
    ClockWrong = "clock_wrong", Credentials;

    /// A write whose fate could not be learnt.
    WriteUnknown = "write_unknown", UnknownWrite;

    /// The configuration is not usable.
    ConfigurationInvalid = "configuration_invalid", Configuration;
    /// The parameters do not fit the module's schema.
    ParametersInvalid = "parameters_invalid", Configuration;
    /// The module that a person chose for a document cannot be had, or is not for its scheme.
    ModuleMissing = "module_missing", Configuration;
    /// The vendor does not know the form, field or operation that the scheme names.
    OperationUnknown = "operation_unknown", Configuration;

    /// A look-up waits for its table.
    ReferencePending = "reference_pending", Quota;
    /// A tenant is over its share.
    QuotaExceeded = "quota_exceeded", Quota;

    /// The store failed.
    StoreFailed = "store_failed", Infrastructure;
    /// The disk is full.
    DiskFull = "disk_full", Infrastructure;
    /// A defect of Crossdock's own.
    Internal = "internal", Infrastructure;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that went wrong, ready to be stored, shown and acted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub code: Code,
    pub disposition: Disposition,
    /// For the tenant: what happened, in plain words, with the vendor's own words where there are any.
    pub message: String,
    /// For the log: detail that helps us and not them. Never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal: Option<String>,
    /// The limit that was hit and what was used, where a limit was hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitHit>,
}

/// A limit, its value and what was asked of it, in the limit's own unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitHit {
    /// The setting's name as the configuration spells it: `fuel`, `memory_limit_bytes`.
    pub name: String,
    pub limit: u64,
    pub used: u64,
}

impl Fault {
    pub fn new(code: Code, disposition: Disposition, message: impl Into<String>) -> Self {
        Self { code, disposition, message: message.into(), internal: None, limit: None }
    }
    pub fn park(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Disposition::Park, message)
    }
    pub fn retry(code: Code, after: Option<Duration>, message: impl Into<String>) -> Self {
        let after_ms = after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        Self::new(code, Disposition::Retry { after_ms }, message)
    }
    pub fn with_limit(mut self, name: &str, limit: u64, used: u64) -> Self {
        self.limit = Some(LimitHit { name: name.into(), limit, used });
        self
    }
    pub fn with_internal(mut self, detail: impl Into<String>) -> Self {
        self.internal = Some(detail.into());
        self
    }
    pub fn class(&self) -> Class {
        self.code.class()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        if let Some(hit) = &self.limit {
            write!(f, " ({} limit {}, used {})", hit.name, hit.limit, hit.used)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
