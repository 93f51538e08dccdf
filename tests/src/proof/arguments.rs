//! The arguments that every proof takes.

use std::path::PathBuf;

use clap::Args;

use super::Result;
use super::programs::{Given, Programs};

/// Where things are; by default beside this program, as `make build` leaves them.
#[derive(Debug, Clone, Args)]
pub struct Where {
    /// The product's binary
    #[arg(long = "engine", value_name = "FILE")]
    crossdock: Option<PathBuf>,
    /// The vendors' simulator
    #[arg(long, value_name = "FILE")]
    vendor_sim: Option<PathBuf>,
    /// Where the transforms' components are
    #[arg(long, value_name = "FOLDER")]
    components: Option<PathBuf>,
    /// Where the transforms' sources are, their example parameters among them
    #[arg(long, value_name = "FOLDER")]
    transforms: Option<PathBuf>,
}

impl Where {
    pub fn programs(&self) -> Result<Programs> {
        Programs::find(Given {
            crossdock: self.crossdock.clone(),
            vendor_sim: self.vendor_sim.clone(),
            components: self.components.clone(),
            transforms: self.transforms.clone(),
        })
    }
}

/// A seed that was given, or one of this instant's; printed either way, so that a run can be repeated.
pub fn seed_or_new(given: Option<u64>) -> u64 {
    given.unwrap_or_else(|| u64::from(rand::random::<u32>()))
}
