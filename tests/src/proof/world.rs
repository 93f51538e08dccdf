//! One directory, one simulator, one configuration, and the engine that is started on them again and again.

use std::time::Duration;

use tempfile::TempDir;

use super::books::{self, Books, Evidence};
use super::configuration::{self, Settings};
use super::engine::{Engine, Product};
use super::programs::Programs;
use super::schemes::{Facts, Scheme};
use super::simulator::{Simulator, Standing};
use super::wait::{Waiting, until};
use super::{Failure, Result};

/// The scheme that most tests are about.
pub const SCHEME: &str = "saleout";

pub struct World {
    directory: TempDir,
    pub simulator: Simulator,
    pub product: Product,
    proved: Vec<Proved>,
    starts: usize,
}

/// A scheme of the configuration, and what its documents are judged by.
struct Proved {
    name: String,
    kind: &'static dyn Scheme,
    facts: Facts,
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
        let programs = Programs { components: absolute(&programs.components)?, ..programs.clone() };
        let facts = configuration::write(path, &simulator, &programs, settings)?;
        let proved = settings.schemes.iter().zip(facts);
        let proved = proved.map(|(scheme, facts)| Proved { name: scheme.name.clone(), kind: scheme.kind, facts });
        let product = Product {
            program: absolute(&programs.crossdock)?,
            configuration: path.join(configuration::FILE),
            source_secret: simulator.system("jushuitan_qimen")["app_secret"].as_str().unwrap_or_default().to_owned(),
            logs: path.join("logs"),
            sabotage: None,
            dies_at: None,
        };
        Ok(Self { simulator, product, proved: proved.collect(), directory, starts: 0 })
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

    /// Waits until everything the sources have was read in a complete window and nothing is under way.
    pub fn wait_until_done(&self, engine: &mut Engine, patience: Duration) -> Result<()> {
        self.proved.iter().try_for_each(|scheme| self.wait_until_done_with(scheme, engine, patience))
    }

    fn wait_until_done_with(&self, scheme: &Proved, engine: &mut Engine, patience: Duration) -> Result<()> {
        let mut settled = None;
        let done = until(patience, &format!("the end of all work of {}", scheme.name), || {
            if let Some(status) = engine.has_ended() {
                return Err(Waiting::InVain(Failure::new(format!("the engine ended by itself: {status}"))));
            }
            let Standing { movements_left, since } = match settled {
                Some(standing) => standing,
                None => self.simulator.standing(scheme.kind)?,
            };
            if movements_left > 0 {
                return Err(Waiting::on(format!("{movements_left} changes that the source makes while it is read")));
            }
            // Nothing changes any more: the large page need not be asked for again.
            settled = Some(Standing { movements_left, since });
            let read_to = engine.read_to(&scheme.name)?;
            if read_to.is_none_or(|read_to| read_to <= since) {
                return Err(Waiting::on(format!("a window that holds {since}; read up to {read_to:?}")));
            }
            let open = self.product.under_way(&scheme.name)?;
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

    /// The books of the first scheme as they stand, from both ends.
    pub fn books(&self) -> Result<Books> {
        let first = self.proved.first().ok_or_else(|| Failure::new("the configuration has no scheme"))?;
        self.books_of(first.kind)
    }

    pub fn books_of(&self, scheme: &dyn Scheme) -> Result<Books> {
        Ok(self.balance(scheme, &self.evidence(scheme)?))
    }

    pub fn balance(&self, scheme: &dyn Scheme, evidence: &Evidence) -> Books {
        let facts = self.proved.iter().find(|proved| proved.name == scheme.name()).map(|proved| &proved.facts);
        books::balance(evidence, scheme, facts.unwrap_or(&Facts::default()))
    }

    pub fn evidence(&self, scheme: &dyn Scheme) -> Result<Evidence> {
        let served = self.simulator.served_by(scheme)?;
        let held = self.simulator.held_for(scheme)?;
        Ok(Evidence { served, held, ledger: self.product.ledger(scheme.name())? })
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
