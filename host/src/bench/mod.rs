//! The developer's bench: a transform is begun, run over its cases and looked into here, without a server, an account or a
//! network. It runs guests in the very sandbox that production uses, with production's settings; nothing here is an
//! imitation of it.

pub mod operations;
pub mod project;
