//! The running engine: assembles the layers below from a configuration, runs every scheme's driver and reader, answers
//! health, metrics and the operator's commands, and ends without losing anything.

mod advice;
mod alerts;
mod backfill;
mod capsule_desk;
mod client;
mod compaction;
mod control;
mod crew;
mod dry_run;
mod engine;
mod errands;
mod floor;
mod health;
mod judgement;
mod modules;
mod office;
mod pass;
mod reader;
mod reconcile;
mod reference_desk;
mod references;
mod register;
mod registry_desk;
mod registry_of;
mod retention;
mod schema;
mod scheme;
mod serve;
#[cfg(test)]
mod simulation;
mod tls;
mod traffic;
mod transformer;
mod uploaded;
mod watcher;
mod witness;
mod workshop;

pub use advice::{Writing, writings};
pub use backfill::{BackfillError, BackfillRequest, backfill_at_rest, run_backfill, scheme_named};
pub use capsule_desk::{CapsuleAnswer, CapsuleRequest};
pub use client::{Client, ClientError};
pub use compaction::CompactionLine;
pub use control::SOCKET_NAME;
pub use dry_run::{DryRun, Line as DryRunLine, Standing, dry_run};
pub use engine::{Engine, OpenError};
pub use floor::{
    CompareError, CompareReport, Compared, ConnectionStatus, DocumentDifference, Floor, FloorError, FuelUse, ManagedBy,
    SchemeState, SchemeStatus, TenantUse,
};
pub use judgement::{load, with_judgement};
pub use modules::{FileModules, ModulePlaces, Modules};
pub use office::{
    Bill, BulkAnswer, BulkRequest, CommandRequest, DocumentState, DocumentView, Filter, Found, HistoryLine, Named,
    Office, OfficeError, PauseRequest, Refused, Summary, VersionView, Wish,
};
pub use pass::{PassOptions, Progress, run_pass};
pub use reconcile::{Auditors, ReconcileRequest};
pub use reference_desk::{Origin, TableContent, TableFilter, TableQuestion, TableView};
pub use references::refresh_alone;
pub use registry_desk::{CreatedToken, DeskError, RegistryDesk};
pub use serve::{FloorParts, Surface, Surfaced, serve};
pub use tls::install as install_tls;
pub use transformer::{LimitsOf, SandboxTransformer};
pub use witness::Witness;
