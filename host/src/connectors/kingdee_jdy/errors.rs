//! What the gateway's and the application's refusals mean.

use serde::Deserialize;
use serde_json::Value;

use crate::connectors::http::Reply;
use crate::connectors::qimen::Loose;
use crate::connectors::{Error, text};

use super::settings::{Account, Generation};

/// Why an answer is none.
#[derive(Debug)]
pub enum Rejection {
    /// The token has ended or was never good.
    TokenRefused(String),
    /// The application itself said no, in its own words, with a whole and readable answer.
    Refused {
        code: String,
        message: String,
    },
    Other(Error),
}

impl Rejection {
    /// As the failure of a question.
    pub fn into_error(self) -> Error {
        match self {
            Rejection::TokenRefused(detail) => Error::SessionLost { detail, sent: false },
            Rejection::Refused { code, message } => Error::Refused { code, message },
            Rejection::Other(error) => error,
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    errcode: Option<Loose>,
    code: Option<Loose>,
    #[serde(rename = "errorCode")]
    error_code: Option<Loose>,
    success: Option<Loose>,
    #[serde(default)]
    description_cn: Loose,
    #[serde(default)]
    description: Loose,
    #[serde(default)]
    message: Loose,
    #[serde(default)]
    data: Value,
}

impl Envelope {
    fn code(&self) -> String {
        let codes = [&self.errcode, &self.code, &self.error_code];
        codes.into_iter().flatten().find(|code| code.0.is_some()).map(ToString::to_string).unwrap_or_default()
    }
    fn words(&self) -> &str {
        let words = [&self.description_cn, &self.description, &self.message];
        words.into_iter().map(Loose::as_str).find(|text| !text.is_empty()).unwrap_or("the vendor gave no words")
    }
    /// `None` where the answer does not have what its generation marks success with.
    fn is_success(&self, generation: Generation) -> Option<bool> {
        let zero = |code: &Loose| code.as_str() == "0";
        let flag = self.success.as_ref().map(|flag| flag.as_str().eq_ignore_ascii_case("true"));
        let errcode = self.errcode.as_ref().map(zero);
        let error_code = self.error_code.as_ref().filter(|code| code.0.is_some()).map(zero);
        // Whichever says no is believed, whatever the generation.
        if [flag, errcode, error_code].contains(&Some(false)) {
            return Some(false);
        }
        match generation {
            // Whether the first generation's paths answer an application in their own envelope or in the gateway's is
            // not known, and either is plain enough.
            Generation::V1 => flag.or(error_code).or(errcode),
            Generation::V2 => errcode,
        }
    }
}

/// The `data` of an answer, once everything else has been dealt with. `blank` takes out what must not be printed,
/// before words are cut short in the middle of a secret.
pub fn judge(
    reply: &Reply,
    account: &Account,
    generation: Generation,
    clock_tolerance_seconds: u32,
    blank: &dyn Fn(&str) -> String,
) -> Result<Value, Rejection> {
    let other = |error| Err(Rejection::Other(error));
    let server = |words: &str| reply.vendor_failed(text::excerpt(&blank(words)));
    let text = match text::decode(&reply.body) {
        Ok(text) => text,
        Err(_) if !reply.is_success() => return other(server(&String::from_utf8_lossy(&reply.body))),
        Err(error) => return other(error),
    };
    // The router has no way to the address that the authorisation named.
    if reply.status == 404 && text.contains("No Route") {
        let message = format!("{}: the router address is not the account's", text::excerpt(&blank(&text)));
        return other(Error::Unknown { code: "404".into(), message });
    }
    let envelope: Envelope = match serde_json::from_str(&text) {
        Ok(envelope) => envelope,
        Err(_) if !reply.is_success() => return other(server(&text)),
        Err(error) => return other(unreadable(reply, format!("not the vendor's JSON: {error}"), blank)),
    };
    let code = blank(&envelope.code());
    let message = text::excerpt(&blank(envelope.words()));
    let detail = format!("{message} (code {code})");
    let credentials = || Error::CredentialsRefused { detail: detail.clone() };
    let clock_or_credentials = || reply.clock_error(clock_tolerance_seconds).unwrap_or_else(credentials);
    match (reply.status, code.as_str()) {
        (_, "1000202001") | (401, _) => return Err(Rejection::TokenRefused(detail)),
        (_, code) if account.throttle_codes.iter().any(|own| own == code) => {
            return other(Error::Throttled { wait: None, detail });
        }
        (429, _) => return other(Error::Throttled { wait: None, detail }),
        // No code for it is documented. A limit mistaken for a refused application would stop everything over a matter
        // of seconds, so its words are looked at.
        (519, _) if is_about_frequency(&message) => return other(Error::Throttled { wait: None, detail }),
        // The gateway's own refusals: nothing has reached the application.
        (519, "5001") => return other(Error::Unknown { code, message }),
        (519, "4012") => return other(credentials()),
        // Without an application's id, a stale timestamp, a wrong signature: "Unauthorized" all of them.
        (519, code) if matches!(code.parse(), Ok(4000..=4999)) => return other(clock_or_credentials()),
        (_, "4012") => return other(credentials()),
        (status, _) if !(200..300).contains(&status) => return other(server(&detail)),
        _ => {}
    }
    match envelope.is_success(generation) {
        Some(true) => Ok(envelope.data),
        Some(false) => Err(Rejection::Refused { code, message }),
        None => other(unreadable(reply, "the answer does not say whether it is a success".into(), blank)),
    }
}

fn is_about_frequency(message: &str) -> bool {
    ["频繁", "频率", "Too many requests"].iter().any(|words| message.contains(words))
}

/// The page is kept for a person to look at, and so without the token that an error page may quote.
fn unreadable(reply: &Reply, detail: String, blank: &dyn Fn(&str) -> String) -> Error {
    let bytes = std::str::from_utf8(&reply.body).ok().map(blank).map_or_else(|| reply.body.clone(), Into::into);
    Error::Unreadable { detail, bytes }
}
