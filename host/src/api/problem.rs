//! What a caller reads when a request was not carried out: one problem document (RFC 9457) for everything, whoever
//! refused. It never holds a secret, another tenant's name or the inside of the engine.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fault;

macro_rules! codes {
    ($( $(#[$doc:meta])* $variant:ident = $text:literal, $status:ident, $title:literal; )*) => {
        /// Why a request was not carried out. Each has a page `docs/errors/CODE.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $( $(#[$doc])* $variant, )*
            /// A fault that documents can have as well, with the status that it has here.
            Fault(fault::Code),
        }

        impl Code {
            /// Those that only requests have.
            pub const OWN: &'static [Code] = &[ $( Code::$variant, )* ];

            pub fn as_str(self) -> &'static str {
                match self { $( Code::$variant => $text, )* Code::Fault(code) => code.as_str() }
            }
            pub fn status(self) -> StatusCode {
                match self { $( Code::$variant => StatusCode::$status, )* Code::Fault(code) => status(code) }
            }
            fn title(self) -> &'static str {
                match self { $( Code::$variant => $title, )* Code::Fault(code) => title(code) }
            }
        }
    };
}

codes! {
    /// A parameter, header or body that cannot be read.
    InvalidRequest = "invalid_request", BAD_REQUEST, "The request is not usable";
    /// No token, or none that is known and valid.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "A valid token is needed";
    /// The token's role or rights do not reach.
    Forbidden = "forbidden", FORBIDDEN, "The token may not do this";
    /// There is no such thing, or none that the token may know of.
    NotFound = "not_found", NOT_FOUND, "There is no such thing";
    /// The thing is there; this cannot be done with it.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "This method is not for this address";
    /// The body came too slowly.
    UploadTimeout = "upload_timeout", REQUEST_TIMEOUT, "The body came too slowly";
    /// The state of the thing does not allow it.
    Conflict = "conflict", CONFLICT, "The present state does not allow it";
    /// It stands in the configuration file, and is changed there.
    ManagedByFile = "managed_by_file", CONFLICT, "The configuration file manages this";
    /// Something else needs it.
    InUse = "in_use", CONFLICT, "It is in use";
    /// A version stays what it is.
    Immutable = "immutable", CONFLICT, "A version cannot change";
    /// The operator paused it, and alone resumes it.
    PausedByOperator = "paused_by_operator", CONFLICT, "The operator paused this";
    /// The tenant's policy asks for a clean comparison first.
    CompareRequired = "compare_required", CONFLICT, "A clean comparison is needed first";
    /// `If-Match` or `If-None-Match` does not hold.
    PreconditionFailed = "precondition_failed", PRECONDITION_FAILED, "Somebody else changed it meanwhile";
    /// More bytes than are taken.
    PayloadTooLarge = "payload_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// A body of another type or encoding than is taken.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "A body of this type is not taken";
    /// The tenant takes signed modules only.
    SignatureRequired = "signature_required", UNPROCESSABLE_ENTITY, "A signature is needed";
    /// The signature is not one of the tenant's keys' over this module.
    SignatureInvalid = "signature_invalid", UNPROCESSABLE_ENTITY, "The signature does not hold";
    /// More at once than the engine or the tenant may have.
    TooManyRequests = "too_many_requests", TOO_MANY_REQUESTS, "Too much at once";
    /// The engine is stopping, or too slow now.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "Not now";
}

/// The status of a fault that a request ran into.
fn status(code: fault::Code) -> StatusCode {
    use fault::Class;
    match code {
        fault::Code::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
        fault::Code::QuotaExceeded => StatusCode::TOO_MANY_REQUESTS,
        code => match code.class() {
            Class::SourceData | Class::Guest | Class::GuestDeadline | Class::Configuration => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Class::TargetRefused | Class::UnknownWrite | Class::Quota => StatusCode::CONFLICT,
            Class::VendorDown | Class::Throttled | Class::Credentials => StatusCode::BAD_GATEWAY,
            Class::Infrastructure => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}

fn title(code: fault::Code) -> &'static str {
    match code {
        fault::Code::QuotaExceeded => "The tenant's share is used up",
        fault::Code::ModuleRefused => "The module cannot be taken",
        fault::Code::ModuleCompileLimit => "The module is over a limit of its class",
        fault::Code::ConfigurationInvalid => "The settings are not usable",
        fault::Code::ParametersInvalid => "The parameters do not fit the module",
        fault::Code::DiskFull => "The disk is full",
        code => match code.class() {
            fault::Class::Infrastructure => "The engine failed",
            _ => "It cannot be done",
        },
    }
}

/// One place in the request, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// Where, as a JSON Pointer into the body; empty where it is the whole, or not about the body.
    #[schema(example = "/settings/schedule")]
    pub pointer: String,
    pub detail: String,
    /// What would mend it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

/// A share that is used up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaHit {
    #[schema(example = "modules")]
    pub quota: String,
    pub limit: u64,
    pub used: u64,
    /// When there is room again, where time makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<String>,
}

