//! `crossdock document`: through the running engine; on the store itself where none runs.

mod capsule;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};

use crate::config;
use crate::daemon::{
    CapsuleAnswer, CapsuleRequest, Client, CommandRequest, DocumentState, DocumentView, Engine, Filter, Office,
    OfficeError, PauseRequest, Summary,
};
use crate::model::Digest;
use crate::pipeline::gate::{Pause, Scope};
use crate::pipeline::step::RetryMode;

use super::exit::{self, Exit};
use super::serve::said;
use super::{ConfigArguments, program, runtime, sabotage};

/// Documents and what became of them. Personal data is masked unless asked for.
#[derive(Debug, Subcommand)]
#[command(after_help = exit::HELP)]
pub enum Command {
    /// List documents, newest version each
    List(ListArguments),
    /// Show everything that happened to one document
    Show(ShowArguments),
    /// Write what it takes to run one document again anywhere, personal data masked
    Capsule(capsule::Arguments),
    /// Try a parked document again
    Retry(RetryArguments),
    /// Give a parked document up
    Discard(DiscardArguments),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: crossdock document list --state parked --scheme saleout")]
pub struct ListArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Only documents of this scheme
    #[arg(long)]
    scheme: Option<String>,
    /// Only documents in this state; may be repeated
    #[arg(long, value_parser = states())]
    state: Vec<DocumentState>,
    /// Begin after this key
    #[arg(long)]
    after: Option<String>,
    /// At most so many documents
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// For people, or one JSON object a line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Args)]
pub struct ShowArguments {
    /// The document's key
    key: String,
    #[command(flatten)]
    config: ConfigArguments,
    /// The document's scheme; needed where several schemes have this key
    #[arg(long)]
    scheme: Option<String>,
    /// Show names, phones, addresses and identity numbers
    #[arg(long)]
    unmask: bool,
    /// For people, or one JSON object
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: crossdock document retry 166001 --after-verify")]
pub struct RetryArguments {
    /// The document's key
    key: String,
    #[command(flatten)]
    config: ConfigArguments,
    /// The document's scheme; needed where several schemes have this key
    #[arg(long)]
    scheme: Option<String>,
    /// The version; the newest parked one where none is named
    #[arg(long)]
    version: Option<u64>,
    /// Ask the target first whether the bill is there
    #[arg(long, conflicts_with = "i_checked")]
    after_verify: bool,
    /// You looked into the target yourself, and the bill is not there
    #[arg(long)]
    i_checked: bool,
    /// Run it with the module of this digest, and not with the scheme's
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    module: Option<Digest>,
    #[command(flatten)]
    by: By,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: crossdock document discard 166001 --reason 'entered by hand'")]
pub struct DiscardArguments {
    /// The document's key
    key: String,
    #[command(flatten)]
    config: ConfigArguments,
    /// The document's scheme; needed where several schemes have this key
    #[arg(long)]
    scheme: Option<String>,
    /// The version; the newest parked one where none is named
    #[arg(long)]
    version: Option<u64>,
    /// Why; kept with the document
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    by: By,
}

/// Who gives an order.
#[derive(Debug, Args)]
pub struct By {
    /// Who wants this, for the document's history; the name you are logged in as where none is given
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl By {
    fn name(&self) -> Option<String> {
        let logged_in = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok();
        self.by.clone().or_else(logged_in).filter(|name| !name.is_empty())
    }
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::try_from(text.to_owned()).map_err(|error| error.to_string())
}

/// The states by name, which clap lists in the help and where one is mistyped.
fn states() -> impl TypedValueParser<Value = DocumentState> {
    let named = |name: String| DocumentState::ALL.into_iter().find(|state| state.as_str() == name);
    PossibleValuesParser::new(DocumentState::ALL.map(DocumentState::as_str))
        .map(move |name| named(name).expect("clap lets the listed names through alone"))
}

/// A running engine, or the store itself.
pub(super) enum Door {
    Client(Client),
    Office(Box<Office>, Box<Engine>),
}

/// Says what went wrong, in the words of whoever said it.
fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("crossdock: {error}");
    Exit::Failed.into()
}

impl Door {
    pub(super) async fn open(arguments: &ConfigArguments) -> Result<Self, ExitCode> {
        if let Some(data_dir) = config::data_dir(&arguments.config)
            && let Some(client) = Client::connect(&data_dir).await.map_err(|error| fail(&error))?
        {
            return Ok(Door::Client(client));
        }
        let config = arguments.load()?;
        let engine = Engine::open(&config, program()?, None, sabotage()).map_err(|error| said(&error))?;
        Ok(Door::Office(Box::new(engine.office()), Box::new(engine)))
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<Summary>, ExitCode> {
        match self {
            Door::Client(client) => client.list(filter).await.map_err(|error| fail(&error)),
            Door::Office(office, _) => office.list(filter).map_err(|error| fail(&error)),
        }
    }

    async fn show(&self, scheme: Option<&str>, key: &str, unmask: bool) -> Result<DocumentView, ExitCode> {
        match self {
            Door::Client(client) => client.show(scheme, key, unmask).await.map_err(|error| fail(&error)),
            Door::Office(office, _) => office.show(scheme, key, unmask).map_err(|error| fail(&error)),
        }
    }

    async fn capsule(&self, request: &CapsuleRequest) -> Result<CapsuleAnswer, ExitCode> {
        match self {
            Door::Client(client) => client.capsule(request).await.map_err(|error| fail(&error)),
            Door::Office(office, _) => office.capsule(request).map_err(|error| fail(&error)),
        }
    }

    async fn command(&self, request: &CommandRequest) -> Result<u64, ExitCode> {
        match self {
            Door::Client(client) => client.command(request).await.map_err(|error| fail(&error)),
            Door::Office(office, _) => office.command(request).await.map_err(|error: OfficeError| fail(&error)),
        }
    }

    pub(super) async fn pause(&self, what: &PauseRequest, reason: &str) -> Result<Vec<Pause>, ExitCode> {
        match self {
            Door::Client(client) => client.pause(what, reason).await.map_err(|error| fail(&error)),
            Door::Office(office, _) => office.pause(what, reason).await.map_err(|error| fail(&error)),
        }
    }

    pub(super) async fn resume(&self, what: &PauseRequest) -> Result<Vec<Scope>, ExitCode> {
        match self {
            Door::Client(client) => client.resume(what).await.map_err(|error| fail(&error)),
            Door::Office(office, _) => office.resume(what).await.map_err(|error| fail(&error)),
        }
    }

    /// Closes the store, where this process opened it.
    pub(super) fn close(self) -> Result<(), ExitCode> {
        match self {
            Door::Client(_) => Ok(()),
            Door::Office(_, engine) => engine.store.close().map_err(|error| fail(&error)),
        }
    }
}

pub fn run(command: &Command) -> ExitCode {
    match start(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => code,
    }
}

fn start(command: &Command) -> Result<(), ExitCode> {
    runtime()?.block_on(async {
        match command {
            Command::List(arguments) => list(arguments).await,
            Command::Show(arguments) => show(arguments).await,
            Command::Capsule(arguments) => capsule::capture(arguments).await,
            Command::Retry(arguments) => retry(arguments).await,
            Command::Discard(arguments) => discard(arguments).await,
        }
    })
}

async fn list(arguments: &ListArguments) -> Result<(), ExitCode> {
    let door = Door::open(&arguments.config).await?;
    let filter = Filter {
        scheme: arguments.scheme.clone(),
        states: arguments.state.clone(),
        after: arguments.after.clone(),
        limit: Some(arguments.limit),
    };
    let found = door.list(&filter).await?;
    let mut text = String::new();
    for one in &found {
        match arguments.format {
            Format::Json => text.push_str(&serde_json::to_string(one).map_err(|error| fail(&error))?),
            Format::Text => text.push_str(&line(one)),
        }
        text.push('\n');
    }
    print(&text)?;
    if found.len() == arguments.limit && arguments.format == Format::Text {
        eprintln!("crossdock: {} shown; there may be more: --limit or --after", found.len());
    }
    door.close()
}

fn line(one: &Summary) -> String {
    let Summary { scheme, key, version, state, message, targets, .. } = one;
    let targets: Vec<String> = targets.iter().map(|bill| format!("{} {}", bill.key, bill.state)).collect();
    let mut line = format!("{scheme} {key} v{version} {}", state.as_str());
    if !targets.is_empty() {
        line.push_str(&format!(" [{}]", targets.join(", ")));
    }
    if let Some(message) = message {
        line.push_str(&format!(" {message}"));
    }
    line
}

async fn show(arguments: &ShowArguments) -> Result<(), ExitCode> {
    let door = Door::open(&arguments.config).await?;
    let view = door.show(arguments.scheme.as_deref(), &arguments.key, arguments.unmask).await?;
    let mut text = String::new();
    match arguments.format {
        Format::Json => {
            text = serde_json::to_string_pretty(&view).map_err(|error| fail(&error))?;
            text.push('\n');
        }
        Format::Text => written(&mut text, &view).expect("a string takes all that is written to it"),
    }
    print(&text)?;
    door.close()
}

fn written(out: &mut String, view: &DocumentView) -> std::fmt::Result {
    for version in &view.versions {
        writeln!(out, "{}", line(&version.summary))?;
        if let Some(module) = &version.module {
            writeln!(out, "  module {module}, fuel {}", version.fuel)?;
        }
        if let Some(at) = version.removed_at {
            writeln!(out, "  body, bills and history were removed by retention at {at}")?;
        }
        if let Some(body) = &version.body {
            writeln!(out, "  source {body}")?;
        }
        for emitted in &version.emitted {
            writeln!(out, "  emitted {emitted}")?;
        }
    }
    for entry in &view.history {
        writeln!(out, "{} {}", entry.at, entry.event)?;
        for (table, revision) in &entry.tables {
            writeln!(out, "  looked up in {table}, revision {revision}")?;
        }
        for log in &entry.logs {
            writeln!(out, "  log {log}")?;
        }
    }
    Ok(())
}

/// To standard output. A reader that has seen enough, such as `head`, is no mistake.
fn print(text: &str) -> Result<(), ExitCode> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(fail(&error)),
        _ => Ok(()),
    }
}

async fn retry(arguments: &RetryArguments) -> Result<(), ExitCode> {
    let mode = match (arguments.after_verify, arguments.i_checked) {
        (true, _) => RetryMode::AfterVerify,
        (_, true) => RetryMode::IChecked,
        (false, false) => RetryMode::Plain,
    };
    let request = CommandRequest {
        scheme: arguments.scheme.clone(),
        key: arguments.key.clone(),
        version: arguments.version,
        discard: None,
        retry: Some(mode),
        module: arguments.module,
        by: arguments.by.name(),
    };
    let door = Door::open(&arguments.config).await?;
    let version = door.command(&request).await?;
    println!("{} v{version}: will be tried again", arguments.key);
    if matches!(door, Door::Office(..)) {
        eprintln!("crossdock: no engine runs; it is taken up at the next start");
    }
    door.close()
}

async fn discard(arguments: &DiscardArguments) -> Result<(), ExitCode> {
    let request = CommandRequest {
        scheme: arguments.scheme.clone(),
        key: arguments.key.clone(),
        version: arguments.version,
        discard: Some(arguments.reason.clone()),
        retry: None,
        module: None,
        by: arguments.by.name(),
    };
    let door = Door::open(&arguments.config).await?;
    let version = door.command(&request).await?;
    println!("{} v{version}: discarded", arguments.key);
    door.close()
}
