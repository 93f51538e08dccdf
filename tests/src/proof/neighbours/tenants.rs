//! One engine with two tenants: `quiet`, who means well, and `noisy`, who does everything else. Each has vendors of its
//! own; `noisy` has a second source, whose documents are large.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::vices::{self, Vice};
use crate::proof::engine::Product;
use crate::proof::programs::Programs;
use crate::proof::schemes::SALEOUT;
use crate::proof::simulator::Simulator;
use crate::proof::{Failure, Result};

pub const QUIET: &str = "quiet";
pub const NOISY: &str = "noisy";

/// Bytes of each of the large documents.
pub const LARGE_BYTES: usize = 1 << 20;

pub struct Tenants {
    pub quiet: Simulator,
    pub noisy: Simulator,
    pub large: Simulator,
    pub product: Product,
    pub vices: Vec<Vice>,
    pub directory: TempDir,
}

impl Tenants {
    pub fn new(programs: &Programs) -> Result<Self> {
        let during = |doing: &'static str| move |error: std::io::Error| Failure::during(doing, error);
        let directory =
            tempfile::Builder::new().prefix("crossdock-neighbours-").tempdir().map_err(during("making a directory"))?;
        let logs = directory.path().join("logs");
        std::fs::create_dir(&logs).map_err(during("making the logs' directory"))?;
        let start = |more: &[String]| {
            let empty = ["--documents".to_owned(), "0".to_owned()];
            Simulator::start(programs, &[&empty, more].concat())
        };
        let (quiet, noisy) = (start(&[])?, start(&[])?);
        let large = start(&["--pad-bytes".to_owned(), LARGE_BYTES.to_string()])?;
        let tenants = Self {
            product: Product {
                dies_at: None,
                program: programs.crossdock.canonicalize().map_err(during("looking for the engine"))?,
                configuration: directory.path().join("crossdock.toml"),
                source_secret: String::new(),
                logs,
                sabotage: None,
            },
            vices: vices::all(),
            quiet,
            noisy,
            large,
            directory,
        };
        tenants.write(programs)?;
        Ok(tenants)
    }

    fn write(&self, programs: &Programs) -> Result<()> {
        let directory = self.directory.path();
        let mut text = "[engine]\ndata_dir = \"data\"\nlisten = \"127.0.0.1:0\"\nlow_disk_bytes = 0\n".to_owned();
        for (tenant, source, simulator) in
            [(QUIET, "jst", &self.quiet), (NOISY, "jst", &self.noisy), (NOISY, "large", &self.large)]
        {
            let keys = ["base_url", "app_key", "target_app_key", "customer_id"];
            text.push_str(&self.connection((tenant, source), "jushuitan_qimen", simulator, &keys)?);
        }
        for (tenant, simulator) in [(QUIET, &self.quiet), (NOISY, &self.noisy)] {
            let keys = ["base_url", "acct_id", "user_name", "app_id", "org_num"];
            text.push_str(&self.connection((tenant, "k3"), "kingdee_k3cloud", simulator, &keys)?);
        }
        let component = programs.component(SALEOUT);
        let component =
            component.canonicalize().map_err(|error| Failure::during(&component.display().to_string(), error))?;
        let parameters = programs.parameters(SALEOUT);
        std::fs::copy(&parameters, directory.join("parameters.json"))
            .map_err(|error| Failure::during(&parameters.display().to_string(), error))?;
        text.push_str(&scheme(QUIET, QUIET, "jst", &component, ""));
        for vice in &self.vices {
            let component = directory.join(format!("{}.wasm", vice.scheme));
            save(&component, &vice.component())?;
            let source = if vice.large { "large" } else { "jst" };
            text.push_str(&scheme(NOISY, &vice.scheme, source, &component, vice.keys));
        }
        save(&self.product.configuration, text.as_bytes())
    }

    /// The block of a connection, whose secret stands in a file of its own.
    fn connection(
        &self,
        (tenant, name): (&str, &str),
        system: &str,
        simulator: &Simulator,
        keys: &[&str],
    ) -> Result<String> {
        let ready = simulator.system(system);
        let text = |key: &str| ready[key].as_str().unwrap_or_default();
        let keys: Vec<String> = keys.iter().map(|key| format!("{key} = {}", Value::from(text(key)))).collect();
        let (keys, file) = (keys.join("\n"), format!("{tenant}-{name}.secret"));
        save(&self.directory.path().join(&file), text("app_secret").as_bytes())?;
        Ok(format!(
            r#"
[[connection]]
tenant = "{tenant}"
name = "{name}"
system = "{system}"
{keys}
app_secret = {{ file = "{file}" }}
{LIMITS}
"#
        ))
    }
}

fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|error| Failure::during(&format!("writing {}", path.display()), error))
}

const LIMITS: &str = "limits = { requests_per_second = 200.0, burst = 20, max_in_flight = 8, timeout_ms = 30000, response_limit_bytes = 33554432 }";

fn scheme(tenant: &str, name: &str, source: &str, component: &Path, keys: &str) -> String {
    let start_at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    let component = component.display();
    format!(
        r#"
[[scheme]]
tenant = "{tenant}"
name = "{name}"
module = {{ file = "{component}" }}
parameters = {{ file = "parameters.json" }}
source = {{ connection = "{source}", operation = "jushuitan.saleout.list.query", status = ["Confirmed"], page_size = 10 }}
target = {{ connection = "k3", operation = "BatchSave", form = "SAL_OUTSTOCK" }}
schedule = "every 1s"
lag = "0s"
settle = "2s"
start_at = "{start_at}"
retry = {{ base = "1s", cap = "2s" }}
{keys}
"#
    )
}
