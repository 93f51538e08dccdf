//! Begins a transform: writes a project that builds and passes its first tests unchanged.
//!
//! A project is put together from folders of `host/templates`, later ones adding to earlier ones: what all languages share
//! for the source and the target (documents, expectations, parameters), the language's own project, and its files for
//! the source and the target. Every source gives the same example document, so that an expectation belongs to the target
//! alone and each pair fits. The project carries the SDK's sources, which are on no registry: `docs/decisions/bench.md`.

mod embedded;
mod error;
mod lock;
mod sdk;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub use error::Error;

use super::operations::{SOURCES, Source, TARGETS, Target, system};
use crate::build::Language;

/// The templates for an operation that this release does not know.
const ANY: &str = "any";
const ANY_SOURCE: &str = "example:document";
const ANY_TARGET: &str = "example:bill";
const ANY_KEY_FIELD: &str = "key";
/// A name that a template cannot have for itself: version control would obey `.gitignore`, cargo `Cargo.toml`.
const TEMPLATE_SUFFIX: &str = ".template";

/// What to begin.
#[derive(Debug, Clone)]
pub struct Request {
    /// The module's name, and the project's.
    pub name: String,
    /// The project's folder, which must not exist or be empty.
    pub directory: PathBuf,
    pub language: Language,
    /// A source operation, with or without its system.
    pub from: Option<String>,
    /// A target operation, with or without its system.
    pub to: Option<String>,
}

/// What was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    pub source: String,
    pub target: String,
    /// The files that were written, below the project's folder.
    pub files: Vec<PathBuf>,
}

/// Writes the project, or nothing where the request cannot be met.
pub fn create(request: &Request) -> Result<Project, Error> {
    check_name(&request.name)?;
    let source = Side::source(request.from.as_deref())?;
    let target = Side::target(request.to.as_deref())?;
    let files = files(request, &source, &target)?;
    check_free(&request.directory)?;
    for (path, text) in &files {
        let path = request.directory.join(path);
        let failed = |source| Error::File { path: path.clone(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        fs::write(&path, text).map_err(failed)?;
    }
    Ok(Project {
        source: source.operation,
        target: target.operation,
        files: files.into_keys().map(PathBuf::from).collect(),
    })
}

/// All files of a project, by path.
fn files(request: &Request, source: &Side, target: &Side) -> Result<BTreeMap<String, String>, Error> {
    let language = request.language.as_str();
    let layers = [
        format!("shared/sources/{}/", source.template),
        format!("shared/targets/{}/", target.template),
        format!("{language}/project/"),
        format!("{language}/sources/{}/", source.template),
        format!("{language}/targets/{}/", target.template),
    ];
    let mut files = BTreeMap::new();
    for layer in layers {
        let templates = embedded::TEMPLATES.iter().filter_map(|(path, text)| Some((path.strip_prefix(&layer)?, text)));
        for (path, text) in templates {
            let text = text
                .replace("@name@", &request.name)
                .replace("@source@", &source.operation)
                .replace("@target@", &target.operation)
                .replace("@key_field@", source.key_field);
            files.insert(named(path), text);
        }
    }
    match request.language {
        Language::Rust => {
            files.extend(sdk::rust()?);
            files.insert("Cargo.lock".into(), lock::cargo_lock(&request.name)?);
        }
        Language::Javascript => files.extend(sdk::javascript()?),
        Language::Python => files.extend(sdk::python()),
    }
    Ok(files)
}

/// `gitignore.template` is `.gitignore`, `Cargo.toml.template` is `Cargo.toml`.
fn named(path: &str) -> String {
    let Some(path) = path.strip_suffix(TEMPLATE_SUFFIX) else { return path.into() };
    match path {
        "gitignore" | "editorconfig" => format!(".{path}"),
        path => path.into(),
    }
}

/// One end of the mapping.
struct Side {
    operation: String,
    template: &'static str,
    key_field: &'static str,
}

impl Side {
    fn source(asked: Option<&str>) -> Result<Self, Error> {
        let any = |operation: &str| Side { operation: operation.into(), template: ANY, key_field: ANY_KEY_FIELD };
        let known = |source: &Source| Side {
            operation: source.operation.into(),
            template: source.template,
            key_field: source.key_field,
        };
        let Some(asked) = asked else { return Ok(any(ANY_SOURCE)) };
        let operations: Vec<&'static str> = SOURCES.iter().map(|source| source.operation).collect();
        match find(asked, &operations, "source")? {
            Some(index) => Ok(known(&SOURCES[index])),
            None => Ok(any(asked)),
        }
    }

    fn target(asked: Option<&str>) -> Result<Self, Error> {
        let any = |operation: &str| Side { operation: operation.into(), template: ANY, key_field: ANY_KEY_FIELD };
        let known =
            |target: &Target| Side { operation: target.operation.into(), template: target.template, key_field: "" };
        let Some(asked) = asked else { return Ok(any(ANY_TARGET)) };
        let operations: Vec<&'static str> = TARGETS.iter().map(|target| target.operation).collect();
        match find(asked, &operations, "target")? {
            Some(index) => Ok(known(&TARGETS[index])),
            None => Ok(any(asked)),
        }
    }
}

/// The operation that is meant; `None` for one of a system that is not known, which is the developer's own affair. An
/// unknown operation of a known system is more likely a slip.
fn find(asked: &str, operations: &[&'static str], side: &'static str) -> Result<Option<usize>, Error> {
    let is_it = |known: &&str| *known == asked || known.split_once(':').is_some_and(|(_, name)| name == asked);
    if let Some(index) = operations.iter().position(is_it) {
        return Ok(Some(index));
    }
    let own = asked.split_once(':').is_some_and(|(system, operation)| !system.is_empty() && !operation.is_empty());
    let plain = !asked.chars().any(|c| c.is_control() || c.is_whitespace() || c == '"' || c == '\\');
    if own && plain && !operations.iter().any(|known| system(known) == system(asked)) {
        return Ok(None);
    }
    Err(Error::UnknownOperation { side, asked: asked.into(), known: operations.to_vec() })
}

/// What the contract takes for a module, and cargo for a package.
fn check_name(name: &str) -> Result<(), Error> {
    let fits = (1..=64).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    // Cargo takes neither its own words nor the names of its standard crates; this one is in the project already.
    let taken = ["crossdock-guest", "test", "core", "std", "alloc", "serde"].contains(&name);
    if fits && !taken { Ok(()) } else { Err(Error::Name { name: name.into() }) }
}

fn check_free(directory: &Path) -> Result<(), Error> {
    match fs::read_dir(directory) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Error::NotEmpty { directory: directory.into() }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::File { path: directory.into(), source }),
    }
}

#[cfg(test)]
mod tests;
