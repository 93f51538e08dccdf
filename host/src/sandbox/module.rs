//! A module that is ready to run: compiled, linked once, and asked what it is.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

use super::bindings::{Description as WireDescription, TransformPre};
use super::error::Error;
use super::settings::ModuleClass;
use super::state::RunState;
use super::{contract, host, outcome, prescan, wasi};
use crate::model::{Digest, is_unseen};

const NAME_LIMIT_BYTES: usize = 64;
const SCHEMA_LIMIT_BYTES: usize = 64 << 10;
const ENDPOINT_LIMIT_BYTES: usize = 200;

/// What a module says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    pub name: String,
    pub version: String,
    /// `system:operation`
    pub source: String,
    /// `system:operation`
    pub target: String,
    /// A JSON Schema for the scheme's parameters, as text.
    pub parameters_schema: String,
}

/// What loading it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileFacts {
    /// The artefact was there already.
    pub cached: bool,
    /// And so was what the pre-scan and `describe` said, under these settings.
    pub noted: bool,
    pub elapsed: Duration,
    /// What compiling it took when it was done, without waiting for its turn.
    pub cost: Duration,
    pub artefact_bytes: u64,
    pub seen: prescan::Facts,
}

/// Cheap to clone. It stays loaded as long as somebody holds it.
#[derive(Clone)]
pub struct Module(pub(super) Arc<Loaded>);

pub(super) struct Loaded {
    pub digest: Digest,
    pub class: ModuleClass,
    pub size: u64,
    pub description: Description,
    pub compile: CompileFacts,
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    pub pre: TransformPre<RunState>,
}

impl Module {
    pub fn digest(&self) -> Digest {
        self.0.digest
    }
    pub fn class(&self) -> ModuleClass {
        self.0.class
    }
    pub fn description(&self) -> &Description {
        &self.0.description
    }
    /// Bytes of the component as uploaded.
    pub fn size(&self) -> u64 {
        self.0.size
    }
    pub fn compile_facts(&self) -> &CompileFacts {
        &self.0.compile
    }
    /// What it imports, by name: the contract's interfaces and what it wants of WASI.
    pub fn imports(&self) -> &[String] {
        &self.0.imports
    }
    /// What it exports, by name.
    pub fn exports(&self) -> &[String] {
        &self.0.exports
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Module({}@{} {:?})", self.0.description.name, self.0.description.version, self.0.digest)
    }
}

/// The names of a component's exports.
pub(super) fn exports(component: &Component) -> Vec<String> {
    component.component_type().exports(component.engine()).map(|(name, _)| name.to_owned()).collect()
}

/// Links a component against exactly what it imports, or names everything it may not have.
pub(super) fn link(component: &Component) -> Result<(TransformPre<RunState>, Vec<String>), Error> {
    let engine = component.engine();
    let ty = component.component_type();
    let mut linker = Linker::<RunState>::new(engine);
    let mut problems = Vec::new();
    let mut imports = Vec::new();
    host::link(&mut linker).map_err(internal)?;
    for (name, import) in ty.imports(engine) {
        imports.push(name.to_owned());
        if contract::offers(name) {
            continue; // Types are compared when it is linked, below.
        }
        if let Some(version) = contract::other_version(name) {
            let problem = built_against(version);
            if !problems.contains(&problem) {
                problems.push(problem);
            }
            continue;
        }
        let (Some(interface), ComponentItem::ComponentInstance(instance)) = (wasi::interface(name), &import.ty) else {
            problems.push(format!("import {name} is not part of the contract"));
            continue;
        };
        let mut linked = linker.instance(name).map_err(internal)?;
        for (item, export) in instance.exports(engine) {
            match export.ty {
                ComponentItem::ComponentFunc(_) => wasi::define(&mut linked, interface, item).map_err(internal)?,
                ComponentItem::Resource(_) => match wasi::resource(item) {
                    Some(ty) => linked.resource(item, ty, |_, _| Ok(())).map_err(internal)?,
                    None => problems.push(format!("import {name} has no resource {item}")),
                },
                ComponentItem::Type(_) => {}
                _ => problems.push(format!("import {name} has no {item}")),
            }
        }
    }
    if !problems.is_empty() {
        return Err(Error::ModuleRefused { problems });
    }
    let refused = |error: wasmtime::Error| Error::refused(format!("it does not fit the contract: {error:#}"));
    let pre = linker.instantiate_pre(component).map_err(refused)?;
    Ok((TransformPre::new(pre).map_err(refused)?, imports))
}

fn built_against(version: &str) -> String {
    format!(
        "it was built against crossdock:transform {version}, and this engine runs {}; {}",
        contract::VERSION,
        contract::REMEDY
    )
}

fn internal(error: wasmtime::Error) -> Error {
    Error::Internal { problem: format!("{error:#}") }
}

/// All that is wrong with a description, at once.
pub(super) fn describe(said: WireDescription) -> Result<Description, Error> {
    let mut problems = Vec::new();
    let mut require = |holds: bool, text: &str| {
        if !holds {
            problems.push(format!("describe: {text}"));
        }
    };
    require(
        (1..=NAME_LIMIT_BYTES).contains(&said.name.len())
            && said.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
        "name must be lower-case letters, digits and hyphens, at most 64 bytes",
    );
    require(is_semver(&said.version), "version must be like 1.2.3 (semver.org 2.0.0), at most 64 bytes");
    require(is_endpoint(&said.source), "source must be system:operation");
    require(is_endpoint(&said.target), "target must be system:operation");
    require(
        said.parameters_schema.len() <= SCHEMA_LIMIT_BYTES && outcome::check_json(&said.parameters_schema).is_ok(),
        "parameters-schema must be JSON of at most 64 KiB",
    );
    if !problems.is_empty() {
        return Err(Error::ModuleRefused { problems });
    }
    Ok(Description {
        name: said.name,
        version: said.version,
        source: said.source,
        target: said.target,
        parameters_schema: said.parameters_schema,
    })
}

fn is_endpoint(text: &str) -> bool {
    text.len() <= ENDPOINT_LIMIT_BYTES
        && !text.chars().any(|c| is_unseen(c) || c.is_whitespace())
        && text.split_once(':').is_some_and(|(system, operation)| !system.is_empty() && !operation.is_empty())
}

fn is_semver(text: &str) -> bool {
    let (core, build) = text.split_once('+').map_or((text, None), |(core, build)| (core, Some(build)));
    let (core, pre) = core.split_once('-').map_or((core, None), |(core, pre)| (core, Some(pre)));
    let number = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'))
    };
    let labels = |part: &str| {
        part.split('.').all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    };
    text.len() <= 64
        && core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(labels)
        && build.is_none_or(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_semantic() {
        for good in ["0.1.0", "1.2.3-rc.1", "1.2.3+build.5", "10.20.30-a-b+c"] {
            assert!(is_semver(good), "{good}");
        }
        for bad in ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.x", "1.2.3-", "1.2.3+", "v1.2.3"] {
            assert!(!is_semver(bad), "{bad}");
        }
    }

    #[test]
    fn all_that_is_wrong_with_a_description_is_told_at_once() {
        let said = WireDescription {
            name: "Upper".into(),
            version: "1".into(),
            source: "x".into(),
            target: ":y".into(),
            parameters_schema: "{".into(),
        };
        let Err(Error::ModuleRefused { problems }) = describe(said) else { panic!("was taken") };
        assert_eq!(problems.len(), 5, "{problems:?}");
    }
}
