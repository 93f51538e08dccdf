//! Schemes: what `[[scheme]]` is in the configuration file, with the module pinned by its digest. Each change is a new
//! revision; numbers go on where a name is given again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::model::{ConnectionName, Digest, ModuleRef, SchemeId, TenantId};
use crate::state::{Key, Table};

use super::change::Draft;
use super::clearance::{Clearance, may_activate, may_return, may_return_unknown, note_ran, way_back};
use super::module::ModuleRow;
use super::revision::{self, History};
use super::rows::under;
use super::tenant::Tenant;
use super::{Actor, Error, Registry, Role, text};

const NOTE_LIMIT: usize = 500;
/// Parameters are a megabyte at most; the rest is small.
const SETTINGS_LIMIT_BYTES: usize = (1 << 20) + (64 << 10);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SchemeRow {
    pub name: SchemeId,
    /// A `[[scheme]]` block without `name`, `tenant`, `module` and `enabled`. A reference may be `{ "table": "shops" }`.
    #[schema(value_type = Object)]
    pub settings: Value,
    pub module: Digest,
    pub module_ref: ModuleRef,
    /// What a rollback goes back to.
    pub previous_module: Option<Digest>,
    pub enabled: bool,
    pub revision: u64,
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: Timestamp,
    /// A token's id.
    pub changed_by: String,
    /// Why, in the words of whoever changed it.
    pub note: String,
}

/// What a scheme is to be.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SchemePut {
    #[schema(value_type = Object)]
    pub settings: Value,
    pub module: Digest,
    /// As it was where it is left out; a new scheme is switched off.
    #[serde(default)]
    pub enabled: Option<bool>,
    #[serde(default)]
    pub note: String,
}

impl SchemePut {
    /// Another note is a change, for whoever writes one wants it read; none is no other one.
    fn changes_nothing_of(&self, row: &SchemeRow) -> bool {
        self.module == row.module
            && self.settings == row.settings
            && self.enabled.is_none_or(|enabled| enabled == row.enabled)
            && (self.note.is_empty() || self.note == row.note)
    }
}

impl SchemeRow {
    /// The connections that it names.
    pub fn connections(&self) -> Vec<&str> {
        self.named("connection").into_iter().map(|(_, name)| name).collect()
    }

    /// The uploaded tables that it names.
    pub fn tables(&self) -> Vec<&str> {
        self.named("table").into_iter().map(|(_, name)| name).collect()
    }

    /// What its ends and references name under `key`, with the JSON pointers of where they do.
    fn named(&self, key: &str) -> Vec<(String, &str)> {
        let ends = ["source", "target"].into_iter().map(|end| (format!("/{end}"), self.settings.get(end)));
        let references = self.settings.get("reference").and_then(Value::as_object).into_iter().flatten();
        let references = references
            .map(|(table, from)| (format!("/reference/{}", table.replace('~', "~0").replace('/', "~1")), Some(from)));
        let parts = ends.chain(references);
        parts.filter_map(|(at, part)| Some((format!("{at}/{key}"), part?.get(key)?.as_str()?))).collect()
    }
}

const HISTORY: History = History { table: Table::Schemes };

fn key(tenant: &TenantId, name: &SchemeId) -> Key {
    under(Some(tenant), "now").text(name.as_str()).build()
}

