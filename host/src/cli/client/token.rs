//! `crossdock token`, and the first one of all, which the engine gives whoever owns its control socket.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use super::output::{self, Output, field, instant};
use super::{Ask, Body, Common, Error, HELP, Server};
use crate::cli::ConfigArguments;
use crate::cli::registry_door;

/// Tokens: what people and machines are let in with.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Tokens {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List tokens, without their texts
    List {
        /// The operator's own, of no tenant
        #[arg(long)]
        operator: bool,
        /// At most so many
        #[arg(long, default_value_t = 500)]
        limit: usize,
    },
    /// Make a token; its text is printed this once
    #[command(
        after_help = "Examples: crossdock token create --name 'build machine' --role tenant-developer\n          \
                            crossdock token create --operator --config crossdock.toml  (the first one, on the engine's machine)"
    )]
    Create(Create),
    /// Let a token open nothing from now on
    Revoke {
        /// The token's id, which `token list` shows
        id: String,
        /// One of the operator's own
        #[arg(long)]
        operator: bool,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// Whose it is: a person or a machine
    #[arg(long, default_value = "operator", required_unless_present = "operator")]
    name: String,
    /// What it may do
    #[arg(long, value_enum, required_unless_present = "operator", conflicts_with = "operator")]
    role: Option<TenantRole>,
    /// A token of the operator's, who may do everything
    #[arg(long)]
    operator: bool,
    /// Let it see personal data; each look is in the audit log
    #[arg(long)]
    unmask: bool,
    /// For how long it is valid: 90d, 12h; two years at most
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = crate::config::parse_duration)]
    expires_in: SignedDuration,
    /// Through the engine of this configuration on this machine, which takes its owner for the operator
    #[arg(long, value_name = "FILE", requires = "operator")]
    config: Option<std::path::PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TenantRole {
    #[value(name = "tenant-viewer")]
    Viewer,
    #[value(name = "tenant-developer")]
    Developer,
    #[value(name = "tenant-admin")]
    Admin,
}

impl TenantRole {
    fn as_str(self) -> &'static str {
        match self {
            TenantRole::Viewer => "tenant-viewer",
            TenantRole::Developer => "tenant-developer",
            TenantRole::Admin => "tenant-admin",
        }
    }
}

impl Create {
    fn body(&self) -> Result<Value, Error> {
        let expires_at = Timestamp::now().checked_add(self.expires_in);
        let expires_at = expires_at.map_err(|_| Error::Usage("--expires-in is out of range".into()))?;
        let role = self.role.map_or("operator", TenantRole::as_str);
        Ok(json!({
            "name": self.name, "role": role, "rights": { "unmask": self.unmask }, "expires_at": expires_at,
        }))
    }
}

pub fn run(arguments: &Tokens) -> ExitCode {
    let output = arguments.common.output;
    if let Command::Create(create @ Create { config: Some(config), .. }) = &arguments.command {
        let config = ConfigArguments::of(config);
        let made =
            create.body().map_err(|error| super::said(&error)).and_then(|new| registry_door::token(&config, &new));
        return match made {
            Ok(made) => created(output, &made).map_or_else(|error| super::said(&error), |()| ExitCode::SUCCESS),
            Err(code) => code,
        };
    }
    super::run(|| tokens(arguments))
}

async fn tokens(arguments: &Tokens) -> Result<(), Error> {
    let Common { server, output } = &arguments.common;
    let (server, output) = (server.open()?, *output);
    match &arguments.command {
        Command::List { operator, limit } => {
            super::list(
                &server,
                output,
                &path(&server, *operator, None)?,
                *limit,
                &[
                    ("ID", |one| field(one, "/id")),
                    ("NAME", |one| field(one, "/name")),
                    ("ROLE", |one| field(one, "/role")),
                    ("EXPIRES", |one| instant(one, "/expires_at")),
                    ("REVOKED", |one| instant(one, "/revoked_at")),
                    ("USED", |one| instant(one, "/last_used_at")),
                ],
            )
            .await
        }
        Command::Create(create) => {
            let ask = Ask { body: Body::Json(create.body()?), ..Ask::default() };
            let made = server.ask(Method::POST, &path(&server, create.operator, None)?, ask).await?.body;
            created(output, &made)
        }
        Command::Revoke { id, operator } => {
            let path = path(&server, *operator, Some(id))?;
            let answer = server.ask(Method::DELETE, &path, Ask::default()).await?.body;
            output::done(output, &answer, &format!("token {id} revoked"))
        }
    }
}

fn path<'a>(server: &'a Server, operator: bool, id: Option<&'a str>) -> Result<Vec<&'a str>, Error> {
    let mut path = if operator { vec!["v1", "tokens"] } else { server.of_tenant(&["tokens"])? };
    path.extend(id);
    Ok(path)
}

/// The text alone on standard output, for whoever keeps it.
fn created(output: Output, made: &Value) -> Result<(), Error> {
    if output == Output::Text {
        let token = made.get("token").unwrap_or(&Value::Null);
        eprintln!(
            "crossdock: token {} ({}, {}) is valid until {}; its text is shown this once:",
            field(token, "/id"),
            output::plain(&field(token, "/name")),
            field(token, "/role"),
            instant(token, "/expires_at")
        );
    }
    output::one(output, made, |made| format!("{}\n", field(made, "/text")))
}
