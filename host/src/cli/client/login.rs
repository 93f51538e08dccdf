//! `crossdock login`, `whoami` and `logout`.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::process::ExitCode;

use clap::Args;

use super::output::{self, field, instant};
use super::session::{self, Session};
use super::{Common, Error, HELP, Server, token_of_environment};
use crate::config::Secret;

/// Keeps the address of a server and a token for the commands that ask it. The token is read from standard input, or from
/// CROSSDOCK_TOKEN; it is tried, and kept in a file that only you can read.
#[derive(Debug, Args)]
#[command(after_help = format!("{HELP}\n\nExample: crossdock login --server https://crossdock.example.com < token.txt"))]
pub struct LoginArguments {
    #[command(flatten)]
    common: Common,
}

/// Says whose token is used, and what it may.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct WhoamiArguments {
    #[command(flatten)]
    common: Common,
}

/// Forgets the server and the token. The token itself stays valid: `crossdock token revoke` ends it.
#[derive(Debug, Args)]
pub struct LogoutArguments {}

pub fn login(arguments: &LoginArguments) -> ExitCode {
    super::run(|| async {
        let Common { server: place, output } = &arguments.common;
        let usage = || Error::Usage("say which server: --server https://crossdock.example.com".into());
        let address = place.server.clone().ok_or_else(usage)?;
        let token = match token_of_environment() {
            Some(token) => token,
            None => token_of_stdin()?,
        };
        let server = Server::new(&address, &token, place.insecure_http, None)?;
        let found = server.get(&["v1", "whoami"]).await?.body;
        let session = Session { server: address, token, insecure_http: place.insecure_http };
        let path = session::write(&session).map_err(|error| Error::File(format!("cannot keep the token: {error}")))?;
        output::one(*output, &found, |found| format!("{}kept in {}\n", who(server.base(), found), path.display()))
    })
}

pub fn whoami(arguments: &WhoamiArguments) -> ExitCode {
    super::run(|| async {
        let server = arguments.common.server.open()?;
        let found = server.get(&["v1", "whoami"]).await?.body;
        output::one(arguments.common.output, &found, |found| who(server.base(), found))
    })
}

pub fn logout(_: &LogoutArguments) -> ExitCode {
    super::run(|| async {
        let was = session::remove().map_err(|error| Error::File(format!("cannot forget the token: {error}")))?;
        output::print(if was { "logged out\n" } else { "nobody was logged in\n" })
    })
}

fn who(server: &str, found: &serde_json::Value) -> String {
    let unmask = found.pointer("/rights/unmask").and_then(serde_json::Value::as_bool) == Some(true);
    let rows = [
        ("server", server.to_owned()),
        ("token", format!("{} ({})", field(found, "/token"), field(found, "/name"))),
        ("tenant", field(found, "/tenant")),
        ("role", field(found, "/role")),
        ("personal data", if unmask { "may be shown" } else { "masked" }.to_owned()),
        ("expires", instant(found, "/expires_at")),
    ];
    output::aligned(rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect())
}

fn token_of_stdin() -> Result<Secret, Error> {
    if io::stdin().is_terminal() {
        eprintln!("crossdock: paste the token and press Enter");
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(|error| Error::Usage(format!("cannot read the token: {error}")))?;
    let token = Secret::new(line.trim());
    if token.is_empty() {
        return Err(Error::Usage("no token: hand it over on standard input, or in CROSSDOCK_TOKEN".into()));
    }
    Ok(token)
}
