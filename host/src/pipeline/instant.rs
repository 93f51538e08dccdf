//! Named instants before and after every effect, at which a proof lets the engine die: `make crash-matrix`.
//!
//! A build without the feature `failpoints` has nothing of them. An instant is named `WHOSE/WHAT.before` or
//! `WHOSE/WHAT.after`, where `WHOSE` is a scheme, or the connection of a reference table.

#[cfg(feature = "failpoints")]
use super::{round::Work, step::Event, step::Verdict};

/// Passes a named instant.
macro_rules! pass {
    ($whose:expr, $name:expr) => {
        #[cfg(feature = "failpoints")]
        fail::fail_point!(&format!("{}/{}", $whose, $name));
    };
}
pub(crate) use pass;

/// What a round's batch makes durable, by the names that instants have.
#[cfg(feature = "failpoints")]
pub fn effects(works: &[Work], moves_cursor: bool) -> std::collections::BTreeSet<&'static str> {
    let mut effects: std::collections::BTreeSet<&'static str> = works.iter().map(|work| effect(&work.event)).collect();
    if works.iter().any(|work| matches!(work.event, Event::Transformed { verdict: Verdict::Emit(_), .. })) {
        effects.insert("claim");
    }
    if moves_cursor {
        effects.insert("cursor");
    }
    effects
}

#[cfg(feature = "failpoints")]
fn effect(event: &Event) -> &'static str {
    match event {
        Event::Received { .. } => "page",
        Event::Transformed { .. } => "outcome",
        Event::Dispatched { .. } | Event::Postponed { .. } => "intent",
        Event::ClockLeapt { .. } => "clock",
        Event::Answered { .. } | Event::Failed { .. } | Event::RefusedTogether { .. } => "answer",
        Event::Found { .. } | Event::AskFailed { .. } => "finding",
        Event::Restarted => "recovery",
        Event::Retry { .. } | Event::Discard { .. } | Event::Edited { .. } | Event::Erased { .. } => "command",
    }
}
