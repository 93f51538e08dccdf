//! What can go wrong with a vendor, as facts.

use std::time::Duration;

use bytes::Bytes;

use crate::fault::{Code, Disposition, Fault};

use super::SinkClosed;

/// A failed exchange with a vendor. Holds the vendor's words, never a credential and never an unmasked address.
#[derive(Clone, thiserror::Error)]
pub enum Error {
    /// The request surely never left, or the connection was refused.
    #[error("cannot reach {host}: {detail}")]
    Unreachable { host: String, detail: String },
    /// The request left, or may have, and no usable answer came back.
    #[error("no answer from {host} within {}s: {detail}", .after.as_secs_f32())]
    AnswerLost { host: String, after: Duration, detail: String },
    /// HTTP status other than 2xx where that says nothing of what was done.
    #[error("{host} answered HTTP {status}: {detail}")]
    Server { host: String, status: u16, detail: String },
    /// The vendor (or the connection's own limit) asks for a pause. The request was not carried out.
    #[error("throttled: {detail}")]
    Throttled { wait: Option<Duration>, detail: String },
    /// The vendor counts as down, and the request was not sent.
    #[error("the vendor counts as down: nothing is sent for another {:.1}s", .wait.as_secs_f32())]
    CircuitOpen { wait: Duration },
    /// The vendor does not accept the credentials.
    #[error("credentials refused: {detail}")]
    CredentialsRefused { detail: String },
    /// The session or token ended and renewing it did not help. `sent`: the refused request was a write whose refusal
    /// is not proof that it was not carried out.
    #[error("session lost: {detail}")]
    SessionLost { detail: String, sent: bool },
    /// Our clock and the vendor's differ by more than it allows.
    #[error("the clocks differ: ours is {skew_seconds}s ahead of {host}")]
    ClockWrong { host: String, skew_seconds: i64 },
    /// The answer is larger than the cap. What was read of it is thrown away.
    #[error("the answer is over {limit_bytes} bytes")]
    TooLarge { limit_bytes: u64 },
    /// The answer is not UTF-8, not JSON, or not the envelope it should be. The bytes are kept.
    #[error("unreadable answer: {detail}")]
    Unreadable { detail: String, bytes: Bytes },
    /// The vendor refused the whole call for a reason of its own.
    #[error("refused ({code}): {message}")]
    Refused { code: String, message: String },
    /// The vendor does not know the form, field, operation or account that the settings name.
    #[error("not known to the vendor ({code}): {message}")]
    Unknown { code: String, message: String },
    /// The source changed during every one of the allowed passes.
    #[error("the source changed during each of {passes} passes")]
    Disturbed { passes: u32 },
    #[error("stopped")]
    Stopped,
}

/// As its words: the page that [`Error::Unreadable`] keeps is people's names and addresses, which no log wants.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Error::Unreachable { .. } => "Unreachable",
            Error::AnswerLost { .. } => "AnswerLost",
            Error::Server { .. } => "Server",
            Error::Throttled { .. } => "Throttled",
            Error::CircuitOpen { .. } => "CircuitOpen",
            Error::CredentialsRefused { .. } => "CredentialsRefused",
            Error::SessionLost { .. } => "SessionLost",
            Error::ClockWrong { .. } => "ClockWrong",
            Error::TooLarge { .. } => "TooLarge",
            Error::Unreadable { .. } => "Unreadable",
            Error::Refused { .. } => "Refused",
            Error::Unknown { .. } => "Unknown",
            Error::Disturbed { .. } => "Disturbed",
            Error::Stopped => "Stopped",
        };
        write!(f, "{kind}({self})")
    }
}

impl From<SinkClosed> for Error {
    fn from(_: SinkClosed) -> Self {
        Error::Stopped
    }
}

