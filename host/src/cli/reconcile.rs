//! `crossdock reconcile`: through the running engine; on the store itself where none runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use futures::StreamExt;
use jiff::Timestamp;

use crate::config;
use crate::daemon::{Auditors, Client, Engine, ReconcileRequest};
use crate::pipeline::reconcile::judge::Class;
use crate::pipeline::reconcile::{Entry, Line, Stretch, Totals};
use crate::telemetry;

use super::exit::{self, Exit};
use super::reporter::Reporter;
use super::serve::exit_of;
use super::stretch::{StretchArguments, wall};
use super::{ConfigArguments, program, runtime, sabotage};

/// Reads the source again for a span, asks the target for every bill, compares with the ledger, and changes nothing: no
/// cursor, no document, no bill. Says what is missing at the target and why, what differs and in which fields, and what
/// is there that was never written from here.
///
/// Documents belong to the span by the time the source modified them, bills of the target by their own date. The module
/// runs again only for what the ledger has no outcome of. What a target cannot be asked is said at the end.
#[derive(Debug, Args)]
#[command(after_help = format!(
    "{}\n\nExample: crossdock reconcile saleout --from 2026-10-01 --to 2026-10-31", exit::RECONCILE_HELP
))]
pub struct Arguments {
    /// The scheme
    scheme: String,
    #[command(flatten)]
    stretch: StretchArguments,
    #[command(flatten)]
    config: ConfigArguments,
    /// Lines of each list in the text
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// For people, or everything as one JSON object a line, the totals last
    #[arg(long = "output", visible_alias = "format", value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.into(),
    }
}

fn unanswered(error: &dyn std::fmt::Display) -> Exit {
    eprintln!("crossdock: {error}");
    Exit::Unanswered
}

fn start(arguments: &Arguments) -> Result<(), Exit> {
    let Some((from, to)) = arguments.stretch.ends().filter(|(from, to)| from < to) else {
        eprintln!("crossdock: say --from and --to, the first before the second");
        return Err(Exit::Usage);
    };
    let request = ReconcileRequest { scheme: arguments.scheme.clone(), stretch: Stretch { from, to } };
    let mut report = Report::new(arguments);
    let runtime = runtime().map_err(|_| Exit::Unanswered)?;
    runtime.block_on(async {
        let client = match config::data_dir(&arguments.config.config) {
            Some(data_dir) => Client::connect(&data_dir).await.map_err(|error| unanswered(&error))?,
            None => None,
        };
        match client {
            Some(client) => {
                client.reconcile(&request, |line| report.take(line)).await.map_err(|error| unanswered(&error))
            }
            None => alone(arguments, request, &mut report).await,
        }
    })?;
    report.conclude((from, to))
}

async fn alone(arguments: &Arguments, request: ReconcileRequest, report: &mut Report) -> Result<(), Exit> {
    let config = arguments.config.load().map_err(|_| Exit::Usage)?;
    if let Err(error) = telemetry::init(config.engine.log_format, &config.engine.log_level) {
        eprintln!("crossdock: {error}");
        return Err(Exit::Usage);
    }
    let program = program().map_err(|_| Exit::Unanswered)?;
    let engine = Engine::open(&config, program, None, sabotage()).map_err(|error| {
        eprintln!("crossdock: {error}");
        match exit_of(&error) {
            Exit::Failed => Exit::Unanswered,
            other => other,
        }
    })?;
    let auditors = Auditors::of(&engine.schemes);
    let auditor = auditors.named(&request.scheme).map_err(|error| {
        eprintln!("crossdock: {error}");
        Exit::Usage
    })?;
    {
        let mut lines = std::pin::pin!(auditor.lines(request.stretch));
        while let Some(line) = lines.next().await {
            if !report.take(line) {
                break;
            }
        }
    }
    engine.store.close().map_err(|error| unanswered(&error))
}

/// What was told so far.
struct Report {
    scheme: String,
    format: Format,
    limit: usize,
    reporter: Reporter,
    /// The first of each class; all are counted by the totals.
    shown: BTreeMap<Class, Vec<Entry>>,
    last: Option<Result<Totals, String>>,
}

impl Report {
    fn new(arguments: &Arguments) -> Self {
        Self {
            scheme: arguments.scheme.clone(),
            format: arguments.format,
            limit: arguments.limit,
            reporter: Reporter::spinner(),
            shown: BTreeMap::new(),
            last: None,
        }
    }

    /// Whether more is wanted.
    fn take(&mut self, line: Line) -> bool {
        match line {
            Line::Progress { read_to, documents } => {
                let scheme = &self.scheme;
                self.reporter.show(&format!("{scheme}: {documents} documents compared, up to {}", wall(read_to)));
            }
            Line::Entry(entry) if self.format == Format::Json => print_json(&Line::Entry(entry)),
            Line::Entry(entry) => {
                let shown = self.shown.entry(entry.class).or_default();
                if shown.len() < self.limit {
                    shown.push(entry);
                }
            }
            Line::Totals(totals) => {
                if self.format == Format::Json {
                    print_json(&Line::Totals(totals.clone()));
                }
                self.last = Some(Ok(totals));
            }
            Line::Unfinished(why) => self.last = Some(Err(why)),
        }
        self.last.is_none()
    }

