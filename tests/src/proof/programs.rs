//! Where the programs and the components under proof are.

use std::path::{Path, PathBuf};

use super::schemes::{self, Scheme};
use super::{Failure, Result};

/// What `make` builds.
#[derive(Debug, Clone)]
pub struct Programs {
    pub crossdock: PathBuf,
    pub vendor_sim: PathBuf,
    /// Folders of the components, and of their sources.
    pub components: PathBuf,
    pub transforms: PathBuf,
}

/// Paths that were given; what is not is looked for beside this very program.
#[derive(Debug, Clone, Default)]
pub struct Given {
    pub crossdock: Option<PathBuf>,
    pub vendor_sim: Option<PathBuf>,
    pub components: Option<PathBuf>,
    pub transforms: Option<PathBuf>,
}

impl Programs {
    /// All of them, or a failure that names each one missing and the command that makes it.
    pub fn find(given: Given) -> Result<Self> {
        let own = std::env::current_exe().map_err(|error| Failure::during("looking for this program", error))?;
        let programs = Self::beside(&own, given);
        let mut missing = Vec::new();
        let mut check = |path: &Path, command: &str| {
            if !path.is_file() {
                missing.push(format!("{} is not there: `{command}` makes it", path.display()));
            }
        };
        check(&programs.crossdock, "make build");
        check(&programs.vendor_sim, "make build");
        for scheme in schemes::ALL {
            check(&programs.component(scheme), "make components");
            check(&programs.parameters(scheme), "git checkout transforms");
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
        // `make` leaves components in the repository's own `target`, whatever cargo's target directory is.
        let made = Some(target.join("components")).filter(|folder| folder.is_dir());
        let made = made.unwrap_or_else(|| repository.join("target/components"));
        Self {
            crossdock: or_env(given.crossdock, "CROSSDOCK_BIN").unwrap_or_else(|| folder.join("crossdock")),
            vendor_sim: or_env(given.vendor_sim, "VENDOR_SIM_BIN").unwrap_or_else(|| folder.join("vendor-sim")),
            components: or_env(given.components, "CROSSDOCK_COMPONENTS").unwrap_or(made),
            transforms: or_env(given.transforms, "CROSSDOCK_TRANSFORMS")
                .unwrap_or_else(|| repository.join("transforms")),
        }
    }

    /// The mapping of a scheme.
    pub fn component(&self, scheme: &dyn Scheme) -> PathBuf {
        self.components.join(scheme.module()).with_extension("wasm")
    }

    /// One user's parameters for it.
    pub fn parameters(&self, scheme: &dyn Scheme) -> PathBuf {
        self.transforms.join(scheme.module()).join("parameters.example.json")
    }
}
