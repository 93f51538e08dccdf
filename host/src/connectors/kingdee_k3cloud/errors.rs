//! What the site's refusals mean.

use serde_json::Value;

use crate::connectors::http::Reply;
use crate::connectors::{Error, text};

use super::settings::Account;
use super::wire::Status;

/// The code for a bill whose number is taken, which can mean that it is ours already.
pub const DUPLICATE_NUMBER: &str = "duplicate_number";

/// Why an answer is none.
pub enum Rejection {
    /// The session is gone, or never was.
    SessionLost(String),
    Other(Error),
}

/// The answer as JSON, with its status where it has one, once everything that concerns the call and not its bills has
/// been dealt with; `blank` takes out what must not be printed, before words are cut short in the middle of a secret.
/// Business refusals come with HTTP 200 as well; they are left to the caller.
pub fn classify(reply: &Reply, blank: &dyn Fn(&str) -> String) -> Result<(Value, Option<Status>), Rejection> {
    let server = |words: &str| Rejection::Other(reply.vendor_failed(text::excerpt(&blank(words))));
    let unreadable = |detail: String| Rejection::Other(Error::Unreadable { detail, bytes: reply.body.clone() });
    let text = match text::decode(&reply.body) {
        Ok(text) => text,
        Err(_) if !reply.is_success() => return Err(server(&String::from_utf8_lossy(&reply.body))),
        Err(error) => return Err(Rejection::Other(error)),
    };
    if reply.status == 401 {
        return Err(Rejection::SessionLost(text::excerpt(&blank(&text))));
    }
    // A wrong account set, in the site's own English. It comes with a status that is not a success.
    if !reply.is_success() && text.contains("thirty passport") {
        return Err(Rejection::Other(Error::CredentialsRefused { detail: text::excerpt(&blank(&text)) }));
    }
    if !reply.is_success() || text.trim_start().starts_with("response_error:") {
        return Err(server(&text));
    }
    let answer: Value = serde_json::from_str(&text).map_err(|error| {
        let kind = if text.trim_start().starts_with('<') { "a web page" } else { "not JSON" };
        unreadable(format!("{kind}: {error}"))
    })?;
    // An application firewall in front of the site answers in a form of its own.
    if answer.get(0).and_then(|first| first.get("actionname")).is_some() {
        return Err(server(&text));
    }
    let status = Status::find(&answer);
    if let Some(status) = status.as_ref().filter(|status| !status.is_success()) {
        let detail = text::excerpt(&blank(&status.words()));
        match status.code() {
            1 => return Err(Rejection::SessionLost(detail)),
            14 => return Err(Rejection::Other(Error::Throttled { wait: None, detail })),
            15 => return Err(Rejection::Other(Error::CredentialsRefused { detail })),
            _ => {}
        }
    }
    Ok((answer, status))
}

/// A refusal that concerns the call as a whole.
pub fn refusal(status: &Status, account: &Account) -> Error {
    let message = text::excerpt(&account.blank(&status.words()));
    let code = status.code().to_string();
    if is_unknown_name(status) { Error::Unknown { code, message } } else { Error::Refused { code, message } }
}

/// Whether the site does not know the form, operation or field that the settings name. Only these words tell: the codes
/// 4 and 9 also stand for any exception, and for a value of one bill that does not exist.
pub fn is_unknown_name(status: &Status) -> bool {
    let names_nothing = matches!(status.code(), 3 | 5);
    names_nothing
        || status.errors().iter().any(|error| {
            let message = error.message.as_str();
            (message.contains("业务对象") && message.contains("不存在"))
                || (message.contains("元数据") && message.contains("字段不存在"))
        })
}

/// Whether the site refuses a number because a bill has it.
pub fn is_duplicate_number(message: &str, key_field: &str, field: &str) -> bool {
    let about_the_number = field.is_empty() || field.eq_ignore_ascii_case(key_field);
    about_the_number && message.contains("唯一") && (message.contains("已经被使用") || message.contains("编码唯一"))
}
