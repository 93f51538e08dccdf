//! What must be true when all has come to rest: every document at its end, and books that balance.

use std::collections::{BTreeMap, BTreeSet};

use crate::fault::Code;
use crate::pipeline::step::OnChange;
use crate::pipeline::subject::{End, Phase, Version};

use super::module::bills;
use super::plan::{DocumentPlan, Kind, Nature, SchemePlan};
use super::world::World;

/// Whether every document is at its end.
pub fn is_reached(world: &World) -> bool {
    all(world).all(|(index, _, document)| is_at_its_end(world, index, document))
}

fn all(world: &World) -> impl Iterator<Item = (usize, &SchemePlan, &DocumentPlan)> {
    let schemes = world.plan.schemes.iter().enumerate();
    schemes.flat_map(|(index, plan)| plan.documents.iter().map(move |document| (index, plan, document)))
}

/// Whether the source's last state of the document has come to the end that its nature demands.
pub fn is_at_its_end(world: &World, index: usize, document: &DocumentPlan) -> bool {
    let plan = &world.plan.schemes[index];
    let last = world.archives[index].latest(&document.key);
    let subject = world.durable(index, &document.key);
    let Some(latest) = subject.latest().filter(|latest| latest.served() == last.digest()) else { return false };
    // An older version that is unfinished is not at rest either.
    if subject.has_work() {
        return false;
    }
    let parked = |codes: &[Code]| matches!(&latest.phase, Phase::Parked { fault, .. } if codes.contains(&fault.code));
    let discarded = matches!(&latest.phase, Phase::Done { end: End::Discarded { .. }, .. });
    let skipped = matches!(&latest.phase, Phase::Done { end: End::Skipped(_), .. });
    if last.void {
        return discarded || skipped || parked(&[Code::SourceCancelled]) || is_mute_end(plan, &latest.phase);
    }
    let written = match &latest.phase {
        Phase::Done { end: End::Written | End::Unchanged, .. } => true,
        Phase::Done { end: End::Ignored, .. } => plan.rules.on_change == OnChange::Ignore,
        // Some of its bills stand and some do not, and nobody said to change anything.
        Phase::Parked { fault, .. } if fault.code == Code::ChangedAfterWrite => {
            plan.rules.on_change != OnChange::Update || !plan.rules.target_updatable
        }
        _ => is_mute_end(plan, &latest.phase),
    };
    // What a person made of an earlier version may be in doubt, and holds back whatever follows it.
    let was_edited = subject.versions.iter().any(|version| version.edited.is_some());
    discarded
        || (was_edited && is_mute_end(plan, &latest.phase))
        || match nature(document, latest) {
            Nature::Plain | Nature::Two | Nature::Needs => written,
            Nature::Skipped => skipped,
            Nature::Rejected | Nature::NeedsInVain => parked(&[Code::Rejected]),
            Nature::Traps => parked(&[Code::GuestTrap]),
            Nature::Exhausts => parked(&[Code::GuestFuelExhausted]),
            Nature::Refused => parked(&[Code::TargetRefused]) || is_mute_end(plan, &latest.phase),
            Nature::Clashes => written || parked(&[Code::TargetKeyTaken]),
        }
}

/// A person mends what the module could do nothing with.
fn nature(document: &DocumentPlan, latest: &Version) -> Nature {
    match document.nature {
        Nature::Rejected | Nature::Traps | Nature::Exhausts | Nature::NeedsInVain if latest.edited.is_some() => {
            Nature::Plain
        }
        nature => nature,
    }
}

/// At a target that cannot be asked, what is in doubt waits for a person, and what follows it as well.
fn is_mute_end(plan: &SchemePlan, phase: &Phase) -> bool {
    let doubtful = [Code::WriteUnknown];
    let parked = matches!(phase, Phase::Parked { fault, .. } if doubtful.contains(&fault.code));
    let waits = matches!(phase, Phase::Held);
    !plan.kind.is_askable() && (parked || waits)
}

pub fn judge(world: &World) {
    let story = &world.air.story;
    for (index, plan, document) in all(world) {
        if !is_at_its_end(world, index, document) {
            let subject = world.durable(index, &document.key);
            let last = world.archives[index].latest(&document.key);
            let what = format!(
                "{} {} ({:?}) does not come to its end; the source says {}, the ledger: {:?}",
                plan.label(),
                document.key,
                document.nature,
                last.body,
                subject.latest()
            );
            story.violation(what);
        }
    }
    // Every bill that stands belongs to a document that knows of it, and stands once, in its final state.
    let mut known: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for (index, plan, document) in all(world) {
        let books = known.entry((plan.tenant.clone(), plan.target.clone())).or_default();
        let subject = world.durable(index, &document.key);
        books.extend(subject.targets.keys().map(ToString::to_string));
        judge_bills(world, index, plan, document);
    }
    for (name, vendor) in &world.vendors {
        let books = vendor.books.lock().unwrap();
        for (key, bills) in &books.bills {
            if bills.len() != 1 {
                story.violation(format!("{}: {key} stands there {} times", vendor.label(), bills.len()));
            }
            if !known.get(name).is_some_and(|known| known.contains(key)) {
                story.violation(format!("{}: nobody knows of {key}", vendor.label()));
            }
        }
    }
}

/// What the newest version says to have written is what the target holds.
fn judge_bills(world: &World, index: usize, plan: &SchemePlan, document: &DocumentPlan) {
    let subject = world.durable(index, &document.key);
    let Some(latest) = subject.latest() else { return };
    if !matches!(&latest.phase, Phase::Done { end: End::Written | End::Unchanged, .. }) {
        return;
    }
    let ledger = world.air.ledger(&plan.tenant, &plan.name);
    let body = match latest.edited {
        Some(_) => ledger.body(latest.body).unwrap(),
        None => Some(world.archives[index].latest(&document.key).body),
    };
    // Erased: what the person wrote is known to nobody any more.
    let Some(body) = body else { return };
    let vendor = world.vendor(&plan.tenant, &plan.target);
    let books = vendor.books.lock().unwrap();
    for (key, body) in bills(plan.tenant.as_str(), plan.name.as_str(), &body) {
        let held = books.bills.get(&key).and_then(|bills| bills.first());
        let good = held.is_some_and(|bill| bill.body == body && (bill.stage == 2 || vendor.kind != Kind::Chain));
        if !good {
            world.air.story.violation(format!("{}: {body} counts as written, and {held:?} stands", plan.label()));
        }
    }
}
