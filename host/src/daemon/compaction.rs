//! Compaction at work: looks now and then whether the store's files are worth being written anew, and does it when asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::state::{Error, Pace, Progress, RewriteError, Rewritten, SledStore};
use crate::telemetry::Metrics;

/// What is said of a compaction while it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompactionLine {
    Progress {
        done_bytes: u64,
        of_bytes: u64,
    },
    /// The last line of one that came to its end.
    Done {
        before_bytes: u64,
        after_bytes: u64,
        held_ms: u64,
    },
    /// The last line of one that did not, and why.
    Failed(String),
}

pub(super) struct Compactor {
    pub store: Arc<SledStore>,
    pub settings: config::Compaction,
    pub keep_free_bytes: u64,
    pub metrics: Metrics,
    /// What the files took after the last time; zero where there was none.
    pub last_bytes: AtomicU64,
    pub stop: CancellationToken,
}

impl Compactor {
    /// Until `stop`.
    pub async fn run(self: Arc<Self>) {
        let every = Duration::try_from(self.settings.every).unwrap_or(Duration::MAX);
        // The first look is hours away, and until then the metric would say that there are no files.
        if let Ok(bytes) = self.store.rows_bytes() {
            self.metrics.set_store_bytes(bytes);
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = self.stop.cancelled() => return,
            }
            let compactor = self.clone();
            // A panic in there is said by the task itself and must not end the looking.
            let _ = tokio::task::spawn_blocking(move || compactor.look()).await;
        }
    }

    fn look(&self) {
        match self.is_due() {
            Ok(true) => {
                let _ = self.compact(&|_| true);
            }
            Ok(false) => {}
            Err(error) => tracing::error!("whether the store is to be compacted is not known: {error}"),
        }
    }

    fn is_due(&self) -> Result<bool, Error> {
        let disk_bytes = self.store.rows_bytes()?;
        self.metrics.set_store_bytes(disk_bytes);
        let Some(ratio) = self.settings.ratio.filter(|_| disk_bytes >= self.settings.from_bytes) else {
            return Ok(false);
        };
        // Where the last one did not help, the next would not either until the files have grown.
        if disk_bytes < self.last_bytes.load(Ordering::Relaxed).saturating_mul(3) / 2 {
            return Ok(false);
        }
        let space = self.store.space()?;
        self.metrics.set_store_live_bytes(space.live_bytes);
        Ok(space.disk_bytes >= space.live_bytes.saturating_mul(ratio))
    }

    fn compact(&self, go_on: &dyn Fn(Progress) -> bool) -> Result<Rewritten, RewriteError> {
        let Self { store, settings, keep_free_bytes, .. } = self;
        let pace = Pace { bytes_per_second: settings.bytes_per_second, keep_free_bytes: *keep_free_bytes };
        tracing::info!("the store is being written anew");
        let done = store.rewrite(&pace, &|progress| !self.stop.is_cancelled() && go_on(progress));
        match &done {
            Ok(Rewritten { before_bytes, after_bytes, held }) => {
                let held_ms = held.as_millis() as u64;
                tracing::info!(before_bytes, after_bytes, held_ms, "the store was written anew");
                self.metrics.compacted();
                self.metrics.set_store_bytes(*after_bytes);
                self.last_bytes.store(*after_bytes, Ordering::Relaxed);
            }
            Err(RewriteError::Stopped) => tracing::info!("the store stays as it is: stopped"),
            Err(error) => tracing::error!("the store was not written anew: {error}"),
        }
        done
    }
}

pub(super) fn router(compactor: Arc<Compactor>) -> axum::Router {
    axum::Router::new().route("/compact", post(compact)).with_state(compactor)
}

