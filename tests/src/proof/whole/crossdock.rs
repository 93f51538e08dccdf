//! Crossdock as a mover: its own program on an empty ledger, every commit durable, every promise kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use super::spent::spent;
use super::{BATCH, Load, Run, Stage};
use crate::proof::configuration::{FILE, Limits, Settings};
use crate::proof::connections::{Connection, connection};
use crate::proof::engine::{Engine, Product};
use crate::proof::process::usage;
use crate::proof::programs::Programs;
use crate::proof::schemes::SALEOUT;
use crate::proof::simulator::Simulator;
use crate::proof::wait::{Waiting, until};
use crate::proof::{Failure, Result};

/// How the engine is set up; what is left out is the product's default.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Further keys of `[engine]`, of each connection's `limits`, and of the scheme.
    pub engine: String,
    pub scheme: String,
    /// Requests under way at once on each connection.
    pub in_flight: u32,
}

/// Without a single further bill.
const PATIENCE: Duration = Duration::from_secs(120);

/// A directory with an engine's configuration, and the simulator that it speaks to.
pub struct Dock {
    directory: TempDir,
    product: Product,
    load: Load,
    pub simulator: Simulator,
    starts: usize,
}

impl Dock {
    pub fn new(programs: &Programs, load: Load, simulator: Simulator, setup: &Setup) -> Result<Self> {
        let failed = |error| Failure::during("making a directory", error);
        let directory = tempfile::Builder::new().prefix("crossdock-whole-").tempdir().map_err(failed)?;
        std::fs::create_dir(directory.path().join("logs")).map_err(failed)?;
        write(directory.path(), programs, &simulator, setup)?;
        let absolute =
            |path: &Path| path.canonicalize().map_err(|error| Failure::during("looking for the engine", error));
        let product = Product {
            program: absolute(&programs.crossdock)?,
            configuration: directory.path().join(FILE),
            source_secret: simulator.system(SALEOUT.source())["app_secret"].as_str().unwrap_or_default().to_owned(),
            logs: directory.path().join("logs"),
            sabotage: None,
            dies_at: None,
        };
        Ok(Self { directory, product, load, simulator, starts: 0 })
    }

    /// Starts an engine once with its source held back, so that the module is compiled: it is once for all, when it is
    /// uploaded, and never on a document's way.
    pub fn prepare(&mut self) -> Result<()> {
        self.product.succeed(&["pause", "--connection", "jst", "--reason", "the module is being compiled"])?;
        let mut engine = self.start()?;
        self.end(&mut engine)?;
        self.product.succeed(&["resume", "--connection", "jst"])?;
        Ok(())
    }

    fn start(&mut self) -> Result<Engine> {
        self.starts += 1;
        self.product.start(self.starts)
    }

    fn end(&self, engine: &mut Engine) -> Result<()> {
        let status = engine.terminate()?;
        if status.success() {
            return Ok(());
        }
        Err(engine.tell(Failure::new(format!("after SIGTERM the engine ended with {status}"))))
    }

    /// From the start of the process until the last bill's answer is durable.
    pub fn run(&mut self) -> Result<Run> {
        let before = spent(self.simulator.id())?;
        let began = Instant::now();
        self.starts += 1;
        let mut engine = self.product.spawn(self.starts)?;
        self.wait_for_bills(&mut engine)?;
        engine.wait_until_ready()?;
        self.wait_for_answers(&mut engine)?;
        let took = began.elapsed();
        let (mover, simulator) = (spent(engine.id())?, spent(self.simulator.id())?);
        let (peak_kib, stages) = (Some(usage(engine.id())?.peak_kib), stages(&engine.metrics()?));
        self.end(&mut engine)?;
        self.load.check(self.simulator.counts()?)?;
        let simulator = simulator.saturating_sub(before);
        Ok(Run { documents: self.load.documents, took, mover, simulator, peak_kib, stages })
    }

