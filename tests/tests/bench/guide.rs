//! The guide for a first transform: every command in it, in its order, from an empty directory.

use std::path::Path;
use std::process::Command;

use vendor_sim::proof::engine::said;

use crate::{crossdock, ends, in_place, programs, repository};

/// Lines of code that begin so are typed.
const PROMPT: &str = "    $ ";

#[test]
fn every_command_of_the_first_guide_works_from_an_empty_directory() {
    let text = std::fs::read_to_string(repository().join("docs/guides/first-transform.md")).unwrap();
    let typed: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(PROMPT)).collect();
    for needed in ["crossdock new", "crossdock build", "crossdock test", "cargo test", "crossdock explain"] {
        assert!(typed.iter().any(|line| line.starts_with(needed)), "the guide never types {needed}: {typed:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    let script = format!("set -eu\n{}\n", typed.join("\n"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]);
    in_place(&mut shell, dir.path());
    let bin = programs().crossdock.parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(bin).chain(std::env::split_paths(&path));
    shell.env("PATH", std::env::join_paths(paths).unwrap());
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{script}\n{}", said(&output));
    let shown = String::from_utf8_lossy(&output.stdout);
    for part in [
        "3 passed, 0 failed",
        "the case fails, as it should",
        "4 passed, 0 failed",
        "1 passed; 0 failed",
        "document   /so_id",
    ] {
        assert!(shown.contains(part), "{part:?} was not shown: {}", said(&output));
    }
}

/// A project in a folder of its own; `new` itself is proved by the guide.
pub fn project(folder: &Path, arguments: &[&str]) -> std::path::PathBuf {
    let mut all = vec!["new", "my-transform"];
    all.extend(arguments);
    ends(crossdock(folder, &all), 0);
    folder.join("my-transform")
}

/// The components that `make components` made here, made again from nothing. In the same place: they borrow their SDK from
/// outside their workspace, and cargo makes where that lies a part of the names in it. A project of one's own has it inside.
#[test]
fn this_repositorys_transforms_give_the_same_bytes_again() {
    let dir = tempfile::tempdir().unwrap();
    for transform in ["jushuitan-saleout-to-k3cloud", "u8-saleout-to-wangdiantong", "wangdiantong-stockin-to-jdy"] {
        let again = dir.path().join(transform);
        let mut build = crossdock(repository(), &["build", &format!("transforms/{transform}")]);
        build.arg("--output").arg(&again).env("CARGO_TARGET_DIR", dir.path().join("target"));
        ends(build, 0);
        let same = std::fs::read(&again).unwrap() == std::fs::read(crate::component(transform)).unwrap();
        assert!(same, "{transform} has other bytes; if its sources changed, `make components` makes it anew");
    }
}

#[test]
fn the_same_source_gives_the_same_bytes_wherever_it_lies() {
    let digests = ["here", "somewhere/else/deeper"].map(|place| {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(place);
        std::fs::create_dir_all(&folder).unwrap();
        let project = project(&folder, &["--from", "jushuitan.saleout.list.query", "--to", "BatchSave"]);
        let mut build = crossdock(&project, &["build"]);
        // Nothing that the other build left may be found.
        build.env("CARGO_TARGET_DIR", dir.path().join("target"));
        let output = ends(build, 0);
        let line = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(String::from_utf8_lossy(&output.stderr).contains("rustc 1."), "{}", said(&output));
        line.split_once("sha256:").unwrap_or_else(|| panic!("no digest in {line:?}")).1.to_owned()
    });
    assert_eq!(digests[0], digests[1]);
}
