//! What was measured, as a page of Markdown and as bars.

use std::fmt::Write as _;
use std::time::Duration;

use super::Run;
use super::plan::Row;

/// The median of what `of` says of each run.
pub fn median(runs: &[Run], of: impl Fn(&Run) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

fn rate(row: &Row) -> f64 {
    median(&row.runs, Run::documents_a_second)
}

fn microseconds(row: &Row, of: impl Fn(&Run) -> Duration) -> f64 {
    median(&row.runs, |run| of(run).as_secs_f64() * 1e6 / run.documents as f64)
}

/// Blank where it is not known.
fn memory(row: &Row) -> String {
    if row.runs.iter().any(|run| run.peak_kib.is_none()) {
        return String::new();
    }
    let mebibytes = |run: &Run| run.peak_kib.unwrap_or_default() as f64 / 1024.0;
    format!("{:.0} MiB", median(&row.runs, mebibytes))
}

/// One table for each load, with the ratio to `yardstick` among its rows.
pub fn tables(rows: &[Row], yardstick: &str) -> String {
    let mut text = String::new();
    let mut loads: Vec<_> = rows.iter().map(|row| row.load).collect();
    loads.dedup();
    for load in loads {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.load == load).collect();
        let ours = rows.iter().find(|row| row.name == yardstick).map_or(0.0, |row| rate(row));
        let delay = if load.delay_ms > 0 {
            format!(", {} ms added to each page and save", load.delay_ms)
        } else {
            String::new()
        };
        // Writing to a text cannot fail.
        let _ = writeln!(text, "### {} documents{delay}\n", load.documents);
        text.push_str("| mover | documents/s | spread | Crossdock is | mover µs CPU | simulator µs CPU | memory |\n|---|---|---|---|---|---|---|\n");
        for row in rows {
            let rates: Vec<f64> = row.runs.iter().map(Run::documents_a_second).collect();
            let (least, most) =
                (rates.iter().copied().fold(f64::MAX, f64::min), rates.iter().copied().fold(0.0, f64::max));
            let _ = writeln!(
                text,
                "| {} ({}) | {:.0} | {least:.0} to {most:.0} | {:.2}× | {:.1} | {:.1} | {} |",
                row.name,
                row.what,
                rate(row),
                ours / rate(row),
                microseconds(row, |run| run.mover),
                microseconds(row, |run| run.simulator),
                memory(row),
            );
        }
        text.push('\n');
    }
    text
}

/// The engine's own clocks, for the rows that have them.
pub fn stages(rows: &[Row]) -> String {
    let mut text = String::from(
        "| mover | load | stage | times | s altogether | ms each | µs a document |\n|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let Some(run) = row.runs.last() else { continue };
        for (name, stage) in &run.stages {
            let of = |figure: fn(f64, f64) -> f64| {
                median(&row.runs, |run| {
                    run.stages.get(name).map_or(0.0, |stage| figure(stage.seconds, stage.count as f64))
                })
            };
            let (seconds, each) = (of(|seconds, _| seconds), of(|seconds, count| seconds * 1e3 / count));
            let _ = writeln!(
                text,
                "| {} | {} ms | {name} | {} | {seconds:.2} | {each:.2} | {:.1} |",
                row.name,
                row.load.delay_ms,
                stage.count,
                seconds * 1e6 / run.documents as f64
            );
        }
    }
    text
}

const BAR: f64 = 520.0;
const LINE: usize = 24;

/// Bars, one block for each load.
pub fn svg(rows: &[Row]) -> String {
    let mut body = String::new();
    let mut y = 10;
    let mut load = None;
    for row in rows {
        if load != Some(row.load) {
            load = Some(row.load);
            y += LINE;
            let delay = row.load.delay_ms;
            let _ = writeln!(
                body,
                "<text x=\"10\" y=\"{y}\" font-weight=\"bold\">documents a second, {} documents, {delay} ms added</text>",
                row.load.documents
            );
            y += 10;
        }
        let most = rows.iter().filter(|other| other.load == row.load).map(rate).fold(1.0, f64::max);
        let width = rate(row) / most * BAR;
        let colour = if row.name.starts_with("crossdock") { "#d55e00" } else { "#0072b2" };
        let _ = writeln!(body, "<text x=\"150\" y=\"{}\" text-anchor=\"end\">{}</text>", y + 14, row.name);
        let _ = writeln!(body, "<rect x=\"160\" y=\"{y}\" width=\"{width:.0}\" height=\"18\" fill=\"{colour}\"/>");
        let _ = writeln!(body, "<text x=\"{:.0}\" y=\"{}\">{:.0}</text>", 166.0 + width, y + 14, rate(row));
        y += LINE;
    }
    let height = y + 10;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"{height}\" viewBox=\"0 0 760 {height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

/// What it was measured on, from the kernel.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let release = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("");
    format!("{cores} cores ({model}), Linux {}, load {load} at the end", release.trim())
}
