//! Where modules are found by their digest: for documents that a person sends through another one than their scheme's, and
//! for looking back at what an earlier one did.

use std::path::{Path, PathBuf};

use crate::config::{Config, ModuleSource};
use crate::fault::{Code, Fault};
use crate::model::Digest;
use crate::sandbox::{Module, Sandbox};

/// The modules that one scheme may run. Everything here blocks.
pub trait Modules: Send + Sync + 'static {
    /// The component's bytes; `None` where it is not there (any more).
    fn component(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Fault>;
    /// The same, ready to run. It may have to be compiled.
    fn module(&self, digest: &Digest) -> Result<Module, Fault>;
    /// Where is looked, in words.
    fn place(&self) -> String;
}

/// That there is no such module.
pub(super) fn missing(digest: &Digest, place: &str) -> Fault {
    Fault::park(Code::ModuleMissing, format!("the module {digest} is not in {place}"))
}

/// Where components may lie: the files that schemes name, and the module directory.
#[derive(Debug, Clone)]
pub struct ModulePlaces {
    pub files: Vec<PathBuf>,
    pub directory: PathBuf,
}

impl ModulePlaces {
    pub(super) fn of(config: &Config) -> Self {
        let files = config.schemes.iter().filter_map(|scheme| match &scheme.module {
            ModuleSource::File(path) => Some(path.clone()),
            ModuleSource::Named(_) => None,
        });
        Self { files: files.collect(), directory: config.engine.module_dir.clone() }
    }

    /// The component of this digest.
    fn component(&self, digest: &Digest) -> Option<Vec<u8>> {
        let listed = std::fs::read_dir(&self.directory).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_component = |path: &Path| path.extension().is_some_and(|extension| extension == "wasm");
        let all = self.files.iter().cloned().chain(listed.filter(|path| is_component(path)));
        all.filter_map(|path| std::fs::read(path).ok()).find(|bytes| Digest::of(bytes) == *digest)
    }
}

/// What lies in files: for schemes of the configuration file.
pub struct FileModules {
    pub sandbox: Sandbox,
    pub places: ModulePlaces,
}

impl Modules for FileModules {
    fn component(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.places.component(digest))
    }

    fn module(&self, digest: &Digest) -> Result<Module, Fault> {
        let component = self.places.component(digest).ok_or_else(|| missing(digest, &self.place()))?;
        self.sandbox.load(&component, self.sandbox.class_of(&component)).map_err(|error| error.fault())
    }

    fn place(&self) -> String {
        self.places.directory.display().to_string()
    }
}
