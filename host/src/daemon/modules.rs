//! Where modules are found by their digest: for documents that a person sends through another one than their scheme's, and
//! for looking back at what an earlier one did.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::config::{Config, ModuleSource};
use crate::fault::{Code, Disposition, Fault};
use crate::model::{Digest, TenantId};
use crate::registry::{self, Registry};
use crate::sandbox::{Module, ModuleClass, Sandbox};

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

/// What a tenant uploaded: for its own schemes that stand in no file.
pub(super) struct StoredModules {
    pub sandbox: Sandbox,
    pub registry: Registry,
    pub tenant: TenantId,
}

impl StoredModules {
    /// The class under which it was taken.
    fn class(&self, digest: &Digest) -> Result<ModuleClass, Fault> {
        let row = self.registry.module(&self.tenant, digest).map_err(|error| unreadable(&error))?;
        let row = row.ok_or_else(|| missing(digest, &self.place()))?;
        let is_interpreter = row.class == ModuleClass::Interpreter.as_str();
        Ok(if is_interpreter { ModuleClass::Interpreter } else { ModuleClass::Standard })
    }

    /// The component and its class.
    pub fn found(&self, digest: &Digest) -> Result<(Bytes, ModuleClass), Fault> {
        let bytes = self.registry.module_bytes(&self.tenant, digest).map_err(|error| unreadable(&error))?;
        Ok((bytes.ok_or_else(|| missing(digest, &self.place()))?, self.class(digest)?))
    }
}

impl Modules for StoredModules {
    fn component(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Fault> {
        let bytes = self.registry.module_bytes(&self.tenant, digest).map_err(|error| unreadable(&error))?;
        Ok(bytes.map(|bytes| bytes.to_vec()))
    }

    fn module(&self, digest: &Digest) -> Result<Module, Fault> {
        let (component, class) = self.found(digest)?;
        self.sandbox.load(&component, class).map_err(|error| error.fault())
    }

    fn place(&self) -> String {
        format!("the modules of {}", self.tenant)
    }
}

/// The engine's own trouble: what waits for the module is kept.
fn unreadable(error: &registry::Error) -> Fault {
    let fault = Fault::new(Code::StoreFailed, Disposition::StopScheme, "the tenant's modules cannot be read");
    fault.with_internal(error.to_string())
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
