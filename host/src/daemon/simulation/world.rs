//! A world: its ends, what was handed over, and what must hold after every commit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use crate::model::{ConnectionName, DocumentKey, TenantId};
use crate::pipeline::ledger::Cursor;
use crate::pipeline::reference::TableId;
use crate::pipeline::subject::{Fate, Phase, Subject};

use super::air::Air;
use super::archive::Archive;
use super::plan::{Kind, Plan, SchemePlan, TABLE, limits};
use super::shelf::Shelf;
use super::vendor::Vendor;

pub struct World {
    pub plan: Plan,
    pub air: Arc<Air>,
    pub vendors: BTreeMap<(TenantId, ConnectionName), Arc<Vendor>>,
    /// One for each scheme.
    pub archives: Vec<Arc<Archive>>,
    pub shelves: BTreeMap<TableId, Arc<Shelf>>,
    seen: Mutex<Vec<Known>>,
}

/// What was last seen of one scheme's rows.
#[derive(Default, Clone)]
struct Known {
    subjects: BTreeMap<DocumentKey, Subject>,
    cursor: Cursor,
}

impl World {
    pub fn new(plan: Plan, air: Arc<Air>) -> Arc<Self> {
        let mut vendors = BTreeMap::new();
        let mut shelves = BTreeMap::new();
        for scheme in &plan.schemes {
            for connection in [&scheme.source, &scheme.target] {
                let name = (scheme.tenant.clone(), connection.clone());
                let air = air.clone();
                vendors.entry(name).or_insert_with_key(|(tenant, connection)| {
                    Vendor::new(tenant.clone(), connection.clone(), scheme.kind, limits(&air.chance.clone()), air)
                });
            }
            let (tenant, connection) = (scheme.tenant.clone(), scheme.target.clone());
            let vendor = vendors[&(tenant.clone(), connection.clone())].clone();
            let id = TableId { tenant, connection, table: TABLE.into() };
            shelves.entry(id).or_insert_with(|| Arc::new(Shelf { vendor, entries: Mutex::default() }));
        }
        let archive = |scheme: &SchemePlan| {
            Archive::new(scheme.clone(), vendors[&(scheme.tenant.clone(), scheme.source.clone())].clone())
        };
        let archives = plan.schemes.iter().map(archive).collect();
        let seen = Mutex::new(vec![Known::default(); plan.schemes.len()]);
        Arc::new(Self { plan, air, vendors, archives, shelves, seen })
    }

    pub fn vendor(&self, tenant: &TenantId, connection: &ConnectionName) -> Arc<Vendor> {
        self.vendors[&(tenant.clone(), connection.clone())].clone()
    }

    /// What a crash at this instant would leave of a document.
    pub fn durable(&self, scheme: usize, key: &DocumentKey) -> Subject {
        let plan = &self.plan.schemes[scheme];
        self.air.ledger(&plan.tenant, &plan.name).subject(key).unwrap().unwrap_or_default()
    }

    /// Looks at all that is durable now. Called after every acknowledged group.
    pub fn look(&self) {
        let mut seen = self.seen.lock().unwrap();
        for (index, plan) in self.plan.schemes.iter().enumerate() {
            let ledger = self.air.ledger(&plan.tenant, &plan.name);
            for document in &plan.documents {
                let now = ledger.subject(&document.key).unwrap().unwrap_or_default();
                let before = seen[index].subjects.entry(document.key.clone()).or_default();
                if now.events == before.events {
                    continue;
                }
                self.tell(plan, &document.key, &now);
                self.judge(plan, &document.key, before, &now);
                *before = now;
            }
            let cursor = ledger.cursor().unwrap();
            if cursor != seen[index].cursor {
                self.air.story.say(format!("{}: cursor {:?}", plan.label(), cursor.read_to));
                self.judge_cursor(index, &cursor);
                seen[index].cursor = cursor;
            }
        }
    }

