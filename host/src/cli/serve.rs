//! `crossdock serve`.

use std::process::ExitCode;

use clap::Args;

use crate::daemon::{self, OpenError};
use crate::state;
use crate::telemetry;

use super::exit::{self, Exit};
use super::{ConfigArguments, log_warnings, program, runtime, sabotage, stop_on_signals};

/// Runs every scheme on its schedule until SIGTERM or SIGINT, then finishes what is under way (20 seconds at most; what
/// is left over is asked about at the next start). `/healthz` and `/metrics` answer on `[engine] listen`.
#[derive(Debug, Args)]
#[command(after_help = format!("{}\n\nExample: crossdock serve --config /etc/crossdock/crossdock.toml", exit::HELP))]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    match serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => code,
    }
}

fn serve(arguments: &Arguments) -> Result<(), ExitCode> {
    let config = arguments.config.load()?;
    if let Err(error) = telemetry::init(config.engine.log_format, &config.engine.log_level) {
        eprintln!("crossdock: {error}");
        return Err(Exit::Usage.into());
    }
    log_warnings(&config);
    #[cfg(feature = "failpoints")]
    super::death::arrange();
    let (program, runtime) = (program()?, runtime()?);
    runtime.block_on(async {
        let stop = stop_on_signals().map_err(|error| {
            eprintln!("crossdock: {error}");
            ExitCode::from(Exit::Failed)
        })?;
        let announce = |address, api: Option<std::net::SocketAddr>| {
            let api = api.map(|api| format!(",\"api\":\"http://{api}\"")).unwrap_or_default();
            println!("{{\"ready\":true,\"listen\":\"http://{address}\"{api}}}");
        };
        daemon::serve(config, program, sabotage(), stop, None, announce).await.map_err(|error| said(&error))
    })
}

/// Says why an engine could not be opened, and the exit code for it.
pub(super) fn said(error: &OpenError) -> ExitCode {
    eprintln!("crossdock: {error}");
    exit_of(error).into()
}

pub(super) fn exit_of(error: &OpenError) -> Exit {
    match error {
        OpenError::Store(state::Error::InUse) => Exit::InUse,
        OpenError::Schemes(_) => Exit::Usage,
        OpenError::DataDirectory { .. }
        | OpenError::Store(_)
        | OpenError::Ledger(_)
        | OpenError::Http(_)
        | OpenError::Sandbox(_)
        | OpenError::Registry(_) => Exit::Failed,
    }
}
