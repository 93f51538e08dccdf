//! The running engine: assembles the layers below from a configuration, runs every scheme's driver and reader, answers
//! health, metrics and the operator's commands, and ends without losing anything.

mod alerts;
mod client;
mod control;
mod dry_run;
mod engine;
mod health;
mod office;
mod pass;
mod reader;
mod scheme;
mod serve;
mod tls;
mod transformer;
mod watcher;

pub use client::{Client, ClientError};
pub use control::SOCKET_NAME;
pub use dry_run::{DryRun, Line as DryRunLine, Standing, dry_run};
pub use engine::{Engine, OpenError, load, with_judgement};
pub use office::{
    Bill, CommandRequest, DocumentState, DocumentView, Filter, HistoryLine, Office, OfficeError, PauseRequest, Summary,
    VersionView,
};
pub use pass::{PassOptions, Progress, run_pass};
pub use serve::serve;
