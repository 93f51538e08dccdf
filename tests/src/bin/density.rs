//! `make density`: what an engine takes while nothing happens, with ten schemes and with a thousand uploaded modules. Writes
//! the page that says so.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use vendor_sim::proof::arguments::Where;
use vendor_sim::proof::configuration::{Scheme, Settings};
use vendor_sim::proof::engine::Engine;
use vendor_sim::proof::process::{Usage, usage};
use vendor_sim::proof::programs::Programs;
use vendor_sim::proof::schemes::SALEOUT;
use vendor_sim::proof::wait::{Waiting, until};
use vendor_sim::proof::whole::report::machine;
use vendor_sim::proof::world::World;
use vendor_sim::proof::{Failure, Result};

/// Starts engines that have nothing to do and prints what they take. Decides nothing.
#[derive(Debug, Parser)]
#[command(name = "density", version)]
struct Arguments {
    #[command(flatten)]
    paths: Where,
    /// Schemes of the engine at rest
    #[arg(long, default_value_t = 10)]
    schemes: usize,
    /// Modules that a tenant uploads
    #[arg(long, default_value_t = 1_000)]
    modules: usize,
    /// Leave the modules in this folder
    #[arg(long, default_value = "target/density/modules")]
    folder: PathBuf,
    /// Write the page here
    #[arg(long, default_value = "docs/benchmarks/density.md")]
    page: PathBuf,
}

/// What stands above the figures.
const HEAD: &str = include_str!("density.md");

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("density: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let programs = arguments.paths.programs()?;
    let mut lines = vec!["| what | |\n|---|--:|".to_owned()];
    let Usage { resident_kib, .. } = at_rest(&programs, arguments.schemes)?;
    let (schemes, mebibytes) = (arguments.schemes, resident_kib >> 10);
    lines.push(format!("| resident memory at rest, {schemes} schemes on an empty store | {mebibytes} MiB |"));
    write_variants(&programs.component(SALEOUT), &arguments.folder, arguments.modules)?;
    let (took, Usage { resident_kib, .. }) = with_modules(&programs, &arguments.folder)?;
    let (modules, took) = (arguments.modules, took.as_millis());
    lines.push(format!("| start with {modules} uploaded modules, until it serves | {took} ms |"));
    lines.push(format!("| resident memory then | {} MiB |", resident_kib >> 10));
    let figures = format!("{}\n{}", lines.join("\n"), loaded(&programs, &arguments.folder)?);
    println!("{figures}");
    let text = format!("{HEAD}\n{}\n\n{figures}", machine());
    std::fs::write(&arguments.page, text)
        .map_err(|error| Failure::during(&format!("writing {}", arguments.page.display()), error))
}

/// What the sandbox says of the folder's modules, all of them loaded at once.
fn loaded(programs: &Programs, folder: &Path) -> Result<String> {
    let program = programs.crossdock.with_file_name("examples").join("module_density");
    let failed = |error| Failure::during(&format!("running {}", program.display()), error);
    let output = std::process::Command::new(&program).arg(&programs.crossdock).arg(folder).output().map_err(failed)?;
    if !output.status.success() {
        return Err(Failure::new(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// An engine whose schemes have looked at their sources and found nothing.
fn at_rest(programs: &Programs, schemes: usize) -> Result<Usage> {
    let scheme = |number| Scheme { name: format!("saleout-{number}"), ..Scheme::default() };
    let settings = Settings { schemes: (0..schemes).map(scheme).collect(), ..Settings::default() };
    let mut world = World::new(programs, &["--documents", "0"].map(str::to_owned), &settings)?;
    let engine = world.start()?;
    for scheme in &settings.schemes {
        until(PATIENCE, "a complete window", || match engine.read_to(&scheme.name)? {
            Some(_) => Ok(()),
            None => Err(Waiting::on(format!("the first window of {}", scheme.name))),
        })
        .map_err(|failure| engine.tell(failure))?;
    }
    usage(engine.id())
}

/// How long an engine takes to start where a tenant has uploaded all modules of the folder, and what it takes then.
fn with_modules(programs: &Programs, folder: &Path) -> Result<(Duration, Usage)> {
    let settings =
        Settings { extra: "[api]\nlisten = \"127.0.0.1:0\"".to_owned(), schemes: Vec::new(), ..Settings::default() };
    let mut world = World::new(programs, &["--documents", "0"].map(str::to_owned), &settings)?;
    let mut engine = world.start()?;
    upload_all(&world, &engine, folder)?;
    engine.terminate()?;
    let began = Instant::now();
    let engine = world.start()?;
    let took = began.elapsed();
    Ok((took, usage(engine.id())?))
}

fn upload_all(world: &World, engine: &Engine, folder: &Path) -> Result<()> {
    let made = world.product.succeed(&["token", "create", "--operator", "--output", "json"])?;
    let made: serde_json::Value =
        serde_json::from_str(&made).map_err(|error| Failure::during("reading the token", error))?;
    let (server, token) = (engine.api()?, made["text"].as_str().unwrap_or_default().to_owned());
    let say = |arguments: &[&std::ffi::OsStr]| -> Result<()> {
        let output = std::process::Command::new(&world.product.program)
            .args(arguments)
            .env("CROSSDOCK_SERVER", &server)
            .env("CROSSDOCK_TOKEN", &token)
            .output()
            .map_err(|error| Failure::during("asking the API", error))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(engine.tell(Failure::new(format!("{arguments:?}: {said}")))) }
    };
    let words = |text: &'static str| text.split(' ').map(std::ffi::OsStr::new).collect::<Vec<_>>();
    say(&words(
        "tenant create many --quota modules=10000 --quota module_bytes=10000000000 --quota compile_seconds_per_hour=100000",
    ))?;
    for path in components(folder)? {
        say(&[words("module upload --tenant many").as_slice(), &[path.as_os_str()]].concat())?;
    }
    Ok(())
}

fn components(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Failure::during(&format!("reading {}", folder.display()), error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The component under other names of the same length: other bytes, another digest, another artefact, code of its own.
fn write_variants(component: &Path, folder: &Path, count: usize) -> Result<()> {
    let failed = |error| Failure::during(&format!("writing {}", folder.display()), error);
    // Of an earlier run, which may have made more.
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let bytes = std::fs::read(component).map_err(failed)?;
    let name = SALEOUT.module().as_bytes();
    let at = bytes.windows(name.len()).position(|part| part == name);
    let at = at.ok_or_else(|| Failure::new("the component does not hold its own name"))?;
    for number in 0..count {
        let mut variant = bytes.clone();
        let tail = format!("-{number:06}");
        let end = at + name.len();
        variant[end - tail.len()..end].copy_from_slice(tail.as_bytes());
        std::fs::write(folder.join(format!("{number:06}.wasm")), &variant).map_err(failed)?;
    }
    Ok(())
}
