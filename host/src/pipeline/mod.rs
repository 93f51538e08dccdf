//! Joins source, sandbox, ledger and target. [`step`] decides, [`driver`] does; between the two stands a commit.

pub mod driver;
pub mod gate;
pub mod ledger;
pub mod poll;
pub mod queues;
pub mod round;
pub mod step;
pub mod subject;
pub mod transformer;
pub mod watch;

#[cfg(test)]
pub(crate) mod rig;
