//! Searches the ledger's documents, a line each.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{DocumentKey, PageRoom, TenantId};
use crate::pipeline::subject::{End, Fate, Phase, Subject, Version};
use crate::telemetry::mask_text;

use super::desk::Desk;
use super::place::Place;
use super::{DocumentState, Office, OfficeError};

/// Which documents are meant. What is not said does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    pub scheme: Option<String>,
    /// Every state where empty.
    pub states: Vec<DocumentState>,
    /// How the key begins.
    pub key_prefix: Option<String>,
    /// Of the fault that it is parked for, the skip, or what it waits for.
    pub code: Option<String>,
    /// From then on, and before then.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub received_from: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub received_to: Option<Timestamp>,
    /// By the last thing that happened to the document.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub changed_from: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub changed_to: Option<Timestamp>,
    /// The token that the page before ended with.
    pub after: Option<String>,
    #[schema(minimum = 1)]
    pub limit: Option<usize>,
}

/// A page of documents.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Found {
    pub documents: Vec<Summary>,
    /// There may be more after this: also where the page is not full, for no call looks at more than some thousands.
    pub next: Option<String>,
}

/// One line of a list: the newest version of a document that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    pub tenant: TenantId,
    pub scheme: String,
    pub key: String,
    pub version: u64,
    pub state: DocumentState,
    pub code: Option<String>,
    pub message: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// When anything last happened to the document.
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: Timestamp,
    pub targets: Vec<Bill>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bill {
    pub key: String,
    pub attempts: u32,
    /// The target was asked what became of it.
    pub verified: bool,
    pub state: String,
}

/// Documents on one page where nothing is said, and at most.
const PAGE: usize = 100;
pub(super) const PAGE_LIMIT: usize = 500;
/// Documents that one call looks at: some tens of milliseconds, whatever the filter leaves of them.
pub(super) const LOOK_LIMIT: usize = 5_000;
/// Rows that one look into the ledger brings.
const ROWS: usize = 500;

/// A document that is meant, with the version that made it so.
pub(super) struct Hit {
    pub desk: Arc<Desk>,
    pub key: DocumentKey,
    pub subject: Subject,
    pub version: u64,
}

impl Office {
    pub fn search(&self, tenant: Option<&TenantId>, filter: &Filter) -> Result<Found, OfficeError> {
        let limit = filter.limit.unwrap_or(PAGE).clamp(1, PAGE_LIMIT);
        let after = filter.after.as_deref().map(Place::read).transpose()?;
        let (hits, next) = self.hits(tenant, filter, after.as_ref(), limit)?;
        let (mut documents, mut room) = (Vec::new(), PageRoom::default());
        let (mut next, mut last) = (next, None);
        for hit in hits {
            let Some(version) = hit.subject.version(hit.version) else { continue };
            let line = hit.desk.summary(&hit.key, &hit.subject, version);
            // A document of a thousand bills is half a megabyte.
            if !room.takes_entry(&line) {
                next = last;
                break;
            }
            documents.push(line);
            let began = after.as_ref().and_then(|place| place.began);
            last =
                Some(Place { tenant: hit.desk.tenant.clone(), scheme: hit.desk.scheme.clone(), key: hit.key, began });
        }
        Ok(Found { documents, next: next.map(|place| place.token()) })
    }

    /// The next documents that are meant, in the order of tenants, schemes and keys, and where to go on.
    pub(super) fn hits(
        &self,
        tenant: Option<&TenantId>,
        filter: &Filter,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<(Vec<Hit>, Option<Place>), OfficeError> {
        let mut desks = self.chosen(tenant, filter.scheme.as_deref())?;
        desks.sort_by(|one, other| (&one.tenant, &one.scheme).cmp(&(&other.tenant, &other.scheme)));
        let began = after.and_then(|place| place.began);
        let (mut hits, mut looked) = (Vec::new(), 0);
        for desk in desks {
            let mut last = match after.map(|place| (&place.tenant, &place.scheme).cmp(&(&desk.tenant, &desk.scheme))) {
                Some(std::cmp::Ordering::Greater) => continue,
                Some(std::cmp::Ordering::Equal) => after.map(|place| place.key.clone()),
                Some(std::cmp::Ordering::Less) | None => None,
            };
            loop {
                let rows = desk.rows(filter, last.as_ref())?;
                if rows.is_empty() {
                    break;
                }
                for (key, subject) in rows {
                    looked += 1;
                    last = Some(key.clone());
                    if let Some(version) = desk.meant(filter, began, &subject) {
                        hits.push(Hit { desk: desk.clone(), key: key.clone(), version, subject });
                    }
                    if hits.len() >= limit || looked >= LOOK_LIMIT {
                        let (tenant, scheme) = (desk.tenant.clone(), desk.scheme.clone());
                        return Ok((hits, Some(Place { tenant, scheme, key, began })));
                    }
                }
            }
        }
        Ok((hits, None))
    }
}

impl Desk {
    /// The next documents that the filter does not leave out by their keys, or by being finished.
    fn rows(&self, filter: &Filter, after: Option<&DocumentKey>) -> Result<Vec<(DocumentKey, Subject)>, OfficeError> {
        let prefix = filter.key_prefix.as_deref().unwrap_or_default();
        // The index of unfinished documents answers for the states that it holds, without a walk over the rest.
        if filter.states.is_empty() || !filter.states.iter().all(|state| state.is_open()) {
            return Ok(self.ledger.subjects_with(prefix, after, ROWS)?);
        }
        let mut subjects = Vec::new();
        for (key, _) in self.ledger.open_with(prefix, after, ROWS)? {
            let subject = self.ledger.subject(&key)?.unwrap_or_default();
            subjects.push((key, subject));
        }
        Ok(subjects)
    }

