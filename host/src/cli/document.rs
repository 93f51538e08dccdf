//! `crossdock document`: through the running engine; on the store itself where none runs.

mod api;
mod bulk;
mod capsule;
mod list;
mod orders;
mod show;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};

use crate::config;
use crate::daemon::{
    BulkAnswer, BulkRequest, CapsuleAnswer, CapsuleRequest, Client, CommandRequest, DocumentState, DocumentView,
    Engine, Filter, Found, Office, PauseRequest, Witness,
};
use crate::model::Digest;
use crate::pipeline::gate::{Pause, Scope};
use crate::registry::Actor;

use super::client::{self, ServerArguments};
use super::exit::{self, Exit};
use super::serve::said;
use super::{ConfigArguments, program, runtime, sabotage};

/// What the help of the commands says of whom they ask.
const WHOM: &str = "Asks the engine of --config (or CROSSDOCK_CONFIG), where one is named; else the API of --server, or the one that \
                    `crossdock login` was told; else the engine of ./crossdock.toml.";

/// Documents and what became of them. Personal data is masked unless asked for.
#[derive(Debug, Subcommand)]
#[command(after_help = format!("{WHOM}\n{}", exit::HELP))]
pub enum Command {
    /// List documents, newest version each
    List(list::Arguments),
    /// Show everything that happened to one document
    Show(show::Arguments),
    /// Write what it takes to run one document again anywhere, personal data masked
    Capsule(capsule::Arguments),
    /// Try a parked document again
    Retry(orders::RetryArguments),
    /// Run a parked document with another body
    Edit(orders::EditArguments),
    /// Give a parked document up
    Discard(orders::DiscardArguments),
    /// Remove everything that the ledger holds of a document, and keep its fingerprint
    Erase(orders::EraseArguments),
    /// Retry, discard or erase all documents that are meant
    #[command(subcommand)]
    Bulk(bulk::Command),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

/// The states by name, which clap lists in the help and where one is mistyped.
fn states() -> impl TypedValueParser<Value = DocumentState> {
    let named = |name: String| DocumentState::ALL.into_iter().find(|state| state.as_str() == name);
    PossibleValuesParser::new(DocumentState::ALL.map(DocumentState::as_str))
        .map(move |name| named(name).expect("clap lets the listed names through alone"))
}

/// Whom to ask: an engine on this machine, or the API of one anywhere.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The configuration file of an engine on this machine; it is asked over its control socket
    #[arg(long, value_name = "FILE", env = "CROSSDOCK_CONFIG")]
    config: Option<PathBuf>,
    /// Take secrets that stand in the file itself
    #[arg(long)]
    allow_inline_secrets: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// Whoever answers about documents.
enum Desk {
    Here(Door),
    Api(api::Api),
}

impl Desk {
    /// A configuration that is named wins over a server, and a server over a configuration that happens to lie here.
    async fn open(place: &Place) -> Result<Self, ExitCode> {
        if place.config.is_none() && place.server.is_meant().map_err(|error| client::said(&error))? {
            let server = place.server.open().map_err(|error| client::said(&error))?;
            return Ok(Desk::Api(api::Api(server)));
        }
        let config = place.config.clone().unwrap_or_else(|| "crossdock.toml".into());
        let config = ConfigArguments { config, allow_inline_secrets: place.allow_inline_secrets };
        Door::open(&config).await.map(Desk::Here)
    }

    async fn search(&self, filter: &Filter) -> Result<Found, ExitCode> {
        match self {
            Desk::Here(door) => door.search(filter).await,
            Desk::Api(api) => api.search(filter).await.map_err(|error| client::said(&error)),
        }
    }

    async fn bulk(&self, request: &BulkRequest) -> Result<BulkAnswer, ExitCode> {
        match self {
            Desk::Here(door) => door.bulk(request).await,
            Desk::Api(api) => api.bulk(request).await.map_err(|error| client::said(&error)),
        }
    }

    async fn show(&self, scheme: Option<&str>, key: &str, unmask: bool) -> Result<DocumentView, ExitCode> {
        match self {
            Desk::Here(door) => door.show(scheme, key, unmask).await,
            Desk::Api(api) => api.show(scheme, key, unmask).await.map_err(|error| client::said(&error)),
        }
    }

    async fn capsule(&self, request: &CapsuleRequest) -> Result<CapsuleAnswer, ExitCode> {
        match self {
            Desk::Here(door) => door.capsule(request).await,
            Desk::Api(api) => api.capsule(request).await.map_err(|error| client::said(&error)),
        }
    }

    async fn command(&self, request: &CommandRequest) -> Result<u64, ExitCode> {
        match self {
            Desk::Here(door) => door.command(request).await,
            Desk::Api(api) => api.command(request).await.map_err(|error| client::said(&error)),
        }
    }

