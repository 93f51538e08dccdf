//! What the examples that measure the sandbox have in common.

#![allow(clippy::unwrap_used, dead_code)]

use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use crossdock::model::{Document, DocumentKey, SchemeId, TenantId};
use crossdock::sandbox::{Call, ClassLimits, Compiler, Context, Module, Sandbox, Settings};

/// One as in production, for every language, over a folder of artefacts.
pub fn sandbox(artefacts: &Path, compiler: Compiler) -> Sandbox {
    // A machine that does other things meanwhile may take minutes for what takes half of one.
    let interpreter = ClassLimits { child_wall_ms: 1_800_000, ..ClassLimits::interpreter() };
    let settings = Settings { interpreter_modules: true, interpreter, ..Settings::default() };
    with_settings(artefacts, compiler, settings)
}

pub fn with_settings(artefacts: &Path, compiler: Compiler, settings: Settings) -> Sandbox {
    let artefacts = Dir::open_ambient_dir(artefacts, ambient_authority()).unwrap();
    Sandbox::new(settings, artefacts, compiler).unwrap()
}

pub fn context(module: &Module, parameters: &str) -> Context {
    Context {
        tenant: TenantId::new("acme").unwrap(),
        scheme: SchemeId::new("saleout").unwrap(),
        source: module.description().source.as_str().into(),
        target: module.description().target.as_str().into(),
        parameters: parameters.into(),
        received_at: "2026-11-01T00:00:00Z".parse().unwrap(),
    }
}

pub fn document(key: &str, body: &str) -> Document {
    Document { key: DocumentKey::new(key).unwrap(), body: body.to_owned() }
}

/// As the pipeline makes them where a scheme sets no deadline of its own.
pub fn calls<'a>(context: &'a Context, documents: &'a [Document]) -> Vec<Call<'a>> {
    documents.iter().map(|document| Call { context, document, deadline_ms: None }).collect()
}
