//! `crossdock explain`: where the fields of a case's or a captured document's bills come from.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::bench::case::Specimen;
use crate::bench::explain::{self, Explanation, Origin, RUNS_LIMIT};
use crate::bench::{Laboratory, captured};
use crate::sandbox::Module;

use super::capsule_module::{self, Components};
use super::transform_project::{EXIT_FAILED, ProjectArguments, Stop};

/// Runs a case or a capsule again and again with one value replaced each time, and says which values each field of its bills hangs on.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 explained; 1 the case gives no bill; 2 the command line or the case cannot be used; 3 there is no module.

Example: crossdock explain --case special-shop --field /FCustomerID
         crossdock explain --capsule x.capsule --field /FNote")]
pub struct Explain {
    #[command(flatten)]
    project: ProjectArguments,
    /// The case's name
    #[arg(long, value_name = "NAME", required_unless_present = "capsule")]
    case: Option<String>,
    /// A captured document, instead of a case, with the module that it was captured with
    #[arg(long, value_name = "FILE", conflicts_with_all = ["case", "cases"])]
    capsule: Option<PathBuf>,
    #[command(flatten)]
    components: Components,
    /// Only this field of the bill and what lies in it, as a JSON Pointer
    #[arg(long, value_name = "POINTER", default_value = "")]
    field: String,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

impl Explain {
    pub fn run(&self) -> ExitCode {
        ExitCode::from(self.try_run().map_or_else(Stop::tell, |()| 0))
    }

    fn try_run(&self) -> Result<(), Stop> {
        let (laboratory, module, specimen) = match &self.capsule {
            Some(path) => self.captured(path)?,
            None => self.case()?,
        };
        let found = explain::explain(&laboratory, &module, &specimen, &laboratory.limits(&module));
        let mut explanation = found.map_err(|error| match error {
            explain::Error::Case(_) => Stop::usage(error),
            explain::Error::NoBill(_) => Stop(EXIT_FAILED, error.to_string()),
        })?;
        let below =
            |at: &str| at.strip_prefix(&self.field).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        explanation.fields.retain(|field| below(&field.at));
        if explanation.fields.is_empty() {
            return Err(Stop::usage(format!("no bill has a field {:?}", self.field)));
        }
        let mut out = io::stdout().lock();
        let printed = match self.format {
            Format::Text => text(&mut out, &explanation),
            Format::Json => serde_json::to_writer(&mut out, &explanation).map_err(io::Error::from),
        };
        printed.and_then(|()| out.flush()).map_err(|error| Stop::usage(format!("standard output: {error}")))
    }

    fn captured(&self, path: &Path) -> Result<(Laboratory, Module, Specimen), Stop> {
        let capsule = capsule_module::read(path)?;
        let ProjectArguments { directory, module, class, artefacts, .. } = &self.project;
        let named = module.as_deref().map(|module| (module, *class));
        let (laboratory, module) =
            self.components.open(&capsule, (path, Some(directory)), named, artefacts.as_deref())?;
        Ok((laboratory, module, captured::specimen(&capsule, path)))
    }

    fn case(&self) -> Result<(Laboratory, Module, Specimen), Stop> {
        let wanted = self.case.as_deref().unwrap_or_default();
        let (laboratory, module) = self.project.open()?;
        let cases = self.project.cases(&module)?;
        let named = cases.into_iter().find(|case| match case {
            Ok(case) => case.name == wanted,
            Err(unreadable) => unreadable.name == wanted,
        });
        let case = named.ok_or_else(|| Stop::usage(format!("there is no case {wanted:?}")))?;
        let case =
            case.map_err(|unreadable| Stop::usage(format!("case {}: {}", unreadable.name, unreadable.problem)))?;
        Ok((laboratory, module, case.into()))
    }
}

fn text(out: &mut impl Write, explanation: &Explanation) -> io::Result<()> {
    for field in &explanation.fields {
        writeln!(out, "{} = {}", field.at, field.value)?;
        if field.from.is_empty() {
            writeln!(out, "    always the same")?;
        }
        for origin in &field.from {
            writeln!(out, "    {}", named(origin))?;
        }
    }
    if !explanation.decides.is_empty() {
        writeln!(out, "whether there is a bill at all:")?;
        for origin in &explanation.decides {
            writeln!(out, "    {}", named(origin))?;
        }
    }
    writeln!(out, "{} runs", explanation.runs)?;
    if explanation.cut {
        writeln!(out, "not all values were tried: {RUNS_LIMIT} runs is the most; a smaller document shows more")?;
    }
    Ok(())
}

fn named(origin: &Origin) -> String {
    match origin {
        Origin::Document(at) => format!("document   {at}"),
        Origin::Parameter(at) => format!("parameter  {at}"),
        Origin::Lookup { table, key } => format!("look-up    {table} {key}"),
    }
}
