//! The SDK as a project carries it: its sources, the contract beside it, and a manifest that stands by itself.

use toml::{Table, Value};

use super::Error;
use super::embedded::{CONTRACT, MANIFESTS, SDK, SDK_JAVASCRIPT, SDK_JAVASCRIPT_TYPES, SDK_PYTHON, SDK_PYTHON_TYPES};

/// `vendor/crossdock-guest` and `vendor/wit`, in the repository's own arrangement, because the SDK looks for `../wit/1.0.0`.
pub fn rust() -> Result<Vec<(String, String)>, Error> {
    let mut files = below("vendor/crossdock-guest/src", SDK);
    files.extend(below("vendor/wit", CONTRACT));
    files.push(("vendor/crossdock-guest/Cargo.toml".into(), manifest()?));
    Ok(files)
}

/// `vendor/crossdock-guest`, where the project's `jsconfig.json` looks for it, and `vendor/wit`.
pub fn javascript() -> Result<Vec<(String, String)>, Error> {
    let mut files = below("vendor/crossdock-guest/src", SDK_JAVASCRIPT);
    files.extend(below("vendor/crossdock-guest/types", SDK_JAVASCRIPT_TYPES));
    files.extend(below("vendor/wit", CONTRACT));
    files.push(("vendor/crossdock-guest/package.json".into(), file("guest-sdk/javascript/package.json")?.into()));
    Ok(files)
}

/// `vendor/crossdock_guest`, `vendor/wit`, and beside the Python path, for editors, the modules that only a component has.
pub fn python() -> Vec<(String, String)> {
    let mut files = below("vendor/crossdock_guest", SDK_PYTHON);
    files.extend(below("vendor/types", SDK_PYTHON_TYPES));
    files.extend(below("vendor/wit", CONTRACT));
    files
}

fn below(folder: &str, files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(path, text)| (format!("{folder}/{path}"), (*text).into())).collect()
}

/// One of the repository's files that are not copied as they are.
pub fn file(path: &str) -> Result<&'static str, Error> {
    let found = MANIFESTS.iter().find(|(name, _)| *name == path);
    found.map(|(_, text)| *text).ok_or_else(|| Error::Broken { problem: format!("{path} is not there") })
}

/// The SDK's manifest with everything that it inherits from the repository's workspace written out.
fn manifest() -> Result<String, Error> {
    let broken = |problem: String| Error::Broken { problem };
    let read = |path: &str| file(path)?.parse::<Table>().map_err(|error| broken(format!("{path}: {error}")));
    let (mut sdk, workspace) = (read("guest-sdk/Cargo.toml")?, read("Cargo.toml")?);
    // Lints are for who changes the SDK, and what only its own tests need is not here.
    for section in ["lints", "dev-dependencies"] {
        sdk.remove(section);
    }
    for section in ["package", "dependencies"] {
        let inherited = workspace.get("workspace").and_then(|all| all.get(section)).and_then(Value::as_table);
        let Some(own) = sdk.get_mut(section).and_then(Value::as_table_mut) else { continue };
        for (name, value) in own.iter_mut().filter(|(_, value)| is_inherited(value)) {
            let from = inherited.and_then(|all| all.get(name));
            *value = from.ok_or_else(|| broken(format!("nothing says what {name} inherits")))?.clone();
        }
    }
    toml::to_string(&sdk).map_err(|error| broken(error.to_string()))
}

fn is_inherited(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}