/// Why the request was not carried out. Boxed within, for it travels in every `Result`.
#[derive(Debug, Clone)]
pub struct Problem(Box<Facts>);

#[derive(Debug, Clone)]
struct Facts {
    code: Code,
    detail: String,
    errors: Vec<Entry>,
    quota: Option<QuotaHit>,
    retry_after: Option<Duration>,
    /// The connection is not to be used again: the rest of the body is not wanted.
    close: bool,
}

/// The document as it is sent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// Where the code is explained.
    #[serde(rename = "type")]
    #[schema(example = "/v1/errors/not_found")]
    pub about: String,
    pub title: String,
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    pub detail: String,
    /// Stable; a page of `docs/errors` bears its name.
    #[schema(example = "not_found")]
    pub code: String,
    /// The request's id, which the log has as well.
    pub instance: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Entry>,
    #[serde(flatten)]
    pub quota: Option<QuotaHit>,
}

pub type Answer<T> = Result<T, Problem>;

impl Problem {
    /// Of a body that is only a part of what was judged: what lies in it is told by its place there.
    pub fn beneath(mut self, part: &str) -> Self {
        for error in &mut self.0.errors {
            if let Some(rest) = error.pointer.strip_prefix(part).filter(|rest| rest.is_empty() || rest.starts_with('/'))
            {
                error.pointer = rest.to_owned();
            }
        }
        self
    }

    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Facts { code, detail, errors: Vec::new(), quota: None, retry_after: None, close: false }))
    }

    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, detail)
    }

    /// One place of the body that is wrong.
    pub fn at(pointer: impl Into<String>, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        let entry = Entry { pointer: pointer.into(), detail: detail.into(), remedy: remedy.into() };
        Self::invalid(entry.detail.clone()).with_errors(vec![entry])
    }

    /// `what` is a word of the glossary, and `name` what the caller itself wrote.
    pub fn no_such(what: &str, name: &str) -> Self {
        let name: String = name.chars().take(120).collect();
        Self::new(Code::NotFound, format!("there is no {what} {name:?}"))
    }

    /// Ours. The log gets the reason; whoever asked gets the request's id.
    pub fn internal(reason: impl std::fmt::Display) -> Self {
        tracing::error!("a request failed: {reason}");
        Self::new(Code::Fault(fault::Code::Internal), "the engine failed; its log says more under the request's id")
    }

    pub fn with_errors(mut self, errors: Vec<Entry>) -> Self {
        self.0.errors = errors;
        self
    }

    pub fn with_quota(mut self, hit: QuotaHit) -> Self {
        self.0.quota = Some(hit);
        self
    }

    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    pub fn closing(mut self) -> Self {
        self.0.close = true;
        self
    }

    pub fn code(&self) -> Code {
        self.0.code
    }

    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What `Retry-After` says.
    #[cfg(test)]
    pub fn waits(&self) -> Option<Duration> {
        self.0.retry_after
    }

    pub fn status(&self) -> StatusCode {
        self.0.code.status()
    }

    /// The answer, told under the request's id.
    pub(super) fn told(self, request_id: &str) -> Response {
        let status = self.status();
        let Facts { code, detail, errors, quota, retry_after, close } = *self.0;
        let document = ProblemDocument {
            about: format!("/v1/errors/{}", code.as_str()),
            title: code.title().into(),
            status: status.as_u16(),
            detail,
            code: code.as_str().into(),
            instance: request_id.into(),
            errors,
            quota,
        };
        let mut response = (status, axum::Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(axum::http::header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if code == Code::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"crossdock\""));
        }
        if let Some(wait) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if close {
            headers.insert(HeaderName::from_static("connection"), HeaderValue::from_static("close"));
        }
        response
    }
}

