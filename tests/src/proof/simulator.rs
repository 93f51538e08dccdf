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
use super::schemes::{SALEOUT, Scheme};
use super::whole::Counts;
use super::{Failure, Result, http};

/// Ends when dropped, and with the process that started it.
pub struct Simulator {
    child: Child,
    pub ready: Value,
}

/// One version of one document, as it left the source.
#[derive(Debug, Clone, Deserialize)]
pub struct Served {
    pub key: String,
    pub version: u32,
    pub cancelled: bool,
    pub purpose: String,
    pub detail: String,
    pub body: String,
    /// When it left first, where the source notes it.
    #[serde(default)]
    pub first_at: Option<Timestamp>,
}

/// One document as the source has it now.
#[derive(Debug, Clone, Deserialize)]
pub struct Document {
    pub key: String,
    pub version: u32,
    /// Where the source knows such a time.
    pub modified: Option<String>,
    pub purpose: String,
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Changes that the script still has in store.
    pub movements_left: u64,
    /// What the source has was there at this time, and was not modified since.
    pub since: Timestamp,
}

/// What the target holds, and every try to make a bill.
#[derive(Debug, Clone, Default)]
pub struct Held {
    pub bills: Vec<Bill>,
    pub creates: Vec<Create>,
}

#[derive(Debug, Clone)]
pub struct Bill {
    pub number: String,
    /// As it was sent, without what the target adds of its own.
    pub model: Value,
    /// What is wrong with it besides its fields.
    pub wrong: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Create {
    pub number: String,
    pub accepted: bool,
    /// It left something that was not there before.
    pub made: bool,
    pub reason: Option<String>,
    pub at: Option<Timestamp>,
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

    /// Address and credentials of a system.
    pub fn system(&self, name: &str) -> &Value {
        &self.ready["systems"][name]
    }

    fn page(&self, method: &str, page: &str, body: &[u8]) -> Result<Value> {
        let base = self.ready["admin_url"].as_str().unwrap_or_default();
        http::json(method, &format!("{base}{page}"), body)
    }

    fn of_system(&self, page: &str, system: &str) -> Result<Value> {
        Ok(self.page("GET", &format!("{page}?system={system}"), b"")?[system].take())
    }

    /// Every version of every document that left the scheme's source, in the order of leaving.
    pub fn served_by(&self, scheme: &dyn Scheme) -> Result<Vec<Served>> {
        read("served", &self.of_system("served", scheme.source())?["versions"])
    }

    pub fn held_for(&self, scheme: &dyn Scheme) -> Result<Held> {
        scheme.held(&self.of_system("held", scheme.target())?)
    }

    pub fn documents_of(&self, scheme: &dyn Scheme) -> Result<Vec<Document>> {
        read("documents", &self.of_system("documents", scheme.source())?["documents"])
    }

    /// A target's own tables.
    pub fn tables(&self, system: &str) -> Result<Value> {
        self.of_system("documents", system)
    }

    /// The same of the sale-outs, which most tests are about.
    pub fn held(&self) -> Result<Held> {
        self.held_for(SALEOUT)
    }

    pub fn documents(&self) -> Result<Vec<Document>> {
        self.documents_of(SALEOUT)
    }

    pub fn add(&self, body: &Value) -> Result<()> {
        self.add_to(SALEOUT, body)
    }

    pub fn add_to(&self, scheme: &dyn Scheme, body: &Value) -> Result<()> {
        self.put(scheme, body).map(|_| ())
    }

    /// The same; gives the document's key.
    pub fn put(&self, scheme: &dyn Scheme, body: &Value) -> Result<String> {
        let order = json!({"system": scheme.source(), "body": body});
        let listed = self.page("POST", "documents", order.to_string().as_bytes())?;
        Ok(listed["key"].as_str().unwrap_or_default().to_owned())
    }

    /// How far the scheme's source has come with changing under its reader's eyes.
    pub fn standing(&self, scheme: &dyn Scheme) -> Result<Standing> {
        let now = Timestamp::now();
        let page = self.of_system("documents", scheme.source())?;
        let documents: Vec<Document> = read("documents", &page["documents"])?;
        // Rows that are still to be moved count as movements of the script.
        let moves = self.faults_left()?.into_iter().filter(|order| {
            let here = order.operation.as_deref().is_none_or(|operation| operation == scheme.read_operation());
            order.name == crate::FaultName::MoveRows && here
        });
        let movements_left = page["movements_left"].as_u64().unwrap_or(0) + moves.count() as u64;
        let newest = documents.into_iter().map(|document| document.modified).max();
        let since = newest.flatten().map_or(Ok(now), |newest| local_instant(&newest))?;
        Ok(Standing { movements_left, since })
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

    /// Orders to misbehave so many times that have not struck as often yet.
    pub fn faults_left(&self) -> Result<Vec<crate::Fault>> {
        let orders: Vec<crate::Fault> = read("fault", &self.page("GET", "fault", b"")?["faults"])?;
        Ok(orders.into_iter().filter(|order| order.count.is_some()).collect())
    }

    /// Takes back the orders of one name.
    pub fn clear_fault(&self, name: crate::FaultName) -> Result<()> {
        self.page("DELETE", "fault", json!({"name": name}).to_string().as_bytes()).map(|_| ())
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

    /// What `--plain` has counted.
    pub fn counts(&self) -> Result<Counts> {
        read("counts", &self.page("GET", "counts", b"")?)
    }

    /// Every bill by its number, with `--keep-bills`.
    pub fn kept(&self) -> Result<Value> {
        self.page("GET", "bills", b"")
    }

    /// Of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The last requests one by one, for the story of a failure.
    pub fn log(&self) -> Result<Value> {
        self.page("GET", "log", b"")
    }

    /// Everything of the ready line that must never be seen in a log.
    pub fn credentials(&self) -> Vec<(String, String)> {
        let secret = ["app_secret", "client_secret", "password"];
        let mut found = Vec::new();
        for (name, system) in self.ready["systems"].as_object().into_iter().flatten() {
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

/// When something was tried at a target.
pub fn instant(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// A vendor's local time.
fn local_instant(local: &str) -> Result<Timestamp> {
    let zoned = DateTime::strptime("%Y-%m-%d %H:%M:%S", local)
        .and_then(|local| local.to_zoned(TimeZone::fixed(Offset::constant(8))));
    zoned.map(|zoned| zoned.timestamp()).map_err(|error| Failure::during(&format!("reading the time {local:?}"), error))
}

pub fn read<T: serde::de::DeserializeOwned>(page: &str, value: &Value) -> Result<T> {
    T::deserialize(value).map_err(|error| Failure::during(&format!("reading the simulator's page {page}"), error))
}