    fn wait_for_bills(&self, engine: &mut Engine) -> Result<()> {
        let (mut most, mut grew) = (0, Instant::now());
        let all = until(Duration::MAX, "the last bill", || {
            if let Some(status) = engine.has_ended() {
                return Err(Waiting::InVain(Failure::new(format!("the engine ended by itself: {status}"))));
            }
            let bills = self.simulator.counts()?.bills;
            if bills > most {
                (most, grew) = (bills, Instant::now());
            }
            if grew.elapsed() > PATIENCE {
                return Err(Waiting::InVain(Failure::new(format!("after {bills} bills no more come"))));
            }
            if bills >= self.load.documents { Ok(()) } else { Err(Waiting::on("bills")) }
        });
        all.map_err(|failure| engine.tell(failure))
    }

    fn wait_for_answers(&self, engine: &mut Engine) -> Result<()> {
        let all = until(PATIENCE, "the last answer's commit", || {
            let written = engine.counted("crossdock_documents_total", &[r#"outcome="written""#])?;
            if written >= self.load.documents { Ok(()) } else { Err(Waiting::on(format!("{written} are committed"))) }
        });
        all.map_err(|failure| engine.tell(failure))
    }

    /// Keeps the directory for whoever looks into it, and says where it is.
    pub fn keep(self) -> PathBuf {
        self.directory.keep()
    }
}

/// The sums of the engine's own clocks, by stage.
fn stages(metrics: &str) -> BTreeMap<String, Stage> {
    let mut stages = BTreeMap::<String, Stage>::new();
    for line in metrics.lines() {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        let Some((_, stage)) = name.split_once("stage=\"") else { continue };
        let stage = stages.entry(stage.trim_end_matches("\"}").to_owned());
        if name.starts_with("crossdock_stage_seconds_sum") {
            stage.or_default().seconds += value.parse().unwrap_or(0.0);
        } else if name.starts_with("crossdock_stage_seconds_count") {
            stage.or_default().count += value.parse().unwrap_or(0);
        }
    }
    stages.retain(|_, stage| stage.count > 0);
    stages
}

/// As a user would write it who has a large shop: fifty bills a save, audited by it.
fn write(directory: &Path, programs: &Programs, simulator: &Simulator, setup: &Setup) -> Result<()> {
    let save = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|error| Failure::during(&format!("writing {}", path.display()), error))
    };
    // The vendors here have no limit of their own; only what is under way at once is bounded, for everybody alike.
    let limits = Limits { requests_per_second: 1_000, burst: 1_000_000, max_in_flight: setup.in_flight };
    let settings =
        Settings { limits: Some(limits), timeout_ms: 60_000, queue_timeout_ms: 60_000, ..Settings::default() };
    let mut text =
        format!("[engine]\ndata_dir = \"data\"\nlisten = \"127.0.0.1:0\"\nlow_disk_bytes = 0\n{}\n", setup.engine);
    for system in [SALEOUT.source(), SALEOUT.target()] {
        let Connection { block, secret } = connection(system, simulator, &settings);
        text.push_str(&block);
        if let Some((file, secret)) = secret {
            save(&file, &secret)?;
        }
    }
    let start_at = Timestamp::now() - SignedDuration::from_hours(96);
    let component = programs.component(SALEOUT);
    let component =
        component.canonicalize().map_err(|error| Failure::during(&component.display().to_string(), error))?;
    let parameters = programs.parameters(SALEOUT);
    let parameters = std::fs::read_to_string(&parameters)
        .map_err(|error| Failure::during(&format!("reading {}", parameters.display()), error))?;
    save("parameters.json", &parameters)?;
    text.push_str(&format!(
        r#"
[[scheme]]
name = "saleout"
source = {{ connection = "jst", operation = "jushuitan.saleout.list.query", status = "Confirmed", page_size = {BATCH} }}
module = {{ file = "{}" }}
parameters = {{ file = "parameters.json" }}
target = {{ connection = "k3", operation = "BatchSave", form = "SAL_OUTSTOCK", submit_and_audit = true, confirm_audit = false, batch_size = {BATCH} }}
schedule = "every 1s"
lag = "0s"
start_at = "{start_at}"
{}
"#,
        component.display(),
        setup.scheme
    ));
    save(FILE, &text)
}
