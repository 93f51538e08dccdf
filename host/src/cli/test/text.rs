//! The report as a person reads it.

use std::io::{self, Write};

use crate::bench::case::{CaseRun, Verdict};
use crate::cli::shown::{self, Palette, grouped, safe};

use super::{Forecast, Report, share, story};

pub fn print(out: &mut impl Write, report: &Report<'_>, colour: bool) -> io::Result<()> {
    let palette = Palette::of(colour);
    let Palette { good, bad, dim, plain } = &palette;
    let width = report.runs.iter().map(|run| run.name.chars().count()).max().unwrap_or(0);
    for run in report.runs {
        let passed = report.passed(run);
        let (mark, tint) = if passed { ("ok  ", good) } else { ("FAIL", bad) };
        let pad = " ".repeat(width - run.name.chars().count());
        let used = run.used.map(|used| {
            format!(
                "  fuel {} ({})  memory {} KiB ({})",
                grouped(used.fuel),
                share(used.fuel, report.limits.fuel),
                grouped(used.memory_bytes >> 10),
                share(used.memory_bytes, report.limits.memory_limit_bytes)
            )
        });
        writeln!(out, "{tint}{mark}{plain} {}{pad}{dim}{}{plain}", run.name, used.unwrap_or_default())?;
        if !passed {
            failure(out, report, run, &palette)?;
        }
    }
    summary(out, report)
}

fn failure(out: &mut impl Write, report: &Report<'_>, run: &CaseRun, palette: &Palette) -> io::Result<()> {
    let Palette { bad, dim, plain, .. } = palette;
    if let Verdict::Differs(differences) = &run.verdict {
        shown::differences(out, differences, palette)?;
    }
    // The differences stand above, in colour; what else there is to say follows.
    let differs = matches!(run.verdict, Verdict::Differs(_));
    for line in story(run, report.above(run), report.margin).iter().filter(|line| !(differs && line.starts_with("at ")))
    {
        writeln!(out, "     {bad}{}{plain}", safe(line))?;
    }
    for line in &run.logs {
        writeln!(out, "     {dim}{:?}: {}{plain}", line.level, safe(&line.message))?;
    }
    if run.logs_dropped > 0 {
        writeln!(out, "     {dim}{} log lines were dropped{plain}", run.logs_dropped)?;
    }
    Ok(())
}

fn summary(out: &mut impl Write, report: &Report<'_>) -> io::Result<()> {
    let said = report.module.description();
    let failed = report.runs.iter().filter(|run| !report.passed(run)).count();
    let most = report.runs.iter().filter_map(|run| run.used).map(|used| used.fuel).max().unwrap_or(0);
    writeln!(
        out,
        "{}@{}: {} cases, {} passed, {failed} failed; the most fuel was {} of {} ({})",
        said.name,
        said.version,
        report.runs.len(),
        report.runs.len() - failed,
        grouped(most),
        grouped(report.limits.fuel),
        share(most, report.limits.fuel),
    )?;
    match &report.forecast {
        Forecast::Lines { fuel, input, fuel_a_line, fuel_besides, cases } => {
            write!(
                out,
                "forecast from {cases} cases: fuel lasts for about {} lines ({} a line, {} besides)",
                grouped(*fuel),
                grouped(*fuel_a_line),
                grouped(*fuel_besides)
            )?;
            match input {
                Some(input) if input < fuel => {
                    writeln!(out, "; a document of about {} lines meets input_limit_bytes before that", grouped(*input))
                }
                _ => writeln!(out),
            }
        }
        Forecast::None(why) => writeln!(out, "no forecast: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_cut_to_hundredths() {
        for (used, limit, text) in
            [(1, 3, "33.33 %"), (0, 0, "0.00 %"), (5, 5, "100.00 %"), (u64::MAX, 1 << 60, "1599.99 %")]
        {
            assert_eq!(share(used, limit), text);
        }
    }
}
