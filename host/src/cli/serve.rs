//! `crossdock serve`.

use std::process::ExitCode;

use std::sync::Arc;

use clap::Args;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Api};
use crate::daemon::{self, OpenError};
use crate::registry;
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
        let surface = config.api.is_some().then_some(surface as fn(_, _) -> _);
        let surface = surface.map(|open| Box::new(open) as daemon::Surface);
        daemon::serve(config, program, sabotage(), stop, surface, announce).await.map_err(|error| said(&error))
    })
}

/// Opens the API where the configuration has it.
fn surface(
    parts: daemon::FloorParts,
    stop: CancellationToken,
) -> BoxFuture<'static, Result<daemon::Surfaced, OpenError>> {
    Box::pin(async move {
        let daemon::FloorParts { floor, office, registry, sandbox, config, .. } = parts;
        let Some(settings) = &config.api else { return Err(OpenError::Http("there is no [api]".into())) };
        let unusable =
            |error: std::io::Error| OpenError::Http(format!("cannot listen on {}: {error}", settings.listen));
        let listener = TcpListener::bind(settings.listen).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let (limits, data_dir) = (api::Limits::of(settings), config.engine.data_dir.as_path());
        let now: registry::Now = Arc::new(Timestamp::now);
        let api = Api::new(api::Parts { registry, floor, office, sandbox, now, data_dir, limits: &limits });
        tracing::info!(%address, "the API answers");
        Ok(daemon::Surfaced { address, serving: Box::pin(api.serve(listener, limits, stop)) })
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