    /// The digest of a module that was chosen; a server knows it by its name as well.
    async fn module(&self, chosen: Option<&orders::Chosen>) -> Result<Option<Digest>, ExitCode> {
        let named = match chosen {
            None => return Ok(None),
            Some(orders::Chosen::Digest(digest)) => return Ok(Some(*digest)),
            Some(orders::Chosen::Named(named)) => named.to_string(),
        };
        let said = |error: &client::Error| client::said(error);
        let Desk::Api(api) = self else {
            let message = "name@version needs the API: --server; with --config, name the module by its digest";
            return Err(said(&client::Error::Usage(message.into())));
        };
        let found = client::module::find(&api.0, &named).await.map_err(|error| said(&error))?;
        Digest::try_from(found).map(Some).map_err(|error| fail(&error))
    }

    fn close(self) -> Result<(), ExitCode> {
        match self {
            Desk::Here(door) => door.close(),
            Desk::Api(_) => Ok(()),
        }
    }
}

/// A running engine, or the store itself.
pub(super) enum Door {
    Client(Client),
    Office(Box<Office>, Box<Engine>),
}

/// Whoever opened the store acts as the operator at the console.
fn witness<'a>(office: &'a Office, engine: &'a Engine) -> Witness<'a> {
    static CONSOLE: LazyLock<Actor> = LazyLock::new(Actor::console);
    Witness { office, registry: engine.registry.as_ref(), actor: &CONSOLE }
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

    async fn search(&self, filter: &Filter) -> Result<Found, ExitCode> {
        match self {
            Door::Client(client) => client.search(filter).await.map_err(|error| fail(&error)),
            Door::Office(office, _) => office.search(None, filter).map_err(|error| fail(&error)),
        }
    }

    async fn bulk(&self, request: &BulkRequest) -> Result<BulkAnswer, ExitCode> {
        match self {
            Door::Client(client) => client.bulk(request).await.map_err(|error| fail(&error)),
            Door::Office(office, engine) => {
                witness(office, engine).bulk(None, request).await.map_err(|error| fail(&error))
            }
        }
    }

    async fn show(&self, scheme: Option<&str>, key: &str, unmask: bool) -> Result<DocumentView, ExitCode> {
        match self {
            Door::Client(client) => client.show(scheme, key, unmask).await.map_err(|error| fail(&error)),
            Door::Office(office, engine) => {
                witness(office, engine).show(None, scheme, key, unmask).await.map_err(|error| fail(&error))
            }
        }
    }

    async fn capsule(&self, request: &CapsuleRequest) -> Result<CapsuleAnswer, ExitCode> {
        match self {
            Door::Client(client) => client.capsule(request).await.map_err(|error| fail(&error)),
            Door::Office(office, engine) => {
                let noted = witness(office, engine).note_capsule(None, request).await;
                noted.and_then(|()| office.capsule(None, request)).map_err(|error| fail(&error))
            }
        }
    }

    async fn command(&self, request: &CommandRequest) -> Result<u64, ExitCode> {
        match self {
            Door::Client(client) => client.command(request).await.map_err(|error| fail(&error)),
            Door::Office(office, engine) => {
                witness(office, engine).command(None, request).await.map_err(|error| fail(&error))
            }
        }
    }

    pub(super) async fn pause(&self, what: &PauseRequest, reason: &str) -> Result<Vec<Pause>, ExitCode> {
        match self {
            Door::Client(client) => client.pause(what, reason).await.map_err(|error| fail(&error)),
            Door::Office(office, engine) => {
                witness(office, engine).pause(None, what, reason).await.map_err(|error| fail(&error))
            }
        }
    }

    pub(super) async fn resume(&self, what: &PauseRequest) -> Result<Vec<Scope>, ExitCode> {
        match self {
            Door::Client(client) => client.resume(what).await.map_err(|error| fail(&error)),
            Door::Office(office, engine) => {
                witness(office, engine).resume(None, what).await.map_err(|error| fail(&error))
            }
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
            Command::List(arguments) => list::list(arguments).await,
            Command::Show(arguments) => show::show(arguments).await,
            Command::Capsule(arguments) => capsule::capture(arguments).await,
            Command::Retry(arguments) => orders::retry(arguments).await,
            Command::Edit(arguments) => orders::edit(arguments).await,
            Command::Discard(arguments) => orders::discard(arguments).await,
            Command::Erase(arguments) => orders::erase(arguments).await,
            Command::Bulk(command) => bulk::run(command).await,
        }
    })
}

/// To standard output. A reader that has seen enough, such as `head`, is no mistake.
fn print(text: &str) -> Result<(), ExitCode> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(fail(&error)),
        _ => Ok(()),
    }
}
