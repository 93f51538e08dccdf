//! A folder of cases, and running them natively.

use std::fs;
use std::path::{Path, PathBuf};

use super::case::{Defaults, EXAMPLE};
use super::{Case, Host, with_host};
use crate::{Context, Outcome, Transform, run};

/// The most of an outcome that a failure quotes: the differences say what matters.
const QUOTE_LIMIT_BYTES: usize = 2 << 10;
/// The most differences that a failure lists.
const DIFFERENCES_LIMIT: usize = 20;
/// Names another folder of cases, for what was captured elsewhere.
const CASES_VARIABLE: &str = "CROSSDOCK_CASES";

/// A folder with one folder a case:
///
/// | file | holds |
/// |---|---|
/// | `input.json` | the source document, byte for byte as the vendor wrote it |
/// | `expected.json` | `{"emit":[{"key":…,"body":{…}}]}`, `{"skip":{"code":…,"field":…}}` or `{"reject":{"code":…,"field":…}}`; a `message` too, where it is worth pinning; `text` instead of `body` for the very bytes |
/// | `parameters.json` | the parameters, where they are not those of the module's `parameters.example.json` |
/// | `case.json` | what else deviates: `key` of the document, `received_at`, `tables` (name → key → entry), `fuel` (the most it may take in the sandbox) |
///
/// A case may also be one file, `NAME.json`, with the members `input`, `expected`, `parameters`, `key`, `received_at`,
/// `tables` and `fuel`.
///
/// The document's key is read from the field that [`Cases::key_field`] names, unless the case has one. Bodies are
/// compared by value with exact decimals ([`differences`](super::differences)). `crossdock test` runs the same cases in
/// the sandbox, and counts their fuel.
#[derive(Debug)]
pub struct Cases {
    folder: PathBuf,
    defaults: Defaults,
}

/// A case that cannot be run as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The case's name.
    pub name: String,
    /// What is wrong, in which of its files, with line and column where it is no JSON.
    pub problem: String,
}

impl Cases {
    /// The folder `cases` and the file `parameters.example.json` of a crate: `Cases::of(env!("CARGO_MANIFEST_DIR"))`.
    pub fn of(crate_folder: impl AsRef<Path>) -> Self {
        let folder = crate_folder.as_ref();
        let parameters = folder.join("parameters.example.json");
        Self { folder: folder.join("cases"), defaults: Defaults { parameters, key_field: "key".into() } }
    }

    /// The field at the top of the source document that is its key in the source system: `io_id`.
    pub fn key_field(mut self, name: &str) -> Self {
        self.defaults.key_field = name.into();
        self
    }

    /// The folder of the cases, where it is not `cases`.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// Every case, in the order of their names. The error says why there is none.
    pub fn read(&self) -> Result<Vec<Result<Case, Unreadable>>, String> {
        let entries = fs::read_dir(&self.folder).map_err(|error| format!("{}: {error}", self.folder.display()))?;
        let mut places: Vec<PathBuf> =
            entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|place| Case::is_one(place)).collect();
        places.sort();
        if places.is_empty() {
            let folder = self.folder.display();
            return Err(format!("{folder} holds no case: a case is a folder with an input.json, or a file NAME.json"));
        }
        let read = |place: &PathBuf| {
            Case::read(place, &self.defaults).map_err(|problem| Unreadable { name: Case::name_of(place), problem })
        };
        Ok(places.iter().map(read).collect())
    }

    /// Runs every case and says how many there were. Where the variable `CROSSDOCK_CASES` names a folder, the cases are
    /// those of that folder.
    ///
    /// # Panics
    /// Where a case fails or cannot be read, with all of them and the story of each; and where there is no case at all.
    pub fn run<T: Transform>(self) -> usize {
        let cases = match std::env::var_os(CASES_VARIABLE) {
            Some(folder) => self.folder(folder),
            None => self,
        };
        let cases = cases.read().unwrap_or_else(|problem| panic!("{problem}"));
        let failures: Vec<String> = cases
            .iter()
            .filter_map(|case| match case {
                Ok(case) => Some(format!("case {}: {}", case.name, run_one::<T>(case).err()?)),
                Err(unreadable) => Some(format!("case {}: {}", unreadable.name, unreadable.problem)),
            })
            .collect();
        assert!(failures.is_empty(), "{} of {} cases failed\n\n{}", failures.len(), cases.len(), failures.join("\n\n"));
        cases.len()
    }
}

fn run_one<T: Transform>(case: &Case) -> Result<(), String> {
    let Some(expected) = &case.expected else {
        return Err("it says nowhere what is expected: write expected.json, or let `crossdock test --update` do it, \
                    and read what it wrote"
            .into());
    };
    let context = Context {
        tenant: EXAMPLE.into(),
        scheme: EXAMPLE.into(),
        source: T::SOURCE.into(),
        target: T::TARGET.into(),
        parameters: case.parameters.clone(),
        received_at: case.received_at.clone(),
    };
    let mut host = Host::default();
    for (table, entries) in &case.tables {
        host = entries.iter().fold(host.with_table(table), |host, (key, entry)| host.with_entry(table, key, entry));
    }
    let (outcome, lines) = with_host(host, || run::<T>(&context, &case.document));
    let differences = expected.differences(&outcome);
    if differences.is_empty() {
        return Ok(());
    }
    let mut story: Vec<String> =
        differences.iter().take(DIFFERENCES_LIMIT).map(|difference| difference.to_string()).collect();
    if differences.len() > DIFFERENCES_LIMIT {
        story.push(format!("and {} differences more", differences.len() - DIFFERENCES_LIMIT));
    }
    story.push(format!("the outcome was {}", quoted(&outcome)));
    if !lines.is_empty() {
        story.push(format!("the log said {lines:?}"));
    }
    Err(story.join("\n"))
}

fn quoted(outcome: &Outcome) -> String {
    let mut text = format!("{outcome:?}");
    if text.len() > QUOTE_LIMIT_BYTES {
        text.truncate(text.floor_char_boundary(QUOTE_LIMIT_BYTES));
        text.push('…');
    }
    text
}