/// The shell tells it, who knows the request's id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<fault::Fault> for Problem {
    fn from(fault: fault::Fault) -> Self {
        if fault.code.class() == fault::Class::Infrastructure {
            let internal = fault.internal.as_deref().unwrap_or_default();
            tracing::error!("a request failed: {fault} {internal}");
        }
        Self::new(Code::Fault(fault.code), crate::telemetry::mask_text(&fault_text(&fault)))
    }
}

fn fault_text(fault: &fault::Fault) -> String {
    match &fault.limit {
        Some(hit) => format!("{} ({} limit {}, used {})", fault.message, hit.name, hit.limit, hit.used),
        None => fault.message.clone(),
    }
}

/// The page of a code, from the repository: what the `type` of a problem leads to.
pub fn page(code: &str) -> Option<&'static str> {
    PAGES.iter().find(|(name, _)| *name == code).map(|(_, text)| *text)
}

macro_rules! pages {
    ($($code:literal)*) => {
        /// A code without its page does not compile, once it is listed here; a test sees that all are.
        const PAGES: &[(&str, &str)] = &[
            $( ($code, include_str!(concat!("../../../docs/errors/", $code, ".md"))), )*
        ];
    };
}

pages! {
    "bill_gone" "change_impossible" "changed_after_write" "circuit_open" "clock_wrong" "compare_required"
    "configuration_invalid" "conflict" "credentials_refused" "disk_full" "document_too_large" "empty_emit" "forbidden"
    "gave_up" "guest_deadline" "guest_fuel_exhausted" "guest_host_calls_exhausted" "guest_memory_exhausted"
    "guest_output_invalid" "guest_output_too_large" "guest_stack_overflow" "guest_table_exhausted" "guest_trap"
    "guest_wasi_unsupported" "immutable" "in_use" "internal" "invalid_request" "key_missing" "key_occupied"
    "left_unaudited" "managed_by_file" "method_not_allowed" "module_compile_limit" "module_missing" "module_refused" "not_found"
    "operation_unknown" "page_too_large" "page_unreadable" "parameters_invalid" "paused_by_operator" "payload_too_large"
    "precondition_failed" "quota_exceeded" "reference_pending" "rejected" "response_too_large" "response_unreadable"
    "session_lost" "signature_invalid" "signature_required" "source_cancelled" "store_failed" "target_key_mismatch"
    "target_key_taken" "target_keys_changed" "target_refused" "too_many_requests" "unauthenticated" "unavailable"
    "unsupported_media_type" "upload_timeout" "vendor_error" "vendor_throttled" "vendor_timeout" "vendor_unreachable"
    "window_disturbed" "write_unknown"
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Every code has a page that opens with its name, and every page a code.
    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors"));
        let faults = fault::Code::ALL.iter().map(|code| code.as_str());
        let codes: Vec<&str> = faults.chain(Code::OWN.iter().map(|code| code.as_str())).collect();
        let index = std::fs::read_to_string(directory.join("README.md")).unwrap();
        for code in &codes {
            let page = std::fs::read_to_string(directory.join(format!("{code}.md")));
            let page = page.unwrap_or_else(|error| panic!("no page for {code}: {error}"));
            assert!(page.starts_with(&format!("# {code}\n")), "the page of {code} opens otherwise");
            let headings: Vec<&str> = page.lines().filter(|line| line.starts_with("## ")).collect();
            assert_eq!(headings, ["## What happened", "## What the engine does", "## What you can do"], "of {code}");
            for section in page.split("\n## ").skip(1) {
                let (heading, text) = section.split_once('\n').unwrap_or((section, ""));
                assert!(text.trim().len() >= 20, "{code} says nothing under: {heading}");
            }
            assert!(index.contains(&format!("[{code}]({code}.md)")), "the index does not name {code}");
            assert_eq!(super::page(code), Some(page.as_str()), "{code} is not served");
        }
        for entry in std::fs::read_dir(directory).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let stem = name.strip_suffix(".md").unwrap_or(&name);
            assert!(stem == "README" || codes.contains(&stem), "{name} explains no code");
        }
    }

    #[test]
    fn a_fault_of_ours_tells_its_inside_to_the_log_alone() {
        let fault = fault::Fault::park(fault::Code::Internal, "the engine failed").with_internal("/var/lib/secret");
        let problem = Problem::from(fault);
        assert_eq!(problem.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!format!("{:?}", problem.detail()).contains("secret"));
    }
}
