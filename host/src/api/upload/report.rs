//! What an upload is answered with, and what is kept of it beside the component.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{Digest, ModuleRef};
use crate::sandbox::{Facts, Module, contract};

/// Everything that was found out about a module.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Report {
    pub digest: Digest,
    pub name: String,
    pub version: String,
    /// `system:operation`, as the module describes itself.
    #[schema(example = "jushuitan_qimen:jushuitan.saleout.list.query")]
    pub source: String,
    #[schema(example = "kingdee_k3cloud:BatchSave")]
    pub target: String,
    /// `standard` or `interpreter`.
    pub class: String,
    pub size_bytes: u64,
    /// The contract that it was linked against.
    #[schema(example = "crossdock:transform@1.0.0")]
    pub world: String,
    pub imports: Vec<Import>,
    pub exports: Vec<String>,
    /// A JSON Schema, as text.
    pub parameters_schema: String,
    /// The signing key, by its id.
    pub signed_by: Option<String>,
    pub compiled: Compiled,
    pub counted: Counted,
    /// What the samples showed; absent where none came along.
    pub trial: Option<Trial>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Import {
    pub name: String,
    pub offered_as: Offered,
}

/// What the world makes of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Offered {
    /// An interface of the contract.
    Contract,
    /// An interface of the empty WASI: no files, no network, a clock that stands still.
    EmptyWasi,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Compiled {
    /// The tenant had had the same bytes compiled before.
    pub cached: bool,
    /// What compiling them took, whenever that was.
    pub elapsed_ms: u64,
    pub artefact_bytes: u64,
}

/// What the pre-scan counted, before anything was compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counted {
    pub core_modules: u64,
    pub instances: u64,
    pub memories: u64,
    pub tables: u64,
    pub functions: u64,
    pub largest_body_bytes: u64,
}

impl From<Facts> for Counted {
    fn from(facts: Facts) -> Self {
        let Facts { core_modules, instances, memories, tables, functions, largest_body_bytes } = facts;
        Self { core_modules, instances, memories, tables, functions, largest_body_bytes }
    }
}

/// The samples, run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trial {
    pub samples: Vec<Sample>,
    /// Whether every sample gave the same bytes in a fresh instance and in one that had run others before it, in both
    /// orders. A scheme with `isolation = "batch"` refuses a module of which this is `false`.
    pub batch_safe: Option<bool>,
    /// What else a person should hear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// What came of a sample in an instance of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sample {
    pub name: String,
    /// `emit`, `skip`, `reject` or `fault`.
    #[schema(example = "emit")]
    pub outcome: String,
    /// Of `emit`: how many bills.
    pub bills_emitted: u64,
    /// The first of them. Their bodies are whoever's the samples are, and are not kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bills: Vec<SampleBill>,
    /// A reason's or a fault's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub fuel: u64,
    pub memory_bytes: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<String>,
    pub logs_dropped: u64,
    /// Keys that were looked up.
    pub lookups: u64,
    /// It gave something else in an instance that had run others before.
    pub differs_in_batch: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SampleBill {
    pub key: String,
    pub bytes: u64,
}

impl Report {
    pub fn of(module: &Module, signed_by: Option<String>, trial: Option<Trial>, cached: bool) -> Self {
        let (said, facts) = (module.description(), module.compile_facts());
        let import = |name: &String| {
            let offered_as = if contract::offers(name) { Offered::Contract } else { Offered::EmptyWasi };
            Import { name: name.clone(), offered_as }
        };
        Self {
            digest: module.digest(),
            name: said.name.clone(),
            version: said.version.clone(),
            source: said.source.clone(),
            target: said.target.clone(),
            class: module.class().as_str().into(),
            size_bytes: module.size(),
            world: format!("crossdock:transform@{}", contract::VERSION),
            imports: module.imports().iter().map(import).collect(),
            exports: module.exports().to_vec(),
            parameters_schema: said.parameters_schema.clone(),
            signed_by,
            compiled: Compiled {
                cached,
                elapsed_ms: u64::try_from(facts.cost.as_millis()).unwrap_or(u64::MAX),
                artefact_bytes: facts.artefact_bytes,
            },
            counted: facts.seen.into(),
            trial,
        }
    }

    pub fn module(&self) -> ModuleRef {
        ModuleRef { name: self.name.clone(), version: self.version.clone() }
    }
}
