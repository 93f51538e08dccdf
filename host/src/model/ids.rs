//! Identifiers as types. A bare `String` id is a bug waiting.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text cannot be an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?}: {problem}")]
pub struct IdError {
    pub what: &'static str,
    pub text: String,
    pub problem: &'static str,
}

/// Identifiers that people choose: they become parts of keys, paths and metric labels, so the alphabet is small.
pub(super) const CHOSEN_LENGTH_LIMIT: usize = 64;
/// Keys that vendors choose. The longest bill number seen is 40 characters; a key is not a place for a document.
pub(super) const KEY_LENGTH_LIMIT: usize = 512;

fn check_chosen(what: &'static str, text: &str) -> Result<(), IdError> {
    let problem = if text.is_empty() {
        "is empty"
    } else if text.len() > CHOSEN_LENGTH_LIMIT {
        "is longer than 64 characters"
    } else if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        "may hold only letters, digits, '-', '_' and '.'"
    } else if !text.as_bytes()[0].is_ascii_alphanumeric() {
        "must begin with a letter or a digit"
    } else {
        return Ok(());
    };
    Err(IdError { what, text: text.chars().take(80).collect(), problem })
}

fn check_key(what: &'static str, text: &str) -> Result<(), IdError> {
    let problem = if text.is_empty() {
        "is empty"
    } else if text.len() > KEY_LENGTH_LIMIT {
        "is longer than 512 bytes"
    } else if text.chars().any(char::is_control) {
        "holds a control character"
    } else {
        return Ok(());
    };
    Err(IdError { what, text: text.chars().take(80).collect(), problem })
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
                let text = text.as_ref();
                $check($what, text)?;
                Ok(Self(text.into()))
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.to_string()
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identifier!(
    /// Whose data it is. Every row of the ledger begins with it.
    TenantId, "tenant", check_chosen
);
identifier!(
    /// A scheme's name, unique within its tenant.
    SchemeId, "scheme", check_chosen
);
identifier!(
    /// A connection's name, unique within its tenant.
    ConnectionName, "connection", check_chosen
);
identifier!(
    /// One interface of a system, in the vendor's own spelling: `jushuitan.saleout.list.query`, `BatchSave`.
    OperationName, "operation", check_key
);
identifier!(
    /// A business record's key in the source system.
    DocumentKey, "document key", check_key
);
identifier!(
    /// A bill's key in the target system.
    TargetKey, "target key", check_key
);

/// A vendor product the host can talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// 聚水潭·奇门
    JushuitanQimen,
    /// 旺店通·企业奇门
    WangdiantongQimen,
    /// 用友U8
    YonyouU8,
    /// 金蝶云星空
    #[serde(rename = "kingdee_k3cloud")]
    KingdeeK3cloud,
    /// 金蝶云星辰
    KingdeeJdy,
}

impl System {
    pub const ALL: [System; 5] = [
        System::JushuitanQimen,
        System::WangdiantongQimen,
        System::YonyouU8,
        System::KingdeeK3cloud,
        System::KingdeeJdy,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            System::JushuitanQimen => "jushuitan_qimen",
            System::WangdiantongQimen => "wangdiantong_qimen",
            System::YonyouU8 => "yonyou_u8",
            System::KingdeeK3cloud => "kingdee_k3cloud",
            System::KingdeeJdy => "kingdee_jdy",
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `name@version`, how a scheme names the module it runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModuleRef {
    pub name: String,
    pub version: String,
}

impl FromStr for ModuleRef {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let Some((name, version)) = text.split_once('@') else {
            return Err(IdError { what: "module", text: text.into(), problem: "must be written name@version" });
        };
        check_chosen("module name", name)?;
        if version.is_empty() || version.len() > CHOSEN_LENGTH_LIMIT {
            return Err(IdError { what: "module", text: text.into(), problem: "has no usable version" });
        }
        Ok(Self { name: name.into(), version: version.into() })
    }
}

impl TryFrom<String> for ModuleRef {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<ModuleRef> for String {
    fn from(module: ModuleRef) -> String {
        module.to_string()
    }
}

impl fmt::Display for ModuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_names_that_could_leave_a_path_or_a_key() {
        for bad in ["", "../x", "a/b", "a b", ".hidden", "名", "a\0b", &"x".repeat(65)] {
            assert!(SchemeId::new(bad).is_err(), "{bad:?} was taken");
        }
        assert!(SchemeId::new("saleout-2.x_y").is_ok());
    }

    #[test]
    fn a_document_key_may_be_anything_printable_up_to_512_bytes() {
        assert!(DocumentKey::new("单号 1/2").is_ok());
        assert!(DocumentKey::new("x".repeat(512)).is_ok());
        assert!(DocumentKey::new("x".repeat(513)).is_err());
        assert!(DocumentKey::new("a\nb").is_err());
    }

    #[test]
    fn a_module_is_named_with_its_version() {
        let module: ModuleRef = "saleout@1.2.0".parse().unwrap();
        assert_eq!((module.name.as_str(), module.version.as_str()), ("saleout", "1.2.0"));
        assert!("saleout".parse::<ModuleRef>().is_err());
        assert!("saleout@".parse::<ModuleRef>().is_err());
    }
}