impl Registry {
    /// What is as it was already changes nothing.
    pub async fn put_scheme(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        name: &SchemeId,
        put: SchemePut,
        expected: Option<u64>,
    ) -> Result<SchemeRow, Error> {
        text::check("/note", &put.note, NOTE_LIMIT)?;
        check(&put.settings)?;
        self.unmanaged(tenant, name)?;
        self.change_of(actor, tenant, |draft, found| {
            let before: Option<SchemeRow> = draft.get(Table::Schemes, &key(tenant, name))?;
            super::expect_revision(expected, before.as_ref().map_or(0, |row| row.revision))?;
            if let Some(before) = before.as_ref().filter(|before| put.changes_nothing_of(before)) {
                return Ok(before.clone());
            }
            let module = match &before {
                Some(row) if row.module == put.module => keep(draft, found, &put.module)?,
                _ => pin(draft, found, &put.module)?,
            };
            let last = match &before {
                Some(row) => row.revision,
                None => {
                    has_room(draft, found)?;
                    HISTORY.last(draft, tenant, name.as_str())?
                }
            };
            let (clearance, previous) = match &before {
                Some(row) if row.module == put.module => (Clearance::NotAsked, row.previous_module),
                Some(row) => (may_activate(draft, found, row, &put.module)?, way_back(draft, found, row)?),
                None => (comes_back(draft, found, name, &put.module)?, None),
            };
            let row = SchemeRow {
                name: name.clone(),
                settings: put.settings.clone(),
                module: put.module,
                module_ref: module.module(),
                previous_module: previous,
                enabled: put.enabled.unwrap_or(before.as_ref().is_some_and(|row| row.enabled)),
                revision: last + 1,
                changed_at: draft.at,
                changed_by: actor.token.clone(),
                note: put.note.clone(),
            };
            names_exist(draft, tenant, &row)?;
            let action = if before.is_some() { "scheme.change" } else { "scheme.create" };
            write(draft, tenant, row, action, before.as_ref(), clearance)
        })
        .await
    }

    pub fn scheme(&self, tenant: &TenantId, name: &SchemeId) -> Result<Option<SchemeRow>, Error> {
        self.read(Table::Schemes, &key(tenant, name))
    }

    /// In the order of their names.
    pub fn schemes(&self, tenant: &TenantId, after: Option<&SchemeId>, limit: usize) -> Result<Vec<SchemeRow>, Error> {
        self.list(Table::Schemes, under(Some(tenant), "now"), after.map(SchemeId::as_str), limit)
    }

    /// Names of schemes that were deleted and not made again: their documents are still there.
    pub fn deleted_schemes(&self, tenant: &TenantId) -> Result<Vec<SchemeId>, Error> {
        let names = revision::ended(self, HISTORY, tenant)?;
        Ok(names.into_iter().filter_map(|name| SchemeId::new(name).ok()).collect())
    }

