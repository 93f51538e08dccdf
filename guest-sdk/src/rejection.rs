//! Why a document cannot be mapped as it stands.

use std::borrow::Cow;
use std::fmt;

use crate::{Outcome, Reason};

/// Parks a document for a person. Programs group by its code, people read its message, and its field is a JSON Pointer
/// (RFC 6901) into the source document.
///
/// Codes that this crate gives by itself:
///
/// | code | means |
/// |---|---|
/// | `malformed_json` | the body is not JSON; the message names line and column |
/// | `field_missing`, `field_null`, `field_blank` | a required field is not there, is `null`, holds only white space |
/// | `field_type` | another JSON type than the one expected |
/// | `not_a_number` | a string where an amount should be, and not one |
/// | `number_not_exact` | an amount with more digits than [`Decimal`](crate::Decimal) holds exactly |
/// | `too_many_places` | an amount with more decimal places than the target keeps |
/// | `field_invalid` | anything else that a field's type refuses, such as a date that does not exist |
/// | `parameters_invalid` | the scheme's parameters do not fit the module |
/// | `reference_missing`, `reference_unknown_table`, `reference_unreadable` | see [`reference`](mod@crate::reference) |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    code: Cow<'static, str>,
    message: String,
    field: Option<String>,
}

impl Rejection {
    /// `code` in `snake_case`, at most 64 bytes, stable between versions. `message` is a sentence of at most 4 KiB
    /// that must not repeat personal data.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), field: None }
    }

    /// Names the field, as a JSON Pointer into the source document: `/items/0/qty`.
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// A required field that is not there.
    pub fn missing(field: impl Into<String>) -> Self {
        let field = field.into();
        Self::new("field_missing", format!("{field} is missing")).at(field)
    }

    /// A required field that is `null`.
    pub fn null(field: impl Into<String>) -> Self {
        let field = field.into();
        Self::new("field_null", format!("{field} is null")).at(field)
    }

    /// A required field that holds only white space.
    pub fn blank(field: impl Into<String>) -> Self {
        let field = field.into();
        Self::new("field_blank", format!("{field} is blank")).at(field)
    }

    /// What programs group by.
    pub fn code(&self) -> &str {
        &self.code
    }
    /// What a person reads.
    pub fn message(&self) -> &str {
        &self.message
    }
    /// The field as a JSON Pointer, where there is one.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }
}

impl From<Rejection> for Reason {
    fn from(rejection: Rejection) -> Reason {
        Reason { code: rejection.code.into_owned(), message: rejection.message, field: rejection.field }
    }
}

impl From<Rejection> for Outcome {
    fn from(rejection: Rejection) -> Outcome {
        Outcome::Reject(rejection.into())
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Rejection {}
