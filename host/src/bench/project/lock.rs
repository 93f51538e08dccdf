//! The `Cargo.lock` of a new project: the versions that this release's own transforms are built and tested with. So a
//! project made today and one made in a year resolve alike, and its first build is `--locked`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Error, sdk};

const LOCK: &str = "transforms/Cargo.lock";
const SDK: &str = "crossdock-guest";
/// What the project's own manifest depends on.
const DIRECT: [&str; 2] = [SDK, "serde"];
const VERSION: &str = "0.1.0";

pub fn cargo_lock(name: &str) -> Result<String, Error> {
    let text = sdk::file(LOCK)?;
    let mut sections = text.split("\n[[package]]\n");
    let head = sections.next().unwrap_or_default();
    let mut packages = BTreeMap::new();
    for section in sections {
        let package = Package::read(section)?;
        packages.insert((package.name, package.version), package);
    }

    let mut needed = BTreeSet::new();
    let mut open: Vec<&str> = DIRECT.to_vec();
    while let Some(dependency) = open.pop() {
        let (id, package) = resolve(&packages, dependency)?;
        if needed.insert(id) {
            open.extend(&package.dependencies);
        }
    }

    // Cargo names a version only where two of a package are there, and compares the text: one that is named needlessly
    // makes the lock stale.
    let versions_of = |name: &str| needed.iter().filter(|(needed, _)| *needed == name).count();
    let mut written: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for id in &needed {
        let mut section = packages[id].text.trim_end().to_owned();
        for dependency in &packages[id].dependencies {
            if let Some((name, _)) = dependency.split_once(' ')
                && versions_of(name) == 1
            {
                section = section.replace(&format!("\"{dependency}\""), &format!("\"{name}\""));
            }
        }
        written.insert(*id, section);
    }
    let direct: String = DIRECT.iter().map(|name| format!(" \"{name}\",\n")).collect();
    let own = format!("name = \"{name}\"\nversion = \"{VERSION}\"\ndependencies = [\n{direct}]");
    written.insert((name, VERSION), own);

    let mut lock = head.trim_end().to_owned();
    lock.push('\n');
    for section in written.values() {
        lock.push_str("\n[[package]]\n");
        lock.push_str(section);
        lock.push('\n');
    }
    Ok(lock)
}

type Id<'a> = (&'a str, &'a str);

struct Package<'a> {
    name: &'a str,
    version: &'a str,
    /// `name` or `name version`.
    dependencies: Vec<&'a str>,
    text: &'a str,
}

impl<'a> Package<'a> {
    fn read(text: &'a str) -> Result<Self, Error> {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
            let value = line.and_then(|line| line.strip_suffix('"'));
            value.ok_or_else(|| Error::Broken { problem: format!("{LOCK}: a package without {key}") })
        };
        let dependencies = text.lines().filter_map(|line| line.strip_prefix(" \"")?.strip_suffix("\","));
        Ok(Self { name: value("name")?, version: value("version")?, dependencies: dependencies.collect(), text })
    }
}

fn resolve<'a, 'b>(
    packages: &'b BTreeMap<Id<'a>, Package<'a>>,
    dependency: &str,
) -> Result<(Id<'a>, &'b Package<'a>), Error> {
    let (name, version) =
        dependency.split_once(' ').map_or((dependency, None), |(name, version)| (name, Some(version)));
    let fits = |id: &&Id<'a>| id.0 == name && version.is_none_or(|version| id.1 == version);
    let id = packages.keys().find(fits);
    let id = id.ok_or_else(|| Error::Broken { problem: format!("{LOCK} does not have {dependency}") })?;
    Ok((*id, &packages[id]))
}
