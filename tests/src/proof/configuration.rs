//! The configuration of a proof, as a user would write it: connections with their secrets elsewhere, and schemes.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::connections::{Connection, connection};
use super::programs::Programs;
use super::schemes::{self, Facts, SALEOUT};
use super::simulator::Simulator;
use super::{Failure, Result};

pub const FILE: &str = "crossdock.toml";

/// What differs between proofs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Further keys of `[engine]`, one a line.
    pub engine: String,
    /// Further lines after the connections: `[sandbox]` and the like.
    pub extra: String,
    pub schemes: Vec<Scheme>,
    /// How long one exchange may take, for every connection.
    pub timeout_ms: u32,
    /// How long a request may wait for its turn. It counts into the deadline after which a lost answer settles.
    pub queue_timeout_ms: u32,
    /// Requests to 金蝶云星空 a second.
    pub target_requests_per_second: u32,
    /// For every connection, instead of the usual ones.
    pub limits: Option<Limits>,
}

/// How hard a connection may press its vendor.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub requests_per_second: u32,
    pub burst: u32,
    pub max_in_flight: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            engine: String::new(),
            extra: String::new(),
            schemes: vec![Scheme::default()],
            timeout_ms: 3_000,
            queue_timeout_ms: 3_000,
            target_requests_per_second: 200,
            limits: None,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Scheme {
    pub name: String,
    /// Which scheme it is.
    pub kind: &'static dyn schemes::Scheme,
    /// Path of the component; the scheme's own mapping where absent.
    pub component: Option<std::path::PathBuf>,
    /// Further keys of the source, with a comma in front: `, page_size = 10`.
    pub source: String,
    /// Further keys of the target, in the same way.
    pub target: String,
    /// Further keys of the scheme, one a line.
    pub keys: String,
    pub settle: String,
    pub start_at: String,
}

impl Default for Scheme {
    fn default() -> Self {
        Self::of(SALEOUT)
    }
}

impl Scheme {
    pub fn of(kind: &'static dyn schemes::Scheme) -> Self {
        Self {
            name: kind.name().to_owned(),
            kind,
            component: None,
            source: String::new(),
            target: String::new(),
            keys: String::new(),
            settle: "2s".to_owned(),
            // The simulator's documents begin three days back. Much earlier would mean many empty windows.
            start_at: (Timestamp::now() - SignedDuration::from_hours(96)).to_string(),
        }
    }
}

/// Writes the configuration and the files that it names into `directory`. Gives each scheme's facts, in their order.
pub fn write(directory: &Path, simulator: &Simulator, programs: &Programs, settings: &Settings) -> Result<Vec<Facts>> {
    let save = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|error| Failure::during(&format!("writing {}", path.display()), error))
    };
    let Settings { engine, extra, schemes, .. } = settings;
    let systems: BTreeSet<&str> =
        schemes.iter().flat_map(|scheme| [scheme.kind.source(), scheme.kind.target()]).collect();
    let mut text = format!(
        "[engine]\ndata_dir = \"data\"\nlisten = \"127.0.0.1:0\"\nlow_disk_bytes = 0\nlow_disk_percent = 0\n{engine}\n"
    );
    for system in systems {
        let Connection { block, secret } = connection(system, simulator, settings);
        text.push_str(&block);
        if let Some((file, secret)) = secret {
            save(&file, &secret)?;
        }
    }
    text.push_str(&format!("{extra}\n"));
    let mut facts = Vec::new();
    for scheme in schemes {
        let parameters = match scheme.kind.parameters(simulator) {
            Some(own) => own,
            None => read(&programs.parameters(scheme.kind))?,
        };
        let parameters_file = format!("{}.parameters.json", scheme.name);
        save(&parameters_file, &parameters.to_string())?;
        let tables = simulator.tables(scheme.kind.target())?;
        let component = scheme.component.clone().unwrap_or_else(|| programs.component(scheme.kind));
        text.push_str(&block(scheme, &component, &parameters_file));
        facts.push(Facts { parameters, tables });
    }
    save(FILE, &text)?;
    Ok(facts)
}

fn block(scheme: &Scheme, component: &Path, parameters_file: &str) -> String {
    let Scheme { name, kind, source, target, keys, settle, start_at, .. } = scheme;
    let (component, own) = (component.display(), kind.block(source, target));
    format!(
        r#"
[[scheme]]
name = "{name}"
module = {{ file = "{component}" }}
parameters = {{ file = "{parameters_file}" }}
{own}
schedule = "every 1s"
lag = "0s"
settle = "{settle}"
start_at = "{start_at}"
retry = {{ base = "1s", cap = "2s" }}
{keys}
"#
    )
}

fn read(file: &Path) -> Result<Value> {
    let doing = format!("reading {}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| Failure::during(&doing, error))?;
    serde_json::from_str(&text).map_err(|error| Failure::during(&doing, error))
}
