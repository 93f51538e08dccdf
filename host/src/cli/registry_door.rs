//! What is done on the engine's own machine, by whoever owns its control socket: the first operator's token, and the
//! rotation of the key that credentials are sealed with.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::config;
use crate::daemon::{Client, CreatedToken, Engine, RegistryDesk};
use crate::registry::{NewToken, Rotated};

use super::client::Output;
use super::exit::{self, Exit};
use super::serve::said;
use super::{ConfigArguments, program, runtime, sabotage};

/// The key that connections' secrets are sealed with.
#[derive(Debug, Subcommand)]
#[command(after_help = exit::HELP)]
pub enum Credentials {
    /// Seal every connection's secrets with a new key: one that the engine makes, or the credentials_key of [api]
    Rotate(Rotate),
}

/// Where the engine looks after the key itself, it makes a new one and removes the old one. Where [api] names
/// `credentials_key`, write the new key there and the old one as `previous_credentials_key`, restart, and run this; after it
/// the old one can go. Stopped half-way, it goes on where it was.
#[derive(Debug, Args)]
#[command(after_help = format!("{}\n\nExample: crossdock credentials rotate --config crossdock.toml", exit::HELP))]
pub struct Rotate {
    #[command(flatten)]
    config: ConfigArguments,
    /// For people, or one JSON object
    #[arg(long, visible_alias = "format", value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// A running engine, or what it would have opened.
enum Door {
    Client(Client),
    Engine(Box<Engine>, RegistryDesk),
}

impl Door {
    async fn open(arguments: &ConfigArguments) -> Result<Self, ExitCode> {
        if let Some(data_dir) = config::data_dir(&arguments.config)
            && let Some(client) = Client::connect(&data_dir).await.map_err(|error| fail(&error))?
        {
            return Ok(Door::Client(client));
        }
        let config = arguments.load()?;
        let engine = Engine::open(&config, program()?, None, sabotage()).map_err(|error| said(&error))?;
        let desk = RegistryDesk::of(&engine, &config).map_err(|error| fail(&error))?;
        Ok(Door::Engine(Box::new(engine), desk))
    }

    fn close(self) -> Result<(), ExitCode> {
        match self {
            Door::Client(_) => Ok(()),
            Door::Engine(engine, _) => engine.store.close().map_err(|error| fail(&error)),
        }
    }
}

/// A token of the operator's, as the API would answer with it.
pub fn token(arguments: &ConfigArguments, new: &Value) -> Result<Value, ExitCode> {
    let new: NewToken = serde_json::from_value(new.clone()).map_err(|error| fail(&error))?;
    runtime()?.block_on(async {
        let door = Door::open(arguments).await?;
        let made: CreatedToken = match &door {
            Door::Client(client) => client.operator_token(&new).await.map_err(|error| fail(&error))?,
            Door::Engine(_, desk) => desk.operator_token(new).await.map_err(|error| fail(&error))?,
        };
        door.close()?;
        serde_json::to_value(made).map_err(|error| fail(&error))
    })
}

pub fn run(command: &Credentials) -> ExitCode {
    let Credentials::Rotate(arguments) = command;
    match rotate(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => code,
    }
}

fn rotate(arguments: &Rotate) -> Result<(), ExitCode> {
    runtime()?.block_on(async {
        let door = Door::open(&arguments.config).await?;
        let Rotated { resealed, kept, lost } = match &door {
            Door::Client(client) => client.rotate().await.map_err(|error| fail(&error))?,
            Door::Engine(_, desk) => desk.rotate().await.map_err(|error| fail(&error))?,
        };
        door.close()?;
        match arguments.output {
            Output::Json => println!("{}", serde_json::json!({ "resealed": resealed, "kept": kept, "lost": lost })),
            Output::Text => println!("{resealed} connections sealed anew, {kept} were already"),
        }
        if lost > 0 {
            let words = "connections were sealed with a key that the engine does not have, and are left as they are: bring \
                         that key back as previous_credentials_key, or send them again with all their secrets";
            return Err(fail(&format!("{lost} {words}")));
        }
        Ok(())
    })
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("crossdock: {error}");
    Exit::Failed.into()
}
