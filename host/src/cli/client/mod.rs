//! Commands that ask a server's API: for who has a token and not the server's machine.

pub mod audit;
pub mod connection;
mod form;
pub mod login;
pub mod module;
mod output;
pub mod scheme;
mod server;
mod session;
pub mod signing_key;
pub mod table;
pub mod tenant;
pub mod token;

use std::future::Future;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::config::Secret;

use super::exit::Exit;
use super::runtime;
use output::Column;
pub use output::Output;
pub use server::{Answer, Ask, Body, Error, Server};

/// What the help of every such command ends with.
pub const HELP: &str = "Asks the server that `crossdock login` was told, or --server with the token in CROSSDOCK_TOKEN.\n\
    Exit codes: 0 done; 1 something did not work, standard error says what; 2 arguments not usable or nobody logged in, \
    nothing was asked.";

/// Which server, and as whose tenant.
#[derive(Debug, Clone, Args)]
pub struct ServerArguments {
    /// The server's address; the token is in CROSSDOCK_TOKEN, or the one that was logged in with
    #[arg(long, value_name = "URL", env = "CROSSDOCK_SERVER", global = true)]
    server: Option<String>,
    /// Send the token unencrypted over http to another machine
    #[arg(long, global = true)]
    insecure_http: bool,
    /// The tenant, where it is not the token's own
    #[arg(long, value_name = "TENANT", env = "CROSSDOCK_TENANT", global = true)]
    tenant: Option<String>,
}

/// Which server, and how to print.
#[derive(Debug, Clone, Args)]
pub struct Common {
    #[command(flatten)]
    server: ServerArguments,
    /// For people, or for programs
    #[arg(long, visible_alias = "format", value_enum, default_value_t = Output::Text, global = true)]
    output: Output,
}

impl ServerArguments {
    /// Whether a server was named here or logged in to before.
    pub fn is_meant(&self) -> Result<bool, Error> {
        Ok(self.server.is_some() || session::read().map_err(Error::Usage)?.is_some())
    }

    pub fn open(&self) -> Result<Server, Error> {
        let session = session::read().map_err(Error::Usage)?;
        let token = token_of_environment();
        let (server, token, insecure) = match (&self.server, token, session) {
            (Some(server), Some(token), _) => (server.clone(), token, self.insecure_http),
            // A token goes to the server that it was given for.
            (Some(server), None, Some(session)) if same(server, &session.server) => {
                (session.server, session.token, self.insecure_http || session.insecure_http)
            }
            (Some(server), None, _) => {
                let message = format!("no token for {server}: put it into CROSSDOCK_TOKEN, or log in there");
                return Err(Error::Usage(message));
            }
            (None, Some(token), Some(session)) => (session.server, token, self.insecure_http || session.insecure_http),
            (None, None, Some(session)) => (session.server, session.token, self.insecure_http || session.insecure_http),
            (None, _, None) => {
                let message = "nobody is logged in: crossdock login --server URL, or --server with CROSSDOCK_TOKEN";
                return Err(Error::Usage(message.into()));
            }
        };
        Server::new(&server, &token, insecure, self.tenant.as_deref())
    }
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

fn token_of_environment() -> Option<Secret> {
    let token = std::env::var("CROSSDOCK_TOKEN").ok()?;
    let token = Secret::new(token.trim());
    (!token.is_empty()).then_some(token)
}

/// Runs what asks a server, and says what went wrong.
pub fn run<F: Future<Output = Result<(), Error>>>(ask: impl FnOnce() -> F) -> ExitCode {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    match runtime.block_on(ask()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => said(&error),
    }
}

/// Says what went wrong, and the exit code for it.
pub fn said(error: &Error) -> ExitCode {
    let text: Vec<String> = error.to_string().lines().map(output::plain).collect();
    eprintln!("crossdock: {}", text.join("\n"));
    match error {
        Error::Usage(_) => Exit::Usage.into(),
        Error::Unreachable { .. } | Error::Problem(_) | Error::Strange { .. } | Error::File(_) => Exit::Failed.into(),
    }
}

/// A file, or standard input for `-`.
fn read_bytes(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().lock().read_to_end(&mut bytes).map(drop),
        false => std::fs::read(path).map(|read| bytes = read),
    };
    read.map(|()| bytes).map_err(|error| Error::Usage(format!("cannot read {}: {error}", path.display())))
}

fn read_json(path: &Path) -> Result<Value, Error> {
    let bytes = read_bytes(path)?;
    // What cannot be read is not quoted: it may hold a secret.
    serde_json::from_slice(&bytes).map_err(|error| {
        Error::Usage(format!("{}:{}:{}: this is not JSON", path.display(), error.line(), error.column()))
    })
}

/// Asks for a list and prints it, and says where there may be more.
async fn list(
    server: &Server,
    output: Output,
    path: &[&str],
    limit: usize,
    columns: &[Column<'_>],
) -> Result<(), Error> {
    let found = server.list(path, Vec::new(), limit).await?;
    output::list(output, &found, columns)?;
    note_more(found.len(), limit);
    Ok(())
}

/// Why not everything was printed.
fn note_more(shown: usize, limit: usize) {
    if shown == limit {
        eprintln!("crossdock: {shown} shown; there may be more: --limit");
    }
}

/// What a resume came to. What is still paused is so by another scope's pause.
fn resumed(answer: &Value) -> String {
    let mut text = match answer.get("resumed") {
        Some(Value::Bool(false)) => "was not paused".to_owned(),
        _ => "resumed".to_owned(),
    };
    let still = ["/status/paused", "/status/reason"].map(|at| output::field(answer, at));
    let is_paused = output::field(answer, "/status/state") == "paused" || still[0] != "-";
    if let Some(why) = still.iter().find(|why| is_paused && *why != "-") {
        text.push_str(&format!(", and still stands: {}", output::plain(why)));
    }
    text
}

/// What can be used and most likely was not meant, as the server said.
fn warnings(answer: &Value) -> String {
    let mut text = String::new();
    for one in answer.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        let line = format!("warning: {}: {}", output::field(one, "/pointer"), output::field(one, "/detail"));
        text.push_str(&format!(
            "{}\n  mend: {}\n",
            output::plain(&line),
            output::plain(&output::field(one, "/remedy"))
        ));
    }
    text
}
