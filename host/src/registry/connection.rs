//! Connections: a system, its settings, and its credentials, which are sealed before they are kept and which no answer
//! shows. Every change is a new revision; numbers go on where a name is given again, so that no old revision is taken
//! for a new one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use zeroize::Zeroize;

use crate::model::{ConnectionName, System, TenantId};
use crate::state::{Key, Table};

use super::revision::{self, History};
use super::rotation::key_row;
use super::rows::under;
use super::seal::{Place, SealError, Sealed};
use super::secrets::{Secrets, Split, split};
use super::{Actor, Error, Registry, Role};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionRow {
    pub name: ConnectionName,
    pub system: System,
    /// Without the secrets.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// Where the secrets belong in the settings, as JSON pointers.
    pub secrets: Vec<String>,
    pub revision: u64,
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: Timestamp,
    /// A token's id.
    pub changed_by: String,
}

/// The row as it is kept.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    row: ConnectionRow,
    sealed: Option<Sealed>,
}

impl Kept {
    /// The id of the key that its secrets are sealed with.
    pub(super) fn key(&self) -> Option<&str> {
        self.sealed.as_ref().map(|sealed| sealed.key.as_str())
    }
}

/// Settings as a connector gets them, secrets among them. They print as nothing and are wiped when dropped.
pub struct ConnectionSettings(toml::Table);

impl ConnectionSettings {
    /// For the connector, and for nobody else.
    pub fn expose(&self) -> &toml::Table {
        &self.0
    }

    fn of(mut plain: Map<String, Value>, secrets: &Secrets) -> Result<Self, Error> {
        secrets.put_into(&mut plain);
        let table: Option<toml::Table> =
            plain.iter().map(|(key, value)| Some((key.clone(), in_toml(value)?))).collect();
        plain.iter_mut().for_each(|(_, value)| wipe_json(value));
        let problem = "holds a number that is too large";
        table.map(Self).ok_or_else(|| Error::invalid("", problem, "write it as a text, in quotes"))
    }
}

impl std::fmt::Debug for ConnectionSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Drop for ConnectionSettings {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// A connection with its secrets.
#[derive(Debug)]
pub struct OpenedConnection {
    pub row: ConnectionRow,
    pub settings: ConnectionSettings,
}

fn in_toml(value: &Value) -> Option<toml::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => toml::Value::Boolean(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(number) => toml::Value::Integer(number),
            None if number.to_string().contains(['.', 'e', 'E']) => toml::Value::Float(number.as_f64()?),
            None => return None,
        },
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Array(items) => toml::Value::Array(items.iter().map(in_toml).collect::<Option<_>>()?),
        Value::Object(object) => {
            let entries = object.iter().map(|(key, value)| Some((key.clone(), in_toml(value)?)));
            toml::Value::Table(entries.collect::<Option<_>>()?)
        }
    })
}

fn wipe(table: &mut toml::Table) {
    for (_, value) in table.iter_mut() {
        match value {
            toml::Value::String(text) => text.zeroize(),
            toml::Value::Table(inner) => wipe(inner),
            _ => {}
        }
    }
}

const HISTORY: History = History { table: Table::Connections };

pub(super) fn key(tenant: &TenantId, name: &str) -> Key {
    under(Some(tenant), "now").text(name).build()
}

