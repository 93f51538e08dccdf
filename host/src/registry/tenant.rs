//! Tenants: what each may use, and by which rules.
//!
//! A tenant's id is never given twice, for its documents and its audit log stay when it is deleted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::model::TenantId;
use crate::state::{Key, KeyBuilder, Table};

use super::change::Draft;
use super::module::ModuleRow;
use super::rows::under;
use super::{Actor, Error, Registry, TenantChange, text};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    pub id: TenantId,
    pub display_name: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Nothing of it runs, and its people change nothing.
    pub suspended: bool,
    /// Its share where tenants compete, beside the others'.
    pub weight: u32,
    pub quotas: Quotas,
    pub policy: Policy,
    pub revision: u64,
}

impl Tenant {
    /// Whether the tenant's rules, and what the operator granted it, let it run the module today.
    pub fn may_run(&self, module: &ModuleRow) -> Result<(), Error> {
        if self.policy.require_signature && module.signed_by.is_none() {
            let remedy = "upload the same bytes again with a signature, or a signed version".into();
            return Err(Error::Policy { policy: "require_signature", remedy });
        }
        self.may_run_class(module)
    }

    /// The same of a module that ran already: whose word it was is not asked again.
    pub(super) fn may_run_class(&self, module: &ModuleRow) -> Result<(), Error> {
        if module.class == "interpreter" && !self.policy.interpreter_modules {
            let remedy = "ask the operator to grant interpreter modules".into();
            return Err(Error::Policy { policy: "interpreter_modules", remedy });
        }
        Ok(())
    }
}

/// How much a tenant may use. Zero is none at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    pub modules: u64,
    /// Bytes of all modules together.
    pub module_bytes: u64,
    pub schemes: u64,
    pub connections: u64,
    /// Uploaded reference tables.
    pub tables: u64,
    /// Keys and values of all of them together.
    pub table_bytes: u64,
    /// Lines of the audit log that its people may add: whatever they change, and whatever they look at unmasked.
    pub changes_per_minute: u64,
    pub concurrent_calls: u32,
    pub fuel_per_minute: u64,
    pub documents_per_minute: u64,
    pub ledger_bytes: u64,
    pub compile_seconds_per_hour: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            // A year of weekly releases, or five schemes with ten versions each.
            modules: 50,
            // Fifty components of a few megabytes; one made by an interpreter has ten to twenty.
            module_bytes: 512 << 20,
            schemes: 20,
            connections: 20,
            tables: 50,
            // Four of the largest, or hundreds of the usual.
            table_bytes: 64 << 20,
            // Two a second: no person is so quick, and a program that sets a tenant up need not wait.
            changes_per_minute: 120,
            concurrent_calls: 4,
            // A typical document takes a few million; so much is what one core does in half a minute.
            fuel_per_minute: 50_000_000_000,
            documents_per_minute: 6_000,
            // Two million documents of 5 kB with their history.
            ledger_bytes: 10 << 30,
            // A Rust component takes about a second, an interpreter's half a minute.
            compile_seconds_per_hour: 600,
        }
    }
}

/// A tenant's own rules, and what the operator granted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Modules that bring an interpreter along may be uploaded. The operator's grant.
    pub interpreter_modules: bool,
    /// Modules must be signed with one of the tenant's keys.
    pub require_signature: bool,
    /// A module is activated only after a comparison without a difference.
    pub require_clean_compare: bool,
    /// Documents that such a comparison takes at least, or all there are.
    #[schema(minimum = 1, maximum = 1000, default = 20)]
    pub compare_documents: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            interpreter_modules: false,
            require_signature: false,
            require_clean_compare: false,
            // An hour of a small shop: the usual kinds of documents are among them.
            compare_documents: 20,
        }
    }
}

/// What a tenant begins with.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    pub id: TenantId,
    #[serde(default)]
    pub display_name: String,
    #[serde(default = "one")]
    pub weight: u32,
    #[serde(default)]
    pub quotas: Quotas,
    #[serde(default)]
    pub policy: Policy,
}

pub(super) fn one() -> u32 {
    1
}

/// The row: what is left of a deleted tenant keeps its id from being given again.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Tenant(Tenant),
    Deleted { at: Timestamp },
}

/// The largest weight. A hundred to one is as good as alone.
const WEIGHT_LIMIT: u32 = 100;
const DISPLAY_NAME_LIMIT: usize = 200;
/// As many as one comparison looks at.
const COMPARE_DOCUMENTS_LIMIT: u64 = 1_000;

fn key(id: &TenantId) -> Key {
    KeyBuilder::new().text(id.as_str()).build()
}

impl Registry {
    pub fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>, Error> {
        Ok(match self.read(Table::Tenants, &key(id))? {
            Some(Kept::Tenant(tenant)) => Some(tenant),
            Some(Kept::Deleted { .. }) | None => None,
        })
    }

