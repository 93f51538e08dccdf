//! The tables that tenants uploaded, each in memory once, however many schemes use it, and only while one does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::model::{Digest, TenantId};
use crate::pipeline::reference::Entries;
use crate::registry::{Error, Registry};
use crate::state::Table;

pub(super) struct Uploaded {
    registry: Option<Registry>,
    slots: Mutex<HashMap<Id, Arc<Mutex<Slot>>>>,
}

type Id = (TenantId, String);

/// What is held of one table. Its lock makes a second one that wants it wait for the first.
#[derive(Default)]
struct Slot {
    digest: Option<Digest>,
    entries: Weak<Entries>,
}

impl Uploaded {
    pub fn new(registry: Option<Registry>) -> Self {
        Self { registry, slots: Mutex::default() }
    }

    /// The table's entries of now. Blocking: a large one takes a second to be read.
    pub fn entries(&self, tenant: &TenantId, table: &str) -> Result<Arc<Entries>, Error> {
        let missing = || Error::NotFound { what: "table", id: table.to_owned() };
        let registry = self.registry.as_ref().ok_or_else(missing)?;
        let slot = self.slot((tenant.clone(), table.to_owned()));
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let content = registry.table_content(tenant, table)?.ok_or_else(missing)?;
        let digest = Digest::of(&content);
        if let Some(entries) = slot.entries.upgrade().filter(|_| slot.digest == Some(digest)) {
            return Ok(entries);
        }
        // Its words may quote what it could not read.
        let unreadable = |error: serde_json::Error| {
            let detail = format!("line {} column {}", error.line(), error.column());
            Error::Row { table: Table::UploadedTables, detail }
        };
        let entries = Arc::new(Entries::from_content(&content).map_err(unreadable)?);
        *slot = Slot { digest: Some(digest), entries: Arc::downgrade(&entries) };
        Ok(entries)
    }

    fn slot(&self, id: Id) -> Arc<Mutex<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        // Keeps what somebody holds, and what somebody is reading just now.
        slots.retain(|_, slot| {
            Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|slot| slot.entries.strong_count() > 0)
        });
        slots.entry(id).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Actor, Keyring, SealKey, TableContent};
    use crate::state::MemoryStore;

    async fn put(registry: &Registry, tenant: &TenantId, value: &str) {
        let content = TableContent::of(&[("S1".to_owned(), value.to_owned())].into()).unwrap();
        registry.put_table(&Actor::console(), tenant, "shops", content, None).await.unwrap();
    }

    #[tokio::test]
    async fn whoever_uses_a_table_has_the_one_that_others_have_and_no_other_tenants() {
        let keyring = Keyring::new(SealKey::new([1; 32]), Vec::new());
        let now: crate::registry::Now = Arc::new(jiff::Timestamp::now);
        let registry = Registry::open(Arc::new(MemoryStore::new()), keyring, now).unwrap();
        let [acme, globex] = ["acme", "globex"].map(|name| TenantId::new(name).unwrap());
        for tenant in [&acme, &globex] {
            let new = serde_json::from_value(serde_json::json!({ "id": tenant })).unwrap();
            registry.create_tenant(&Actor::console(), new).await.unwrap();
            put(&registry, tenant, "1").await;
        }
        let uploaded = Uploaded::new(Some(registry.clone()));
        let entries = |tenant| uploaded.entries(tenant, "shops").unwrap();
        let (one, other, strange) = (entries(&acme), entries(&acme), entries(&globex));
        assert!(Arc::ptr_eq(&one, &other) && !Arc::ptr_eq(&one, &strange));
        put(&registry, &acme, "2").await;
        let newer = entries(&acme);
        assert_eq!((one.get("S1"), newer.get("S1"), strange.get("S1")), (Some("1"), Some("2"), Some("1")));
        assert!(Arc::ptr_eq(&newer, &entries(&acme)));
        let held = Arc::downgrade(&strange);
        drop(strange);
        assert!(held.upgrade().is_none(), "nobody uses it");
        assert!(matches!(uploaded.entries(&acme, "nope"), Err(Error::NotFound { .. })));
        assert_eq!(uploaded.slots.lock().unwrap().len(), 2, "what is gone is forgotten");
    }
}