    fn tell(&self, plan: &SchemePlan, key: &DocumentKey, subject: &Subject) {
        let phases: Vec<String> = subject
            .versions
            .iter()
            .map(|version| {
                let phase = match &version.phase {
                    Phase::Writing { targets } => {
                        let fates: Vec<_> =
                            targets.iter().map(|write| format!("{:?} {:?}", write.step, write.fate)).collect();
                        format!("writing {fates:?}")
                    }
                    Phase::Parked { fault, .. } => format!("parked {}", fault.code),
                    Phase::Done { end, .. } => format!("done {end:?}"),
                    other => format!("{other:?}"),
                };
                format!("v{} {phase}", version.number)
            })
            .collect();
        self.air.story.say(format!("{} {key}: {}", plan.label(), phases.join(", ")));
    }

    fn judge(&self, plan: &SchemePlan, key: &DocumentKey, before: &Subject, now: &Subject) {
        let violation = |what: String| self.air.story.violation(format!("{} {key}: {what}", plan.label()));
        if now.events < before.events {
            violation(format!("its history went back from {} to {}", before.events, now.events));
        }
        // Every version is accounted for once: numbers follow one another, and the same bytes are not taken twice.
        for pair in now.versions.windows(2) {
            if pair[0].number >= pair[1].number {
                violation(format!("version {} comes before {}", pair[0].number, pair[1].number));
            }
            let adjoining = pair[0].number + 1 == pair[1].number;
            let again = pair[1].edited.is_none() && pair[0].served() == pair[1].body;
            if adjoining && again && pair[0].cancelled == pair[1].cancelled {
                violation(format!("version {} is version {} once more", pair[1].number, pair[0].number));
            }
        }
        for version in &before.versions {
            let ended = matches!(version.phase, Phase::Done { .. });
            match now.version(version.number) {
                None if !ended => violation(format!("version {} is forgotten and had not ended", version.number)),
                // An erasure takes the words away, and nothing else.
                Some(_) if now.is_erased(version.number) && !before.is_erased(version.number) => {}
                Some(now) if ended && now.phase != version.phase => {
                    violation(format!("version {} had ended and goes on", version.number));
                }
                _ => {}
            }
        }
        let at_work = now.versions.iter().filter(|version| matches!(version.phase, Phase::Writing { .. })).count();
        if at_work > 1 {
            violation(format!("{at_work} versions are being written at once"));
        }
        let books = self.vendor(&plan.tenant, &plan.target);
        let books = books.books.lock().unwrap();
        for version in &now.versions {
            let (Phase::Writing { targets } | Phase::Parked { targets, .. } | Phase::Done { targets, .. }) =
                &version.phase
            else {
                continue;
            };
            for write in targets.iter().filter(|write| write.fate == Fate::Written) {
                if !books.bills.contains_key(write.key.as_str()) {
                    violation(format!("{} counts as written, and the target does not hold it", write.key));
                }
            }
        }
        // What is sure to be unwritten is not there, at a target that holds nothing of anybody else.
        for (target, held) in &now.targets {
            let surely_not = held.existence == crate::pipeline::subject::Existence::No;
            let owned = books.bills.get(target.as_str()).is_some_and(|bills| {
                bills
                    .iter()
                    .any(|bill| bill.body.ends_with(&plan.label()) && bill.body.split('|').nth(1) == Some(key.as_str()))
            });
            if surely_not && owned && plan.kind != Kind::Mute {
                violation(format!("{target} counts as surely unwritten, and the target holds it"));
            }
        }
    }

    /// The cursor is never ahead of the ledger: what was modified before it is known.
    fn judge_cursor(&self, index: usize, cursor: &Cursor) {
        // With a clock that was ahead nobody can say what had been shown; the sweep finds it, and the end is judged.
        if self.air.leapt.load(std::sync::atomic::Ordering::Relaxed) {
            return;
        }
        let plan = &self.plan.schemes[index];
        let read_to = cursor.read_to.unwrap_or(Timestamp::MIN);
        for (key, states) in self.archives[index].records.lock().unwrap().iter() {
            let last = states.last().unwrap();
            if last.modified >= read_to {
                continue;
            }
            let subject = self.durable(index, key);
            let known = subject.versions.iter().any(|version| version.served() == last.digest());
            if !known {
                let what = format!("{}: the cursor is at {read_to}, and the ledger lacks {}", plan.label(), last.body);
                self.air.story.violation(what);
            }
        }
    }
}
