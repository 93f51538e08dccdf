//! Modules that were refused: the same bytes are not compiled again only to be refused again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{Digest, TenantId};
use crate::state::{Batch, Key, Table};

use super::rows::{decode, encode, under};
use super::{Error, Registry};

/// Refusals that are remembered of one tenant. Past that the oldest is forgotten, and costs a compilation once more.
pub const REFUSALS_LIMIT: usize = 256;
/// A compiler's words can be long; a person reads the beginning.
const PROBLEM_LIMIT: usize = 2_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refusal {
    /// A fault's code.
    pub code: String,
    pub problem: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// What a module was refused under: other limits, or another engine, may take it.
fn key(tenant: &TenantId, digest: &Digest, class: &str, settings_hash: &str) -> Key {
    under(Some(tenant), "refused").text(&digest.to_string()).text(class).text(settings_hash).build()
}

impl Registry {
    pub fn refusal(
        &self,
        tenant: &TenantId,
        digest: &Digest,
        class: &str,
        settings_hash: &str,
    ) -> Result<Option<Refusal>, Error> {
        self.read(Table::Compiling, &key(tenant, digest, class, settings_hash))
    }

    /// What the engine learnt, and no change that anybody made: not in the audit log.
    pub async fn put_refusal(
        &self,
        tenant: &TenantId,
        digest: &Digest,
        class: &str,
        settings_hash: &str,
        code: &str,
        problem: &str,
    ) -> Result<(), Error> {
        let _turn = self.inner.turns.take(Some(tenant)).await;
        let own = key(tenant, digest, class, settings_hash);
        let rows = self.store().scan(Table::Compiling, &under(Some(tenant), "refused").build(), None, usize::MAX)?;
        let mut others = Vec::new();
        for (row, stored) in rows.into_iter().filter(|(row, _)| *row != own) {
            others.push((decode::<Refusal>(Table::Compiling, &stored.value)?.at, row));
        }
        others.sort();
        let mut batch = Batch::new();
        let over = (others.len() + 1).saturating_sub(REFUSALS_LIMIT);
        for (_, row) in others.into_iter().take(over) {
            batch.remove(Table::Compiling, row);
        }
        let problem = problem.chars().take(PROBLEM_LIMIT).collect();
        let refusal = Refusal { code: code.to_owned(), problem, at: (self.inner.now)() };
        batch.put(Table::Compiling, own, encode(&refusal)).on_account_of(tenant.clone());
        self.commit(batch).await
    }
}
