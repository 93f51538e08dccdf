//! A source with a past: records by the time of their last change, served in pages, slowly where told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::connectors::{self, Page, PageSink, ReadSummary, Source, Span};

use super::document;

#[derive(Clone)]
struct Record {
    modified: Timestamp,
    key: String,
    body: String,
}

/// What a test looks at afterwards, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Read(Timestamp, Timestamp),
    /// The keys of one page, as they left.
    Page(Vec<String>),
}

pub struct Archive {
    records: Mutex<Vec<Record>>,
    /// Every state there ever was.
    states: Mutex<Vec<Record>>,
    pub window_limit: Option<SignedDuration>,
    page_size: usize,
    /// Time between a page's question and its answer.
    pub latency: Mutex<Duration>,
    /// Taken by the next reads, one each, after so many pages.
    pub faults: Mutex<VecDeque<(usize, connectors::Error)>>,
    seen: Mutex<Vec<Seen>>,
}

impl Archive {
    pub fn new(window_limit: SignedDuration) -> Self {
        Self {
            records: Mutex::default(),
            states: Mutex::default(),
            window_limit: Some(window_limit),
            page_size: 2,
            latency: Mutex::new(Duration::from_millis(100)),
            faults: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    pub fn in_pages_of(mut self, page_size: usize) -> Self {
        self.page_size = page_size;
        self
    }

    /// The record as it is from now on.
    pub fn put(&self, key: &str, body: &str, modified: Timestamp) {
        let record = Record { modified, key: key.into(), body: body.into() };
        self.states.lock().unwrap().push(record.clone());
        let mut records = self.records.lock().unwrap();
        records.retain(|other| other.key != key);
        records.push(record);
        records.sort_by(|a, b| (a.modified, &a.key).cmp(&(b.modified, &b.key)));
    }

    pub fn remove(&self, key: &str) {
        self.records.lock().unwrap().retain(|record| record.key != key);
    }

    /// What happened since the last look.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    pub fn windows(&self) -> Vec<(Timestamp, Timestamp)> {
        let window = |seen| match seen {
            Seen::Read(start, end) => Some((start, end)),
            Seen::Page(_) => None,
        };
        self.seen().into_iter().filter_map(window).collect()
    }
}

#[async_trait]
impl Source for Arc<Archive> {
    fn window_limit(&self) -> Option<SignedDuration> {
        self.window_limit
    }

    async fn read(&self, span: &Span, sink: &mut dyn PageSink) -> Result<ReadSummary, connectors::Error> {
        let Span::Window { start, end } = *span else { panic!("the archive knows windows only") };
        self.seen.lock().unwrap().push(Seen::Read(start, end));
        let fault = self.faults.lock().unwrap().pop_front();
        let mut summary = ReadSummary::default();
        loop {
            if let Some((_, error)) = fault.as_ref().filter(|(pages, _)| *pages == summary.pages as usize) {
                return Err(error.clone());
            }
            let skipped = summary.documents as usize;
            let records: Vec<Record> = {
                let records = self.records.lock().unwrap();
                let within = records.iter().filter(|one| (start..end).contains(&one.modified));
                within.skip(skipped).take(self.page_size).cloned().collect()
            };
            if records.is_empty() {
                return Ok(summary);
            }
            // What leaves is what was there when it was asked for.
            let latency = *self.latency.lock().unwrap();
            tokio::time::sleep(latency).await;
            self.seen.lock().unwrap().push(Seen::Page(records.iter().map(|one| one.key.clone()).collect()));
            summary.pages += 1;
            summary.documents += records.len() as u64;
            let documents = records.iter().map(|one| document(&one.key, &one.body)).collect();
            sink.page(Page { documents, total: None, position: String::new() }).await?;
        }
    }

    fn lies_within(&self, body: &str, start: Timestamp, end: Timestamp) -> Option<bool> {
        let states = self.states.lock().unwrap();
        states.iter().find(|state| state.body == body).map(|state| (start..end).contains(&state.modified))
    }

    async fn probe(&self) -> Result<(), connectors::Error> {
        Ok(())
    }
}
