//! `[[connection]]`: a tenant's base URL and credentials for a system.
//!
//! What the keys beyond name, system and tenant mean is the connector's business. Here secrets are fetched from where
//! they are kept, and nothing prints them.

use std::fmt;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::{ConnectionName, System, TenantId};

use super::LoadOptions;
use super::problem::Report;
use super::section::{Section, plain};

/// Longer than any key or token; a secret that is larger is the wrong file.
const SECRET_LIMIT_BYTES: u64 = 64 << 10;

const SYSTEMS: [(&str, System); 5] = [
    ("jushuitan_qimen", System::JushuitanQimen),
    ("wangdiantong_qimen", System::WangdiantongQimen),
    ("yonyou_u8", System::YonyouU8),
    ("kingdee_k3cloud", System::KingdeeK3cloud),
    ("kingdee_jdy", System::KingdeeJdy),
];

#[derive(Clone)]
pub struct Connection {
    pub tenant: TenantId,
    pub name: ConnectionName,
    pub system: System,
    /// The system's own keys, secrets in plain text among them. Hand it to the connector and to nobody else.
    pub settings: toml::Table,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Connection");
        shown.field("tenant", &self.tenant).field("name", &self.name).field("system", &self.system);
        // Names only: which values are secret is the connector's knowledge, so none is shown.
        shown.field("settings", &self.settings.keys().collect::<Vec<_>>()).finish()
    }
}

/// What could be read of a connection. The name stands even where the rest is wrong, so that a scheme that uses it is
/// not blamed as well.
pub(super) struct Found {
    pub(super) tenant: TenantId,
    pub(super) name: ConnectionName,
    pub(super) connection: Option<Connection>,
}

impl Found {
    /// Of a connection that was read already.
    pub(super) fn of(connection: &Connection) -> Self {
        let Connection { tenant, name, .. } = connection;
        Self { tenant: tenant.clone(), name: name.clone(), connection: Some(connection.clone()) }
    }
}

pub(super) fn read(section: Section<'_>, directory: &Path, options: &LoadOptions<'_>) -> Option<Found> {
    let tenant = tenant(&section);
    let name = section.require("name", "give it a name that schemes can use: name = \"jst\"", |text| {
        ConnectionName::new(text).map_err(|error| error.to_string())
    });
    let title = name.as_ref().map_or_else(|| section.name.clone(), |name| format!("connection \"{name}\""));
    let section = section.named(title);
    if !section.table.contains_key("system") {
        let names: Vec<&str> = SYSTEMS.iter().map(|(name, _)| *name).collect();
        section.missing("system", &format!("name the vendor's product: system = one of {}", names.join(", ")));
    }
    let system = section.choice("system", &SYSTEMS);
    let settings = settings(&section, directory, options);
    let connection = match (&tenant, &name, system, settings) {
        (Some(tenant), Some(name), Some(system), Some(settings)) => {
            section.object((options.check_connection)(system, &settings));
            Some(Connection { tenant: tenant.clone(), name: name.clone(), system, settings })
        }
        _ => None,
    };
    Some(Found { tenant: tenant?, name: name?, connection })
}

pub(super) fn tenant(section: &Section<'_>) -> Option<TenantId> {
    let remedy = "use letters, digits, '-', '_' and '.', or leave it out for \"default\"";
    match section.get("tenant") {
        None => Some(TenantId::new("default").expect("a plain word is an identifier")),
        Some(_) => section.parse("tenant", remedy, |text| TenantId::new(text).map_err(|error| error.to_string())),
    }
}

/// The system's own keys with every reference to a secret replaced by the secret; `None` where one cannot be had, for
/// then the connector would complain about a key that the user did write.
fn settings(section: &Section<'_>, directory: &Path, options: &LoadOptions<'_>) -> Option<toml::Table> {
    let own = |key: &str| !["name", "system", "tenant"].contains(&key);
    resolve_table(section.table, &own, directory, options, section.report)
}

fn resolve_table(
    table: &DeTable<'_>,
    wanted: &dyn Fn(&str) -> bool,
    directory: &Path,
    options: &LoadOptions<'_>,
    report: &Report<'_>,
) -> Option<toml::Table> {
    let mut resolved = Some(toml::Table::new());
    for (key, value) in table.iter().filter(|(key, _)| wanted(key.get_ref())) {
        let key = key.get_ref().as_ref();
        let plain = if is_secret(key) || is_reference(value.get_ref()) {
            resolve_secret(key, value, directory, options, report).map(toml::Value::String)
        } else if let DeValue::Table(inner) = value.get_ref() {
            resolve_table(inner, &|_| true, directory, options, report).map(toml::Value::Table)
        } else {
            plain(value, report)
        };
        // Goes on after a failure: the other secrets are looked at as well.
        match (plain, &mut resolved) {
            (Some(plain), Some(resolved)) => {
                resolved.insert(key.into(), plain);
            }
            (None, _) => resolved = None,
            (Some(_), None) => {}
        }
    }
    resolved
}

/// Secret by name. Vendors call them `app_secret`, `password`, `access_token`. What counts something per token is none.
pub fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let counts = key.ends_with("_per_token");
    !counts && ["secret", "password", "token"].iter().any(|ending| key.ends_with(ending))
}

/// `{ env = "…" }` or `{ file = "…" }`: any value of a connection may be kept elsewhere, secrets must be.
fn is_reference(value: &DeValue<'_>) -> bool {
    let DeValue::Table(table) = value else { return false };
    table.len() == 1 && (table.contains_key("env") || table.contains_key("file"))
}

/// The text behind `{ env = "…" }`, `{ file = "…" }` or, where that is allowed, the text itself.
pub(super) fn resolve_secret(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    directory: &Path,
    options: &LoadOptions<'_>,
    report: &Report<'_>,
) -> Option<String> {
    let remedy = format!("write {key} = {{ env = \"NAME\" }} or {key} = {{ file = \"path\" }}");
    let complain = |message: String, remedy: &str| {
        report.add(value.span(), message, remedy);
        None
    };
    let secret = match value.get_ref() {
        DeValue::String(text) if options.allow_inline_secrets => text.to_string(),
        DeValue::String(_) => {
            let remedy = format!("{remedy}; --allow-inline-secrets accepts it as it is");
            return complain(format!("the secret `{key}` stands in the file itself"), &remedy);
        }
        reference if is_reference(reference) => {
            let name = |kind| reference.get(kind).map(|name| name.get_ref().as_str());
            match (name("env"), name("file")) {
                (Some(Some(variable)), _) => match (options.env)(variable) {
                    Some(text) => text,
                    None => {
                        let message = format!("`{key}`: the environment has no variable {variable}");
                        return complain(message, &format!("set {variable} before the engine starts"));
                    }
                },
                (_, Some(Some(file))) => match read_secret(&directory.join(file)) {
                    Ok(text) => text,
                    Err(problem) => {
                        let message = format!("`{key}`: cannot read {}: {problem}", directory.join(file).display());
                        return complain(
                            message,
                            "write the secret alone into that file, readable by the engine's user",
                        );
                    }
                },
                _ => return complain(format!("`{key}`: the name after env or file must be a text"), &remedy),
            }
        }
        _ => return complain(format!("`{key}` is neither a text nor {{ env }} nor {{ file }}"), &remedy),
    };
    if secret.is_empty() {
        return complain(format!("`{key}` is empty"), "put the secret there, or take the key out");
    }
    Some(secret)
}

/// The file without the line end that editors leave.
fn read_secret(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > SECRET_LIMIT_BYTES {
        return Err(format!("{size} bytes are too many for a secret"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
