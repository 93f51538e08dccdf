//! What Jushuitan's own refusals mean, where the gateway merely passes them on.

use std::time::Duration;

use crate::connectors::Error;

/// Only Jushuitan's native interface documents codes; it is not known whether the gateway passes them on unchanged. A
/// limit mistaken for a refusal would stop a scheme over a matter of seconds, so its words are looked at too.
pub fn refine(error: Error) -> Error {
    let Error::Refused { code, message } = error else { return error };
    let throttled =
        |wait: Option<u64>| Error::Throttled { wait: wait.map(Duration::from_secs), detail: message.clone() };
    match code.as_str() {
        // More than five calls a second, more than a hundred a minute.
        "199" => throttled(Some(1)),
        "200" => throttled(Some(60)),
        _ if message.contains("频繁") || message.contains("频率") => throttled(None),
        // No permission for the interface, or our address is not on the merchant's list.
        "110" | "190" => Error::CredentialsRefused { detail: message },
        _ => Error::Refused { code, message },
    }
}
