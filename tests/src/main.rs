//! The simulator as a process: prints one line of JSON when it is ready, and nothing else on standard output.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, stdin};
use tokio::signal::unix::{SignalKind, signal};

use vendor_sim::{
    Fault, JdyOptions, Money, MoverTarget, Options, RateLimit, U8Options, WangdiantongOptions, plain, start,
};

/// Plays the vendors' systems on a loopback port. The first line of output is JSON and says where they are and with
/// which credentials; SIGTERM or Ctrl-C ends it.
#[derive(Debug, Parser)]
#[command(name = "vendor-sim", version)]
struct Arguments {
    /// Address and port; port 0 takes a free one and the first line of output says which.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Documents the source has at the start.
    #[arg(long, default_value_t = 100)]
    documents: usize,
    /// The same seed gives the same documents.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Start of the documents' modification times, RFC 3339. Default: three days before the end.
    #[arg(long)]
    from: Option<Timestamp>,
    /// End of the documents' modification times, RFC 3339. Default: ten minutes ago.
    #[arg(long)]
    to: Option<Timestamp>,
    /// NAME[=VALUE][,system=S][,operation=O][,count=N][,after=N][,probability=P]; may be given several times.
    #[arg(long = "fault")]
    faults: Vec<Fault>,
    /// Do not check signatures and sessions.
    #[arg(long)]
    unsigned: bool,
    /// For measuring: 聚水潭's list and 金蝶云星空's save alone, of uniform documents, and next to nothing behind them.
    /// Of the other options only --listen, --documents, --to and those below count.
    #[arg(long)]
    plain: bool,
    /// Check signatures and sessions all the same.
    #[arg(long, requires = "plain")]
    signed: bool,
    /// How long each page and each save takes.
    #[arg(long, requires = "plain")]
    delay_ms: Option<u64>,
    /// Keep the text of every bill for the admin page `bills`.
    #[arg(long, requires = "plain")]
    keep_bills: bool,
    /// Documents that are modified while somebody reads.
    #[arg(long, default_value_t = 0)]
    movers: usize,
    /// Movers go to the end of the documents' window instead of to the present.
    #[arg(long)]
    movers_stay: bool,
    /// Documents that are cancelled while somebody reads.
    #[arg(long, default_value_t = 0)]
    cancel: usize,
    /// Documents of a hundred whose status a mapping skips.
    #[arg(long, default_value_t = 4)]
    skip_percent: u32,
    /// Documents of a hundred that lack something a mapping needs.
    #[arg(long, default_value_t = 4)]
    reject_percent: u32,
    /// Documents of a hundred whose bill the target refuses.
    #[arg(long, default_value_t = 3)]
    refuse_percent: u32,
    /// Rows a page may hold.
    #[arg(long, default_value_t = 50)]
    page_size_limit: usize,
    /// Bytes that each of 聚水潭's documents carries on top in a page.
    #[arg(long, default_value_t = 0)]
    pad_bytes: usize,
    /// How amounts are written: text, number, or either from document to document (mixed).
    #[arg(long, default_value = "mixed")]
    money: Money,
    /// Jushuitan's limit in requests a second; none by default.
    #[arg(long)]
    rate_limit: Option<u32>,
    /// Requests the limit lets through at once.
    #[arg(long, default_value_t = 5, requires = "rate_limit")]
    rate_burst: u32,
    /// Take a second bill of one number, as a site does whose administrator switched the check off.
    #[arg(long)]
    allow_duplicate_numbers: bool,
    /// Settings of 旺店通 as JSON, in the names of `WangdiantongOptions`; what is left out keeps its default.
    #[arg(long, default_value = "{}", value_parser = settings::<WangdiantongOptions>)]
    wangdiantong: WangdiantongOptions,
    /// Settings of U8 as JSON, in the names of `U8Options`.
    #[arg(long, default_value = "{}", value_parser = settings::<U8Options>)]
    u8: U8Options,
    /// Settings of 星辰 as JSON, in the names of `JdyOptions`.
    #[arg(long, default_value = "{}", value_parser = settings::<JdyOptions>)]
    jdy: JdyOptions,
    /// Stop when standard input closes, so that no simulator outlives the test that started it.
    #[arg(long)]
    exit_with_stdin: bool,
}

impl Arguments {
    fn options(&self) -> Options {
        let default = Options::default();
        let to = self.to.unwrap_or(default.to);
        let span = default.to.duration_since(default.from);
        Options {
            listen: self.listen,
            documents: self.documents,
            seed: self.seed,
            from: self.from.unwrap_or_else(|| to.checked_sub(span).unwrap_or(Timestamp::MIN)),
            to,
            faults: self.faults.clone(),
            plain: self.unsigned,
            movers: self.movers,
            mover_target: if self.movers_stay { MoverTarget::WindowEnd } else { MoverTarget::Now },
            cancelled: self.cancel,
            skip_percent: self.skip_percent,
            reject_percent: self.reject_percent,
            refuse_percent: self.refuse_percent,
            page_size_limit: self.page_size_limit,
            pad_bytes: self.pad_bytes,
            allow_duplicate_numbers: self.allow_duplicate_numbers,
            money: self.money,
            rate_limit: self.rate_limit.map(|per_second| RateLimit { per_second, burst: self.rate_burst }),
            wangdiantong: self.wangdiantong.clone(),
            u8: self.u8.clone(),
            jdy: self.jdy.clone(),
            ..default
        }
    }
}

impl Arguments {
    fn plain_options(&self) -> plain::Options {
        let Options { listen, to, documents, .. } = self.options();
        plain::Options {
            listen,
            documents: documents as u64,
            to,
            signed: self.signed,
            delay: self.delay_ms.map(Duration::from_millis),
            keep_bills: self.keep_bills,
        }
    }
}

fn settings<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vendor-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    // Before the line that tells of readiness, so that a signal right after it is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (ready, running) = if arguments.plain {
        (plain::start(&arguments.plain_options()).await?.ready, None)
    } else {
        let running = start(arguments.options()).await?;
        (running.ready.clone(), Some(running))
    };
    let mut out = std::io::stdout();
    writeln!(out, "{ready}")?;
    out.flush()?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = input_closed(), if arguments.exit_with_stdin => {}
    }
    if let Some(running) = running {
        running.shutdown().await;
    }
    // Reading standard input blocks a thread that nothing can wake; the process ends all the same.
    std::process::exit(0)
}

async fn input_closed() {
    let mut input = stdin();
    let mut buffer = [0; 256];
    while matches!(input.read(&mut buffer).await, Ok(count) if count > 0) {}
}
