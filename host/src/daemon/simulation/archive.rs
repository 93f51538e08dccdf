//! A scheme's source: records that change, in lists that show changes late, on pages between which rows move.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use crate::connectors::{Error as VendorError, Page, PageSink, ReadSummary, Source, SourceDocument, Span};
use crate::model::{Digest, DocumentKey};

use super::plan::{LAG, Nature, SchemePlan, beginning};
use super::story::PRIVATE;
use super::vendor::Vendor;
use super::world::World;

/// A record as it was from some instant on.
#[derive(Debug, Clone)]
pub struct State {
    pub revision: u64,
    pub void: bool,
    pub modified: Timestamp,
    /// In lists from then on.
    pub shown_at: Timestamp,
    pub body: String,
}

impl State {
    pub fn digest(&self) -> Digest {
        Digest::of(&self.body)
    }
}

pub struct Archive {
    pub plan: SchemePlan,
    vendor: Arc<Vendor>,
    /// Every state that there ever was, oldest first.
    pub records: Mutex<BTreeMap<DocumentKey, Vec<State>>>,
}

/// Passes over a window until one is undisturbed.
const PASSES: u32 = 3;

impl Archive {
    pub fn new(plan: SchemePlan, vendor: Arc<Vendor>) -> Arc<Self> {
        let archive = Self { plan, vendor, records: Mutex::default() };
        // What is there from the beginning was modified within the hour before it.
        for document in &archive.plan.documents {
            let before = archive.vendor.air.chance.up_to(Duration::from_secs(3_600));
            archive.put(&document.key, beginning() - SignedDuration::try_from(before).unwrap(), false);
        }
        Arc::new(archive)
    }

    fn nature(&self, key: &DocumentKey) -> Nature {
        self.plan.documents.iter().find(|document| document.key == *key).unwrap().nature
    }

    fn put(&self, key: &DocumentKey, modified: Timestamp, void: bool) {
        let mut records = self.records.lock().unwrap();
        let states = records.entry(key.clone()).or_default();
        let revision = states.last().map_or(0, |last| last.revision + 1);
        let mut body = format!("{key}|{}|{revision}|{PRIVATE}", self.nature(key).word());
        if void {
            body.push_str("|void");
        }
        // Almost as late as a window's end allows.
        let late = match self.vendor.air.bad_luck(3) {
            true => self.vendor.air.chance.up_to(Duration::try_from(LAG).unwrap() - Duration::from_secs(1)),
            false => Duration::ZERO,
        };
        let shown_at = modified + SignedDuration::try_from(late).unwrap();
        // What is newer is never shown before what is older.
        let shown_at = states.last().map_or(shown_at, |last| last.shown_at.max(shown_at));
        states.push(State { revision, void, modified, shown_at, body });
    }

    /// Somebody changes the record at the vendor.
    pub fn change(&self, key: &DocumentKey) {
        let void = self.records.lock().unwrap()[key].last().unwrap().void;
        let void = void || self.vendor.air.bad_luck(15);
        self.put(key, self.vendor.air.true_now(), void);
        let last = self.latest(key);
        self.vendor.air.story.say(format!("{}: at the source {} now", self.plan.label(), last.body));
    }

    pub fn latest(&self, key: &DocumentKey) -> State {
        self.records.lock().unwrap()[key].last().unwrap().clone()
    }

    /// The window as lists show it now, in the order of changes.
    fn window(&self, start: Timestamp, end: Timestamp) -> Vec<(DocumentKey, State)> {
        let now = self.vendor.air.true_now();
        let records = self.records.lock().unwrap();
        let shown = records.iter().filter_map(|(key, states)| {
            Some((key.clone(), states.iter().rev().find(|state| state.shown_at <= now)?.clone()))
        });
        let mut shown: Vec<_> = shown.filter(|(_, state)| (start..end).contains(&state.modified)).collect();
        shown.sort_by_key(|(key, state)| (state.modified, key.clone()));
        shown
    }

    /// One request for a list, with everything that may go wrong with it.
    async fn ask(&self, start: Timestamp, end: Timestamp) -> Result<Vec<(DocumentKey, State)>, VendorError> {
        let air = &self.vendor.air;
        let exchange = self.vendor.enter(Some(&self.plan.name), self.plan.priority).await?;
        sleep(air.chance.up_to(Duration::from_millis(if air.trouble() { 1_500 } else { 10 }))).await;
        let rows = self.window(start, end);
        if !air.bad_luck(15) {
            return exchange.ends(Ok(rows));
        }
        let host = self.vendor.label();
        let detail = format!("please tell {{\"receiver_mobile\":\"{PRIVATE}\"}}");
        exchange.ends(Err(match air.chance.below(6) {
            0 => VendorError::AnswerLost { host, after: Duration::from_secs(1), detail },
            1 => VendorError::Throttled { wait: Some(air.chance.up_to(Duration::from_secs(60))), detail },
            2 => VendorError::Server { host, status: 500, detail },
            3 => VendorError::Unreadable { detail, bytes: format!("<html>{PRIVATE}").into() },
            4 if air.chance.one_in(2) => VendorError::CredentialsRefused { detail: "expired".into() },
            _ => VendorError::Unreachable { host, detail },
        }))
    }
}

/// A scheme's source as the engine has it. That nothing of it was missed the world sees when the cursor moves.
pub struct SimSource {
    pub world: Arc<World>,
    pub scheme: usize,
}

#[async_trait]
impl Source for SimSource {
    fn window_limit(&self) -> Option<SignedDuration> {
        Some(SignedDuration::from_mins(40))
    }

    async fn read(&self, span: &Span, sink: &mut dyn PageSink) -> Result<ReadSummary, VendorError> {
        let Span::Window { start, end } = *span else { panic!("these sources know windows only") };
        let archive = &self.world.archives[self.scheme];
        let (size, air) = (archive.plan.page_size, &archive.vendor.air);
        let mut summary = ReadSummary::default();
        for pass in 1..=PASSES {
            let total = archive.ask(start, end).await?.len();
            // From the last page to the first: a row that changes meanwhile leaves its place, and the others move up.
            for page in (0..total.div_ceil(size)).rev() {
                let rows = archive.ask(start, end).await?;
                let document = |(key, state): &(DocumentKey, State)| SourceDocument {
                    key: Ok(key.clone()),
                    body: state.body.clone(),
                    cancelled: state.void,
                };
                let documents: Vec<_> = rows.iter().skip(page * size).take(size).map(document).collect();
                summary.pages += 1;
                summary.documents += documents.len() as u64;
                let times = if air.bad_luck(12) { 2 } else { 1 };
                for _ in 0..times {
                    let page = Page { documents: documents.clone(), total: None, position: format!("pass {pass}") };
                    sink.page(page).await?;
                }
            }
            if archive.ask(start, end).await?.len() == total {
                summary.passes = pass;
                return Ok(summary);
            }
        }
        Err(VendorError::Disturbed { passes: PASSES })
    }

    async fn probe(&self) -> Result<(), VendorError> {
        Ok(())
    }
}