    /// What it was, who changed it and when; oldest first, after revision `after`.
    pub fn scheme_revisions(
        &self,
        tenant: &TenantId,
        name: &SchemeId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<SchemeRow>, Error> {
        revision::list(self, HISTORY, tenant, name.as_str(), after, limit)
    }

    /// Switching on what is on changes nothing.
    pub async fn set_enabled(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        name: &SchemeId,
        enabled: bool,
        expected: Option<u64>,
    ) -> Result<SchemeRow, Error> {
        let action = if enabled { "scheme.enable" } else { "scheme.disable" };
        self.alter(actor, tenant, name, expected, action, String::new(), |_, _, row| {
            Ok((row.enabled != enabled).then(|| (SchemeRow { enabled, ..row }, Clearance::NotAsked)))
        })
        .await
    }

    /// Another module from the next document on. The one that runs changes nothing.
    pub async fn activate(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        name: &SchemeId,
        module: &Digest,
        expected: Option<u64>,
        note: &str,
    ) -> Result<SchemeRow, Error> {
        self.alter(actor, tenant, name, expected, "scheme.activate", note.to_owned(), |draft, found, row| {
            if row.module == *module {
                return Ok(None);
            }
            let pinned = pin(draft, found, module)?;
            let clearance = may_activate(draft, found, &row, module)?;
            let previous_module = way_back(draft, found, &row)?;
            let row = SchemeRow { module: *module, module_ref: pinned.module(), previous_module, ..row };
            Ok(Some((row, clearance)))
        })
        .await
    }

    /// Back to the module before; once more, and it is the later one again.
    pub async fn rollback(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        name: &SchemeId,
        expected: Option<u64>,
        note: &str,
    ) -> Result<SchemeRow, Error> {
        self.alter(actor, tenant, name, expected, "scheme.rollback", note.to_owned(), |draft, found, row| {
            let Some(module) = row.previous_module else {
                let problem = format!("the scheme {name} had no other module before");
                return Err(Error::State { problem, remedy: "activate the module that is wanted".into() });
            };
            // No comparison is asked for, and an admin need not wait for a signature: what goes wrong now must be stopped
            // now, and it ran before.
            let pinned = owned(draft, found, &module)?;
            let is_trusted = draft.actor.role >= Role::TenantAdmin;
            match found.may_run(&pinned) {
                Err(Error::Policy { policy: policy @ "require_signature", .. }) if !is_trusted => {
                    let remedy = "the module before is not signed: a tenant-admin may roll back to it".into();
                    return Err(Error::Policy { policy, remedy });
                }
                Err(Error::Policy { policy: "require_signature", .. }) => found.may_run_class(&pinned)?,
                judged => judged?,
            }
            let previous_module = way_back(draft, found, &row)?.filter(|previous| *previous != module);
            let row = SchemeRow { module, module_ref: pinned.module(), previous_module, ..row };
            Ok(Some((row, Clearance::NotAsked)))
        })
        .await
    }

    /// Only one that is switched off. Its documents stay; a scheme that is made under its name again goes on with them.
    pub async fn delete_scheme(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        name: &SchemeId,
        expected: Option<u64>,
    ) -> Result<(), Error> {
        self.unmanaged(tenant, name)?;
        self.change_of(actor, tenant, |draft, _| {
            let row = present(draft, tenant, name)?;
            super::expect_revision(expected, row.revision)?;
            if row.enabled {
                let problem = format!("the scheme {name} is switched on");
                return Err(Error::State { problem, remedy: "switch it off first".into() });
            }
            draft.remove(Table::Schemes, key(tenant, name));
            HISTORY.end(draft, tenant, name.as_str(), row.revision)?;
            draft.log("scheme.delete", name, json!({ "revision": row.revision, "module": row.module }));
            Ok(())
        })
        .await
    }

    /// Changes a scheme that is there to what `make` says; to `None` where nothing is to be different.
    #[allow(clippy::too_many_arguments)]
    async fn alter(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        name: &SchemeId,
        expected: Option<u64>,
        action: &str,
        note: String,
        make: impl Fn(&mut Draft<'_>, &Tenant, SchemeRow) -> Result<Option<(SchemeRow, Clearance)>, Error> + Send + Sync,
    ) -> Result<SchemeRow, Error> {
        text::check("/note", &note, NOTE_LIMIT)?;
        self.unmanaged(tenant, name)?;
        self.change_of(actor, tenant, |draft, found| {
            let before = present(draft, tenant, name)?;
            super::expect_revision(expected, before.revision)?;
            let Some((row, clearance)) = make(draft, found, before.clone())? else { return Ok(before) };
            let (changed_at, changed_by) = (draft.at, actor.token.clone());
            let row = SchemeRow { revision: before.revision + 1, changed_at, changed_by, note: note.clone(), ..row };
            write(draft, tenant, row, action, Some(&before), clearance)
        })
        .await
    }

    fn unmanaged(&self, tenant: &TenantId, name: &SchemeId) -> Result<(), Error> {
        if self.inner.file.schemes.contains(&(tenant.clone(), name.clone())) {
            return Err(Error::ManagedByFile { what: "scheme", id: name.to_string() });
        }
        Ok(())
    }
}

fn present(draft: &mut Draft<'_>, tenant: &TenantId, name: &SchemeId) -> Result<SchemeRow, Error> {
    draft.get(Table::Schemes, &key(tenant, name))?.ok_or_else(|| Error::not_found("scheme", name))
}

fn write(
    draft: &mut Draft<'_>,
    tenant: &TenantId,
    row: SchemeRow,
    action: &str,
    before: Option<&SchemeRow>,
    clearance: Clearance,
) -> Result<SchemeRow, Error> {
    if let Some(before) = before.filter(|before| before.module != row.module) {
        note_ran(draft, tenant, before)?;
    }
    HISTORY.put(draft, tenant, row.name.as_str(), row.revision, &row)?;
    draft.put(Table::Schemes, key(tenant, &row.name), &row);
    let signed = draft.registry.module(tenant, &row.module)?.is_some_and(|module| module.signed_by.is_some());
    let detail = json!({
        "revision": row.revision,
        "module": row.module,
        "module_before": before.map(|before| before.module),
        "enabled": row.enabled,
        "settings_changed": before.is_none_or(|before| before.settings != row.settings),
        "signed": signed,
        "compare": clearance.word(),
        "note": row.note,
    });
    draft.log(action, &row.name, detail);
    Ok(row)
}

/// The module, which must be the tenant's and may be used by it today.
fn pin(draft: &mut Draft<'_>, tenant: &Tenant, digest: &Digest) -> Result<ModuleRow, Error> {
    let module = owned(draft, tenant, digest)?;
    tenant.may_run(&module)?;
    Ok(module)
}

/// The module that the scheme has already: a rule that came after it asks for no signature where it stays.
fn keep(draft: &mut Draft<'_>, tenant: &Tenant, digest: &Digest) -> Result<ModuleRow, Error> {
    let module = owned(draft, tenant, digest)?;
    tenant.may_run_class(&module)?;
    Ok(module)
}

fn owned(draft: &mut Draft<'_>, tenant: &Tenant, digest: &Digest) -> Result<ModuleRow, Error> {
    draft
        .registry
        .module(&tenant.id, digest)?
        .ok_or_else(|| Error::invalid("/module", format!("{digest} is no module of this tenant"), "upload it first"))
}

/// A scheme under the name of one that was deleted, if there was one: it goes on with that one's documents.
fn comes_back(draft: &mut Draft<'_>, tenant: &Tenant, name: &SchemeId, module: &Digest) -> Result<Clearance, Error> {
    let last: Option<SchemeRow> = HISTORY.ended(draft, &tenant.id, name.as_str())?;
    if last.is_none() && HISTORY.last(draft, &tenant.id, name.as_str())? > 0 {
        return may_return_unknown(draft, tenant, name);
    }
    let Some(last) = last.filter(|last| last.module != *module) else { return Ok(Clearance::NotAsked) };
    let clearance = may_return(draft, tenant, &last, module)?;
    note_ran(draft, &tenant.id, &last)?;
    Ok(clearance)
}

/// For one scheme more.
fn has_room(draft: &mut Draft<'_>, tenant: &Tenant) -> Result<(), Error> {
    let used = draft.registry.count(Table::Schemes, under(Some(&tenant.id), "now"))?;
    super::within("schemes", tenant.quotas.schemes, used, 1)?;
    Ok(())
}

/// What the scheme names is there; what it does with it, others judge.
fn names_exist(draft: &mut Draft<'_>, tenant: &TenantId, row: &SchemeRow) -> Result<(), Error> {
    let registry = draft.registry;
    let missing = |at: String, what: &str, name: &str, remedy: &str| {
        let problem = format!("names the {what} {name:?}, which does not exist");
        Err(Error::invalid(format!("/settings{at}"), problem, remedy))
    };
    for (at, name) in row.named("connection") {
        let is_there = ConnectionName::new(name).is_ok_and(|name| {
            registry.inner.file.connections.contains(&(tenant.clone(), name.clone()))
                || matches!(registry.connection(tenant, &name), Ok(Some(_)))
        });
        if !is_there {
            return missing(at, "connection", name, "create the connection first, or name another");
        }
    }
    for (at, name) in row.named("table") {
        if registry.table(tenant, name)?.is_none() {
            return missing(at, "table", name, "upload the table first, or name another");
        }
    }
    Ok(())
}

fn check(settings: &Value) -> Result<(), Error> {
    let Some(object) = settings.as_object() else {
        let remedy = "write { \"source\": …, \"target\": …, \"schedule\": … }";
        return Err(Error::invalid("/settings", "is not an object", remedy));
    };
    for key in ["name", "tenant", "module", "enabled"] {
        if object.contains_key(key) {
            let problem = "does not belong into the settings";
            return Err(Error::invalid(format!("/settings/{key}"), problem, "take it out; it has a place of its own"));
        }
    }
    if settings.to_string().len() > SETTINGS_LIMIT_BYTES {
        let remedy = format!("write at most {SETTINGS_LIMIT_BYTES} bytes; large tables can be uploaded as such");
        return Err(Error::invalid("/settings", "is too long", remedy));
    }
    Ok(())
}