    /// The newest version that is meant. What changed after `began` is not.
    fn meant(&self, filter: &Filter, began: Option<Timestamp>, subject: &Subject) -> Option<u64> {
        let changed_at = changed_at(subject)?;
        let is_within = |at: Timestamp, from: Option<Timestamp>, to: Option<Timestamp>| {
            from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to)
        };
        if !is_within(changed_at, filter.changed_from, filter.changed_to)
            || began.is_some_and(|began| changed_at > began)
        {
            return None;
        }
        let wanted = |version: &&Version| {
            (filter.states.is_empty() || filter.states.contains(&DocumentState::of(version)))
                && is_within(version.received_at, filter.received_from, filter.received_to)
                && filter.code.as_ref().is_none_or(|code| self.code(version).as_ref() == Some(code))
        };
        subject.versions.iter().rev().find(wanted).map(|version| version.number)
    }

    /// Why the version stands where it stands, in one word.
    fn code(&self, version: &Version) -> Option<String> {
        self.waits(version).map(|(code, _)| code.to_string()).or_else(|| code(version))
    }

    pub(super) fn summary(&self, key: &DocumentKey, subject: &Subject, version: &Version) -> Summary {
        let message = self.waits(version).map(|(_, message)| message).or_else(|| message(version));
        Summary {
            tenant: self.tenant.clone(),
            scheme: self.scheme.to_string(),
            key: key.to_string(),
            version: version.number,
            state: DocumentState::of(version),
            code: self.code(version),
            message,
            received_at: version.received_at,
            changed_at: changed_at(subject).unwrap_or(version.received_at),
            targets: bills(version),
        }
    }
}

/// Rows of an earlier Crossdock do not say it: then it is when the newest version came.
fn changed_at(subject: &Subject) -> Option<Timestamp> {
    subject.touched_at.or_else(|| subject.latest().map(|latest| latest.received_at))
}

fn code(version: &Version) -> Option<String> {
    match &version.phase {
        Phase::Parked { fault, .. } => Some(fault.code.to_string()),
        Phase::Done { end: End::Skipped(reason), .. } => Some(reason.code.clone()),
        Phase::Done { .. } | Phase::Received { .. } | Phase::Held | Phase::Writing { .. } => None,
    }
}

fn message(version: &Version) -> Option<String> {
    match &version.phase {
        Phase::Parked { fault, .. } => Some(mask_text(&fault.to_string())),
        Phase::Done { end: End::Skipped(reason), .. } => Some(mask_text(&reason.message)),
        Phase::Done { end: End::Discarded { reason }, .. } => Some(reason.clone()),
        Phase::Done { end: End::Superseded { by }, .. } => Some(format!("by version {by}")),
        Phase::Done { end: End::Written | End::Unchanged | End::Ignored, .. }
        | Phase::Received { .. }
        | Phase::Held
        | Phase::Writing { .. } => None,
    }
}

fn bills(version: &Version) -> Vec<Bill> {
    let state = |fate: &Fate| match fate {
        Fate::Ready => "ready",
        Fate::Intended { .. } => "sent",
        Fate::Asking { .. } => "asking",
        Fate::Resend { .. } => "to be sent again",
        Fate::Written => "written",
        Fate::Unchanged => "unchanged",
        Fate::Stopped { .. } => "stopped",
    };
    let writes = version.writes().iter();
    writes
        .map(|write| Bill {
            key: write.key.to_string(),
            attempts: write.attempt,
            verified: write.verified,
            state: state(&write.fate).into(),
        })
        .collect()
}