impl Registry {
    /// Settings with their secrets among them. A secret that is left out stays as it is; one that is null is forgotten. What
    /// is as it was already changes nothing.
    pub async fn put_connection(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        name: &ConnectionName,
        system: System,
        settings: Value,
        expected: Option<u64>,
    ) -> Result<ConnectionRow, Error> {
        if self.inner.file.connections.contains(&(tenant.clone(), name.clone())) {
            return Err(Error::ManagedByFile { what: "connection", id: name.to_string() });
        }
        let given = split(settings)?;
        // What the connector could not be given later is refused now.
        ConnectionSettings::of(given.plain.clone(), &Secrets::default())?;
        self.change_of(actor, tenant, |draft, found| {
            let before: Option<Kept> = draft.get(Table::Connections, &key(tenant, name.as_str()))?;
            super::expect_revision(expected, before.as_ref().map_or(0, |kept| kept.row.revision))?;
            if before.is_none() {
                let used = draft.registry.count(Table::Connections, under(Some(tenant), "now"))?;
                super::within("connections", found.quotas.connections, used, 1)?;
            }
            let Split { plain, secrets, dropped } = &given;
            // The answer says whether the secrets that are given are the ones that are kept. So nobody asks who may not
            // change them just now: a guess that is wrong takes the place of what it was to find out.
            if !secrets.is_empty() && actor.role < Role::Operator {
                self.has_changes_left(tenant, found.quotas.changes_per_minute, draft.at)?;
            }
            let is_same = |row: &ConnectionRow| {
                row.system == system
                    && row.settings.as_object() == Some(plain)
                    && !dropped.iter().any(|name| row.secrets.contains(name))
            };
            // What cannot be opened any more is not the same: it has to be given again.
            let are_same = |kept: &Kept| self.secrets_of(tenant, kept).is_ok_and(|kept| secrets.are_among(&kept));
            let is_same = |kept: &&Kept| is_same(&kept.row) && are_same(kept);
            if let Some(before) = before.as_ref().filter(is_same) {
                return Ok(before.row.clone());
            }
            let last = match &before {
                Some(kept) => kept.row.revision,
                None => HISTORY.last(draft, tenant, name.as_str())?,
            };
            let kept_secrets = match &before {
                // Another system's secrets are other secrets.
                Some(kept) if kept.row.system == system => self.secrets_beside(tenant, kept, secrets, dropped)?,
                _ => Secrets::default(),
            };
            stays_at_its_place(before.as_ref(), plain, secrets, &kept_secrets, dropped)?;
            let secrets_set = secrets.names();
            let secrets = secrets.copy().keeping(kept_secrets, dropped);
            let row = ConnectionRow {
                name: name.clone(),
                system,
                settings: Value::Object(plain.clone()),
                secrets: secrets.names(),
                revision: last + 1,
                changed_at: draft.at,
                changed_by: actor.token.clone(),
            };
            let place = Place { tenant, name: name.as_str(), revision: row.revision };
            draft.get::<String>(Table::Connections, &key_row())?;
            let sealed = (!secrets.is_empty()).then(|| self.keyring().seal(place, &secrets.to_bytes())).transpose()?;
            HISTORY.put(draft, tenant, name.as_str(), row.revision, &row)?;
            draft.put(Table::Connections, key(tenant, name.as_str()), &Kept { row: row.clone(), sealed });
            let detail = json!({
                "revision": row.revision,
                "system": system,
                "secrets": row.secrets,
                "secrets_set": secrets_set,
                "secrets_dropped": dropped,
            });
            draft.log(if before.is_some() { "connection.change" } else { "connection.create" }, name, detail);
            Ok(row)
        })
        .await
    }

    pub fn connection(&self, tenant: &TenantId, name: &ConnectionName) -> Result<Option<ConnectionRow>, Error> {
        Ok(self.read::<Kept>(Table::Connections, &key(tenant, name.as_str()))?.map(|kept| kept.row))
    }

    /// In the order of their names.
    pub fn connections(
        &self,
        tenant: &TenantId,
        after: Option<&ConnectionName>,
        limit: usize,
    ) -> Result<Vec<ConnectionRow>, Error> {
        let after = after.map(ConnectionName::as_str);
        let kept: Vec<Kept> = self.list(Table::Connections, under(Some(tenant), "now"), after, limit)?;
        Ok(kept.into_iter().map(|kept| kept.row).collect())
    }

    /// What it was, who changed it and when; oldest first, after revision `after`.
    pub fn connection_revisions(
        &self,
        tenant: &TenantId,
        name: &ConnectionName,
        after: u64,
        limit: usize,
    ) -> Result<Vec<ConnectionRow>, Error> {
        revision::list(self, HISTORY, tenant, name.as_str(), after, limit)
    }

    pub async fn delete_connection(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        name: &ConnectionName,
        expected: Option<u64>,
    ) -> Result<(), Error> {
        if self.inner.file.connections.contains(&(tenant.clone(), name.clone())) {
            return Err(Error::ManagedByFile { what: "connection", id: name.to_string() });
        }
        self.change_of(actor, tenant, |draft, _| {
            let Some(kept) = draft.get::<Kept>(Table::Connections, &key(tenant, name.as_str()))? else {
                return Err(Error::not_found("connection", name));
            };
            super::expect_revision(expected, kept.row.revision)?;
            let schemes = draft.registry.schemes(tenant, None, usize::MAX)?;
            let uses = schemes.iter().filter(|scheme| scheme.connections().contains(&name.as_str()));
            let by: Vec<String> = uses.map(|scheme| format!("scheme {}", scheme.name)).collect();
            if !by.is_empty() {
                return Err(Error::InUse { what: "connection", id: name.to_string(), by });
            }
            draft.remove(Table::Connections, key(tenant, name.as_str()));
            HISTORY.end(draft, tenant, name.as_str(), kept.row.revision)?;
            draft.log("connection.delete", name, json!({ "revision": kept.row.revision }));
            Ok(())
        })
        .await
    }

