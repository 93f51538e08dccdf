//! A capsule: one file that replays one document's transformation exactly. It holds everything that the module was given
//! (document, parameters, context, the answer of every look-up), everything that came out, and under which engine.
//!
//! A reader may rely on this: what stands in a capsule was all observed in one run of a fresh instance. No credential can
//! be in it, because the sandbox never sees one. Unless somebody asked for it raw, personal data was replaced before that
//! run ([`mask`]), so not even its log or outcome holds any.

mod answers;
mod encoded;
mod file;
pub mod mask;
mod outcome;
mod take;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{self, Digest, DocumentKey, SchemeId, TenantId};
use crate::sandbox::{self, Isolation, Limits, LogLine, Lookup, Module, ModuleClass, RunSettings, Settings};

pub use answers::Answers;
pub use file::{CAPSULE_LIMIT_BYTES, FORMAT, FileError};
pub use outcome::Outcome;
pub use take::{Input, TakeError, Taken, take, take_masked};

/// One document's transformation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capsule {
    pub format: u32,
    pub captured_at: Timestamp,
    pub engine: EngineIdentity,
    pub module: ModuleIdentity,
    pub context: Context,
    /// JSON text.
    pub parameters: String,
    pub document: Document,
    /// Each key that was asked for, with its answer.
    pub lookups: Vec<Asked>,
    /// The reference tables that were asked, by name.
    pub tables: BTreeMap<String, TableRevisions>,
    pub settings: RunSettings,
    pub limits: Limits,
    pub run: Run,
    /// What the ledger has of this version, and whether this run gave the same.
    pub production: Production,
    /// `None` where personal data was asked for.
    pub masked: Option<Masked>,
}

/// What bytes and fuel hang on beside the module. Fuel is compared only where both are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineIdentity {
    pub crossdock: String,
    pub wasmtime: String,
    /// Of the sandbox's settings, the cost of each operator among them.
    pub settings_hash: Digest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleIdentity {
    pub digest: Digest,
    pub name: String,
    pub version: String,
    pub class: ModuleClass,
    /// The component itself, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "encoded")]
    pub component: Option<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    pub tenant: TenantId,
    pub scheme: SchemeId,
    pub source: String,
    pub target: String,
    pub received_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    pub key: DocumentKey,
    pub version: u64,
    /// What the source served, byte for byte.
    pub body: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub table: String,
    pub key: String,
    pub answer: Lookup,
}

/// A reference table changes while a document lies in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableRevisions {
    /// That this run saw.
    pub revision: String,
    /// That production's run saw, where the ledger has it.
    pub production: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    pub outcome: Outcome,
    pub fuel: u64,
    pub memory_bytes: u64,
    pub logs: Vec<LogLine>,
    pub logs_dropped: u64,
}

/// The ledger's own record of the version, and how the document's run of now compares with it. Of a masked capsule it is
/// the run before masking that was compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Production {
    pub transformed_at: Timestamp,
    pub module: Digest,
    pub isolation: Isolation,
    pub fuel: u64,
    pub outcome: Agreement,
    /// `None` where the two cannot be compared: another module, or an instance that others had used.
    pub fuel_agrees: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// Byte for byte.
    Agrees,
    /// Where they differ, as JSON Pointers; values could be personal.
    Differs { at: Vec<String> },
    /// Production's module is not there any more, and another one was run.
    OtherModule,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Masked {
    /// Rules beside the built-in ones.
    pub rules: Vec<String>,
    /// Values that were replaced, each counted once.
    pub values: usize,
}

impl EngineIdentity {
    /// That of a sandbox with these settings, in this program.
    pub fn of(settings: &Settings, class: ModuleClass) -> Self {
        Self {
            crossdock: env!("CARGO_PKG_VERSION").into(),
            wasmtime: sandbox::WASMTIME.into(),
            settings_hash: sandbox::settings_hash(settings, class),
        }
    }

    /// Whether a unit of fuel is the same thing in both.
    pub fn counts_fuel_like(&self, other: &Self) -> bool {
        (&self.wasmtime, self.settings_hash) == (&other.wasmtime, other.settings_hash)
    }
}

impl ModuleIdentity {
    pub fn of(module: &Module, component: Option<Vec<u8>>) -> Self {
        let said = module.description();
        Self {
            digest: module.digest(),
            name: said.name.clone(),
            version: said.version.clone(),
            class: module.class(),
            component,
        }
    }
}

impl Context {
    /// As the sandbox takes it.
    pub fn with_parameters(&self, parameters: &str) -> sandbox::Context {
        sandbox::Context {
            tenant: self.tenant.clone(),
            scheme: self.scheme.clone(),
            source: self.source.as_str().into(),
            target: self.target.as_str().into(),
            parameters: parameters.into(),
            received_at: self.received_at,
        }
    }
}

impl Capsule {
    /// What a person finds it by, and may stand in a path: `saleout-166001-v1`.
    pub fn name(&self) -> String {
        let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
        let key: String = self.document.key.as_str().chars().map(plain).take(80).collect();
        format!("{}-{key}-v{}", self.context.scheme, self.document.version)
    }

    /// The document as the sandbox takes it.
    pub fn input(&self) -> model::Document {
        model::Document { key: self.document.key.clone(), body: self.document.body.clone() }
    }
}

#[cfg(test)]
mod tests;
