//! Another tenant in the same sandbox, whose documents must flow whatever happens beside them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossdock::model::{Document, DocumentKey, Outcome, SchemeId, TenantId};
use crossdock::sandbox::{Call, Context, Isolation, Limits, ModuleClass, NoReferences, Sandbox};

use super::guests;

/// A bound that no healthy sandbox comes near: it turns a neighbour that is shut out into a failure instead of a wait.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn context(tenant: &str) -> Context {
    Context {
        tenant: TenantId::new(tenant).unwrap(),
        scheme: SchemeId::new("saleout").unwrap(),
        source: "a:b".into(),
        target: "c:d".into(),
        parameters: "{}".into(),
        received_at: "2026-11-01T00:00:00Z".parse().unwrap(),
    }
}

pub fn document(body: &str) -> Document {
    Document { key: DocumentKey::new("k1").unwrap(), body: body.into() }
}

/// Runs documents until dropped.
pub struct Neighbour {
    served: Arc<(Mutex<u64>, Condvar)>,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Neighbour {
    pub fn start(sandbox: &Sandbox) -> Self {
        let served = Arc::new((Mutex::new(0), Condvar::new()));
        let done = Arc::new(AtomicBool::new(false));
        let module = sandbox.load(&guests::guest(guests::ECHO), ModuleClass::Standard).unwrap();
        let (counter, end, sandbox) = (served.clone(), done.clone(), sandbox.clone());
        let thread = thread::spawn(move || {
            let (context, document) = (context("quiet"), document(r#"{"amount":1.50}"#));
            let call = Call { context: &context, document: &document, deadline_ms: None };
            let limits = Limits::of(sandbox.settings(), module.class());
            while !end.load(Ordering::Relaxed) {
                let runs = sandbox.transform(&module, &[call], Isolation::Document, &limits, &NoReferences);
                let Ok(Outcome::Emit(bills)) = &runs[0].verdict else { panic!("{:?}", runs[0].verdict) };
                assert_eq!(bills[0].body, r#"{"amount":1.50}"#);
                *counter.0.lock().unwrap() += 1;
                counter.1.notify_all();
            }
        });
        Self { served, done, thread: Some(thread) }
    }

    pub fn served(&self) -> u64 {
        *self.served.0.lock().unwrap()
    }

    /// Returns once a document has gone through that began after this call.
    pub fn is_served(&self) {
        let served = self.served.0.lock().unwrap();
        // The next one may have begun before.
        let enough = *served + 2;
        let waited = self.served.1.wait_timeout_while(served, PATIENCE, |served| *served < enough).unwrap();
        assert!(!waited.1.timed_out(), "the neighbour's documents stand still");
    }

    /// Ends it, and passes on what went wrong in it.
    pub fn end(mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
