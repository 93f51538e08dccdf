//! The contract's bindings, generated from `wit/`. The rest of this crate wraps them; a transform seldom needs them
//! as they are.
#![allow(missing_docs, clippy::all, clippy::pedantic, rust_2018_idioms, unsafe_op_in_unsafe_fn)]

wit_bindgen::generate!({
    path: "../wit/1.0.0",
    world: "transform",
    pub_export_macro: true,
    export_macro_name: "export_transform",
    default_bindings_module: "crossdock_guest::bindings",
    additional_derives: [PartialEq, Eq],
});
