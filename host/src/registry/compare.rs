//! That a module was compared with the one that a scheme runs, and whether they differed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::model::{Digest, SchemeId, TenantId};
use crate::state::{Key, Table};

use super::rows::under;
use super::scheme::SchemeRow;
use super::{Actor, Error, Registry};

/// Differences that are remembered of one scheme: as many as a tenant has modules, and some.
const DIFFERED_LIMIT: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Compare {
    pub candidate: Digest,
    /// The module that ran, and the scheme's revision then: of another, it says nothing.
    pub against: Digest,
    pub scheme_revision: u64,
    pub documents: u64,
    /// Documents that could have been compared.
    #[serde(default = "unknown")]
    pub available: u64,
    /// No outcome and no field differed.
    pub clean: bool,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

fn unknown() -> u64 {
    u64::MAX
}

/// What a comparison came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    pub documents: u64,
    /// Of which nothing is known.
    pub undecided: u64,
    pub available: u64,
    pub clean: bool,
}

/// That two modules differed, until as many documents, or all there are, show that they do not any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Differed {
    candidate: Digest,
    against: Digest,
    /// Documents that were looked at.
    documents: u64,
}

impl Compare {
    fn is_of(&self, scheme: &SchemeRow, module: &Digest) -> bool {
        self.candidate == *module && self.against == scheme.module && self.scheme_revision == scheme.revision
    }

    /// Whether it was one of these two, and there was no document to compare.
    pub(super) fn found_nothing(&self, scheme: &SchemeRow, module: &Digest) -> bool {
        self.is_of(scheme, module) && self.available == 0
    }

    /// Whether it lets the module be activated on the scheme as it is, or what would.
    pub(super) fn clears(
        &self,
        scheme: &SchemeRow,
        module: &Digest,
        least: u64,
        differed: &[Differed],
    ) -> Result<(), String> {
        if !self.is_of(scheme, module) {
            return Err(format!(
                "compare it with the module that runs, over {least} documents or all there are; nothing may differ"
            ));
        }
        if !self.clean {
            return Err("the comparison found differences: mend the module, or have the tenant's policy changed".into());
        }
        let least = least.min(self.available).max(1);
        if self.documents < least {
            return Err(format!("{} documents were compared: compare {least}", self.documents));
        }
        match differed.iter().find(|one| one.is_of(module, &scheme.module)) {
            Some(Differed { documents, .. }) => Err(format!(
                "a comparison of {documents} documents found differences: compare as many, or all there are"
            )),
            None => Ok(()),
        }
    }
}

impl Differed {
    fn is_of(&self, candidate: &Digest, against: &Digest) -> bool {
        self.candidate == *candidate && self.against == *against
    }
}

pub(super) fn key(tenant: &TenantId, scheme: &SchemeId) -> Key {
    under(Some(tenant), "compared").text(scheme.as_str()).build()
}

fn differed_key(tenant: &TenantId, scheme: &SchemeId) -> Key {
    under(Some(tenant), "differed").text(scheme.as_str()).build()
}

impl Registry {
    /// Keeps what a comparison of the scheme, as it is now, came to. The last one counts; that an earlier one of the two
    /// modules differed is kept beside it.
    pub async fn note_compare(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        scheme: &SchemeRow,
        candidate: &Digest,
        looked: Looked,
    ) -> Result<Compare, Error> {
        self.change_of(actor, tenant, |draft, _| {
            let Looked { documents, undecided, available, clean } = looked;
            let against = scheme.module;
            let compare = Compare {
                candidate: *candidate,
                against,
                scheme_revision: scheme.revision,
                documents,
                available,
                clean,
                at: draft.at,
            };
            let before: Vec<Differed> =
                draft.get(Table::Schemes, &differed_key(tenant, &scheme.name))?.unwrap_or_default();
            let (own, mut differed): (Vec<_>, Vec<_>) =
                before.into_iter().partition(|one| one.is_of(candidate, &against));
            let stood = own.iter().map(|one| one.documents).max();
            let stands = match (clean, stood) {
                (false, stood) => Some((documents + undecided).max(stood.unwrap_or(0))),
                (true, Some(stood)) => (documents < stood.min(available)).then_some(stood),
                (true, None) => None,
            };
            differed.extend(stands.map(|documents| Differed { candidate: *candidate, against, documents }));
            let over = differed.len().saturating_sub(DIFFERED_LIMIT);
            differed.drain(..over);
            draft.put(Table::Schemes, differed_key(tenant, &scheme.name), &differed);
            draft.put(Table::Schemes, key(tenant, &scheme.name), &compare);
            let detail = json!({
                "candidate": candidate, "against": against, "documents": documents, "available": available,
                "clean": clean,
            });
            draft.log("scheme.compare", &scheme.name, detail);
            Ok(compare)
        })
        .await
    }

    pub fn compare(&self, tenant: &TenantId, scheme: &SchemeId) -> Result<Option<Compare>, Error> {
        self.read(Table::Schemes, &key(tenant, scheme))
    }

    pub(super) fn differed(&self, tenant: &TenantId, scheme: &SchemeId) -> Result<Vec<Differed>, Error> {
        Ok(self.read(Table::Schemes, &differed_key(tenant, scheme))?.unwrap_or_default())
    }
}
