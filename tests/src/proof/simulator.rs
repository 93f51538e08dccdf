//! The vendors, as a process of their own, and their admin pages.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use serde::Deserialize;
use serde_json::{Value, json};

use super::programs::Programs;
use super::{Failure, Result, http};

const SOURCE: &str = "jushuitan_qimen";
const TARGET: &str = "kingdee_k3cloud";

/// Ends when dropped, and with the process that started it.
pub struct Simulator {
    child: Child,
    pub ready: Value,
}

/// One version of one document, as it left the source.
#[derive(Debug, Clone, Deserialize)]
pub struct Served {
    pub io_id: String,
    pub version: u32,
    pub cancelled: bool,
    pub purpose: String,
    pub detail: String,
    pub body: String,
}

/// One document as the source has it now.
#[derive(Debug, Clone, Deserialize)]
pub struct Document {
    pub io_id: String,
    pub version: u32,
    pub modified: String,
    pub status: String,
    pub purpose: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Changes that the script still has in store.
    pub movements_left: u64,
    /// When the newest document was modified.
    pub last_modified: Timestamp,
}

/// What the target holds, and every try to create a bill.
#[derive(Debug, Clone, Deserialize, Default)]
pub struct Held {
    pub bills: Vec<Bill>,
    pub creates: Vec<Create>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Bill {
    pub number: String,
    pub status: String,
    pub ignored_fields: Vec<String>,
    pub model: Value,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Create {
    pub number: String,
    pub accepted: bool,
    pub reason: Option<String>,
}

impl Simulator {
    pub fn start(programs: &Programs, arguments: &[String]) -> Result<Self> {
        let mut child = Command::new(&programs.vendor_sim)
            .arg("--exit-with-stdin")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::during(&format!("starting {}", programs.vendor_sim.display()), error))?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            // The end of the output is an empty line, which is no JSON; that failure says enough.
            let _ = BufReader::new(out).read_line(&mut line);
        }
        match serde_json::from_str(&line) {
            Ok(ready) => Ok(Self { child, ready }),
            Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(Failure::new(format!("the simulator did not become ready with {arguments:?}; it said {line:?}")))
            }
        }
    }

    pub fn source(&self) -> &Value {
        &self.ready["systems"][SOURCE]
    }

    pub fn target(&self) -> &Value {
        &self.ready["systems"][TARGET]
    }

    fn page(&self, method: &str, page: &str, body: &[u8]) -> Result<Value> {
        let base = self.ready["admin_url"].as_str().unwrap_or_default();
        http::json(method, &format!("{base}{page}"), body)
    }

    /// Every version of every document that left the source, in the order of leaving.
    pub fn served(&self) -> Result<Vec<Served>> {
        read("served", &self.page("GET", "served", b"")?[SOURCE]["versions"])
    }

    pub fn held(&self) -> Result<Held> {
        read("held", &self.page("GET", "held", b"")?[TARGET])
    }

    pub fn documents(&self) -> Result<Vec<Document>> {
        read("documents", &self.page("GET", "documents", b"")?[SOURCE]["documents"])
    }

    /// How far the source has come with changing under its reader's eyes.
    pub fn standing(&self) -> Result<Standing> {
        let page = self.page("GET", "documents", b"")?;
        let documents: Vec<Document> = read("documents", &page[SOURCE]["documents"])?;
        let newest = documents.into_iter().map(|document| document.modified).max();
        let newest = newest.ok_or_else(|| Failure::new("the source has no documents"))?;
        let last_modified = DateTime::strptime("%Y-%m-%d %H:%M:%S", &newest)
            .and_then(|local| local.to_zoned(TimeZone::fixed(Offset::constant(8))))
            .map(|zoned| zoned.timestamp())
            .map_err(|error| Failure::during(&format!("reading the time {newest:?}"), error))?;
        Ok(Standing { movements_left: page[SOURCE]["movements_left"].as_u64().unwrap_or(0), last_modified })
    }

    pub fn add(&self, body: &Value) -> Result<()> {
        self.page("POST", "documents", json!({"body": body}).to_string().as_bytes()).map(|_| ())
    }

    pub fn change(&self, io_id: &str, set: &Value) -> Result<()> {
        self.page("POST", "documents", json!({"io_id": io_id, "set": set}).to_string().as_bytes()).map(|_| ())
    }

    /// What a person does at the target's own screen: `remove`, `set`, or `copy_of`.
    pub fn tamper(&self, order: &Value) -> Result<()> {
        self.page("POST", "held", order.to_string().as_bytes()).map(|_| ())
    }

    /// As on the command line: `NAME[=VALUE][,system=S]…`.
    pub fn fault(&self, order: &str) -> Result<()> {
        let fault: crate::Fault = order.parse().map_err(|error| Failure::during(order, error))?;
        let body = serde_json::to_vec(&fault).map_err(|error| Failure::during(order, error))?;
        self.page("POST", "fault", &body).map(|_| ())
    }

    pub fn clear_faults(&self) -> Result<()> {
        self.page("DELETE", "fault", b"").map(|_| ())
    }

    /// Requests that came in so far, by system and operation.
    pub fn requests(&self) -> Result<BTreeMap<(String, String), u64>> {
        #[derive(Deserialize)]
        struct Counter {
            system: String,
            operation: String,
            count: u64,
        }
        let counters: Vec<Counter> = read("requests", &self.page("GET", "requests", b"")?["counters"])?;
        let mut sums = BTreeMap::new();
        for Counter { system, operation, count } in counters {
            *sums.entry((system, operation)).or_default() += count;
        }
        Ok(sums)
    }

    /// The last requests one by one, for the story of a failure.
    pub fn log(&self) -> Result<Value> {
        self.page("GET", "log", b"")
    }

    /// Everything of the ready line that must never be seen in a log.
    pub fn credentials(&self) -> Vec<(String, String)> {
        let secret = ["app_secret", "password"];
        let mut found = Vec::new();
        for (name, system) in [(SOURCE, self.source()), (TARGET, self.target())] {
            for key in secret {
                if let Some(value) = system[key].as_str() {
                    found.push((format!("{name}.{key}"), value.to_owned()));
                }
            }
        }
        found
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It may have ended already; either way nothing of it is left afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read<T: serde::de::DeserializeOwned>(page: &str, value: &Value) -> Result<T> {
    T::deserialize(value).map_err(|error| Failure::during(&format!("reading the simulator's page {page}"), error))
}
