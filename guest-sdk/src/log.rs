//! Lines that stay with the document, for the developer and for whoever looks at it later.
//!
//! The host keeps up to 100 lines and 16 KiB of one call and records that it dropped the rest. Logging never fails and
//! never changes an outcome. It must not carry personal data.
//!
//! ```
//! crossdock_guest::log::info(format_args!("{} lines", 3));
//! ```

use std::fmt::Display;

pub use crate::bindings::crossdock::transform::log::Level;

/// For developing; nobody reads it in production.
pub fn debug(message: impl Display) {
    write(Level::Debug, message);
}
/// Worth knowing later: which branch was taken, and why.
pub fn info(message: impl Display) {
    write(Level::Info, message);
}
/// The document was mapped, and somebody should look at it.
pub fn warn(message: impl Display) {
    write(Level::Warn, message);
}
/// The document cannot be right.
pub fn error(message: impl Display) {
    write(Level::Error, message);
}

fn write(level: Level, message: impl Display) {
    let message = message.to_string();
    #[cfg(target_arch = "wasm32")]
    crate::bindings::crossdock::transform::log::write(level, &message);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::record(level, message);
}
