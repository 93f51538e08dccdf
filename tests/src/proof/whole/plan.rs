//! All movers over all loads, in turns: what else the machine does meanwhile hits all of them alike.

use crossdock_bench_measure::same;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::crossdock::{Dock, Setup};
use super::peers::Peer;
use super::{Load, Run};
use crate::proof::programs::Programs;
use crate::proof::{Failure, Result};

/// Crossdock, set up in one way.
pub struct Ours {
    pub name: &'static str,
    pub what: &'static str,
    pub setup: Setup,
    pub signed: bool,
}

pub enum Mover {
    Peer(Peer),
    Ours(Ours),
}

pub struct Plan {
    pub movers: Vec<Mover>,
    pub loads: Vec<Load>,
    pub rounds: u32,
}

/// What came of one mover over one load.
pub struct Row {
    pub name: &'static str,
    pub what: &'static str,
    pub load: Load,
    pub runs: Vec<Run>,
}

/// Documents whose bills are compared from mover to mover, before anything is measured.
const COMPARED: u64 = 1_000;

impl Mover {
    pub fn name(&self) -> &'static str {
        match self {
            Mover::Peer(peer) => peer.name,
            Mover::Ours(ours) => ours.name,
        }
    }

    pub fn what(&self) -> &'static str {
        match self {
            Mover::Peer(peer) => peer.what,
            Mover::Ours(ours) => ours.what,
        }
    }

    fn run(&self, programs: &Programs, load: Load, more: &[&str]) -> Result<(Run, Option<Value>)> {
        let signed = matches!(self, Mover::Ours(ours) if ours.signed);
        let more: Vec<&str> = more.iter().copied().chain(signed.then_some("--signed")).collect();
        let simulator = load.simulator(programs, &more)?;
        match self {
            Mover::Peer(peer) => {
                let run = peer.run(programs, load, &simulator)?;
                Ok((run, simulator.kept().ok()))
            }
            Mover::Ours(ours) => {
                let mut dock = Dock::new(programs, load, simulator, &ours.setup)?;
                dock.prepare()?;
                let run = dock.run()?;
                Ok((run, dock.simulator.kept().ok()))
            }
        }
    }
}

impl Plan {
    /// Sees that every mover makes the same bills, then measures. `say` is told of each run.
    pub fn run(&self, programs: &Programs, say: &mut dyn FnMut(&str)) -> Result<Vec<Row>> {
        self.compare(programs, say)?;
        let mut rows: Vec<Row> = Vec::new();
        for load in &self.loads {
            for mover in &self.movers {
                rows.push(Row { name: mover.name(), what: mover.what(), load: *load, runs: Vec::new() });
            }
        }
        for round in 1..=self.rounds {
            for (at, row) in rows.iter_mut().enumerate() {
                let (run, _) = self.movers[at % self.movers.len()].run(programs, row.load, &[])?;
                say(&format!(
                    "round {round}  {:<18} {:>3} ms  {:>8.0} documents/s  {:>6.2} s  CPU: mover {:>6.2} s, simulator {:>5.2} s{}",
                    row.name,
                    row.load.delay_ms,
                    run.documents_a_second(),
                    run.took.as_secs_f64(),
                    run.mover.as_secs_f64(),
                    run.simulator.as_secs_f64(),
                    run.peak_kib.map(|kib| format!("  {:>4} MiB", kib >> 10)).unwrap_or_default(),
                ));
                row.runs.push(run);
            }
        }
        Ok(rows)
    }

    fn compare(&self, programs: &Programs, say: &mut dyn FnMut(&str)) -> Result<()> {
        let load = Load { documents: COMPARED, delay_ms: 0 };
        // The same documents for all of them, their times included.
        let up_to = (Timestamp::now() - SignedDuration::from_hours(1)).to_string();
        let mut first: Option<(&str, Value)> = None;
        for mover in &self.movers {
            let (_, bills) = mover.run(programs, load, &["--keep-bills", "--to", &up_to])?;
            let bills = bills.ok_or_else(|| Failure::new("the simulator has kept no bills"))?;
            match &first {
                None => first = Some((mover.name(), bills)),
                Some((name, others)) => {
                    if let Some(number) = difference(&bills, others) {
                        let (left, right) = (&others[&number], &bills[&number]);
                        let names = format!("{name} and {} do not make the same bill {number}", mover.name());
                        return Err(Failure::new(format!("{names}:\n{left}\n{right}")));
                    }
                }
            }
        }
        say(&format!("{} movers make the same {COMPARED} bills", self.movers.len()));
        Ok(())
    }
}

/// The number of a bill in which they differ.
fn difference(left: &Value, right: &Value) -> Option<String> {
    let bills = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let (left, right) = (bills(left), bills(right));
    let are_same =
        |number: &String| left.get(number).zip(right.get(number)).is_some_and(|(left, right)| same(left, right));
    left.keys().chain(right.keys()).find(|number| !are_same(number)).cloned()
}
