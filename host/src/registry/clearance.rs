//! Which modules a scheme may run under the policy `require_clean_compare`: the one that it has, one that its documents met
//! before, and one that was compared without a difference. Where there is no document, there is nothing to differ.

use crate::model::{Digest, SchemeId, TenantId};
use crate::state::{Key, KeyBuilder, Table};

use super::change::Draft;
use super::compare;
use super::rows::under;
use super::scheme::SchemeRow;
use super::tenant::Tenant;
use super::{Error, Registry};

/// Modules that are remembered of one scheme: as many as a tenant has, and some.
const RAN_LIMIT: usize = 100;
/// Rows of the ledger that one look brings.
const LOOK: usize = 500;

/// Why a module may be activated, in the audit log's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clearance {
    /// Nobody asks for a comparison.
    NotAsked,
    Clean,
    NoDocuments,
}

impl Clearance {
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::NotAsked => None,
            Self::Clean => Some("clean"),
            Self::NoDocuments => Some("no documents"),
        }
    }
}

fn key(tenant: &TenantId, scheme: &SchemeId) -> Key {
    under(Some(tenant), "ran").text(scheme.as_str()).build()
}

fn refused(remedy: String) -> Error {
    Error::Policy { policy: "require_clean_compare", remedy }
}

impl Registry {
    /// Whether one document of the scheme may be tried with this module. What stands in the configuration file runs the
    /// operator's modules alone, and nobody compares those here.
    pub fn may_try(&self, tenant: &TenantId, scheme: &SchemeId, module: &Digest) -> Result<(), Error> {
        let (Some(found), Some(row)) = (self.tenant(tenant)?, self.scheme(tenant, scheme)?) else { return Ok(()) };
        let is_asked = found.policy.require_clean_compare && row.module != *module;
        if !is_asked || self.ran(tenant, scheme)?.contains(module) {
            return Ok(());
        }
        self.compared(&found, &row, module).map(drop)
    }

    /// Modules that the scheme had while there were documents in its ledger, before the one that it has.
    fn ran(&self, tenant: &TenantId, scheme: &SchemeId) -> Result<Vec<Digest>, Error> {
        Ok(self.read(Table::Schemes, &key(tenant, scheme))?.unwrap_or_default())
    }

    fn compared(&self, tenant: &Tenant, scheme: &SchemeRow, module: &Digest) -> Result<Clearance, Error> {
        let least = tenant.policy.compare_documents;
        let Some(compare) = self.compare(&tenant.id, &scheme.name)? else {
            let remedy = format!("compare it with the module that runs first, over {least} documents or all there are");
            return Err(refused(remedy));
        };
        if compare.found_nothing(scheme, module) && self.is_as_it_was_compared(&tenant.id, &scheme.name)? {
            return Ok(Clearance::NoDocuments);
        }
        let differed = self.differed(&tenant.id, &scheme.name)?;
        compare.clears(scheme, module, least, &differed).map_err(refused)?;
        Ok(Clearance::Clean)
    }

    fn has_documents(&self, tenant: &TenantId, scheme: &SchemeId) -> Result<bool, Error> {
        let documents = KeyBuilder::scheme(tenant, scheme).build();
        Ok(!self.store().keys(Table::Subjects, &documents, None, 1)?.is_empty())
    }

    /// Whether nothing happened to any document since the last comparison was noted.
    fn is_as_it_was_compared(&self, tenant: &TenantId, scheme: &SchemeId) -> Result<bool, Error> {
        let Some(noted) = self.store().get(Table::Schemes, &compare::key(tenant, scheme))? else { return Ok(false) };
        let (documents, mut after) = (KeyBuilder::scheme(tenant, scheme).build(), None);
        loop {
            let rows = self.store().keys(Table::Subjects, &documents, after.as_ref(), LOOK)?;
            if rows.iter().any(|(_, revision)| *revision > noted.revision) {
                return Ok(false);
            }
            let Some((last, _)) = rows.into_iter().next_back() else { return Ok(true) };
            after = Some(last);
        }
    }
}

/// Whether the scheme, as it is, may have this module from now on.
pub(super) fn may_activate(
    draft: &Draft<'_>,
    tenant: &Tenant,
    scheme: &SchemeRow,
    module: &Digest,
) -> Result<Clearance, Error> {
    if !tenant.policy.require_clean_compare {
        return Ok(Clearance::NotAsked);
    }
    if !draft.registry.has_documents(&tenant.id, &scheme.name)? {
        return Ok(Clearance::NoDocuments);
    }
    draft.registry.compared(tenant, scheme, module)
}

/// The same of a scheme that is made again under the name of one that was deleted: its documents are there still.
pub(super) fn may_return(
    draft: &Draft<'_>,
    tenant: &Tenant,
    last: &SchemeRow,
    module: &Digest,
) -> Result<Clearance, Error> {
    may_activate(draft, tenant, last, module).map_err(|error| match error {
        Error::Policy { policy, .. } => {
            let remedy = format!(
                "the documents of the scheme that had this name ran with {}: make it with that one, compare, and activate",
                last.module
            );
            Error::Policy { policy, remedy }
        }
        error => error,
    })
}

/// The same where what the deleted scheme was is forgotten: so many others were deleted since.
pub(super) fn may_return_unknown(draft: &Draft<'_>, tenant: &Tenant, scheme: &SchemeId) -> Result<Clearance, Error> {
    if !tenant.policy.require_clean_compare {
        return Ok(Clearance::NotAsked);
    }
    if !draft.registry.has_documents(&tenant.id, scheme)? {
        return Ok(Clearance::NoDocuments);
    }
    let remedy = "documents of an earlier scheme of this name are there, and which module they ran with is not remembered: \
                  take another name, or erase them first";
    Err(refused(remedy.into()))
}

/// What a rollback goes back to once another module is there. Where comparisons are asked for, it is none that no document
/// met: nobody compared it.
pub(super) fn way_back(draft: &Draft<'_>, tenant: &Tenant, before: &SchemeRow) -> Result<Option<Digest>, Error> {
    let is_barred = tenant.policy.require_clean_compare && !draft.registry.has_documents(&tenant.id, &before.name)?;
    Ok(if is_barred { before.previous_module } else { Some(before.module) })
}

/// Remembers the module that goes, where documents met it.
pub(super) fn note_ran(draft: &mut Draft<'_>, tenant: &TenantId, before: &SchemeRow) -> Result<(), Error> {
    if !draft.registry.has_documents(tenant, &before.name)? {
        return Ok(());
    }
    let key = key(tenant, &before.name);
    let mut ran: Vec<Digest> = draft.get(Table::Schemes, &key)?.unwrap_or_default();
    ran.retain(|module| *module != before.module);
    ran.push(before.module);
    let over = ran.len().saturating_sub(RAN_LIMIT);
    ran.drain(..over);
    draft.put(Table::Schemes, key, &ran);
    Ok(())
}
