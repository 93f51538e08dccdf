//! Which module a scheme runs, and where its bytes are.

use std::io::Read;
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use crate::model::ModuleRef;

use super::section::Section;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModuleSource {
    /// The component among the `*.wasm` of `module_dir` that describes itself so.
    Named(ModuleRef),
    /// This file, whatever it calls itself. For trying things out.
    File(PathBuf),
}

const REMEDY: &str = "write module = \"name@version\" or module = { file = \"path.wasm\" }";

pub(super) fn read(section: &Section<'_>, directory: &Path, module_dir: Option<&Path>) -> Option<ModuleSource> {
    let Some(value) = section.get("module") else {
        section.missing("module", REMEDY);
        return None;
    };
    let complain = |message: String, remedy: &str| {
        section.report.add(value.span(), format!("`module` of {}: {message}", section.name), remedy);
        None
    };
    match value.get_ref() {
        DeValue::String(text) => match text.parse::<ModuleRef>() {
            Ok(module) => match module_dir.map(|directory| (directory, std::fs::read_dir(directory))) {
                Some((directory, Err(error))) => {
                    let message = format!("cannot look for {module} in {}: {error}", directory.display());
                    complain(message, "create the directory, or name another: module_dir = \"…\" in [engine]")
                }
                Some((_, Ok(_))) | None => Some(ModuleSource::Named(module)),
            },
            Err(error) => complain(error.to_string(), REMEDY),
        },
        DeValue::Table(table) if table.len() == 1 => match table.get("file").and_then(|file| file.get_ref().as_str()) {
            Some(file) => {
                let file = directory.join(file);
                match check_component(&file) {
                    Ok(()) => Some(ModuleSource::File(file)),
                    Err(problem) => {
                        let message = format!("{} {problem}", file.display());
                        complain(message, "name a component, relative to this file; `crossdock build` makes one")
                    }
                }
            }
            None => complain("a table here has the one key `file`".into(), REMEDY),
        },
        _ => {
            section.wrong(value, "module", "a name with a version, or a file", REMEDY);
            None
        }
    }
}

/// The first eight bytes tell a component from a core module; whether it is a good one, its compiler says.
fn check_component(file: &Path) -> Result<(), String> {
    let mut head = Vec::new();
    let opened = std::fs::File::open(file).and_then(|file| file.take(8).read_to_end(&mut head));
    opened.map_err(|error| format!("cannot be read: {error}"))?;
    match head.as_slice() {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0] => Err("is a core module, not a component".into()),
        _ => Err("is not a component".into()),
    }
}