impl Error {
    /// Whether a write that ended so can have been carried out. Where this is true, ask before sending again.
    pub fn may_have_written(&self) -> bool {
        match self {
            Error::AnswerLost { .. } | Error::Server { .. } | Error::TooLarge { .. } | Error::Unreadable { .. } => true,
            Error::SessionLost { sent, .. } => *sent,
            Error::Unreachable { .. }
            | Error::Throttled { .. }
            | Error::CircuitOpen { .. }
            | Error::CredentialsRefused { .. }
            | Error::ClockWrong { .. }
            | Error::Refused { .. }
            | Error::Unknown { .. }
            | Error::Disturbed { .. }
            | Error::Stopped => false,
        }
    }

    /// Whether it says that nobody is at home. Whoever refuses, throttles or talks nonsense is.
    pub fn is_outage(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::AnswerLost { .. } | Error::Server { .. } => true,
            Error::Throttled { .. }
            | Error::CircuitOpen { .. }
            | Error::CredentialsRefused { .. }
            | Error::SessionLost { .. }
            | Error::ClockWrong { .. }
            | Error::TooLarge { .. }
            | Error::Unreadable { .. }
            | Error::Refused { .. }
            | Error::Unknown { .. }
            | Error::Disturbed { .. }
            | Error::Stopped => false,
        }
    }

    /// The fault, for a question that changes nothing or a write that surely did not happen. A write that may have
    /// happened is [`Code::WriteUnknown`], whatever the error; the pipeline asks [`Error::may_have_written`] first.
    pub fn fault(&self) -> Fault {
        let retry = |after| Disposition::Retry { after_ms: after };
        let millis = |wait: &Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let (code, disposition) = match self {
            Error::Unreachable { .. } => (Code::VendorUnreachable, retry(None)),
            Error::AnswerLost { .. } => (Code::VendorTimeout, retry(None)),
            Error::Server { .. } => (Code::VendorError, retry(None)),
            Error::Throttled { wait, .. } => (Code::VendorThrottled, retry(wait.as_ref().map(millis))),
            Error::CircuitOpen { wait } => (Code::CircuitOpen, retry(Some(millis(wait)))),
            // A wrong password stays wrong however often it is sent, and some vendors lock the account for it.
            Error::CredentialsRefused { .. } => (Code::CredentialsRefused, Disposition::PauseConnection),
            // A fresh session is made for the question what became of it.
            Error::SessionLost { sent: true, .. } => (Code::SessionLost, Disposition::Verify),
            Error::SessionLost { sent: false, .. } => (Code::SessionLost, Disposition::PauseConnection),
            Error::ClockWrong { .. } => (Code::ClockWrong, Disposition::PauseConnection),
            // One swollen answer must not stop the documents that had no part in it. A page that stays too large at a
            // single record pauses its scheme; the reader sees to that.
            Error::TooLarge { .. } => (Code::ResponseTooLarge, retry(None)),
            Error::Unreadable { .. } => (Code::ResponseUnreadable, retry(None)),
            Error::Refused { .. } => (Code::TargetRefused, Disposition::Park),
            Error::Unknown { .. } => (Code::OperationUnknown, Disposition::PauseScheme),
            Error::Disturbed { .. } => (Code::WindowDisturbed, retry(None)),
            Error::Stopped => (Code::Internal, retry(None)),
        };
        Fault::new(code, disposition, self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_page_is_kept_and_not_printed() {
        let bytes = Bytes::from_static(b"{\"receiver_name\":\"somebody\"");
        let error = Error::Unreadable { detail: "not JSON".into(), bytes };
        assert_eq!(format!("{error:?}"), "Unreadable(unreadable answer: not JSON)");
    }

    #[test]
    fn a_swollen_answer_to_a_write_is_asked_about_and_pauses_nobody() {
        let error = Error::TooLarge { limit_bytes: 1 };
        assert!(error.may_have_written());
        assert!(matches!(error.fault().disposition, Disposition::Retry { .. }), "{:?}", error.fault());
    }
}
