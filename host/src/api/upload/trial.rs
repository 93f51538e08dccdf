//! A module's trial: the samples that came along, each in an instance of its own, then all in one, then all in one in the
//! opposite order. What a document gives must not hang on what ran before it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::report::{Sample, SampleBill, Trial};
use crate::capsule::Outcome;
use crate::model::{Digest, Document, DocumentKey, SchemeId, TenantId};
use crate::pipeline::quota::Meter;
use crate::registry::Now;
use crate::sandbox::{Call, Context, Isolation, Level, Limits, Lookup, Module, References, Run, Sandbox};
use crate::telemetry::mask_text;

/// For all runs of one trial. Samples show how a module behaves; a load test is done elsewhere.
const TRIAL_LIMIT: Duration = Duration::from_secs(60);

/// Bills told of one sample: a report is kept with its module, and lists of modules read it.
const BILLS_TOLD: usize = 20;

/// A document to try the module with.
#[derive(Debug, Clone)]
pub struct Given {
    pub name: String,
    pub body: String,
}

/// The tables that came along: table, key, the entry as JSON text.
#[derive(Debug, Clone, Default)]
pub struct Tables(pub BTreeMap<String, BTreeMap<String, String>>);

impl References for Tables {
    fn lookup(&self, table: &str, key: &str) -> Lookup {
        match self.0.get(table).map(|entries| entries.get(key)) {
            Some(Some(entry)) => Lookup::Found(entry.clone()),
            Some(None) => Lookup::KnownMissing,
            None => Lookup::UnknownTable,
        }
    }
}

/// Whose fuel the samples burn: they count like a scheme's documents.
pub struct Purse {
    pub meter: Meter,
    pub now: Now,
}

impl Purse {
    fn pay(&self, runs: &[Run]) {
        self.meter.charge((self.now)(), 0, runs.iter().map(|run| run.fuel).fold(0, u64::saturating_add));
    }

    /// Why no further sample is run now.
    fn is_empty(&self) -> Option<String> {
        self.meter.exceeded((self.now)()).map(|exceeded| format!("the tenant has used its {}", exceeded.quota))
    }
}

/// Runs the samples. Blocking.
pub fn run(
    sandbox: &Sandbox,
    module: &Module,
    tenant: &TenantId,
    parameters: &str,
    samples: &[Given],
    tables: &Tables,
    purse: &Purse,
) -> Option<Trial> {
    if samples.is_empty() {
        return None;
    }
    let said = module.description();
    let context = Context {
        tenant: tenant.clone(),
        scheme: SchemeId::new("trial").expect("it is a name"),
        source: said.source.as_str().into(),
        target: said.target.as_str().into(),
        parameters: Arc::from(parameters),
        received_at: Timestamp::now(),
    };
    let documents: Vec<Document> = samples.iter().enumerate().map(|(index, sample)| document(index, sample)).collect();
    let calls: Vec<Call<'_>> =
        documents.iter().map(|document| Call { context: &context, document, deadline_ms: None }).collect();
    let limits = Limits::of(sandbox.settings(), module.class());
    let began = Instant::now();
    let is_over = || match began.elapsed() > TRIAL_LIMIT {
        true => Some("the trial took too long".to_owned()),
        false => purse.is_empty(),
    };
    let mut remarks = Vec::new();

    // Bills may be large, and all that is asked of them is whether they are the same: their digests are kept.
    let mut fresh: Vec<(Sample, Digest)> = Vec::new();
    for (call, given) in calls.iter().zip(samples) {
        if let Some(why) = is_over() {
            remarks.push(format!("{why}; {} samples were not run", calls.len() - fresh.len()));
            break;
        }
        let runs = sandbox.transform(module, &[*call], Isolation::Document, &limits, tables);
        purse.pay(&runs);
        fresh.extend(runs.iter().map(|run| (told(run, given), mark(run))));
    }
    let tried = &calls[..fresh.len()];
    // One sample is its own neighbour: what it leaves behind, it meets.
    let onward: Vec<Call<'_>> = if tried.len() == 1 { vec![tried[0], tried[0]] } else { tried.to_vec() };
    let backward: Vec<Call<'_>> = onward.iter().rev().copied().collect();
    let mut compared = true;
    for (order, is_backward) in [(onward, false), (backward, true)] {
        if let Some(why) = is_over() {
            compared = false;
            remarks.push(format!("{why}; the trial does not say whether the module may run in batches"));
            break;
        }
        // At most ten at once, as in production: so many outcomes are held.
        let mut live = sandbox.transform(module, &order, Isolation::Batch, &limits, tables);
        purse.pay(&live);
        if is_backward {
            live.reverse();
        }
        for (index, run) in live.iter().enumerate() {
            let own = index.min(fresh.len() - 1);
            fresh[own].0.differs_in_batch |= fresh[own].1 != mark(run);
        }
    }
    let batch_safe = (compared && !fresh.is_empty()).then(|| !fresh.iter().any(|(sample, _)| sample.differs_in_batch));
    if batch_safe == Some(false) {
        remarks.push("a sample gave other bytes after others had run in the same instance: not for batches".into());
    }
    Some(Trial { samples: fresh.into_iter().map(|(sample, _)| sample).collect(), batch_safe, remarks })
}

/// Of everything that came of a run; of a fault, its code alone, for its words may name a time that was taken.
fn mark(run: &Run) -> Digest {
    let outcome = match Outcome::from(&run.verdict) {
        Outcome::Fault { code, .. } => Outcome::Fault { code, message: String::new() },
        outcome => outcome,
    };
    Digest::of(serde_json::to_vec(&outcome).expect("an outcome is texts"))
}

fn document(index: usize, sample: &Given) -> Document {
    // A document's key, as a file is named after it.
    let name = sample.name.strip_suffix(".json").unwrap_or(&sample.name);
    let key = DocumentKey::new(name).or_else(|_| DocumentKey::new(format!("sample-{}", index + 1)));
    Document { key: key.expect("a number makes a key"), body: sample.body.clone() }
}

fn told(run: &Run, given: &Given) -> Sample {
    let mut emitted = 0;
    let (outcome, bills, code, message) = match Outcome::from(&run.verdict) {
        Outcome::Emit(bills) => {
            let bill = |bill: crate::model::TargetDocument| SampleBill {
                key: bill.key.to_string(),
                bytes: bill.body.len() as u64,
            };
            emitted = bills.len() as u64;
            ("emit", bills.into_iter().take(BILLS_TOLD).map(bill).collect(), None, None)
        }
        Outcome::Skip(why) => ("skip", Vec::new(), Some(why.code), Some(why.message)),
        Outcome::Reject(why) => ("reject", Vec::new(), Some(why.code), Some(why.message)),
        Outcome::Fault { code, message } => ("fault", Vec::new(), Some(code), Some(message)),
    };
    let line = |line: &crate::sandbox::LogLine| format!("{}: {}", level(line.level), mask_text(&line.message));
    Sample {
        name: given.name.clone(),
        outcome: outcome.into(),
        bills_emitted: emitted,
        bills,
        code,
        message: message.as_deref().map(mask_text),
        fuel: run.fuel,
        memory_bytes: run.memory_bytes,
        logs: run.logs.iter().map(line).collect(),
        logs_dropped: run.logs_dropped,
        lookups: run.lookups.len() as u64,
        differs_in_batch: false,
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}
