//! The developer's bench as a developer meets it: the binary, an empty directory, and what is on the screen.
//!
//! Projects are compiled here, offline: what they depend on is what the transforms in this repository depend on. `make
//! test` builds what else is needed; a missing binary fails every test with the command that makes it.

#![allow(clippy::unwrap_used)]

mod contract;
mod explain;
mod guide;
mod messages;
mod same;
mod skeletons;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use vendor_sim::proof::engine::said;
use vendor_sim::proof::guests;
use vendor_sim::proof::programs::{Given, Programs};

fn programs() -> Programs {
    match Programs::find(Given::default()) {
        Ok(programs) => programs,
        Err(missing) => panic!("{missing}"),
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The component of one of this repository's transforms.
fn component(name: &str) -> PathBuf {
    let component = programs().components.join(name).with_extension("wasm");
    assert!(component.is_file(), "{} is not there: `make components` makes it", component.display());
    component
}

/// Where the projects of these tests are compiled, and compiled modules kept: one place, so that dependencies are compiled
/// once.
fn workshop() -> PathBuf {
    programs().crossdock.parent().unwrap().parent().unwrap().join("bench")
}

/// `crossdock` in a folder, offline, with nothing of this machine's user but the toolchain.
fn crossdock(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(programs().crossdock);
    command.args(arguments);
    in_place(&mut command, folder);
    command
}

fn in_place(command: &mut Command, folder: &Path) {
    command
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", workshop())
        .env("XDG_CACHE_HOME", workshop().join("cache"))
        .env("CARGO_NET_OFFLINE", "true")
        .stdin(Stdio::null());
}

#[track_caller]
fn ends(mut command: Command, code: i32) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{command:?}: {}", said(&output));
    output
}

#[track_caller]
fn report(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}
