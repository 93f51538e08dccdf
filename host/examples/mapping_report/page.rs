//! The page: a table, and what it takes to judge it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::machine;

/// Figures whose names begin so are parts of others: they have a table of their own.
pub const PART: &str = "part: ";

pub struct Row {
    pub name: String,
    /// Microseconds a document: the median over the rounds, the least and the most.
    pub median: f64,
    pub least: f64,
    pub most: f64,
    /// Over the floor of the same round, the median.
    pub ratio: f64,
}

pub fn rows(rounds: &[BTreeMap<String, f64>], floor: &str) -> Vec<Row> {
    let names = rounds.first().into_iter().flat_map(BTreeMap::keys);
    let mut rows: Vec<Row> = names
        .map(|name| {
            let figures: Vec<f64> = rounds.iter().map(|round| round[name] / 1_000.0).collect();
            let ratios: Vec<f64> = rounds.iter().map(|round| round[name] / round[floor]).collect();
            Row {
                name: name.clone(),
                median: median(&figures),
                least: figures.iter().copied().fold(f64::INFINITY, f64::min),
                most: figures.iter().copied().fold(0.0, f64::max),
                ratio: median(&ratios),
            }
        })
        .collect();
    rows.sort_by(|left, right| left.median.total_cmp(&right.median));
    rows
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// What a reader must know to judge the figures.
pub struct Method {
    pub rounds: usize,
    pub milliseconds: u64,
    /// Of a document, on average.
    pub bytes: usize,
    pub compiling: Option<String>,
}

/// What was aimed at: the row, what it is compared with, and how many times that it may cost.
const AIMS: [(&str, &str, f64); 4] = [
    ("native, the transform's source", "native, hand-written serde", 1.0),
    ("Crossdock, Rust, an instance per page", "native, the transform's source", 2.0),
    ("Crossdock, Rust, an instance per document", "native, the transform's source", 3.0),
    ("native, the SDK's dynamic style", "native, serde_json::Value", 0.5),
];

pub fn text(rows: &[Row], method: &Method) -> String {
    let mut text = format!(
        "# One document through a mapping

Written by `make bench-mapping`; how is said in [README.md](README.md#how-a-mapping-is-measured). The mapping of `jushuitan-saleout-to-k3cloud` \
over {} sale-outs of {} bytes on average, text in and text out. {} rounds, {} ms of processor time for each variant in each; the \
programs take turns. Medians over the rounds; a ratio is the median of the rounds' own.

Measured on {}.

## What was aimed at

| | over | at most | is | |
|---|---|--:|--:|---|
",
        crate::DOCUMENTS,
        method.bytes,
        method.rounds,
        method.milliseconds,
        machine::described()
    );
    for (name, over, most) in AIMS {
        let found = |name: &str| rows.iter().find(|row| row.name == name);
        if let (Some(row), Some(base)) = (found(name), found(over)) {
            let is = row.ratio / base.ratio;
            let said = if is <= most { "met" } else { "missed" };
            let _ = writeln!(text, "| {name} | {over} | {most:.2} | {is:.2} | {said} |");
        }
    }
    text.push_str("\n## All of them\n\n![microseconds a document](mapping.svg)\n\n");
    table(&mut text, rows.iter().filter(|row| !row.name.starts_with(PART)));
    text.push_str(
        "
## Where the time goes

The same component in a bare engine, one instance for all documents, with nothing checked and nothing kept: first without any
metering, then with fuel, with epochs (which carry the deadline), and with both. What the sandbox costs beyond the last of these is \
its own: copies, checks of the bill, the log, one fresh instance a page or a document. A mapping that does nothing shows the crossing \
and the instance alone.

![microseconds a document, in parts](mapping-parts.svg)

",
    );
    table(&mut text, rows.iter().filter(|row| row.name.starts_with(PART)));
    if let Some(compiling) = &method.compiling {
        text.push('\n');
        text.push_str(compiling);
    }
    text
}

fn table<'a>(text: &mut String, rows: impl Iterator<Item = &'a Row>) {
    text.push_str("| | µs a document | least to most | over native |\n|---|--:|--:|--:|\n");
    for Row { name, median, least, most, ratio } in rows {
        let name = name.trim_start_matches(PART);
        let _ = writeln!(text, "| {name} | {median:.1} | {least:.1} to {most:.1} | {ratio:.2} |");
    }
}
