//! Taobao's Qimen gateway, which stands before more than one vendor: parameters, signatures, envelope, codes, call limit.
//!
//! All scenarios share one path here, as they share one program there; a request belongs to the vendor whose methods it
//! names. Only JSON is spoken: a request that leaves `format` out gets code 23, where the real gateway would answer XML.

mod gateway;
mod parameters;
mod sign;

pub use gateway::{APP_KEY, APP_SECRET, Failure, Gateway, Scenario, request_id};
pub use parameters::Parameters;
pub use sign::expected as expected_signature;

/// Whether the path is the gateway's.
pub fn claims(path: &str) -> bool {
    path == "/router/qm" || path == "/router/qmtest"
}
