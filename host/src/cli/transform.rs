//! `crossdock transform`: a developer's laptop as the production sandbox. Same component, same document: same bytes, same
//! fuel, same errors.
//!
//! Results go to standard output and nothing else does; everything that is about the run goes to standard error.

mod documents;
mod print;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::bench::operations;
use crate::model::{Outcome, SchemeId, TenantId};
use crate::sandbox::{
    Call, Compiler, Context, Error, Isolation, Limits, Lookup, Module, ModuleClass, References, Sandbox, Settings,
};

const EXIT_FAULTS: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_MODULE_REFUSED: u8 = 3;

/// Runs documents through a component, offline: no engine, no configuration, no network.
#[derive(Debug, Args)]
#[command(after_help = "\
Input: a JSON array of documents, one document, or one document a line. A document is what the source serves, or
`{\"key\": …, \"body\": …}` where the key is not a field of it. Bodies reach the component byte for byte.

Exit codes:
  0  every document has an outcome (emit, skip or reject)
  1  at least one document ended in a fault
  2  the command line or an input file cannot be used
  3  the module was refused")]
pub struct Transform {
    /// The component.
    #[arg(long, value_name = "M.wasm")]
    module: PathBuf,
    /// The documents; `-` is standard input.
    #[arg(long, value_name = "DOCS.json")]
    input: PathBuf,
    /// The scheme's parameters, a JSON object.
    #[arg(long, value_name = "P.json")]
    parameters: Option<PathBuf>,
    /// Reference tables: `{"table": {"key": value}}`. A key that is not there is known not to exist.
    #[arg(long, value_name = "R.json")]
    reference: Option<PathBuf>,
    /// Fuel of one document, instead of the default.
    #[arg(long, value_name = "N")]
    fuel: Option<u64>,
    /// A fresh instance for each document, or one for all.
    #[arg(long, value_enum, default_value = "document")]
    isolation: IsolationArg,
    /// The class of the module.
    #[arg(long, value_enum, default_value = "standard")]
    class: ClassArg,
    /// The field that holds a document's key. By default the one of the source that the module names:
    /// io_id (jushuitan_qimen), stockin_no (wangdiantong_qimen), code (yonyou_u8).
    #[arg(long, value_name = "NAME")]
    key_field: Option<String>,
    /// What the component sees as received-at, for all documents.
    #[arg(long, value_name = "TIME", default_value = "2026-01-01T00:00:00Z")]
    received_at: Timestamp,
    /// Keep compiled components in this directory, made where there is none; by default they are compiled each time.
    #[arg(long, value_name = "DIR")]
    artefacts: Option<PathBuf>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum IsolationArg {
    Document,
    Batch,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ClassArg {
    Standard,
    Interpreter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why nothing was run, with the exit code it has.
enum Stop {
    Usage(String),
    Refused(String),
}

impl Transform {
    pub fn run(self) -> ExitCode {
        match self.try_run() {
            Ok(code) => code,
            Err(Stop::Usage(problem)) => stopped(EXIT_USAGE, &problem),
            Err(Stop::Refused(problem)) => stopped(EXIT_MODULE_REFUSED, &problem),
        }
    }

    fn try_run(&self) -> Result<ExitCode, Stop> {
        let component = fs::read(&self.module).map_err(|error| unreadable(&self.module, &error))?;
        let input = read_text(&self.input)?;
        let parameters = self.parameters()?;
        let tables = self.tables()?;
        let limits = self.limits();
        let (sandbox, _scratch) = self.sandbox()?;
        let module = sandbox.load(&component, self.class.into()).map_err(|error| match error {
            Error::Internal { .. } | Error::Artefacts { .. } => Stop::Usage(error.to_string()),
            refused => Stop::Refused(refused.fault().to_string()),
        })?;
        let key_field = self.key_field(&module)?;
        let documents = documents::read(&input, key_field.as_deref())
            .map_err(|problem| Stop::Usage(format!("{}: {problem}", self.input.display())))?;

        let context = context(&module, parameters, self.received_at)?;
        let calls: Vec<Call<'_>> =
            documents.iter().map(|document| Call { context: &context, document, deadline_ms: None }).collect();
        let runs = sandbox.transform(&module, &calls, self.isolation.into(), &limits, &tables);
        sandbox.shutdown();

        let mut out = io::stdout().lock();
        let mut faults = false;
        for (document, run) in documents.iter().zip(&runs) {
            faults |= run.verdict.is_err();
            match self.format {
                Format::Text => print::text(&mut out, document, run),
                Format::Json => print::json(&mut out, document, run),
            }
            .map_err(|error| Stop::Usage(format!("standard output: {error}")))?;
            print::log(&mut io::stderr().lock(), document, run);
        }
        out.flush().map_err(|error| Stop::Usage(format!("standard output: {error}")))?;
        eprintln!("{}", summary(&module, &runs.iter().map(|run| &run.verdict).collect::<Vec<_>>()));
        Ok(ExitCode::from(if faults { EXIT_FAULTS } else { 0 }))
    }

    fn parameters(&self) -> Result<Arc<str>, Stop> {
        let Some(path) = &self.parameters else { return Ok("{}".into()) };
        let text = read_text(path)?;
        serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(&text)
            .map_err(|error| Stop::Usage(format!("{}: not a JSON object: {error}", path.display())))?;
        Ok(text.trim().into())
    }

    fn tables(&self) -> Result<Tables, Stop> {
        let Some(path) = &self.reference else { return Ok(Tables::default()) };
        serde_json::from_str(&read_text(path)?)
            .map(Tables)
            .map_err(|error| Stop::Usage(format!("{}: not {{table: {{key: value}}}}: {error}", path.display())))
    }

    fn limits(&self) -> Limits {
        let limits = Limits::of(&Settings::default(), self.class.into());
        Limits { fuel: self.fuel.unwrap_or(limits.fuel), ..limits }
    }

    /// The sandbox, and the directory that goes away with it if none was named.
    fn sandbox(&self) -> Result<(Sandbox, Option<tempfile::TempDir>), Stop> {
        let usage = |what: &str, error: &dyn std::fmt::Display| Stop::Usage(format!("{what}: {error}"));
        let scratch = match &self.artefacts {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(|error| usage("no temporary directory", &error))?),
        };
        let path = match (&self.artefacts, &scratch) {
            (Some(named), _) => named.as_path(),
            (None, Some(scratch)) => scratch.path(),
            (None, None) => return Err(Stop::Usage("no directory for compiled components".into())),
        };
        std::fs::create_dir_all(path).map_err(|error| unreadable(path, &error))?;
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(|error| unreadable(path, &error))?;
        let program = env::current_exe().map_err(|error| usage("this program's own path is not known", &error))?;
        // One document after another: a laptop needs one slot, not a pool.
        let settings = Settings { concurrency: 1, interpreter_concurrency: 1, ..Settings::default() };
        let sandbox =
            Sandbox::new(settings, dir, Compiler::Child { program }).map_err(|error| usage("no sandbox", &error))?;
        Ok((sandbox, scratch))
    }

    /// `None` where no field is known: then every document has to be a `{"key", "body"}` pair.
    fn key_field(&self, module: &Module) -> Result<Option<String>, Stop> {
        if let Some(named) = &self.key_field {
            return Ok(Some(named.clone()));
        }
        Ok(operations::key_field(&module.description().source).map(Into::into))
    }
}

fn context(module: &Module, parameters: Arc<str>, received_at: Timestamp) -> Result<Context, Stop> {
    let named = |error: crate::model::IdError| Stop::Usage(error.to_string());
    let said = module.description();
    Ok(Context {
        tenant: TenantId::new("local").map_err(named)?,
        scheme: SchemeId::new("local").map_err(named)?,
        source: said.source.as_str().into(),
        target: said.target.as_str().into(),
        parameters,
        received_at,
    })
}

fn summary(module: &Module, verdicts: &[&Result<Outcome, Error>]) -> String {
    let count = |kind: fn(&Result<Outcome, Error>) -> bool| verdicts.iter().filter(|verdict| kind(verdict)).count();
    let said = module.description();
    format!(
        "{}@{}: {} documents, {} emitted, {} skipped, {} rejected, {} faults",
        said.name,
        said.version,
        verdicts.len(),
        count(|verdict| matches!(verdict, Ok(Outcome::Emit(_)))),
        count(|verdict| matches!(verdict, Ok(Outcome::Skip(_)))),
        count(|verdict| matches!(verdict, Ok(Outcome::Reject(_)))),
        count(|verdict| verdict.is_err()),
    )
}

/// A file of tables, complete: a key that is not in it does not exist.
#[derive(Default)]
struct Tables(BTreeMap<String, BTreeMap<String, Box<RawValue>>>);

impl References for Tables {
    fn lookup(&self, table: &str, key: &str) -> Lookup {
        match self.0.get(table).map(|table| table.get(key)) {
            Some(Some(value)) => Lookup::Found(value.get().to_owned()),
            Some(None) => Lookup::KnownMissing,
            None => Lookup::UnknownTable,
        }
    }
}

impl From<IsolationArg> for Isolation {
    fn from(arg: IsolationArg) -> Self {
        match arg {
            IsolationArg::Document => Isolation::Document,
            IsolationArg::Batch => Isolation::Batch,
        }
    }
}

impl From<ClassArg> for ModuleClass {
    fn from(arg: ClassArg) -> Self {
        match arg {
            ClassArg::Standard => ModuleClass::Standard,
            ClassArg::Interpreter => ModuleClass::Interpreter,
        }
    }
}

fn read_text(path: &Path) -> Result<String, Stop> {
    let read = if path == Path::new("-") { io::read_to_string(io::stdin()) } else { fs::read_to_string(path) };
    let text = read.map_err(|error| unreadable(path, &error))?;
    // Editors on Windows write a byte order mark, which JSON does not know.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn unreadable(path: &Path, error: &io::Error) -> Stop {
    Stop::Usage(format!("{}: {error}", path.display()))
}

fn stopped(code: u8, problem: &str) -> ExitCode {
    eprintln!("error: {problem}");
    ExitCode::from(code)
}
