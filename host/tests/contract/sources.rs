//! Reading a source, and comparing what came with what the vendor holds.

use async_trait::async_trait;
use crossdock::connectors::{Error, Page, PageSink, ReadSummary, SinkClosed, Source, Span};
use serde_json::Value;

use crate::matrix::Subject;
use crate::rig::{World, options, told};

#[derive(Default)]
pub struct Read {
    pub result: Option<Result<ReadSummary, Error>>,
    pub bodies: Vec<String>,
    pub totals: Vec<Option<u64>>,
}

#[async_trait]
impl PageSink for Read {
    async fn page(&mut self, page: Page) -> Result<(), SinkClosed> {
        self.totals.push(page.total);
        self.bodies.extend(page.documents.into_iter().map(|document| {
            assert!(document.key.is_ok(), "{:?}: {}", document.key, document.body);
            document.body
        }));
        Ok(())
    }

    async fn durable(&mut self) -> Result<(), SinkClosed> {
        Ok(())
    }
}

impl Read {
    #[track_caller]
    pub fn summary(&self) -> &ReadSummary {
        self.result.as_ref().unwrap().as_ref().unwrap_or_else(|error| panic!("the read failed: {error}"))
    }

    #[track_caller]
    pub fn error(&self) -> &Error {
        self.result.as_ref().unwrap().as_ref().expect_err("an Ok where something is missing")
    }
}

pub fn window() -> Span {
    let options = options(0);
    Span::Window { start: options.from, end: options.to }
}

pub async fn read(source: &dyn Source) -> Read {
    let mut read = Read::default();
    let result = source.read(&window(), &mut read).await;
    if let Err(error) = &result {
        told(error);
    }
    read.result = Some(result);
    read
}

impl World {
    /// The exact bytes of everything that the window holds now.
    pub fn held_in_window(&self) -> Vec<String> {
        let options = options(0);
        let local =
            |at: jiff::Timestamp| (at + jiff::SignedDuration::from_hours(8)).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let (start, end) = (local(options.from), local(options.to));
        let page = self.page("documents");
        let inside = page["documents"].as_array().unwrap().iter().filter(|document| {
            let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
            match self.subject {
                Subject::U8Saleouts => text("auditdate").get(..10) == start.get(..10),
                _ => (start.clone()..=end.clone()).contains(&text("modified")),
            }
        });
        sorted(inside.map(|document| document["body"].as_str().unwrap().to_owned()).collect())
    }

    /// The exact bytes of everything that left the vendor at any time.
    fn served(&self) -> Vec<String> {
        let page = self.page("served");
        let bodies = page["versions"].as_array().unwrap().iter();
        bodies.map(|version: &Value| version["body"].as_str().unwrap().to_owned()).collect()
    }

    /// Every record exactly once, with its own bytes.
    #[track_caller]
    pub fn check_read_once(&self, read: &Read) {
        assert_eq!(read.summary().documents, read.bodies.len() as u64, "the summary counts what was handed over");
        assert_eq!(sorted(read.bodies.clone()), self.held_in_window());
    }

    /// Every record at least once, and nothing that the vendor never said.
    #[track_caller]
    pub fn check_read_at_least_once(&self, read: &Read) {
        assert_eq!(read.summary().documents, read.bodies.len() as u64, "the summary counts what was handed over");
        for body in self.held_in_window() {
            assert!(read.bodies.contains(&body), "a record was not handed over: {body}");
        }
        self.check_nothing_invented(read);
    }

    #[track_caller]
    pub fn check_nothing_invented(&self, read: &Read) {
        let served = self.served();
        assert!(read.bodies.iter().all(|body| served.contains(body)), "a record was handed over with other bytes");
    }
}

pub fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort_unstable();
    texts
}
