//! A connection's settings with their secrets taken out, and put back in.
//!
//! Secrets are told by their names, by the same rule as in the configuration file, and named by JSON pointers. What the
//! file may keep elsewhere, `{ "env": … }` and `{ "file": … }`, is refused: those are the operator's.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

use crate::config;

use super::Error;

/// Settings nest two deep at most; a text of a thousand braces is no connection.
const DEPTH_LIMIT: usize = 8;
const SETTINGS_LIMIT_BYTES: usize = 64 << 10;

/// Secrets by the JSON pointers of where they belong. Wiped when dropped, prints as their names.
#[derive(Default)]
pub(super) struct Secrets(BTreeMap<String, Zeroizing<String>>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What settings are when their secrets are taken out.
#[derive(Debug, Default)]
pub(super) struct Split {
    pub plain: Map<String, Value>,
    pub secrets: Secrets,
    /// Secrets that are to be forgotten: they stood there as null.
    pub dropped: Vec<String>,
}

impl Secrets {
    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of these are among the others, with the same texts. It takes its time whatever differs, and where.
    pub fn are_among(&self, others: &Secrets) -> bool {
        let is_same = |(pointer, secret): (&String, &Zeroizing<String>)| match others.0.get(pointer) {
            Some(other) => other.as_bytes().ct_eq(secret.as_bytes()),
            None => Choice::from(0),
        };
        self.0.iter().map(is_same).fold(Choice::from(1), |all, one| all & one).into()
    }

    /// The same once more, for a change that may have to be decided anew.
    pub fn copy(&self) -> Self {
        Self(self.0.clone())
    }

    /// What these leave out is taken from the ones before.
    pub fn keeping(mut self, before: Secrets, dropped: &[String]) -> Self {
        for (pointer, secret) in before.0 {
            if !dropped.contains(&pointer) {
                self.0.entry(pointer).or_insert(secret);
            }
        }
        self
    }

    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let plain: BTreeMap<&str, &str> =
            self.0.iter().map(|(name, secret)| (name.as_str(), secret.as_str())).collect();
        Zeroizing::new(serde_json::to_vec(&plain).expect("a map of texts has a JSON form"))
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let plain: BTreeMap<String, String> = serde_json::from_slice(bytes).ok()?;
        Some(Self(plain.into_iter().map(|(name, secret)| (name, Zeroizing::new(secret))).collect()))
    }

    /// Puts each secret where it belongs.
    pub fn put_into(&self, settings: &mut Map<String, Value>) {
        for (pointer, secret) in &self.0 {
            let mut parts: Vec<String> = pointer.split('/').skip(1).map(unescape).collect();
            let Some(last) = parts.pop() else { continue };
            let mut place = &mut *settings;
            for part in parts {
                let next = place.entry(part).or_insert_with(|| Value::Object(Map::new()));
                if !next.is_object() {
                    *next = Value::Object(Map::new());
                }
                place = next.as_object_mut().expect("made an object just now");
            }
            place.insert(last, Value::String(secret.to_string()));
        }
    }
}

/// Takes the settings apart, or says what is wrong with them; never what a secret is.
pub(super) fn split(settings: Value) -> Result<Split, Error> {
    let Value::Object(settings) = settings else {
        return Err(Error::invalid("", "is not an object", "write { \"base_url\": \"https://…\", … }"));
    };
    let mut split = Split::default();
    split.plain = take(settings, "", 0, &mut split)?;
    let length = serde_json::to_vec(&split.plain).map_or(0, |text| text.len()) + split.secrets.to_bytes().len();
    if length > SETTINGS_LIMIT_BYTES {
        let remedy = format!("write at most {SETTINGS_LIMIT_BYTES} bytes");
        return Err(Error::invalid("", "is too long for a connection's settings", remedy));
    }
    Ok(split)
}

fn take(settings: Map<String, Value>, at: &str, depth: usize, split: &mut Split) -> Result<Map<String, Value>, Error> {
    if depth > DEPTH_LIMIT {
        return Err(Error::invalid(at, "is nested too deeply", "write it as the system's page shows it"));
    }
    let mut plain = Map::new();
    for (key, value) in settings {
        let pointer = format!("{at}/{}", escape(&key));
        if depth == 0 && ["name", "tenant", "system"].contains(&key.as_str()) {
            return Err(Error::invalid(
                pointer,
                "does not belong into the settings",
                "take it out; it has a place of its own",
            ));
        }
        if is_reference(&value) {
            let problem = "names a file or a variable of the engine's machine, which only the operator may";
            return Err(Error::invalid(
                pointer,
                problem,
                "write the value itself; secrets are sealed before they are kept",
            ));
        }
        match value {
            Value::Null if config::is_secret(&key) => split.dropped.push(pointer),
            Value::String(mut secret) if config::is_secret(&key) => {
                if secret.is_empty() {
                    let remedy =
                        "write the secret, leave the key out to keep the one that is there, or write null to forget it";
                    return Err(Error::invalid(pointer, "is empty", remedy));
                }
                split.secrets.0.insert(pointer, Zeroizing::new(secret.clone()));
                secret.zeroize();
            }
            _ if config::is_secret(&key) => {
                return Err(Error::invalid(pointer, "is a secret and not a text", "write it as a text, in quotes"));
            }
            Value::Null => {
                return Err(Error::invalid(pointer, "is null", "write a value, or leave the key out"));
            }
            Value::Object(inner) => {
                let inner = take(inner, &pointer, depth + 1, split)?;
                plain.insert(key, Value::Object(inner));
            }
            // A secret in a list has no name of its own; a list of tables is no setting of any system.
            Value::Array(ref items)
                if items.iter().any(|item| item.is_object() || item.is_array() || item.is_null()) =>
            {
                return Err(Error::invalid(
                    pointer,
                    "is a list of other things than values",
                    "write a list of texts or numbers",
                ));
            }
            value => drop(plain.insert(key, value)),
        }
    }
    Ok(plain)
}

/// `{ "env": "…" }` or `{ "file": "…" }`.
fn is_reference(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.len() == 1 && object.keys().all(|key| key == "env" || key == "file"))
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}
