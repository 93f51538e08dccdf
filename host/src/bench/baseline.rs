//! What each case burnt when somebody last looked: a file beside the cases, so that a mapping that has become slow shows
//! in a review and not in production. Fuel is the same on every machine, so the file is too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{}: there is no fuel baseline yet; `--update-fuel-baseline` writes one from this run", path.display()
    )]
    Missing { path: PathBuf },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: not a fuel baseline: {problem}; `--update-fuel-baseline` writes a new one", path.display())]
    Unreadable { path: PathBuf, problem: String },
}

/// Fuel by case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    pub cases: BTreeMap<String, u64>,
}

/// A case that burns more than it may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Above {
    pub case: String,
    pub recorded: u64,
    pub fuel: u64,
}

impl Baseline {
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Error::Missing { path: path.into() },
            _ => Error::File { path: path.into(), source },
        })?;
        serde_json::from_str(&text).map_err(|error| Error::Unreadable { path: path.into(), problem: error.to_string() })
    }

    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self).expect("names and numbers are JSON");
        std::fs::write(path, text + "\n").map_err(|source| Error::File { path: path.into(), source })
    }

    /// The cases that burn more than `percent` above what is recorded. A case that is not recorded burns what it burns.
    pub fn above<'a>(&self, found: impl IntoIterator<Item = (&'a str, u64)>, percent: u32) -> Vec<Above> {
        let may = |recorded: u64| u128::from(recorded) * (100 + u128::from(percent));
        found
            .into_iter()
            .filter_map(|(case, fuel)| {
                let recorded = *self.cases.get(case)?;
                let above = u128::from(fuel) * 100 > may(recorded);
                above.then(|| Above { case: case.into(), recorded, fuel })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_to_the_margin_is_fine_and_one_unit_more_is_not() {
        let baseline = Baseline { cases: [("a".to_owned(), 1_000)].into() };
        let above = |fuel, percent| baseline.above([("a", fuel), ("new", u64::MAX)], percent).len();
        assert_eq!((above(1_100, 10), above(1_101, 10)), (0, 1));
        assert_eq!((above(1_000, 0), above(1_001, 0), above(1, 0)), (0, 1, 0));
    }

    #[test]
    fn a_baseline_is_read_as_it_was_written_and_a_missing_one_says_how_to_make_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fuel.json");
        let why = Baseline::read(&path).unwrap_err().to_string();
        assert!(why.contains("--update-fuel-baseline"), "{why}");
        let baseline = Baseline { cases: [("a".to_owned(), 7), ("b".to_owned(), u64::MAX)].into() };
        baseline.write(&path).unwrap();
        assert_eq!(Baseline::read(&path).unwrap(), baseline);
        std::fs::write(&path, "{\n \"cases\": [}").unwrap();
        let why = Baseline::read(&path).unwrap_err().to_string();
        assert!(why.contains("line 2"), "{why}");
    }
}
