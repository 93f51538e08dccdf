//! Sealing everything under another key, a few rows at a time: what is not done yet is found again at the next start.

use serde_json::json;

use crate::model::TenantId;
use crate::state::{Batch, CommitError, Expect, Key, Store, Table};

use super::connection::Kept;
use super::rows::{decode, encode, under};
use super::seal::{SealError, SealKey};
use super::{Actor, Error, Registry};

/// Rows looked at in one step.
const STEP_ROWS: usize = 50;

/// What a rotation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Rotated {
    /// Sealed anew.
    pub resealed: u64,
    /// Sealed under the key already.
    pub kept: u64,
    /// Sealed under a key that nobody has any more, and left as they are.
    pub lost: u64,
}

impl Registry {
    /// From now on `new` seals; everything is sealed with it on return. Whoever calls it has `new` durably kept, beside
    /// the keys before, and may let go of those afterwards. Killed half-way, [`Registry::reseal`] goes on.
    pub async fn rotate(&self, actor: &Actor, new: SealKey) -> Result<Rotated, Error> {
        self.replace_keyring(|keyring| keyring.with(new));
        self.reseal(actor).await
    }

    /// Seals everything with the key that seals now.
    pub async fn reseal(&self, actor: &Actor) -> Result<Rotated, Error> {
        // A change that still took the key before finds a conflict from here on: what is sealed with that key is there
        // already, and found below.
        let current = self.keyring().current().ok_or(SealError::NoKey)?.to_owned();
        let mut batch = Batch::new();
        batch.put(Table::Connections, key_row(), encode(&current));
        self.commit(batch).await?;
        let mut rotated = Rotated::default();
        let mut after: Option<Key> = None;
        loop {
            let rows = self.store().scan(Table::Connections, &Key::default(), after.as_ref(), STEP_ROWS)?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.clone());
            for (row, _) in rows {
                if let Some(tenant) = tenant_of(&row) {
                    self.reseal_row(&tenant, row, &mut rotated).await?;
                }
            }
        }
        let Rotated { resealed, kept, lost } = rotated;
        let detail = json!({ "key": current, "resealed": resealed, "kept": kept, "lost": lost });
        self.record(actor, None, "credentials.rotate", "credentials", detail).await?;
        Ok(rotated)
    }

    /// Whether something is still sealed under another key than the one that seals now.
    pub fn is_fully_sealed(&self) -> Result<bool, Error> {
        let mut after: Option<Key> = None;
        loop {
            let rows = self.store().scan(Table::Connections, &Key::default(), after.as_ref(), STEP_ROWS)?;
            let Some((last, _)) = rows.last() else { return Ok(true) };
            after = Some(last.clone());
            for (row, stored) in &rows {
                if tenant_of(row).is_some() {
                    let kept: Kept = decode(Table::Connections, &stored.value)?;
                    if kept.key().is_some_and(|key| Some(key) != self.keyring().current()) {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// How many connections have secrets that were sealed, with whatever key.
    pub fn sealed(store: &dyn Store) -> Result<u64, Error> {
        let (mut sealed, mut after) = (0, None);
        loop {
            let rows = store.scan(Table::Connections, &Key::default(), after.as_ref(), STEP_ROWS)?;
            let Some((last, _)) = rows.last() else { return Ok(sealed) };
            after = Some(last.clone());
            for (row, stored) in &rows {
                if tenant_of(row).is_some() {
                    let kept: Kept = decode(Table::Connections, &stored.value)?;
                    sealed += u64::from(kept.key().is_some());
                }
            }
        }
    }

    async fn reseal_row(&self, tenant: &TenantId, row: Key, rotated: &mut Rotated) -> Result<(), Error> {
        let _turn = self.inner.turns.take(Some(tenant)).await;
        // Read within the turn: a change since the scan sealed it with the new key already.
        let Some(stored) = self.store().get(Table::Connections, &row)? else { return Ok(()) };
        let kept: Kept = decode(Table::Connections, &stored.value)?;
        let resealed = match self.resealed(tenant, kept) {
            Ok(Some(resealed)) => resealed,
            Ok(None) => {
                rotated.kept += 1;
                return Ok(());
            }
            Err(Error::Sealed(SealError::UnknownKey { .. } | SealError::Broken)) => {
                rotated.lost += 1;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut batch = Batch::new();
        batch.expect(Table::Connections, row.clone(), Expect::At(stored.revision));
        batch.put(Table::Connections, row, encode(&resealed));
        match self.inner.store.commit(batch).await {
            Ok(_) => rotated.resealed += 1,
            // The tenant was deleted meanwhile, and the row with it.
            Err(CommitError::Conflict { .. }) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Which key seals. Each change of a connection looks at it before it takes the key.
pub(super) fn key_row() -> Key {
    under(None, "key").build()
}

/// Whose connection lies under this key; `None` where what lies there is no connection but what it once was.
fn tenant_of(row: &Key) -> Option<TenantId> {
    let mut parts = row.as_bytes().split(|byte| *byte == 0);
    let tenant = std::str::from_utf8(parts.next()?).ok()?;
    (parts.next()? == b"now").then(|| TenantId::new(tenant).ok())?
}
