//! What is wrong with a configuration, where it stands, and how to mend it.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Where something stands. Lines and columns begin at 1; a column counts characters, not bytes, for that is what an
/// editor shows beside a Chinese comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: PathBuf,
    /// `None` where the file as a whole is meant.
    pub position: Option<(usize, usize)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.position {
            Some((line, column)) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is not usable.
    Mistake,
    /// It is usable, and most likely not what was meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    pub place: Place,
    /// What is wrong. Never holds the value of a secret.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

/// Everything that is wrong with a configuration, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
    pub fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|problem| problem.severity == severity).count()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{}: {}", problem.place, problem.message)?;
            writeln!(f, "  mend: {}", problem.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// What a layer above has against a table that it alone understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    pub severity: Severity,
    /// The keys that lead to the culprit, from the table that was handed over: `["limits", "fuel"]`. Where a key does
    /// not exist, the place is the innermost table that does.
    pub path: Vec<String>,
    pub message: String,
    pub remedy: String,
}

impl Objection {
    /// `path` is written with dots: `limits.fuel`. An empty path means the table itself.
    pub fn new(path: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        let path = path.split('.').filter(|part| !part.is_empty()).map(String::from).collect();
        Self { severity: Severity::Mistake, path, message: message.into(), remedy: remedy.into() }
    }

    /// As [`Objection::new`], of what can be used and most likely was not meant.
    pub fn warning(path: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::new(path, message, remedy) }
    }

    /// The path as a JSON pointer.
    pub fn pointer(&self) -> String {
        self.path.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect()
    }
}

/// Problems that are told. Nobody mends more at once, and each takes a look at the whole text to say where it stands: what a
/// stranger sends must not take hours, or gigabytes, to be refused.
const PROBLEMS_LIMIT: usize = 200;

/// Collects problems while one file is read.
pub(super) struct Report<'a> {
    file: &'a Path,
    text: &'a str,
    /// With where each stands in the text, unless that is another file.
    problems: RefCell<Vec<(Option<Range<usize>>, Problem)>>,
}

impl<'a> Report<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        Self { file, text, problems: RefCell::default() }
    }

    pub(super) fn add(&self, span: Range<usize>, message: impl Into<String>, remedy: impl Into<String>) {
        if !self.takes(Severity::Mistake) {
            return;
        }
        let place = self.place(&span);
        self.put(Severity::Mistake, Some(span), place, message.into(), remedy.into());
    }

    /// For what stands in another file.
    pub(super) fn add_at(&self, place: Place, message: impl Into<String>, remedy: impl Into<String>) {
        self.put(Severity::Mistake, None, place, message.into(), remedy.into());
    }

    /// For what a layer above says of a table.
    pub(super) fn object(&self, span: Range<usize>, severity: Severity, message: String, remedy: String) {
        if !self.takes(severity) {
            return;
        }
        let place = self.place(&span);
        self.put(severity, Some(span), place, message, remedy);
    }

    /// Warnings never crowd out that there is a mistake.
    fn takes(&self, severity: Severity) -> bool {
        let has_room = self.problems.borrow().len() < PROBLEMS_LIMIT;
        has_room || (severity == Severity::Mistake && !self.has_mistakes())
    }

    fn put(&self, severity: Severity, span: Option<Range<usize>>, place: Place, message: String, remedy: String) {
        self.problems.borrow_mut().push((span, Problem { severity, place, message, remedy }));
    }

    fn place(&self, span: &Range<usize>) -> Place {
        Place { file: self.file.into(), position: Some(position(self.text, span.start)) }
    }

    pub(super) fn has_mistakes(&self) -> bool {
        self.problems.borrow().iter().any(|(_, problem)| problem.severity == Severity::Mistake)
    }

    /// In the order in which they were found, each with where it stands in the text.
    pub(super) fn into_spans(self) -> Vec<(Option<Range<usize>>, Problem)> {
        self.problems.into_inner()
    }

    pub(super) fn into_problems(self) -> Problems {
        let mut problems: Vec<Problem> = self.problems.into_inner().into_iter().map(|(_, problem)| problem).collect();
        // Other files come last: their mistakes are found while this one is read, but mended elsewhere.
        problems.sort_by_key(|problem| {
            (problem.place.file != self.file, problem.place.file.clone(), problem.place.position)
        });
        Problems(problems)
    }
}

impl Problems {
    pub(super) fn one(place: Place, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (severity, message, remedy) = (Severity::Mistake, message.into(), remedy.into());
        Self(vec![Problem { severity, place, message, remedy }])
    }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let offset = (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The known word that a mistyped one most likely means.
pub(super) fn closest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    // A third of the letters may be wrong: `shedule` finds `schedule`, and `foo` finds nothing.
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    known
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, dropped, changed or swapped with their neighbour to turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut rows: Vec<Vec<usize>> = (0..=a.len()).map(|i| (i..=i + b.len()).collect()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_counts_characters_and_not_bytes() {
        assert_eq!(position("a = 1\n名 = 2", "a = 1\n名 ".len()), (2, 3));
        assert_eq!(position("", 0), (1, 1));
        assert_eq!(position("名", 99), (1, 2));
    }

    #[test]
    fn a_mistyped_key_finds_the_one_that_was_meant() {
        let known = ["schedule", "start_at", "source", "sweep"];
        for (typed, meant) in
            [("shedule", Some("schedule")), ("strat_at", Some("start_at")), ("Sweep", Some("sweep")), ("foo", None)]
        {
            assert_eq!(closest(typed, &known), meant, "{typed}");
        }
    }
}