/// One JSON object a line. Whoever asked and goes away stops it.
async fn compact(State(compactor): State<Arc<Compactor>>) -> Response {
    let (sender, mut lines) = mpsc::channel::<CompactionLine>(8);
    tokio::task::spawn_blocking(move || {
        let last = compactor.compact(&|progress| sender.blocking_send(progress.into()).is_ok());
        let _ = sender.blocking_send(last.into());
    });
    let lines = futures::stream::poll_fn(move |context| lines.poll_recv(context)).map(|line| {
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        Ok::<Bytes, serde_json::Error>(text.into())
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

impl From<Progress> for CompactionLine {
    fn from(Progress { done_bytes, of_bytes }: Progress) -> Self {
        CompactionLine::Progress { done_bytes, of_bytes }
    }
}

impl From<Result<Rewritten, RewriteError>> for CompactionLine {
    fn from(done: Result<Rewritten, RewriteError>) -> Self {
        match done {
            Ok(Rewritten { before_bytes, after_bytes, held }) => {
                CompactionLine::Done { before_bytes, after_bytes, held_ms: held.as_millis() as u64 }
            }
            Err(error) => CompactionLine::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cap_std::fs::Dir;
    use futures::executor::block_on;
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;
    use crate::state::{Batch, KeyBuilder, Settings, Store as _, Table};

    fn compactor(path: &Path) -> Compactor {
        let dir = Dir::open_ambient_dir(path, cap_std::ambient_authority()).unwrap();
        Compactor {
            store: Arc::new(SledStore::open(&dir, path, &Settings::default()).unwrap()),
            settings: config::Compaction { ratio: Some(3), from_bytes: 0, ..config::Compaction::default() },
            keep_free_bytes: 0,
            metrics: Metrics::new(),
            last_bytes: AtomicU64::new(0),
            stop: CancellationToken::new(),
        }
    }

    /// Rows of noise, written over and over: most of the files is what they were before.
    fn churn(store: &SledStore, rows: u64) {
        for seed in 0..400_u64 {
            let key = KeyBuilder::new().number(seed % rows).build();
            let noise: Vec<u8> =
                (seed * 7_500..(seed + 1) * 7_500).flat_map(|n| xxh3_64(&n.to_le_bytes()).to_le_bytes()).collect();
            let mut batch = Batch::new();
            batch.put(Table::Bodies, key, noise);
            block_on(store.commit(batch)).unwrap();
        }
    }

    #[test]
    fn files_are_written_anew_where_that_is_worth_it_and_not_again_before_they_have_grown_by_half() {
        let temp = tempfile::tempdir().unwrap();
        let mut compactor = compactor(temp.path());
        churn(&compactor.store, 1);
        let before = compactor.store.rows_bytes().unwrap();
        compactor.settings.from_bytes = before + 1;
        assert!(!compactor.is_due().unwrap(), "small files are left alone");
        compactor.settings = config::Compaction { ratio: None, ..compactor.settings };
        compactor.settings.from_bytes = 0;
        assert!(!compactor.is_due().unwrap(), "only when somebody asks");
        compactor.settings.ratio = Some(1_000_000);
        assert!(!compactor.is_due().unwrap(), "the rows take more than a millionth");
        compactor.settings.ratio = Some(3);
        compactor.last_bytes.store(before / 4 * 3, Ordering::Relaxed);
        assert!(!compactor.is_due().unwrap(), "it would not help: they have grown by a third since the last time");
        compactor.last_bytes.store(before / 2, Ordering::Relaxed);
        assert!(compactor.is_due().unwrap());

        compactor.look();
        let after = compactor.store.rows_bytes().unwrap();
        assert!(after < before / 3, "{before} became {after}");
        assert_eq!(compactor.last_bytes.load(Ordering::Relaxed), after);
        assert!(!compactor.is_due().unwrap());
    }

    #[test]
    fn an_engine_that_stops_does_not_wait_for_a_compaction() {
        let temp = tempfile::tempdir().unwrap();
        let compactor = compactor(temp.path());
        churn(&compactor.store, 100);
        let before = compactor.store.rows_bytes().unwrap();
        compactor.stop.cancel();
        assert!(matches!(compactor.compact(&|_| true), Err(RewriteError::Stopped)));
        assert!(compactor.store.rows_bytes().unwrap() >= before);
    }
}
