//! What people type: each command is a thin shell over the layers below.

pub mod check;
