//! Crossdock moves business documents from one system to another: a host that polls, signs and writes, and between the
//! two a tenant's own WebAssembly component in a sandbox. `docs/architecture.md` is the map.
//!
//! Each layer uses only those below it:
//! `cli` · `api` · `daemon` · {`registry` | `pipeline`} · `capsule` · {`sandbox` | `connectors` | `state`} · `fault`, `config`, `telemetry` · `model`.

pub mod bench;
pub mod build;
pub mod capsule;
pub mod cli;
pub mod config;
pub mod connectors;
pub mod daemon;
pub mod fault;
pub mod model;
pub mod node_key;
pub mod pipeline;
pub mod registry;
pub mod sandbox;
pub mod state;
pub mod telemetry;
