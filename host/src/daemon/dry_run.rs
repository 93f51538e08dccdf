//! `crossdock run --dry-run`: polls, transforms, asks the target, and says what a real run would do. Writes nothing,
//! keeps no cursor, claims nothing.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

use crate::connectors::{Difference, Finding, Job, Page, PageSink, SinkClosed, SourceDocument, Span};
use crate::fault::Fault;
use crate::model::{Document, Outcome, Reason};
use crate::pipeline::reference::Catalogue;
use crate::pipeline::transformer::{Ran, Task};
use crate::telemetry::mask_text;

use super::engine::Engine;
use super::pass::Keepers;
use super::scheme::Scheme;

/// What would become of one document, or of one of its bills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub key: String,
    pub standing: Standing,
    pub fuel: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The target has no such bill: it would be created.
    Create {
        target: String,
    },
    /// The bill is there, as intended.
    Exists {
        target: String,
    },
    /// The bill is there with other content.
    Differs {
        target: String,
        differences: Vec<Difference>,
    },
    Skip(Reason),
    Reject(Reason),
    Fault(Fault),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryRun {
    pub lines: Vec<Line>,
    /// More documents were there than the limit allowed.
    pub cut: bool,
}

/// Looks at up to `limit` documents from where the scheme would go on reading.
pub async fn dry_run(engine: &Engine, scheme: &Scheme, limit: usize) -> Result<DryRun, Fault> {
    let documents = sample(scheme, limit).await?;
    let cut = documents.len() > limit;
    let mut lines = Vec::new();
    let mut tasks = Vec::new();
    for document in documents.into_iter().take(limit) {
        let key = match document.key {
            Ok(key) => key,
            Err(problem) => {
                let fault = Fault::park(crate::fault::Code::KeyMissing, problem);
                lines.push(Line { key: "?".into(), standing: Standing::Fault(fault), fuel: 0 });
                continue;
            }
        };
        let document = Arc::new(Document { key, body: document.body });
        // The tables are fetched after the documents were read, and so have the last word on what is missing.
        let received_at = (scheme.parts.now)();
        tasks.push(Task { document, received_at, patient: false, waits_since: Some(received_at), module: None });
    }
    let keepers = Keepers::start(engine, &[scheme]);
    let transformed = transform(engine, scheme, tasks).await;
    keepers.stop().await;
    let mut questions = Vec::new();
    for (name, ran) in transformed {
        let standing = match ran.verdict {
            Ok(Outcome::Emit(bills)) => {
                let jobs = bills.into_iter().map(|bill| Job { key: bill.key, body: bill.body, id: None });
                questions.extend(jobs.map(|job| (name.clone(), ran.fuel, job)));
                continue;
            }
            Ok(Outcome::Skip(reason)) => Standing::Skip(reason),
            Ok(Outcome::Reject(reason)) => Standing::Reject(reason),
            Err(fault) => Standing::Fault(fault),
        };
        lines.push(Line { key: name, standing, fuel: ran.fuel });
    }
    for group in questions.chunks(50) {
        let jobs: Vec<Job> = group.iter().map(|(_, _, job)| job.clone()).collect();
        let findings = scheme.parts.target.look_up(&jobs).await.map_err(|error| error.fault())?;
        for ((key, fuel, job), finding) in group.iter().zip(findings) {
            let target = job.key.to_string();
            let standing = match finding {
                Finding::Absent => Standing::Create { target },
                Finding::Ours { .. } => Standing::Exists { target },
                Finding::Differs { differences, .. } => Standing::Differs { target, differences },
            };
            lines.push(Line { key: key.clone(), standing, fuel: *fuel });
        }
    }
    Ok(DryRun { lines, cut })
}

/// Runs each document until its module gave a verdict. Documents that miss an entry of a reference table wait for it
/// together; where it does not come, what they waited for is their fault.
async fn transform(engine: &Engine, scheme: &Scheme, tasks: Vec<Task>) -> Vec<(String, Ran)> {
    let mut rans: Vec<Option<Ran>> = tasks.iter().map(|_| None).collect();
    let mut tasks: Vec<(usize, Task)> = tasks.into_iter().enumerate().collect();
    let names: Vec<String> = tasks.iter().map(|(_, task)| task.document.key.to_string()).collect();
    while !tasks.is_empty() {
        let generation = scheme.parts.transformer.catalogue().map_or(0, Catalogue::generation);
        let mut waiting = Vec::new();
        for (place, task) in tasks {
            let (transformer, given) = (scheme.parts.transformer.clone(), task.clone());
            let module = transformer.module();
            let ran = tokio::task::spawn_blocking(move || transformer.run(&[given])).await;
            let ran = ran.ok().and_then(|ran| ran.into_iter().next());
            let ran = ran.unwrap_or_else(|| {
                Ran::failed(module, Fault::park(crate::fault::Code::Internal, "the sandbox gave no answer"))
            });
            if ran.missed.is_some() {
                waiting.push((place, task));
            }
            rans[place] = Some(ran);
        }
        if waiting.is_empty() || !next_edition(engine, scheme, generation).await {
            break;
        }
        tasks = waiting;
    }
    names.into_iter().zip(rans).filter_map(|(name, ran)| Some((name, ran?))).collect()
}

/// Whether another edition of one of the scheme's tables came; `false` where none is to be expected.
async fn next_edition(engine: &Engine, scheme: &Scheme, generation: u64) -> bool {
    let Some(catalogue) = scheme.parts.transformer.catalogue() else { return false };
    let mut changes = engine.library.changes();
    while catalogue.generation() == generation {
        tokio::select! {
            biased;
            () = changes.grown() => {}
            reasons = engine.library.despair(catalogue) => {
                tracing::warn!(scheme = %scheme.config.name, "reference tables cannot be fetched: {}", mask_text(&reasons.join("; ")));
                return false;
            }
        }
    }
    true
}

/// Up to `limit` documents and one more, from the scheme's cursor on.
async fn sample(scheme: &Scheme, limit: usize) -> Result<Vec<SourceDocument>, Fault> {
    let reading = &scheme.reading;
    let cursor = reading.ledger.cursor().unwrap_or_default();
    let mut sink = Collect { documents: Vec::new(), limit };
    let now = (reading.now)();
    let horizon = now.checked_sub(reading.lag).unwrap_or(now);
    let horizon = Timestamp::from_second(horizon.as_second()).unwrap_or(horizon);
    let mut start = cursor.read_to.unwrap_or(reading.start_at);
    while start < horizon && sink.documents.len() <= limit {
        let end = match reading.source.window_limit() {
            Some(window) => start.checked_add(window).unwrap_or(horizon).min(horizon),
            None => horizon,
        };
        match reading.source.read(&Span::Window { start, end }, &mut sink).await {
            Ok(_) => start = end,
            Err(crate::connectors::Error::Stopped) => break,
            Err(error) => return Err(error.fault()),
        }
    }
    Ok(sink.documents)
}

struct Collect {
    documents: Vec<SourceDocument>,
    limit: usize,
}

#[async_trait]
impl PageSink for Collect {
    async fn page(&mut self, page: Page) -> Result<(), SinkClosed> {
        for document in page.documents {
            // A second pass over a moving window shows a record again.
            if !self.documents.iter().any(|known| known.key == document.key && known.key.is_ok()) {
                self.documents.push(document);
            }
        }
        if self.documents.len() > self.limit { Err(SinkClosed) } else { Ok(()) }
    }

    async fn durable(&mut self) -> Result<(), SinkClosed> {
        Ok(())
    }
}
