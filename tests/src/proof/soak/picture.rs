//! A run's samples and latencies as a picture and as lines of text.

use std::collections::BTreeMap;

use super::chart::{self, Line, Panel};
use super::sampler::Sample;
use crate::proof::latency::Latencies;
use crate::proof::table::{self, Row, count};

/// Seconds that one point of the latencies' lines is made of.
const WINDOW: u64 = 5;

/// What came of one document: the second in which it was written, and how long it took.
pub type Taken = (u64, u64);

pub fn svg(title: &str, samples: &[Sample], taken: &[Taken]) -> String {
    let of = |name, value: &dyn Fn(&Sample) -> u64| Line {
        name,
        points: samples.iter().map(|sample| (sample.second, value(sample))).collect(),
    };
    let panel = |title, unit, lines| Panel { title, unit, lines };
    let mut panels = vec![
        panel("documents a second", "", vec![Line { name: "done", points: rates(samples) }]),
        panel("under way", "documents", vec![of("backlog", &|sample| sample.backlog)]),
    ];
    if !taken.is_empty() {
        panels.push(panel("available to written", "ms", percentiles(taken)));
    }
    panels.extend([
        panel("resident memory", "MiB", vec![of("engine", &|sample| sample.resident_kib >> 10)]),
        panel("file descriptors", "", vec![of("engine", &|sample| sample.descriptors)]),
        panel(
            "disk",
            "KiB",
            vec![of("ledger", &|sample| sample.store_bytes >> 10), of("logs", &|sample| sample.log_bytes >> 10)],
        ),
    ]);
    chart::svg(title, &panels)
}

fn rates(samples: &[Sample]) -> Vec<(u64, u64)> {
    let rate = |pair: &[Sample]| {
        let seconds = (pair[1].second - pair[0].second).max(1);
        (pair[1].second, pair[1].done.saturating_sub(pair[0].done) / seconds)
    };
    samples.windows(2).map(rate).collect()
}

fn percentiles(taken: &[Taken]) -> Vec<Line<'static>> {
    let mut windows = BTreeMap::<u64, Vec<u64>>::new();
    for (second, took) in taken {
        windows.entry(second / WINDOW * WINDOW).or_default().push(*took);
    }
    let windows: Vec<(u64, Latencies)> =
        windows.into_iter().map(|(second, took)| (second, Latencies::new(took))).collect();
    let line = |name, percent| Line {
        name,
        points: windows.iter().map(|(second, latencies)| (*second, latencies.percentile(percent))).collect(),
    };
    vec![line("p50", 50), line("p99", 99)]
}

/// The same in words.
pub fn rows(samples: &[Sample], taken: &[Taken]) -> Vec<Row> {
    let most = |of: fn(&Sample) -> u64| samples.iter().map(of).max().unwrap_or(0);
    let last = samples.last().copied().unwrap_or_default();
    let size = |value: u64| count(usize::try_from(value).unwrap_or(usize::MAX));
    let all = Latencies::new(taken.iter().map(|(_, took)| *took).collect());
    let mut rows = vec![
        ("documents", size(last.done), "came to an end".to_owned()),
        ("seconds", size(last.second), String::new()),
        ("a second", size(last.done / last.second.max(1)), "documents".to_owned()),
        ("memory", size(most(|sample| sample.resident_kib) >> 10), "MiB resident at most".to_owned()),
        ("at the end", size(last.resident_kib >> 10), "MiB".to_owned()),
        ("descriptors", size(most(|sample| sample.descriptors)), "open files at most".to_owned()),
        ("ledger", size(last.store_bytes >> 20), "MiB on disk".to_owned()),
        ("logs", size(last.log_bytes >> 10), "KiB".to_owned()),
    ];
    if !all.is_empty() {
        rows.push(("p50", size(all.percentile(50)), "ms from available to written".to_owned()));
        rows.push(("p99", size(all.percentile(99)), "ms".to_owned()));
    }
    rows
}

pub fn text(samples: &[Sample], taken: &[Taken]) -> String {
    table::render(&rows(samples, taken))
}
