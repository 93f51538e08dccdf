//! What the platform's codes mean.

use serde::Deserialize;

use crate::connectors::http::Reply;
use crate::connectors::qimen::Loose;
use crate::connectors::{Error, text};

use super::settings::Account;

/// Why an answer is none.
#[derive(Debug)]
pub enum Rejection {
    /// 30012: the token is no longer good.
    TokenExpired(String),
    /// 30025: still being worked on.
    Busy(String),
    Other(Error),
}

/// What an answer says, once it is none of the above.
#[derive(Debug)]
pub enum Verdict {
    Fine,
    /// 20002: nothing matches.
    Nothing,
}

#[derive(Deserialize)]
struct Head {
    errcode: Option<Loose>,
    #[serde(default)]
    errmsg: Loose,
}

/// Judges one answer; `text` is its body. The platform answers 200 whatever happened, and writes its codes as text.
/// `blank` takes out what must not be printed, for error pages like to quote the address they were asked at.
pub fn judge(
    reply: &Reply,
    text: &str,
    account: &Account,
    blank: &dyn Fn(&str) -> String,
) -> Result<Verdict, Rejection> {
    let other = |error| Err(Rejection::Other(error));
    let server = |words: &str| reply.vendor_failed(text::excerpt(&blank(words)));
    let head: Head = match serde_json::from_str(text) {
        Ok(head) => head,
        Err(_) if !reply.is_success() => return other(server(text)),
        Err(error) => return other(unreadable(reply, format!("not the platform's JSON: {error}"), blank)),
    };
    let Some(code) = head.errcode else {
        let error = if reply.is_success() { unreadable(reply, "no errcode".into(), blank) } else { server(text) };
        return other(error);
    };
    let code = blank(code.as_str());
    let message = text::excerpt(&blank(head.errmsg.as_str()));
    let words = || format!("{message} (errcode {code})");
    match code.as_str() {
        "0" if reply.is_success() => Ok(Verdict::Fine),
        "0" => other(server(text)),
        "20002" => Ok(Verdict::Nothing),
        "30012" => Err(Rejection::TokenExpired(words())),
        "30025" => Err(Rejection::Busy(words())),
        code if account.throttle_codes.iter().any(|own| own == code) => {
            other(Error::Throttled { wait: None, detail: words() })
        }
        // The platform, its way to the U8 at the customer's, or that U8 itself.
        "10001" | "20005" | "20006" => other(server(&words())),
        _ => other(Error::Refused { code: code.clone(), message }),
    }
}

/// The page is kept for a person to look at, and so without the token that an error page may quote.
pub fn unreadable(reply: &Reply, detail: String, blank: &dyn Fn(&str) -> String) -> Error {
    let bytes = match std::str::from_utf8(&reply.body) {
        Ok(text) => {
            let blanked = blank(text);
            if blanked == text { reply.body.clone() } else { blanked.into() }
        }
        Err(_) => reply.body.clone(),
    };
    Error::Unreadable { detail, bytes }
}
