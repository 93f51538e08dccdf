//! Where the programs and the component under proof are.

use std::path::{Path, PathBuf};

use super::{Failure, Result};

/// What `make` builds.
#[derive(Debug, Clone)]
pub struct Programs {
    pub crossdock: PathBuf,
    pub vendor_sim: PathBuf,
    /// The mapping of scheme A.
    pub component: PathBuf,
    /// One user's parameters for it.
    pub parameters: PathBuf,
}

/// Paths that were given; what is not is looked for beside this very program.
#[derive(Debug, Clone, Default)]
pub struct Given {
    pub crossdock: Option<PathBuf>,
    pub vendor_sim: Option<PathBuf>,
    pub component: Option<PathBuf>,
    pub parameters: Option<PathBuf>,
}

const MODULE: &str = "jushuitan-saleout-to-k3cloud";

impl Programs {
    /// All of them, or a failure that names each one missing and the command that makes it.
    pub fn find(given: Given) -> Result<Self> {
        let own = std::env::current_exe().map_err(|error| Failure::during("looking for this program", error))?;
        let programs = Self::beside(&own, given);
        let mut missing = Vec::new();
        for (path, command) in [
            (&programs.crossdock, "cargo build --package crossdock"),
            (&programs.vendor_sim, "cargo build --package crossdock-tests"),
            (&programs.component, "crossdock build transforms/jushuitan-saleout-to-k3cloud"),
            (&programs.parameters, "git checkout transforms"),
        ] {
            if !path.is_file() {
                missing.push(format!("{} is not there: `make build` or `{command}` makes it", path.display()));
            }
        }
        if missing.is_empty() { Ok(programs) } else { Err(Failure(missing.join("\n"))) }
    }

    fn beside(own: &Path, given: Given) -> Self {
        // A test binary lies one folder deeper, in `deps`.
        let folder = own.parent().filter(|folder| !folder.ends_with("deps")).or_else(|| own.parent()?.parent());
        let folder = folder.unwrap_or(Path::new("."));
        let target = folder.parent().unwrap_or(Path::new("."));
        let or_env = |given: Option<PathBuf>, name: &str| given.or_else(|| std::env::var_os(name).map(PathBuf::from));
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
        let source = repository.join("transforms").join(MODULE);
        let made = |target: &Path| target.join("components").join(MODULE).with_extension("wasm");
        // `make` leaves components in the repository's own `target`, whatever cargo's target directory is.
        let component = Some(made(target)).filter(|file| file.is_file()).unwrap_or(made(&repository.join("target")));
        Self {
            crossdock: or_env(given.crossdock, "CROSSDOCK_BIN").unwrap_or_else(|| folder.join("crossdock")),
            vendor_sim: or_env(given.vendor_sim, "VENDOR_SIM_BIN").unwrap_or_else(|| folder.join("vendor-sim")),
            component: or_env(given.component, "CROSSDOCK_COMPONENT").unwrap_or(component),
            parameters: or_env(given.parameters, "CROSSDOCK_PARAMETERS")
                .unwrap_or_else(|| source.join("parameters.example.json")),
        }
    }
}
