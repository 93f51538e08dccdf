//! Joins source, sandbox, ledger and target. [`step`] decides, [`driver`] does; between the two stands a commit.

pub(crate) mod apart;
pub mod backfill;
pub mod backoff;
pub mod bisection;
pub mod command;
pub mod driver;
pub mod erasure;
pub mod gate;
pub(crate) mod instant;
pub mod lane;
mod laps;
pub mod ledger;
pub mod poll;
pub mod queues;
pub mod quota;
mod recent;
pub mod reconcile;
pub mod reference;
pub mod retention;
pub mod round;
pub mod step;
pub mod subject;
pub mod tally;
pub mod transformer;
pub mod watch;

#[cfg(test)]
pub(crate) mod rig;
