//! `crossdock run --dry-run`: polls, transforms, asks the target, and says what a real run would do. Writes nothing,
//! keeps no cursor, claims nothing.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

use crate::connectors::{Difference, Finding, Job, Page, PageSink, SinkClosed, SourceDocument, Span};
use crate::fault::Fault;
use crate::model::{Document, Outcome, Reason};
use crate::pipeline::transformer::Task;

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
pub async fn dry_run(scheme: &Scheme, limit: usize) -> Result<DryRun, Fault> {
    let documents = sample(scheme, limit).await?;
    let cut = documents.len() > limit;
    let mut lines = Vec::new();
    let mut questions = Vec::new();
    for document in documents.into_iter().take(limit) {
        let key = match document.key {
            Ok(key) => key,
            Err(problem) => {
                let fault = Fault::park(crate::fault::Code::KeyMissing, problem);
                lines.push(Line { key: "?".into(), standing: Standing::Fault(fault), fuel: 0 });
                continue;
            }
        };
        let name = key.to_string();
        let task = Task {
            document: Arc::new(Document { key, body: document.body }),
            received_at: (scheme.parts.now)(),
            patient: false,
        };
        let transformer = scheme.parts.transformer.clone();
        let ran = tokio::task::spawn_blocking(move || transformer.run(&[task])).await;
        let Some(ran) = ran.ok().and_then(|ran| ran.into_iter().next()) else {
            let fault = Fault::park(crate::fault::Code::Internal, "the sandbox gave no answer");
            lines.push(Line { key: name, standing: Standing::Fault(fault), fuel: 0 });
            continue;
        };
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
}
