//! The report as one JSON object, for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::bench::case::{CaseRun, Verdict};

use super::{Forecast, Report, story};

pub fn print(out: &mut impl Write, report: &Report<'_>) -> io::Result<()> {
    let said = report.module.description();
    let limits = report.limits;
    let forecast = match &report.forecast {
        Forecast::Lines { fuel, input, fuel_a_line, fuel_besides, cases } => json!({
            "lines_at_fuel_limit": fuel, "lines_at_input_limit": input, "fuel_a_line": fuel_a_line,
            "fuel_besides": fuel_besides, "cases": cases,
        }),
        Forecast::None(why) => json!({ "none_because": why }),
    };
    let whole = json!({
        "module": { "name": said.name, "version": said.version, "digest": report.module.digest().to_string() },
        "limits": { "fuel": limits.fuel, "memory_bytes": limits.memory_limit_bytes },
        "cases": report.runs.iter().map(|run| case(report, run)).collect::<Vec<_>>(),
        "failed": report.runs.iter().filter(|run| !report.passed(run)).count(),
        "forecast": forecast,
    });
    serde_json::to_writer(&mut *out, &whole)?;
    out.write_all(b"\n")
}

fn case(report: &Report<'_>, run: &CaseRun) -> Value {
    let mut case = json!({
        "name": run.name,
        "passed": report.passed(run),
        "verdict": match &run.verdict {
            Verdict::Passed => "passed",
            Verdict::Differs(_) => "differs",
            Verdict::FuelAboveCase { .. } => "fuel_above_case",
            Verdict::NoExpectation => "no_expectation",
            Verdict::Fault { .. } => "fault",
            Verdict::Unreadable { .. } => "unreadable",
        },
        "above_baseline": report.above(run),
        "story": story(run, report.above(run), report.margin),
    });
    if let Verdict::Differs(differences) = &run.verdict {
        case["differences"] = differences
            .iter()
            .map(
                |difference| json!({ "at": difference.at, "expected": difference.expected, "found": difference.found }),
            )
            .collect();
    }
    if let Verdict::Fault { code, .. } = &run.verdict {
        case["code"] = json!(code);
    }
    if let Some(used) = run.used {
        case["fuel"] = json!(used.fuel);
        case["memory_bytes"] = json!(used.memory_bytes);
        case["elapsed_us"] = json!(used.elapsed_us);
        case["input_bytes"] = json!(used.input_bytes);
        case["lines"] = json!(used.lines);
    }
    case
}