    /// With its secrets, for whoever opens it.
    pub fn opened_connection(
        &self,
        tenant: &TenantId,
        name: &ConnectionName,
    ) -> Result<Option<OpenedConnection>, Error> {
        let Some(kept) = self.read::<Kept>(Table::Connections, &key(tenant, name.as_str()))? else { return Ok(None) };
        let secrets = self.secrets_of(tenant, &kept)?;
        let plain = kept.row.settings.as_object().cloned().unwrap_or_default();
        Ok(Some(OpenedConnection { settings: ConnectionSettings::of(plain, &secrets)?, row: kept.row }))
    }

    /// The settings that a change would make, with the secrets that it keeps: for whoever judges a change before it is
    /// made.
    pub fn settings_after(
        &self,
        tenant: &TenantId,
        name: &ConnectionName,
        system: System,
        settings: Value,
    ) -> Result<ConnectionSettings, Error> {
        let Split { plain, secrets, dropped } = split(settings)?;
        let before: Option<Kept> = self.read(Table::Connections, &key(tenant, name.as_str()))?;
        let kept = match &before {
            Some(kept) if kept.row.system == system => self.secrets_beside(tenant, kept, &secrets, &dropped)?,
            _ => Secrets::default(),
        };
        stays_at_its_place(before.as_ref(), &plain, &secrets, &kept, &dropped)?;
        ConnectionSettings::of(plain, &secrets.keeping(kept, &dropped))
    }

    fn secrets_of(&self, tenant: &TenantId, kept: &Kept) -> Result<Secrets, Error> {
        let Some(sealed) = &kept.sealed else { return Ok(Secrets::default()) };
        let place = Place { tenant, name: kept.row.name.as_str(), revision: kept.row.revision };
        let opened = self.keyring().open(place, sealed);
        let opened = opened.and_then(|plain| Secrets::from_bytes(&plain).ok_or(SealError::Broken));
        opened.map_err(|why| Error::Unopened { connection: kept.row.name.to_string(), why })
    }

    /// The secrets that a change may keep. Where they cannot be opened any more, it must bring all of them.
    fn secrets_beside(
        &self,
        tenant: &TenantId,
        kept: &Kept,
        given: &Secrets,
        dropped: &[String],
    ) -> Result<Secrets, Error> {
        let why = match self.secrets_of(tenant, kept) {
            Err(Error::Unopened { why, .. }) => why,
            opened => return opened,
        };
        let given = given.names();
        match kept.row.secrets.iter().find(|name| !given.contains(name) && !dropped.contains(name)) {
            None => Ok(Secrets::default()),
            Some(name) => {
                let problem = format!("is left out, and the one that is there cannot be opened: {why}");
                Err(Error::invalid(format!("/settings{name}"), problem, "send all secrets of the connection again"))
            }
        }
    }

    /// The row's secrets under the key that seals now; `None` where they are already, or where it has none.
    pub(super) fn resealed(&self, tenant: &TenantId, mut kept: Kept) -> Result<Option<Kept>, Error> {
        let keyring = self.keyring();
        let Some(sealed) = kept.sealed.as_ref().filter(|sealed| Some(sealed.key.as_str()) != keyring.current()) else {
            return Ok(None);
        };
        let place = Place { tenant, name: kept.row.name.as_str(), revision: kept.row.revision };
        let plain = keyring.open(place, sealed)?;
        kept.sealed = Some(keyring.seal(place, &plain)?);
        Ok(Some(kept))
    }
}

/// A secret that is left out stays, unless the settings would send it elsewhere, or in another way: whoever may change
/// the address must not learn by that what nobody is ever shown.
fn stays_at_its_place(
    before: Option<&Kept>,
    plain: &Map<String, Value>,
    given: &Secrets,
    kept: &Secrets,
    dropped: &[String],
) -> Result<(), Error> {
    let Some(before) = before else { return Ok(()) };
    let given = given.names();
    if kept.names().iter().all(|name| given.contains(name) || dropped.contains(name)) {
        return Ok(());
    }
    let aims = |key: &str| ["url", "host", "domain", "auth"].iter().any(|word| key.contains(word));
    let empty = Map::new();
    let old = before.row.settings.as_object().unwrap_or(&empty);
    // Without its address a connection is refused by whoever opens it.
    let differs = |key: &str| old.get(key) != plain.get(key) && (key != "base_url" || plain.contains_key(key));
    let moved = old.keys().chain(plain.keys()).find(|key| aims(key) && differs(key));
    match moved {
        None => Ok(()),
        Some(key) => Err(Error::invalid(
            format!("/settings/{key}"),
            "changes where secrets are sent that are not part of this change",
            "send the secrets again with it",
        )),
    }
}

fn wipe_json(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Object(object) => object.iter_mut().for_each(|(_, value)| wipe_json(value)),
        _ => {}
    }
}
