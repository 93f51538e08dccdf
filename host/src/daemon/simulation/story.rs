//! What happened, in the order in which it happened, and the first thing that must not have happened.

use std::fmt::Display;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::time::Instant;
use tracing_subscriber::fmt::MakeWriter;

/// Stands in every document and in the vendors' words. No line of the log may show it.
pub const PRIVATE: &str = "13912345678";

/// Lines after which something must be going round in a circle.
const LONGEST: usize = 200_000;

/// Cheap to clone.
#[derive(Clone)]
pub struct Story(Arc<Inner>);

struct Inner {
    begin: Instant,
    lines: Mutex<Vec<String>>,
    violation: Mutex<Option<String>>,
}

impl Story {
    pub fn new() -> Self {
        Self(Arc::new(Inner { begin: Instant::now(), lines: Mutex::default(), violation: Mutex::default() }))
    }

    pub fn say(&self, line: impl Display) {
        if self.0.lines.lock().unwrap().len() > LONGEST {
            panic!("{}\nthe story does not end", self.text());
        }
        let line = format!("{:>9.3} s  {line}", self.0.begin.elapsed().as_secs_f64());
        self.0.lines.lock().unwrap().push(line);
    }

    /// The first one counts; what follows from it is not told.
    pub fn violation(&self, what: impl Display) {
        let mut violation = self.0.violation.lock().unwrap();
        if violation.is_none() {
            *violation = Some(what.to_string());
            drop(violation);
            self.say(format!("VIOLATION: {what}"));
        }
    }

    pub fn is_violated(&self) -> Option<String> {
        self.0.violation.lock().unwrap().clone()
    }

    pub fn text(&self) -> String {
        self.0.lines.lock().unwrap().join("\n")
    }
}

/// The product's log becomes part of the story.
impl io::Write for Story {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        if text.contains(PRIVATE) {
            self.violation(format!("the log shows what is private: {}", text.trim_end()));
        }
        self.say(format!("log: {}", text.trim_end()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Story {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
