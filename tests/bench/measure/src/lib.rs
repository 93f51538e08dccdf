//! How every program of the benchmark measures, so that none has a method of its own.
//!
//! A program is started once a round, by a driver that takes them in turns: what the machine does meanwhile hits all of
//! them alike. It maps the same documents with the same parameters, first once each and compared with what the driver
//! expects, then for a fixed time. One line of JSON a variant goes to standard output.
//!
//! What is counted is processor time of the whole process, user's and kernel's, all threads: a mapping waits for nothing,
//! and on a machine that others use as well the clock on the wall would measure them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// What a program is given.
pub struct Input {
    /// Key and JSON text of each document, a page of a vendor's.
    pub documents: Vec<(String, String)>,
    pub parameters: String,
    /// Of each document, the bill that every variant must make.
    pub expected: Vec<serde_json::Value>,
    /// How long each variant is run.
    pub time: Duration,
    /// Files that only some programs want.
    pub directory: PathBuf,
    /// Nothing but the variant of this name, so many pages of it and no clock: for who counts instructions.
    only: Option<(String, u64)>,
}

/// As the driver writes it to `input.json` in the directory.
#[derive(Serialize, Deserialize)]
pub struct File {
    pub documents: Vec<(String, String)>,
    pub parameters: String,
    /// JSON texts; empty until the first program has made them.
    pub expected: Vec<String>,
    pub milliseconds: u64,
}

/// One variant's figure.
#[derive(Debug, Serialize, Deserialize)]
pub struct Figure {
    pub name: String,
    pub nanoseconds_a_document: f64,
    pub documents: u64,
}

impl Input {
    /// From the directory that the first argument names. With a variant's name and a number of pages behind it, only those
    /// are mapped and nothing is timed.
    pub fn read() -> Self {
        let mut arguments = std::env::args().skip(1);
        let directory = PathBuf::from(arguments.next().expect("usage: PROGRAM DIRECTORY [VARIANT PAGES]"));
        let only = arguments.next().zip(arguments.next().and_then(|pages| pages.parse().ok()));
        Self { only, ..Self::of(&directory) }
    }

    /// What the driver wrote into a directory.
    ///
    /// # Panics
    /// Where it has not.
    pub fn of(directory: &Path) -> Self {
        let text = std::fs::read(directory.join("input.json")).expect("input.json can be read");
        let file: File = serde_json::from_slice(&text).expect("input.json is what the driver wrote");
        let expected = file.expected.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect();
        Self {
            documents: file.documents,
            parameters: file.parameters,
            expected,
            time: Duration::from_millis(file.milliseconds),
            directory: directory.into(),
            only: None,
        }
    }

    /// Where nobody has said yet what every variant must make, it is what `map` makes; kept for the programs that follow.
    ///
    /// # Panics
    /// Where the file cannot be written.
    pub fn settle(&mut self, map: impl FnMut(usize) -> String) {
        if !self.expected.is_empty() {
            return;
        }
        let expected: Vec<String> = (0..self.documents.len()).map(map).collect();
        self.expected = expected.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect();
        let milliseconds = u64::try_from(self.time.as_millis()).expect("a short time");
        let file =
            File { documents: self.documents.clone(), parameters: self.parameters.clone(), expected, milliseconds };
        let text = serde_json::to_vec(&file).expect("a file is plain");
        std::fs::write(self.directory.join("input.json"), text).expect("input.json can be written");
    }

    /// Runs `map` over all documents, again and again, and prints what one costs. `map` is given an index into the documents
    /// and answers with the bill's text.
    ///
    /// # Panics
    /// Where a bill is not the expected one: a variant that does other work has nothing to say here.
    pub fn measure(&self, name: &str, mut map: impl FnMut(usize) -> String) {
        if self.is_left_out(name) {
            return;
        }
        for (index, (key, _)) in self.documents.iter().enumerate() {
            self.check(name, index, key, &map(index));
        }
        self.time(name, |count| {
            for index in 0..count {
                std::hint::black_box(map(index));
            }
        });
    }

    /// As [`Input::measure`], for what takes a whole page at once. No bill is a mapping that makes none.
    pub fn measure_pages(&self, name: &str, mut map: impl FnMut() -> Vec<Option<String>>) {
        if self.is_left_out(name) {
            return;
        }
        for (index, bill) in map().iter().enumerate() {
            if let Some(bill) = bill {
                self.check(name, index, &self.documents[index].0, bill);
            }
        }
        self.time(name, |_| {
            std::hint::black_box(map());
        });
    }

    fn is_left_out(&self, name: &str) -> bool {
        self.only.as_ref().is_some_and(|(only, _)| only != name)
    }

    fn check(&self, name: &str, index: usize, key: &str, bill: &str) {
        let Some(expected) = self.expected.get(index) else { return };
        let bill: serde_json::Value = serde_json::from_str(bill).unwrap_or_else(|_| panic!("{name}, {key}: {bill}"));
        assert!(same(&bill, expected), "{name}, {key}:\n{bill}\nis not\n{expected}");
    }

    fn time(&self, name: &str, mut page: impl FnMut(usize)) {
        let count = self.documents.len();
        if let Some((_, pages)) = &self.only {
            (0..*pages).for_each(|_| page(count));
            return;
        }
        let (mut documents, started) = (0, spent());
        let elapsed = loop {
            page(count);
            documents += count as u64;
            let elapsed = spent() - started;
            if elapsed >= self.time {
                break elapsed;
            }
        };
        let nanoseconds_a_document = elapsed.as_nanos() as f64 / documents as f64;
        let figure = Figure { name: name.into(), nanoseconds_a_document, documents };
        println!("{}", serde_json::to_string(&figure).expect("a figure is plain"));
    }
}

/// Processor time of this process so far.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Equal as values: some of the peers know numbers as binary floating point only, and write `60` for `60.00`.
#[must_use]
pub fn same(left: &serde_json::Value, right: &serde_json::Value) -> bool {
    use serde_json::Value;
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
        }
        _ => left == right,
    }
}
