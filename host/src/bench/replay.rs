//! Runs a capsule again and says whether the same came out.

use crossdock_guest::testing::Difference;
use serde::Serialize;

use super::Laboratory;
use super::case::unanswered;
use crate::capsule::{Answers, Capsule, EngineIdentity, Outcome};
use crate::sandbox::{Limits, Module, Run};

const PATIENCE: u64 = 10;

/// What a replay gave, beside what the capsule has.
#[derive(Debug, Clone)]
pub struct Replay {
    pub same_module: bool,
    pub verdict: Verdict,
    pub fuel: Fuel,
    pub found: Outcome,
    pub run: Run,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Byte for byte.
    Same,
    /// The same values in other bytes: another order of fields, `1.50` for `1.5`.
    OtherBytes,
    Differs(Vec<Difference>),
    /// The module asks for something that the capsule has no answer to.
    Unanswered {
        problem: String,
    },
}

/// The fuel of both runs, and what can be said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fuel {
    pub recorded: u64,
    pub found: u64,
    pub standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Same,
    Differs,
    /// Another module takes another amount; that is no fault.
    OtherModule,
    /// Another wasmtime, or other settings of the sandbox: a unit of fuel is not the same thing.
    NotComparable,
}

impl Replay {
    /// Whether nothing is different that should not be.
    pub fn holds(&self) -> bool {
        self.verdict == Verdict::Same && self.fuel.standing != Standing::Differs
    }
}

/// In a fresh instance, as the capsule was taken. The laboratory has the capsule's settings.
pub fn replay(laboratory: &Laboratory, module: &Module, capsule: &Capsule) -> Replay {
    let context = capsule.context.with_parameters(&capsule.parameters);
    let answers = Answers::new(&capsule.lookups);
    let input = capsule.input();
    // Time decides nothing here, and a laptop may be slower than what the capsule was taken on.
    let deadline_ms = capsule.limits.deadline_ms.saturating_mul(PATIENCE);
    let limits = Limits { deadline_ms, ..capsule.limits.clone() };
    let run = laboratory.run(module, &context, &input, &limits, &answers);
    let found = Outcome::from(&run.verdict);
    let recorded = &capsule.run.outcome;
    let same_module = module.digest() == capsule.module.digest;
    let verdict = match answers.missed() {
        Some((table, key)) => Verdict::Unanswered { problem: unanswered(&table, &key) },
        None if recorded.is_same(&found) => Verdict::Same,
        None => match recorded.differences(&found) {
            differences if differences.is_empty() => Verdict::OtherBytes,
            differences => Verdict::Differs(differences),
        },
    };
    let engine = EngineIdentity::of(laboratory.settings(), module.class());
    let standing = match (same_module, engine.counts_fuel_like(&capsule.engine), run.fuel == capsule.run.fuel) {
        (false, _, _) => Standing::OtherModule,
        (true, false, _) => Standing::NotComparable,
        (true, true, true) => Standing::Same,
        (true, true, false) => Standing::Differs,
    };
    let fuel = Fuel { recorded: capsule.run.fuel, found: run.fuel, standing };
    Replay { same_module, verdict, fuel, found, run }
}
