//! Waiting for something to be so: asked again and again, never longer than said, and the failure tells what was still
//! missing.

use std::time::{Duration, Instant};

use super::{Failure, Result};

/// Between two questions. Short against anything that is waited for.
const PAUSE: Duration = Duration::from_millis(20);

/// Calls `ask` until it gives a value. It answers `Err` with what is missing, or `Ok(Err(_))` where waiting is in vain.
pub fn until<T>(patience: Duration, what: &str, mut ask: impl FnMut() -> Result<T, Waiting>) -> Result<T> {
    let began = Instant::now();
    loop {
        let asked = Instant::now();
        let missing = match ask() {
            Ok(value) => return Ok(value),
            Err(Waiting::InVain(failure)) => return Err(failure),
            Err(Waiting::For(missing)) => missing,
        };
        if began.elapsed() > patience {
            let seconds = patience.as_secs_f32();
            return Err(Failure::new(format!("{what} was not so after {seconds:.0} s; still missing: {missing}")));
        }
        // A question that costs much is asked less often: what is waited for needs the machine as well.
        std::thread::sleep(PAUSE.max(asked.elapsed() * 2));
    }
}

/// Why a question has no answer yet.
#[derive(Debug)]
pub enum Waiting {
    For(String),
    InVain(Failure),
}

impl Waiting {
    pub fn on(missing: impl Into<String>) -> Self {
        Self::For(missing.into())
    }
}

impl From<Failure> for Waiting {
    fn from(failure: Failure) -> Self {
        Self::InVain(failure)
    }
}

/// Watches for as long as said that `same` gives the same value every time. The failure names both values.
pub fn stays<T: PartialEq + std::fmt::Debug>(
    watched: Duration,
    what: &str,
    mut same: impl FnMut() -> Result<T>,
) -> Result<()> {
    let began = Instant::now();
    let first = same()?;
    while began.elapsed() < watched {
        std::thread::sleep(PAUSE);
        let now = same()?;
        if now != first {
            return Err(Failure::new(format!("{what} changed from {first:?} to {now:?}")));
        }
    }
    Ok(())
}
