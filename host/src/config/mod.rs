//! What the operator and the tenants set.

mod secret;

pub use secret::Secret;
