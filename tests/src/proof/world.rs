//! One directory, one simulator, one configuration, and the engine that is started on them again and again.

use std::time::Duration;

use tempfile::TempDir;

use super::books::{self, Books, Evidence};
use super::configuration::{self, Settings};
use super::engine::{Engine, Product};
use super::expect::Parameters;
use super::programs::Programs;
use super::simulator::Simulator;
use super::wait::{Waiting, until};
use super::{Failure, Result};

pub const SCHEME: &str = "saleout";

pub struct World {
    directory: TempDir,
    pub simulator: Simulator,
    pub product: Product,
    parameters: Parameters,
    starts: usize,
}

impl World {
    pub fn new(programs: &Programs, simulator: &[String], settings: &Settings) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("crossdock-proof-")
            .tempdir()
            .map_err(|error| Failure::during("making a directory", error))?;
        let path = directory.path();
        std::fs::create_dir(path.join("logs")).map_err(|error| Failure::during("making the logs' directory", error))?;
        let absolute = |path: &std::path::Path| {
            path.canonicalize().map_err(|error| Failure::during(&path.display().to_string(), error))
        };
        let simulator = Simulator::start(programs, simulator)?;
        let parameters_file = absolute(&programs.parameters)?;
        configuration::write(path, &simulator, &absolute(&programs.component)?, &parameters_file, settings)?;
        let product = Product {
            program: absolute(&programs.crossdock)?,
            configuration: path.join(configuration::FILE),
            source_secret: simulator.source()["app_secret"].as_str().unwrap_or_default().to_owned(),
            logs: path.join("logs"),
            sabotage: None,
        };
        Ok(Self { simulator, product, parameters: Parameters::read(&parameters_file)?, directory, starts: 0 })
    }

    pub fn path(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Keeps the directory for whoever looks into a failure, and says where it is.
    pub fn keep(self) -> std::path::PathBuf {
        self.directory.keep()
    }

    pub fn spawn(&mut self) -> Result<Engine> {
        self.starts += 1;
        self.product.spawn(self.starts)
    }

    pub fn start(&mut self) -> Result<Engine> {
        self.starts += 1;
        self.product.start(self.starts)
    }

    /// Waits until everything the source has was read in a complete window and nothing is under way.
    pub fn wait_until_done(&self, engine: &mut Engine, patience: Duration) -> Result<()> {
        let done = until(patience, "the end of all work", || {
            if let Some(status) = engine.has_ended() {
                return Err(Waiting::InVain(Failure::new(format!("the engine ended by itself: {status}"))));
            }
            let movements = self.simulator.movements_left()?;
            if movements > 0 {
                return Err(Waiting::on(format!("{movements} changes that the source will make while it is read")));
            }
            let (newest, read_to) = (self.simulator.last_modified()?, engine.read_to(SCHEME)?);
            if read_to.is_none_or(|read_to| read_to <= newest) {
                return Err(Waiting::on(format!("a window that holds {newest}; read so far: up to {read_to:?}")));
            }
            let open = self.product.under_way(SCHEME)?;
            match open.iter().next() {
                None => Ok(()),
                Some((key, entry)) => {
                    let count = open.len();
                    Err(Waiting::on(format!("{count} documents under way, the first is {key}: {}", entry.story())))
                }
            }
        });
        done.map_err(|failure| engine.tell(failure))
    }

    /// The books as they stand, from both ends.
    pub fn books(&self) -> Result<Books> {
        Ok(self.balance(&self.evidence()?))
    }

    pub fn balance(&self, evidence: &Evidence) -> Books {
        books::balance(evidence, &self.parameters)
    }

    pub fn evidence(&self) -> Result<Evidence> {
        let served = self.simulator.served()?;
        let held = self.simulator.held()?;
        Ok(Evidence { served, held, ledger: self.product.ledger(SCHEME)? })
    }

    /// Every line that the product wrote in this world: of engines and of commands, on both outputs.
    pub fn everything_said(&self) -> Result<Vec<(String, String)>> {
        let failed = |error: std::io::Error| Failure::during("reading the logs", error);
        let mut said = Vec::new();
        for entry in std::fs::read_dir(&self.product.logs).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let text = String::from_utf8_lossy(&std::fs::read(&path).map_err(failed)?).into_owned();
            said.push((path.display().to_string(), text));
        }
        Ok(said)
    }
}
