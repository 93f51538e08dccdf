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

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Compare {
    pub candidate: Digest,
    /// The module that ran, and the scheme's revision then: of another, it says nothing.
    pub against: Digest,
    pub scheme_revision: u64,
    pub documents: u64,
    /// No outcome and no field differed.
    pub clean: bool,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl Compare {
    /// Whether it lets the module be activated on the scheme as it is.
    pub(super) fn clears(&self, scheme: &SchemeRow, module: &Digest) -> bool {
        // Without a document nothing was compared.
        self.clean
            && self.documents > 0
            && self.candidate == *module
            && self.against == scheme.module
            && self.scheme_revision == scheme.revision
    }
}

fn key(tenant: &TenantId, scheme: &SchemeId) -> Key {
    under(Some(tenant), "compared").text(scheme.as_str()).build()
}

impl Registry {
    /// Keeps what a comparison of the scheme, as it is now, came to; the last one counts.
    pub async fn note_compare(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        scheme: &SchemeRow,
        candidate: &Digest,
        documents: u64,
        clean: bool,
    ) -> Result<Compare, Error> {
        self.change_of(actor, tenant, |draft, _| {
            let compare = Compare {
                candidate: *candidate,
                against: scheme.module,
                scheme_revision: scheme.revision,
                documents,
                clean,
                at: draft.at,
            };
            draft.put(Table::Schemes, key(tenant, &scheme.name), &compare);
            let detail = json!({
                "candidate": candidate, "against": scheme.module, "documents": documents, "clean": clean,
            });
            draft.log("scheme.compare", &scheme.name, detail);
            Ok(compare)
        })
        .await
    }

    pub fn compare(&self, tenant: &TenantId, scheme: &SchemeId) -> Result<Option<Compare>, Error> {
        self.read(Table::Schemes, &key(tenant, scheme))
    }
}
