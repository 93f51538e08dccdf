//! The counter where a running engine is asked to compare source, ledger and target.

use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::pipeline::driver::Parts;
use crate::pipeline::reconcile::{Line, Stretch, reconcile};
use crate::telemetry::{SchemeRef, is_named};

use super::register::Register;
use super::scheme::{FreshSource, Scheme};

/// Lines on their way to whoever asked. Each is small; a reader that is slow slows the comparison.
const LINES_UNDER_WAY: usize = 64;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReconcileRequest {
    pub scheme: String,
    pub stretch: Stretch,
}

/// What of a scheme a comparison needs.
#[derive(Clone)]
pub struct Auditor {
    parts: Parts,
    fresh_source: FreshSource,
}

impl Auditor {
    pub fn of(scheme: &Scheme) -> Self {
        Self { parts: scheme.parts.clone(), fresh_source: scheme.fresh_source.clone() }
    }

    fn is_named(&self, name: &str) -> bool {
        is_named(&self.parts.tenant, &self.parts.scheme, name)
    }

    /// The comparison's lines. It works while they are taken, and ends with whoever takes them.
    pub fn lines(&self, stretch: Stretch) -> impl Stream<Item = Line> + Send + 'static {
        let (sender, receiver) = mpsc::channel(LINES_UNDER_WAY);
        let Self { parts, fresh_source } = self.clone();
        let work = async move {
            match fresh_source() {
                Ok(source) => reconcile(&parts, source, &stretch, sender).await,
                // The channel is new and empty.
                Err(problem) => drop(sender.try_send(Line::Unfinished(problem))),
            }
        };
        let lines = stream::unfold(receiver, |mut lines| async { lines.recv().await.map(|line| (line, lines)) });
        // The work itself is no line; polled beside them, it needs no task that somebody would have to own.
        stream::select(lines, stream::once(work).filter_map(|()| async { None }))
    }
}

/// The auditors of an engine, as its schemes come and go.
#[derive(Clone, Default)]
pub struct Auditors(Register<Auditor>);

impl Auditors {
    pub fn of(schemes: &[Scheme]) -> Self {
        Self(schemes.iter().map(|scheme| (scheme.watcher.scheme.clone(), Auditor::of(scheme))).collect())
    }

    pub(super) fn put(&self, scheme: &Scheme) {
        self.0.put(&scheme.watcher.scheme, Auditor::of(scheme));
    }

    pub(super) fn remove(&self, scheme: &SchemeRef) {
        self.0.remove(scheme);
    }

    pub fn named(&self, name: &str) -> Result<Auditor, String> {
        let auditors = self.0.entries();
        let mut found = auditors.iter().filter(|auditor| auditor.is_named(name));
        match (found.next(), found.next()) {
            (Some(auditor), None) => Ok(auditor.clone()),
            (Some(_), Some(_)) => Err(format!("more than one tenant has a scheme {name}: write TENANT/{name}")),
            (None, _) => {
                let known: Vec<&str> = auditors.iter().map(|auditor| auditor.parts.scheme.as_str()).collect();
                Err(format!("there is no scheme {name}; there are: {}", known.join(", ")))
            }
        }
    }
}
