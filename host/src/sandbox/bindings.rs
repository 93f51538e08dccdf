//! What `wit/1.0.0/transform.wit` says, as Rust types. The imports are linked by hand in [`super::host`], because each of them
//! charges fuel.

#![allow(missing_docs)]

wasmtime::component::bindgen!({
    path: "../wit/1.0.0",
    world: "transform",
    // A document is copied once, into the guest's memory.
    ownership: Borrowing { duplicate_if_necessary: false },
});
