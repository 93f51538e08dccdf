//! What WangDianTong's own refusals mean, where the gateway merely passes them on.

use std::time::Duration;

use crate::connectors::Error;

/// The ERP counts calls by the minute, and its customers' clients wait half of one.
const CALLS_WAIT: Duration = Duration::from_secs(31);

/// Only some codes of the native interface are known, and not whether the gateway passes them on unchanged. A limit
/// mistaken for a refusal would park documents over a matter of seconds, so its words are looked at too.
pub fn refine(error: Error) -> Error {
    let Error::Refused { code, message } = error else { return error };
    match code.as_str() {
        "1012" => Error::Throttled { wait: Some(CALLS_WAIT), detail: message },
        _ if message.contains("频繁") || message.contains("频率") => {
            Error::Throttled { wait: None, detail: message }
        }
        // "System error, do not repeat the operation": whether it acted is not known.
        "1020" => Error::Server { host: "the ERP behind the gateway".into(), status: 200, detail: message },
        // The method is not deployed for this account.
        "client.protocol.invalid-argument" => Error::Unknown { code, message },
        _ => Error::Refused { code, message },
    }
}
