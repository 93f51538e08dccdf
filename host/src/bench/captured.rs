//! A capsule as a case: captured production becomes what a mapping is tested by.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crossdock_guest::testing::{Case, Expected, Unreadable};
use crossdock_guest::{Document, Outcome as GuestOutcome};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::case::{Captured, Specimen, guest_outcome};
use super::update::pretty;
use crate::capsule::{Capsule, Outcome};
use crate::model;
use crate::sandbox::Lookup;

const EXTENSION: &str = "capsule";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{} holds no capsule: a file NAME.capsule, as `crossdock document capsule` writes it", folder.display())]
    None { folder: PathBuf },
    #[error("{} is there already; remove it, or name another folder", path.display())]
    Exists { path: PathBuf },
}

/// Every capsule of a folder, in the order of their names, as a case of whatever module.
pub fn read_all(folder: &Path) -> Result<Vec<Result<Specimen, Unreadable>>, Error> {
    let failed = |source| Error::File { path: folder.into(), source };
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).map_err(failed)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
    paths.sort();
    if paths.is_empty() {
        return Err(Error::None { folder: folder.into() });
    }
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match Capsule::read(&path) {
            Ok(capsule) => expected(&capsule, &path)
                .map(|expected| Specimen { case: Case { name: name.clone(), ..expected.case }, ..expected })
                .map_err(|problem| Unreadable { name, problem }),
            Err(error) => Err(Unreadable { name, problem: error.to_string() }),
        }
    };
    Ok(paths.into_iter().map(read).collect())
}

fn expected(capsule: &Capsule, path: &Path) -> Result<Specimen, String> {
    if let Outcome::Fault { code, .. } = &capsule.run.outcome {
        return Err(format!(
            "the captured run ended in the fault {code}, which nobody expects; `crossdock replay --as-case` makes a case \
             of it, to say there what should come out"
        ));
    }
    Ok(specimen(capsule, path))
}

/// The capsule as a case that can be run; without an expectation where the run ended in a fault.
pub fn specimen(capsule: &Capsule, place: &Path) -> Specimen {
    let outcome = outcome(&capsule.run.outcome);
    let case = Case {
        name: capsule.name(),
        place: place.into(),
        document: Document { key: capsule.document.key.to_string(), body: capsule.document.body.clone() },
        parameters: capsule.parameters.clone(),
        received_at: received_at(capsule),
        tables: tables(capsule),
        expected: outcome.map(|outcome| Expected::of(&outcome, None, false)),
        fuel: None,
    };
    let captured = Captured {
        context: capsule.context.with_parameters(&capsule.parameters),
        limits: capsule.limits.clone(),
        lookups: capsule.lookups.clone(),
    };
    Specimen { case, captured: Some(captured) }
}

/// Writes the capsule as a folder of a case below `folder`, and says where.
pub fn write(capsule: &Capsule, folder: &Path) -> Result<PathBuf, Error> {
    let path = folder.join(capsule.name());
    let failed = |source| Error::File { path: path.clone(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    std::fs::create_dir(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Exists { path: path.clone() },
        _ => failed(source),
    })?;
    let tables: BTreeMap<String, BTreeMap<String, Box<RawValue>>> = tables(capsule)
        .into_iter()
        .map(|(table, entries)| {
            let raw = entries.into_iter().filter_map(|(key, entry)| Some((key, RawValue::from_string(entry).ok()?)));
            (table, raw.collect())
        })
        .collect();
    let mut deviations = json!({ "key": capsule.document.key.as_str(), "received_at": received_at(capsule) });
    if !tables.is_empty() {
        deviations["tables"] = serde_json::to_value(&tables).unwrap_or(Value::Null);
    }
    let save = |name: &str, text: String| std::fs::write(path.join(name), text).map_err(failed);
    save("input.json", capsule.document.body.clone())?;
    save("parameters.json", pretty(&capsule.parameters, "") + "\n")?;
    save("case.json", pretty(&deviations.to_string(), "") + "\n")?;
    if let Some(outcome) = outcome(&capsule.run.outcome) {
        save("expected.json", pretty(&Expected::of(&outcome, None, false).to_json(), "") + "\n")?;
    }
    Ok(path)
}

/// In whole seconds, as a guest sees it.
fn received_at(capsule: &Capsule) -> String {
    capsule.context.received_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `None` of a fault.
fn outcome(outcome: &Outcome) -> Option<GuestOutcome> {
    let outcome = match outcome {
        Outcome::Emit(bills) => model::Outcome::Emit(bills.clone()),
        Outcome::Skip(why) => model::Outcome::Skip(why.clone()),
        Outcome::Reject(why) => model::Outcome::Reject(why.clone()),
        Outcome::Fault { .. } => return None,
    };
    Some(guest_outcome(&outcome))
}

/// As far as the module asked: a table that was asked in vain is there and lacks the key.
fn tables(capsule: &Capsule) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut tables: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for asked in &capsule.lookups {
        match &asked.answer {
            Lookup::Found(entry) => {
                tables.entry(asked.table.clone()).or_default().insert(asked.key.clone(), entry.clone());
            }
            Lookup::KnownMissing => {
                tables.entry(asked.table.clone()).or_default();
            }
            Lookup::UnknownTable | Lookup::Pending => {}
        }
    }
    tables
}
