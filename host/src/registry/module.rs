//! Uploaded modules, by the digest of their bytes. A name and version belong to the first bytes that had them, for ever.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::model::{Digest, ModuleRef, TenantId};
use crate::state::{Key, Table};

use super::rows::under;
use super::{Actor, Error, Registry, Tenant};

/// What the report of an upload may have: sample documents with long logs among it.
const REPORT_LIMIT_BYTES: usize = 4 << 20;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModuleRow {
    pub digest: Digest,
    pub name: String,
    pub version: String,
    /// `standard` or `interpreter`.
    pub class: String,
    /// Bytes of the component.
    pub size: u64,
    #[schema(value_type = String, format = DateTime)]
    pub uploaded_at: Timestamp,
    /// A token's id.
    pub uploaded_by: String,
    /// A signing key's id.
    pub signed_by: Option<String>,
    /// What the upload was answered with.
    #[schema(value_type = Object)]
    pub report: Box<RawValue>,
}

impl ModuleRow {
    pub fn module(&self) -> ModuleRef {
        ModuleRef { name: self.name.clone(), version: self.version.clone() }
    }
}

/// What came of putting a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put {
    /// `false` where the same bytes were there already.
    pub created: bool,
}

/// Whose a name and version is.
#[derive(Debug, Serialize, Deserialize)]
struct Taken {
    digest: Digest,
}

fn row_key(tenant: &TenantId, digest: &Digest) -> Key {
    under(Some(tenant), "digest").text(&digest.to_string()).build()
}

fn name_key(tenant: &TenantId, module: &ModuleRef) -> Key {
    under(Some(tenant), "name").text(&module.name).text(&module.version).build()
}

fn bytes_key(tenant: &TenantId, digest: &Digest) -> Key {
    under(Some(tenant), "component").text(&digest.to_string()).build()
}

impl Registry {
    /// `row.uploaded_at` and `row.uploaded_by` are set here. The same bytes again change nothing, but for a signature where
    /// they had none.
    pub async fn put_module(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        row: ModuleRow,
        bytes: Bytes,
    ) -> Result<Put, Error> {
        check(&row, &bytes)?;
        let module = row.module();
        self.change_of(actor, tenant, |draft, found| {
            if let Some(before) = draft.get::<ModuleRow>(Table::Modules, &row_key(tenant, &row.digest))? {
                // A signature that came later counts as one that came along.
                if let (None, Some(key)) = (&before.signed_by, &row.signed_by) {
                    let signed = ModuleRow { signed_by: row.signed_by.clone(), report: row.report.clone(), ..before };
                    draft.put(Table::Modules, row_key(tenant, &row.digest), &signed);
                    draft.log("module.sign", &module, json!({ "digest": row.digest, "signed_by": key }));
                }
                return Ok(Put { created: false });
            }
            if let Some(Taken { digest }) = draft.get(Table::Modules, &name_key(tenant, &module))?
                && digest != row.digest
            {
                return Err(Error::Immutable { module: module.to_string(), digest });
            }
            if row.class == "interpreter" && !found.policy.interpreter_modules {
                let remedy = "ask the operator to grant interpreter modules".into();
                return Err(Error::Policy { policy: "interpreter_modules", remedy });
            }
            if row.signed_by.is_none() && found.policy.require_signature {
                let remedy = "sign it with a registered key: crossdock module upload --sign KEYFILE".into();
                return Err(Error::Policy { policy: "require_signature", remedy });
            }
            let used = draft.registry.used(tenant)?;
            let quotas = found.quotas;
            super::within("modules", quotas.modules, used.modules, 1)?;
            super::within("module_bytes", quotas.module_bytes, used.module_bytes, row.size)?;
            let row = ModuleRow { uploaded_at: draft.at, uploaded_by: actor.token.clone(), ..row.clone() };
            draft.put(Table::Modules, row_key(tenant, &row.digest), &row);
            draft.put(Table::Modules, name_key(tenant, &module), &Taken { digest: row.digest });
            draft.put_bytes(Table::Components, bytes_key(tenant, &row.digest), bytes.clone());
            let detail = json!({
                "digest": row.digest, "class": row.class, "size": row.size, "signed_by": row.signed_by,
            });
            draft.log("module.upload", &module, detail);
            Ok(Put { created: true })
        })
        .await
    }