    /// In the order of their ids, after `after`, at most `limit`.
    pub fn tenants(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<Tenant>, Error> {
        let (mut found, mut last) = (Vec::new(), after.map(|after| after.as_str().to_owned()));
        while found.len() < limit {
            let after = last.as_ref().map(|last| KeyBuilder::new().text(last).build());
            let rows = self.store().scan(Table::Tenants, &Key::default(), after.as_ref(), limit)?;
            let is_last = rows.len() < limit;
            for (row, stored) in rows {
                let name = row.as_bytes().strip_suffix(&[0]).unwrap_or_default();
                last = Some(String::from_utf8_lossy(name).into_owned());
                if let Kept::Tenant(tenant) = super::rows::decode(Table::Tenants, &stored.value)? {
                    found.push(tenant);
                }
            }
            if is_last {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    pub async fn create_tenant(&self, actor: &Actor, new: NewTenant) -> Result<Tenant, Error> {
        check(&new.display_name, new.weight, &new.policy)?;
        self.change(actor, None, |draft| {
            let problem = match draft.get(Table::Tenants, &key(&new.id))? {
                Some(Kept::Tenant(_)) => Some("exists"),
                Some(Kept::Deleted { .. }) => {
                    Some("was deleted; its documents and its audit log are kept under this id")
                }
                None => None,
            };
            if let Some(problem) = problem {
                return Err(Error::Exists { what: "tenant", id: new.id.to_string(), problem });
            }
            let tenant = Tenant {
                id: new.id.clone(),
                display_name: new.display_name.clone(),
                created_at: draft.at,
                suspended: false,
                weight: new.weight,
                quotas: new.quotas,
                policy: new.policy,
                revision: 1,
            };
            draft.put(Table::Tenants, key(&new.id), &Kept::Tenant(tenant.clone()));
            let detail = json!({ "weight": tenant.weight, "quotas": tenant.quotas, "policy": tenant.policy });
            draft.log("tenant.create", &tenant.id, detail);
            Ok(tenant)
        })
        .await
    }

    pub async fn change_tenant(
        &self,
        actor: &Actor,
        id: &TenantId,
        change: TenantChange,
        expected: Option<u64>,
    ) -> Result<Tenant, Error> {
        self.change(actor, None, |draft| {
            let before = draft.tenant(id)?;
            super::expect_revision(expected, before.revision)?;
            let tenant = change.of(before.clone());
            check(&tenant.display_name, tenant.weight, &tenant.policy)?;
            if tenant == before {
                return Ok(before);
            }
            let tenant = Tenant { revision: before.revision + 1, ..tenant };
            draft.put(Table::Tenants, key(id), &Kept::Tenant(tenant.clone()));
            draft.log("tenant.change", id, json!({ "revision": tenant.revision, "change": change }));
            Ok(tenant)
        })
        .await
    }

    /// Its connections, tokens, keys and tables go with it. Documents and the audit log stay.
    pub async fn delete_tenant(&self, actor: &Actor, id: &TenantId, expected: Option<u64>) -> Result<(), Error> {
        self.change(actor, None, |draft| {
            let found = draft.tenant(id)?;
            super::expect_revision(expected, found.revision)?;
            // Whatever is done in the tenant meanwhile looks at its row and writes to its log: one of the two finds a
            // conflict, whichever comes first.
            draft.hold_log(id)?;
            let schemes = draft.registry.schemes(id, None, usize::MAX)?;
            let modules = draft.registry.modules(id, None, usize::MAX)?;
            let by = schemes.iter().map(|scheme| format!("scheme {}", scheme.name));
            let by: Vec<String> = by.chain(modules.iter().map(|row| format!("module {}", row.module()))).collect();
            if !by.is_empty() {
                return Err(Error::InUse { what: "tenant", id: id.to_string(), by });
            }
            let own = KeyBuilder::new().text(id.as_str()).build();
            for table in [
                Table::Tokens,
                Table::SigningKeys,
                Table::Connections,
                Table::UploadedTables,
                Table::Compiling,
                Table::Schemes,
            ] {
                for (row, _) in draft.registry.store().keys(table, &own, None, usize::MAX)? {
                    draft.remove(table, row);
                }
            }
            draft.put(Table::Tenants, key(id), &Kept::Deleted { at: draft.at });
            draft.log("tenant.delete", id, json!({}));
            Ok(())
        })
        .await
    }
}

impl Draft<'_> {
    /// The tenant, which must be the same when the change is written.
    pub(super) fn tenant(&mut self, id: &TenantId) -> Result<Tenant, Error> {
        match self.get(Table::Tenants, &key(id))? {
            Some(Kept::Tenant(tenant)) => Ok(tenant),
            Some(Kept::Deleted { .. }) | None => Err(Error::not_found("tenant", id)),
        }
    }
}

fn check(display_name: &str, weight: u32, policy: &Policy) -> Result<(), Error> {
    if !(1..=COMPARE_DOCUMENTS_LIMIT).contains(&policy.compare_documents) {
        let remedy = format!("write a whole number from 1 to {COMPARE_DOCUMENTS_LIMIT}");
        return Err(Error::invalid("/policy/compare_documents", "is out of range", remedy));
    }
    text::name("/display_name", display_name, DISPLAY_NAME_LIMIT)?;
    if weight == 0 || weight > WEIGHT_LIMIT {
        let remedy = format!("write a whole number from 1 to {WEIGHT_LIMIT}");
        return Err(Error::invalid("/weight", "is out of range", remedy));
    }
    Ok(())
}

/// How much of its quotas a tenant uses, of what the registry keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Used {
    pub modules: u64,
    pub module_bytes: u64,
    pub schemes: u64,
    pub connections: u64,
    pub tables: u64,
    pub table_bytes: u64,
    /// Of its people, not of the operator's.
    pub changes_this_minute: u64,
    pub compile_seconds_this_hour: u64,
}

impl Registry {
    pub fn used(&self, tenant: &TenantId) -> Result<Used, Error> {
        let modules = self.modules(tenant, None, usize::MAX)?;
        Ok(Used {
            modules: modules.len() as u64,
            module_bytes: modules.iter().map(|row| row.size).sum(),
            schemes: self.count(Table::Schemes, under(Some(tenant), "now"))?,
            connections: self.count(Table::Connections, under(Some(tenant), "now"))?,
            tables: self.count(Table::UploadedTables, under(Some(tenant), "now"))?,
            table_bytes: self.table_bytes(tenant)?,
            changes_this_minute: self.changes_of_late(tenant)?,
            compile_seconds_this_hour: self.compile_spent(tenant)?.as_secs(),
        })
    }
}