    fn conclude(self, span: (Timestamp, Timestamp)) -> Result<(), Exit> {
        self.reporter.finish();
        let totals = match self.last {
            Some(Ok(totals)) => totals,
            Some(Err(why)) => return Err(unanswered(&format!("the comparison did not come to its end: {why}"))),
            None => return Err(unanswered(&"the comparison did not come to its end: the engine said no more")),
        };
        if self.format == Format::Text {
            print!("{}", text(&self.scheme, span, &totals, &self.shown));
        }
        if totals.differences() == 0 { Ok(()) } else { Err(Exit::DIFFERENCES) }
    }
}

fn print_json(line: &Line) {
    match serde_json::to_string(line) {
        Ok(text) => println!("{text}"),
        Err(error) => eprintln!("crossdock: {error}"),
    }
}

/// How a class is called in the sums, and over its list.
fn title(class: Class) -> &'static str {
    match class {
        Class::Agrees => "agree",
        Class::Missing => "missing at the target",
        Class::Differs => "differ",
        Class::Foreign => "at the target, never written from here",
        Class::NotServed => "in the ledger, not served by the source now",
        Class::LeftOut => "left out on purpose",
        Class::NotAsked => "written by the ledger, target not askable",
    }
}

fn text(
    scheme: &str,
    (from, to): (Timestamp, Timestamp),
    totals: &Totals,
    shown: &BTreeMap<Class, Vec<Entry>>,
) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{scheme}, {} to {} (+08:00)\n", wall(from), wall(to));
    let _ = writeln!(out, "{:<44} {:>8}", "documents at the source", totals.documents);
    let _ = writeln!(out, "{:<44} {:>8}", "bills listed at the target", totals.listed);
    if totals.of_other_schemes > 0 {
        let _ = writeln!(out, "{:<44} {:>8}", "  of them by other schemes", totals.of_other_schemes);
    }
    out.push('\n');
    for class in Class::ALL {
        let _ = writeln!(out, "{:<44} {:>8}", title(class), totals.count(class));
    }
    for (class, entries) in shown {
        let _ = writeln!(out, "\n{}:", title(*class));
        for entry in entries {
            let _ = writeln!(out, "  {}", line(entry));
        }
        let rest = totals.count(*class).saturating_sub(entries.len() as u64);
        if rest > 0 {
            let _ = writeln!(out, "  and {rest} more: raise --limit, or take all with --format json");
        }
    }
    if !totals.unanswered.is_empty() {
        out.push_str("\nnot answered:\n");
        for what in &totals.unanswered {
            let _ = writeln!(out, "  {what}");
        }
    }
    let verdict = match totals.differences() {
        0 => "No differences.".to_owned(),
        count => format!("{count} differences."),
    };
    let _ = writeln!(out, "\n{verdict}");
    out
}

fn line(entry: &Entry) -> String {
    let Entry { document, bill, reason, differences, .. } = entry;
    let mut line = match (document, bill) {
        (Some(document), Some(bill)) => format!("{document} (bill {bill}): {reason}"),
        (Some(document), None) => format!("{document}: {reason}"),
        (None, bill) => format!("bill {}: {reason}", bill.as_deref().unwrap_or("without a number")),
    };
    for one in differences {
        let _ = write!(line, "; {}: {} there, {} by the source", one.field, one.found, one.intended);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::Difference;

    #[test]
    fn the_text_counts_all_and_lists_as_many_as_it_may() {
        let span = ("2026-09-30T16:00:00Z".parse().unwrap(), "2026-10-31T16:00:00Z".parse().unwrap());
        let totals = Totals { documents: 9, listed: 8, agrees: 5, missing: 3, differs: 1, ..Totals::default() };
        let entry = |class, bill: &str| Entry {
            class,
            document: Some(bill.into()),
            bill: Some(bill.into()),
            reason: "never received".into(),
            code: None,
            differences: Vec::new(),
        };
        let differs = Entry {
            reason: "written, and other now".into(),
            differences: vec![Difference { field: "FDate".into(), intended: "a".into(), found: "b".into() }],
            ..entry(Class::Differs, "7")
        };
        let shown =
            BTreeMap::from([(Class::Missing, vec![entry(Class::Missing, "166001")]), (Class::Differs, vec![differs])]);
        let text = text("saleout", span, &totals, &shown);
        for wanted in [
            "saleout, 2026-10-01 00:00:00 to 2026-11-01 00:00:00 (+08:00)",
            "  166001 (bill 166001): never received\n  and 2 more",
            "  7 (bill 7): written, and other now; FDate: b there, a by the source",
            "4 differences.",
        ] {
            assert!(text.contains(wanted), "no {wanted:?} in\n{text}");
        }
        let sums: Vec<&str> = text.lines().filter(|line| line.starts_with("missing at the target  ")).collect();
        assert_eq!(sums.len(), 1, "{text}");
        assert!(sums[0].ends_with(" 3"), "{text}");
    }
}