    /// Refused where no component of so many bytes could be taken, whatever is in it. One that is just as long as a module of
    /// the tenant's may be that module, which takes no room.
    pub fn room_for_module(&self, tenant: &Tenant, length: Option<u64>) -> Result<(), Error> {
        let modules = self.modules(&tenant.id, None, usize::MAX)?;
        if length.is_some_and(|length| modules.iter().any(|row| row.size == length)) {
            return Ok(());
        }
        let bytes = modules.iter().map(|row| row.size).sum();
        super::within("modules", tenant.quotas.modules, modules.len() as u64, 1)?;
        super::within("module_bytes", tenant.quotas.module_bytes, bytes, length.unwrap_or(1))?;
        self.compile_left(&tenant.id).map(drop)
    }

    pub fn module(&self, tenant: &TenantId, digest: &Digest) -> Result<Option<ModuleRow>, Error> {
        self.read(Table::Modules, &row_key(tenant, digest))
    }

    pub fn module_by_name(&self, tenant: &TenantId, module: &ModuleRef) -> Result<Option<ModuleRow>, Error> {
        if [&module.name, &module.version].iter().any(|part| part.contains('\0')) {
            return Ok(None);
        }
        match self.read::<Taken>(Table::Modules, &name_key(tenant, module))? {
            Some(taken) => self.module(tenant, &taken.digest),
            None => Ok(None),
        }
    }

    /// In the order of their digests.
    pub fn modules(&self, tenant: &TenantId, after: Option<&Digest>, limit: usize) -> Result<Vec<ModuleRow>, Error> {
        let after = after.map(Digest::to_string);
        self.list(Table::Modules, under(Some(tenant), "digest"), after.as_deref(), limit)
    }

    pub fn module_bytes(&self, tenant: &TenantId, digest: &Digest) -> Result<Option<Bytes>, Error> {
        Ok(self.store().get(Table::Components, &bytes_key(tenant, digest))?.map(|row| row.value))
    }

    /// Its name and version stay taken.
    pub async fn delete_module(&self, actor: &Actor, tenant: &TenantId, digest: &Digest) -> Result<(), Error> {
        self.change_of(actor, tenant, |draft, _| {
            let Some(row) = draft.get::<ModuleRow>(Table::Modules, &row_key(tenant, digest))? else {
                return Err(Error::not_found("module", digest));
            };
            let schemes = draft.registry.schemes(tenant, None, usize::MAX)?;
            let uses = schemes.iter().filter_map(|scheme| {
                if scheme.module == *digest {
                    Some(format!("scheme {}", scheme.name))
                } else if scheme.previous_module == Some(*digest) {
                    Some(format!("scheme {} (to roll back to)", scheme.name))
                } else {
                    None
                }
            });
            let by: Vec<String> = uses.collect();
            if !by.is_empty() {
                return Err(Error::InUse { what: "module", id: row.module().to_string(), by });
            }
            draft.remove(Table::Modules, row_key(tenant, digest));
            draft.remove(Table::Components, bytes_key(tenant, digest));
            draft.log("module.delete", row.module(), json!({ "digest": digest }));
            Ok(())
        })
        .await
    }
}

fn check(row: &ModuleRow, bytes: &Bytes) -> Result<(), Error> {
    let invalid = |problem: &str, remedy: &str| Err(Error::invalid("/module", problem, remedy));
    if Digest::of(bytes) != row.digest || bytes.len() as u64 != row.size {
        return invalid("is not what its report is about", "upload it again");
    }
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte));
    if row.module().to_string().parse::<ModuleRef>().is_err() || !is_plain(&row.version) {
        let remedy = "describe it with a name of letters, digits, '-', '_' and '.', and a version such as 1.2.0";
        return invalid("calls itself by a name or version that cannot be used", remedy);
    }
    if !["standard", "interpreter"].contains(&row.class.as_str()) {
        return invalid("is of an unknown class", "use standard or interpreter");
    }
    if row.report.get().len() > REPORT_LIMIT_BYTES {
        return invalid("has a report that is too long", "upload it with fewer or smaller samples");
    }
    Ok(())
}
