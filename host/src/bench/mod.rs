//! The developer's bench: a transform is begun, run over its cases and looked into here, without a server, an account or a
//! network. It runs guests in the very sandbox that production uses, with production's settings; nothing here is an
//! imitation of it.
//!
//! The format of a case is the SDK's ([`crossdock_guest::testing`]), so that `cargo test` and `crossdock test` cannot drift
//! apart.

pub mod baseline;
pub mod captured;
pub mod case;
pub mod components;
pub mod explain;
pub mod forecast;
pub mod laboratory;
pub mod operations;
pub mod project;
pub mod replay;
pub mod update;

pub use laboratory::Laboratory;
