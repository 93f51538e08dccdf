//! What became of each document, for people or for programs.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::fault::Fault;
use crate::model::{Document, Outcome, Reason};
use crate::sandbox::Run;

#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    outcome: &'static str,
    documents: Vec<Bill<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<FaultLine>,
    fuel: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    fuel_shared: bool,
    memory_bytes: u64,
}

#[derive(Serialize)]
struct Bill<'a> {
    key: &'a str,
    /// What the component emitted, byte for byte but for line breaks between tokens, which would break the line.
    body: Box<RawValue>,
}

#[derive(Serialize)]
struct FaultLine {
    class: crate::fault::Class,
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<u64>,
}

impl From<Fault> for FaultLine {
    fn from(fault: Fault) -> Self {
        let (limit_name, limit, used) =
            fault.limit.clone().map_or((None, None, None), |hit| (Some(hit.name), Some(hit.limit), Some(hit.used)));
        Self { class: fault.class(), code: fault.code.as_str(), message: fault.message, limit_name, limit, used }
    }
}

/// One object, one line.
pub fn json(out: &mut impl Write, document: &Document, run: &Run) -> io::Result<()> {
    let mut line = Line {
        key: document.key.as_str(),
        outcome: "fault",
        documents: Vec::new(),
        reason: None,
        fault: None,
        fuel: run.fuel,
        fuel_shared: run.fuel_shared,
        memory_bytes: run.memory_bytes,
    };
    match &run.verdict {
        Ok(Outcome::Emit(bills)) => {
            line.outcome = "emit";
            for bill in bills {
                line.documents.push(Bill { key: bill.key.as_str(), body: one_line(&bill.body)? });
            }
        }
        Ok(Outcome::Skip(reason)) => (line.outcome, line.reason) = ("skip", Some(reason)),
        Ok(Outcome::Reject(reason)) => (line.outcome, line.reason) = ("reject", Some(reason)),
        Err(error) => line.fault = Some(error.fault().into()),
    }
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

/// A raw line break cannot stand in a JSON string, so whichever there is lies between tokens.
fn one_line(body: &str) -> serde_json::Result<Box<RawValue>> {
    RawValue::from_string(body.replace(['\r', '\n'], " "))
}

pub fn text(out: &mut impl Write, document: &Document, run: &Run) -> io::Result<()> {
    let key = &document.key;
    let used = format!("fuel {}, memory {} KiB", run.fuel, run.memory_bytes >> 10);
    match &run.verdict {
        Ok(Outcome::Emit(bills)) => {
            writeln!(out, "{key}: emits {} ({used})", bills.len())?;
            for bill in bills {
                writeln!(out, "  {} {}", bill.key, bill.body)?;
            }
            Ok(())
        }
        Ok(Outcome::Skip(reason)) => writeln!(out, "{key}: skipped, {} ({used})", said(reason)),
        Ok(Outcome::Reject(reason)) => writeln!(out, "{key}: rejected, {} ({used})", said(reason)),
        Err(error) => writeln!(out, "{key}: fault, {} ({used})", error.fault()),
    }
}

fn said(reason: &Reason) -> String {
    let field = reason.field.as_ref().map(|field| format!(" at {field}")).unwrap_or_default();
    format!("{}{field}: {}", reason.code, reason.message)
}

/// The guest's log, and what of it was dropped. Control characters are shown, not obeyed: a guest wrote this.
pub fn log(err: &mut impl Write, document: &Document, run: &Run) {
    for line in &run.logs {
        let message: String = line
            .message
            .chars()
            .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
            .collect();
        // Whoever closed standard error does not want to know.
        let _ = writeln!(err, "{}: {:?}: {message}", document.key, line.level);
    }
    if run.logs_dropped > 0 {
        let _ = writeln!(err, "{}: {} log lines were dropped", document.key, run.logs_dropped);
    }
}
