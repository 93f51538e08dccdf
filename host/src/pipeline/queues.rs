//! What a scheme has to do next, held in memory. Everything here can be rebuilt from the ledger after a crash, and what
//! has no room here is taken up from there when there is: see [`super::laps`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{Digest, DocumentKey, TargetKey};

use super::bisection::{Bill, Bisection};

/// One thing to do for one version of one document.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Errand {
    Transform { key: DocumentKey, version: u64, alone: bool },
    Write { key: DocumentKey, version: u64, target: TargetKey },
    Ask { key: DocumentKey, version: u64, target: TargetKey },
}

impl Errand {
    fn document(&self) -> &DocumentKey {
        match self {
            Errand::Transform { key, .. } | Errand::Write { key, .. } | Errand::Ask { key, .. } => key,
        }
    }
}

/// Errands that can be run now, and those that wait for their time.
#[derive(Debug, Default)]
pub struct Queues {
    pub transforms: VecDeque<(DocumentKey, u64, bool)>,
    pub writes: VecDeque<Bill>,
    pub asks: VecDeque<Bill>,
    waiting: BinaryHeap<Reverse<(Timestamp, u64, Errand)>>,
    /// Keeps errands of one instant in the order they came.
    sequence: u64,
    /// Who travels with whom after a request was refused as a whole.
    pub bisection: Bisection,
}

impl Queues {
    pub fn push(&mut self, errand: Errand, not_before: Option<Timestamp>, now: Timestamp) {
        match not_before {
            Some(at) if at > now => {
                self.sequence += 1;
                self.waiting.push(Reverse((at, self.sequence, errand)));
            }
            Some(_) | None => self.push_now(errand),
        }
    }

    fn push_now(&mut self, errand: Errand) {
        match errand {
            Errand::Transform { key, version, alone } => self.transforms.push_back((key, version, alone)),
            Errand::Write { key, version, target } => self.writes.push_back((key, version, target)),
            Errand::Ask { key, version, target } => self.asks.push_back((key, version, target)),
        }
    }

    /// The documents that something here is about.
    pub fn documents(&self) -> HashSet<&DocumentKey> {
        let transforms = self.transforms.iter().map(|(key, ..)| key);
        let bills = self.writes.iter().chain(&self.asks).map(|(key, ..)| key);
        let waiting = self.waiting.iter().map(|Reverse((_, _, errand))| errand.document());
        transforms.chain(bills).chain(waiting).collect()
    }

    /// The versions that are to be transformed, now or in their time.
    pub fn to_transform(&self) -> HashSet<(DocumentKey, u64)> {
        let waiting = self.waiting.iter().filter_map(|Reverse((_, _, errand))| match errand {
            Errand::Transform { key, version, .. } => Some((key, *version)),
            Errand::Write { .. } | Errand::Ask { .. } => None,
        });
        let now = self.transforms.iter().map(|(key, version, _)| (key, *version));
        now.chain(waiting).map(|(key, version)| (key.clone(), version)).collect()
    }

    /// Moves what is due to the queues.
    pub fn wake(&mut self, now: Timestamp) {
        while let Some(Reverse((at, _, _))) = self.waiting.peek() {
            if *at > now {
                return;
            }
            if let Some(Reverse((_, _, errand))) = self.waiting.pop() {
                self.push_now(errand);
            }
        }
    }

    pub fn next_wake(&self) -> Option<Timestamp> {
        self.waiting.peek().map(|Reverse((at, _, _))| *at)
    }

    pub fn len(&self) -> usize {
        self.transforms.len() + self.writes.len() + self.asks.len() + self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Bodies on their way, so that a document need not be read back from the store between two stages. Bounded: what
/// falls out is read from the ledger.
#[derive(Debug)]
pub struct Bodies {
    kept: HashMap<Digest, Arc<str>>,
    order: VecDeque<Digest>,
    bytes: usize,
    limit_bytes: usize,
}

impl Bodies {
    pub fn new(limit_bytes: usize) -> Self {
        Self { kept: HashMap::new(), order: VecDeque::new(), bytes: 0, limit_bytes }
    }

    pub fn keep(&mut self, digest: Digest, body: Arc<str>) {
        if body.len() > self.limit_bytes || self.kept.contains_key(&digest) {
            return;
        }
        self.bytes += body.len();
        self.kept.insert(digest, body);
        self.order.push_back(digest);
        while self.bytes > self.limit_bytes {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some(body) = self.kept.remove(&oldest) {
                self.bytes -= body.len();
            }
        }
    }

    pub fn forget(&mut self, digest: &Digest) {
        if let Some(body) = self.kept.remove(digest) {
            self.bytes -= body.len();
            self.order.retain(|kept| kept != digest);
        }
    }

    pub fn get(&self, digest: &Digest) -> Option<Arc<str>> {
        self.kept.get(digest).cloned()
    }
}
