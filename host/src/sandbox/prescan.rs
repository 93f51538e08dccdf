//! Looks at an upload before the compiler does. Compiling is where a small file costs minutes and gigabytes, and wasmtime
//! does not count that as a security bug; so what is too much of anything is refused here, at reading speed.
//!
//! It does not validate: wasmtime does, in the child.

use serde::{Deserialize, Serialize};
use wasmparser::{
    BinaryReaderError, CanonicalFunction, CanonicalOption, ComponentInstance, Encoding, FunctionBody, Instance,
    Operator, Parser, Payload,
};
use wasmtime::Engine;

use super::error::Error;
use super::settings::ClassLimits;

/// What the pre-scan counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    pub core_modules: u64,
    pub instances: u64,
    pub memories: u64,
    pub tables: u64,
    pub functions: u64,
    pub largest_body_bytes: u64,
}

/// Counts, and stops at the first limit that is passed.
pub fn scan(component: &[u8], limits: &ClassLimits) -> Result<Facts, Error> {
    at_most("component_limit_bytes", limits.component_limit_bytes, component.len() as u64)?;
    if Engine::detect_precompiled(component).is_some() {
        return Err(Error::refused("this is a compiled artefact; upload the component"));
    }
    if !component.starts_with(b"\0asm") {
        return Err(Error::refused("this is not a WebAssembly binary"));
    }
    if !Parser::is_component(component) {
        return Err(Error::refused("this is a core module; make a component of it (`wasm-tools component new`)"));
    }
    let mut scan = Scan { limits, facts: Facts::default(), nesting: 0, definitions: [0; Definition::KINDS] };
    for payload in Parser::new(0).parse_all(component) {
        scan.payload(payload.map_err(unreadable)?)?;
    }
    Ok(scan.facts)
}

struct Scan<'a> {
    limits: &'a ClassLimits,
    facts: Facts,
    nesting: u64,
    /// Each kind on its own.
    definitions: [u64; Definition::KINDS],
}

/// What costs the validator or an instance's bookkeeping something, and no more than that.
#[derive(Clone, Copy)]
enum Definition {
    Type,
    Import,
    Export,
    Alias,
    /// Instances that only gather exports; those that run code take a slot.
    Gathering,
    Canonical,
    Global,
    Tag,
    Data,
    Elements,
    Custom,
}

impl Definition {
    const KINDS: usize = Definition::Custom as usize + 1;
}

impl Scan<'_> {
    fn payload(&mut self, payload: Payload<'_>) -> Result<(), Error> {
        let limits = self.limits;
        match payload {
            Payload::Version { encoding, .. } => {
                self.nesting += 1;
                at_most("nesting", limits.nesting, self.nesting)?;
                if encoding == Encoding::Module {
                    add(&mut self.facts.core_modules, 1, "core_modules", limits.core_modules)?;
                }
            }
            Payload::End(_) => self.nesting = self.nesting.saturating_sub(1),
            Payload::InstanceSection(section) => {
                self.define(Definition::Gathering, section.count())?;
                for instance in section {
                    if let Instance::Instantiate { .. } = instance.map_err(unreadable)? {
                        add(&mut self.facts.instances, 1, "instances", limits.instances)?;
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                self.define(Definition::Gathering, section.count())?;
                for instance in section {
                    if let ComponentInstance::Instantiate { .. } = instance.map_err(unreadable)? {
                        add(&mut self.facts.instances, 1, "instances", limits.instances)?;
                    }
                }
            }
            Payload::MemorySection(section) => {
                add(&mut self.facts.memories, section.count(), "memories", limits.memories)?;
            }
            Payload::TableSection(section) => {
                add(&mut self.facts.tables, section.count(), "tables", limits.tables)?;
            }
            Payload::FunctionSection(section) => {
                add(&mut self.facts.functions, section.count(), "functions", limits.functions)?;
            }
            Payload::CodeSectionEntry(body) => self.body(&body)?,
            Payload::TypeSection(section) => self.define(Definition::Type, section.count())?,
            Payload::CoreTypeSection(section) => self.define(Definition::Type, section.count())?,
            Payload::ComponentTypeSection(section) => self.define(Definition::Type, section.count())?,
            Payload::ImportSection(section) => self.define(Definition::Import, section.count())?,
            Payload::ComponentImportSection(section) => self.define(Definition::Import, section.count())?,
            Payload::ExportSection(section) => self.define(Definition::Export, section.count())?,
            Payload::ComponentExportSection(section) => self.define(Definition::Export, section.count())?,
            Payload::ComponentAliasSection(section) => self.define(Definition::Alias, section.count())?,
            Payload::GlobalSection(section) => self.define(Definition::Global, section.count())?,
            Payload::TagSection(section) => self.define(Definition::Tag, section.count())?,
            Payload::DataSection(section) => self.define(Definition::Data, section.count())?,
            Payload::ElementSection(section) => self.define(Definition::Elements, section.count())?,
            Payload::CustomSection(_) => self.define(Definition::Custom, 1)?,
            Payload::ComponentCanonicalSection(section) => {
                self.define(Definition::Canonical, section.count())?;
                for function in section {
                    encoding_is_utf8(&function.map_err(unreadable)?)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn define(&mut self, what: Definition, count: u32) -> Result<(), Error> {
        add(&mut self.definitions[what as usize], count, "definitions", self.limits.definitions)
    }

    fn body(&mut self, body: &FunctionBody<'_>) -> Result<(), Error> {
        let bytes = body.range().len() as u64;
        at_most("body_limit_bytes", self.limits.body_limit_bytes, bytes)?;
        self.facts.largest_body_bytes = self.facts.largest_body_bytes.max(bytes);
        let mut locals = 0;
        for group in body.get_locals_reader().map_err(unreadable)? {
            let (count, _) = group.map_err(unreadable)?;
            add(&mut locals, count, "locals", self.limits.locals)?;
        }
        let mut depth = 0_u64;
        for operator in body.get_operators_reader().map_err(unreadable)? {
            match operator.map_err(unreadable)? {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                    depth += 1;
                    at_most("block_depth", self.limits.block_depth, depth)?;
                }
                Operator::End => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Transcoding between string encodings had an out-of-bounds write; a transform has no use for it.
fn encoding_is_utf8(function: &CanonicalFunction) -> Result<(), Error> {
    let (CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. }) = function else {
        return Ok(());
    };
    if options.iter().any(|option| matches!(option, CanonicalOption::UTF16 | CanonicalOption::CompactUTF16)) {
        return Err(Error::refused("strings must be UTF-8"));
    }
    Ok(())
}

fn add(count: &mut u64, more: u32, limit_name: &'static str, limit: u64) -> Result<(), Error> {
    *count += u64::from(more);
    at_most(limit_name, limit, *count)
}

fn at_most(limit_name: &'static str, limit: u64, used: u64) -> Result<(), Error> {
    if used > limit {
        return Err(Error::CompileLimit { limit_name, limit, used });
    }
    Ok(())
}

fn unreadable(error: BinaryReaderError) -> Error {
    Error::refused(format!("not readable as a component: {error}"))
}
