//! Binaryen's `wasm-opt` over a core module, where it is installed. It makes a Rust guest some tenths smaller; without
//! it the component works as well. It is a part of the toolchain: with and without it, and between two of its versions,
//! the bytes differ, so the report names it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Error;

/// What a core module of rustc may use. `wasm-opt` refuses what it is not told of, and uses nothing that it is not.
const FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

/// The core module, optimised where that is possible, and what was used, for people.
pub fn optimise(core_module: &Path) -> Result<(Vec<u8>, String), Error> {
    optimise_with(|| Command::new("wasm-opt"), core_module)
}

fn optimise_with(program: impl Fn() -> Command, core_module: &Path) -> Result<(Vec<u8>, String), Error> {
    let failed = |source| Error::File { path: core_module.into(), source };
    let Some(version) = version(program()) else {
        return Ok((fs::read(core_module).map_err(failed)?, "wasm-opt is not installed".into()));
    };
    let optimised = core_module.with_extension("optimised.wasm");
    let command = String::from("wasm-opt -O3");
    let status = program()
        .args(FEATURES)
        .args(["-O3", "--output"])
        .args([&optimised, core_module])
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .map_err(|source| Error::CannotRun { command: command.clone(), source })?;
    if !status.success() {
        return Err(Error::Failed { command, status });
    }
    let bytes = fs::read(&optimised).map_err(|source| Error::File { path: optimised, source })?;
    Ok((bytes, version))
}

fn version(mut program: Command) -> Option<String> {
    let output = program.arg("--version").stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell script stands in for the optimiser.
    fn check(script: &str) -> Result<(Vec<u8>, String), Error> {
        let dir = tempfile::tempdir().expect("a folder");
        let module = dir.path().join("core.wasm");
        fs::write(&module, b"ab").expect("a file");
        let program = || {
            let mut shell = Command::new("sh");
            shell.args(["-c", script, "wasm-opt"]);
            shell
        };
        optimise_with(program, &module)
    }

    #[test]
    fn takes_the_module_as_it_is_where_the_optimiser_is_not_installed_and_says_so() {
        let (bytes, said) = check("exit 127").expect("the module");
        assert_eq!((bytes.as_slice(), said.as_str()), (b"ab".as_slice(), "wasm-opt is not installed"));
    }

    #[test]
    fn takes_what_the_optimiser_made_and_names_it() {
        let script = "[ \"$1\" = --version ] && { echo 'wasm-opt version 1'; exit; }\n\
                      while [ \"$1\" != --output ]; do shift; done; cat \"$3\" \"$3\" > \"$2\"";
        let (bytes, said) = check(script).expect("the module");
        assert_eq!((bytes.as_slice(), said.as_str()), (b"abab".as_slice(), "wasm-opt version 1"));
    }

    #[test]
    fn an_optimiser_that_fails_is_not_passed_over() {
        let why = check("[ \"$1\" = --version ] && { echo v; exit; }\nexit 3").expect_err("a failure");
        assert!(matches!(&why, Error::Failed { command, .. } if command.contains("wasm-opt -O3")), "{why}");
    }
}
