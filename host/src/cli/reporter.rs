//! Progress on standard error: a bar on a terminal; elsewhere a plain line every few seconds.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

pub struct Reporter {
    bar: Option<ProgressBar>,
    last: Mutex<Option<Instant>>,
}

const LINE_INTERVAL: Duration = Duration::from_secs(5);

impl Reporter {
    /// For work whose end is not known.
    pub fn spinner() -> Self {
        Self::with(ProgressBar::new_spinner, "{spinner} {msg} ({elapsed})")
    }

    /// For work of so many windows.
    pub fn windows() -> Self {
        Self::with(|| ProgressBar::new(0), "{bar:24} {msg} ({elapsed})")
    }

    fn with(bar: impl FnOnce() -> ProgressBar, template: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = bar();
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, last: Mutex::new(None) }
    }

    /// How much is done of how much.
    pub fn share(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    pub fn show(&self, line: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(line.to_owned());
            bar.tick();
            return;
        }
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= LINE_INTERVAL) {
            *last = Some(Instant::now());
            eprintln!("{line}");
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
