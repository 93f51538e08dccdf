//! `crossdock pause` and `crossdock resume`.

use std::process::ExitCode;

use clap::Args;

use crate::daemon::PauseRequest;

use super::document::{Door, Format};
use super::exit::{self, Exit};
use super::{ConfigArguments, runtime};

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct ScopeArguments {
    /// Everything
    #[arg(long)]
    all: bool,
    /// Every scheme that reads from or writes to this connection
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// One scheme
    #[arg(long, value_name = "NAME")]
    scheme: Option<String>,
}

impl ScopeArguments {
    fn request(&self) -> Option<PauseRequest> {
        match (self.all, &self.connection, &self.scheme) {
            (true, ..) => Some(PauseRequest::All),
            (_, Some(name), _) => Some(PauseRequest::Connection(name.clone())),
            (_, _, Some(name)) => Some(PauseRequest::Scheme(name.clone())),
            (false, None, None) => None,
        }
    }
}

/// A tenant's people make schemes and connections of their own: what is paused is a name, not what stands behind it.
const ANOTHER_NAME: &str = "A pause holds for the scheme or connection that it names, also where that is deleted and made again. A tenant can make \
                            another one. What it cannot go round: crossdock tenant change TENANT --suspend";

/// Once it returns, no request of the scope is under way and none leaves until `resume`, a restart included. What was
/// under way has been answered, or is known to be unknown and is asked about later.
#[derive(Debug, Args)]
#[command(after_help = format!("{ANOTHER_NAME}\n\n{}\n\nExample: crossdock pause --connection k3 --reason 'month end'", exit::HELP))]
pub struct PauseArguments {
    #[command(flatten)]
    scope: ScopeArguments,
    /// Why; shown wherever the pause is
    #[arg(long, default_value = "paused by an operator")]
    reason: String,
    /// How to print what was paused
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    config: ConfigArguments,
}

/// Takes a pause back. `--all` takes every pause back, whoever made it.
#[derive(Debug, Args)]
#[command(after_help = exit::HELP)]
pub struct ResumeArguments {
    #[command(flatten)]
    scope: ScopeArguments,
    /// How to print what was resumed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    config: ConfigArguments,
}

pub fn pause(arguments: &PauseArguments) -> ExitCode {
    finish(|| {
        let request = arguments.scope.request().ok_or(Exit::Usage)?;
        runtime()?.block_on(async {
            let door = Door::open(&arguments.config).await?;
            let paused = door.pause(&request, &arguments.reason).await?;
            print!("{}", told(arguments.output, "paused", paused.iter().map(|pause| pause.scope.to_string())));
            door.close()
        })
    })
}

pub fn resume(arguments: &ResumeArguments) -> ExitCode {
    finish(|| {
        let request = arguments.scope.request().ok_or(Exit::Usage)?;
        runtime()?.block_on(async {
            let door = Door::open(&arguments.config).await?;
            let resumed = door.resume(&request).await?;
            if resumed.is_empty() && matches!(arguments.output, Format::Text) {
                println!("nothing of that was paused");
            }
            print!("{}", told(arguments.output, "resumed", resumed.iter().map(ToString::to_string)));
            door.close()
        })
    })
}

/// `{"paused":["scheme saleout"]}`, or a line each.
fn told(output: Format, what: &str, scopes: impl Iterator<Item = String>) -> String {
    match output {
        Format::Text => scopes.map(|scope| format!("{what} {scope}\n")).collect(),
        Format::Json => format!("{}\n", serde_json::json!({ what: scopes.collect::<Vec<_>>() })),
    }
}

fn finish(body: impl FnOnce() -> Result<(), ExitCode>) -> ExitCode {
    match body() {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_paused_is_a_line_each_or_one_object() {
        let scopes = || ["everything", "scheme acme/saleout"].map(str::to_owned).into_iter();
        assert_eq!(told(Format::Text, "paused", scopes()), "paused everything\npaused scheme acme/saleout\n");
        assert_eq!(told(Format::Json, "resumed", scopes()), "{\"resumed\":[\"everything\",\"scheme acme/saleout\"]}\n");
        assert_eq!(told(Format::Json, "resumed", std::iter::empty()), "{\"resumed\":[]}\n");
    }
}
