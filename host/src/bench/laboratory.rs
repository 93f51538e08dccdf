//! A sandbox for one developer: production's settings, compiled modules kept between two runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::sandbox::{
    Call, ClassLimits, Compiler, Context, Error as SandboxError, Isolation, Limits, Lookup, Module, ModuleClass,
    References, Run, RunSettings, Sandbox, Settings,
};

/// Where compiled modules are kept below the user's cache directory.
const CACHE: &str = "crossdock/artefacts";
/// Compiled modules kept there; a Rust mapping's is a megabyte, an interpreter's some tens.
const ARTEFACTS_KEPT: usize = 40;
/// Half an hour: the processor time runs out long before, on any machine that is not stuck.
const COMPILING_WALL_MS: u64 = 1_800_000;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("this program's own path is not known: {0}")]
    NoProgram(std::io::Error),
    #[error("{}", .0.fault())]
    Sandbox(SandboxError),
}

pub struct Laboratory {
    sandbox: Sandbox,
    /// Goes away with it where nothing is to be kept.
    _scratch: Option<tempfile::TempDir>,
}

impl Laboratory {
    /// Keeps compiled modules in `artefacts`, or where it is `None` in the user's cache.
    pub fn open(artefacts: Option<&Path>) -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(Error::NoProgram)?;
        Self::with(artefacts, Settings::default(), program)
    }

    /// The same under the settings that some run was recorded with.
    pub fn like(artefacts: Option<&Path>, recorded: &RunSettings) -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(Error::NoProgram)?;
        Self::with(artefacts, recorded.within(Settings::default()), program)
    }

    /// `program` is the product's binary, which compiles.
    pub fn with(artefacts: Option<&Path>, settings: Settings, program: PathBuf) -> Result<Self, Error> {
        let kept = artefacts.map(Path::to_path_buf).or_else(cache);
        let scratch = match &kept {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(|source| Error::File { path: std::env::temp_dir(), source })?),
        };
        let path = kept.unwrap_or_else(|| scratch.as_ref().map(|dir| dir.path().into()).unwrap_or_default());
        let failed = |source| Error::File { path: path.clone(), source };
        fs::create_dir_all(&path).map_err(failed)?;
        if artefacts.is_none() {
            prune(&path);
        }
        let dir = Dir::open_ambient_dir(&path, ambient_authority()).map_err(failed)?;
        // One document after another: a laptop needs one slot, not a pool. What a document may use is production's.
        let settings = Settings {
            concurrency: 1,
            interpreter_concurrency: 1,
            standard: unhurried(ClassLimits::standard()),
            interpreter: unhurried(ClassLimits::interpreter()),
            ..settings
        };
        let sandbox = Sandbox::new(settings, dir, Compiler::Child { program }).map_err(Error::Sandbox)?;
        Ok(Self { sandbox, _scratch: scratch })
    }

    pub fn load(&self, component: &Path, class: ModuleClass) -> Result<Module, Error> {
        let bytes = fs::read(component).map_err(|source| Error::File { path: component.into(), source })?;
        self.load_bytes(&bytes, class)
    }

    pub fn load_bytes(&self, component: &[u8], class: ModuleClass) -> Result<Module, Error> {
        self.sandbox.load(component, class).map_err(Error::Sandbox)
    }

    pub fn settings(&self) -> &Settings {
        self.sandbox.settings()
    }

    /// What a document may use of a module like this where its scheme says nothing else.
    pub fn limits(&self, module: &Module) -> Limits {
        Limits::of(self.sandbox.settings(), module.class())
    }

    /// One document in a fresh instance.
    pub fn run(
        &self,
        module: &Module,
        context: &Context,
        document: &crate::model::Document,
        limits: &Limits,
        references: &dyn References,
    ) -> Run {
        let call = Call { context, document, deadline_ms: None };
        let mut runs = self.sandbox.transform(module, &[call], Isolation::Document, limits, references);
        runs.remove(0)
    }

    /// Many documents, in order.
    pub fn run_all(
        &self,
        module: &Module,
        calls: &[Call<'_>],
        isolation: Isolation,
        limits: &Limits,
        references: &dyn References,
    ) -> Vec<Run> {
        self.sandbox.transform(module, calls, isolation, limits, references)
    }
}

/// Forgets all compiled modules but the newest: each build of a mapping is another one.
fn prune(path: &Path) {
    let Ok(entries) = fs::read_dir(path) else { return };
    let artefacts = entries.flatten().filter(|entry| entry.path().extension().is_some_and(|kind| kind == "cwasm"));
    let mut dated: Vec<_> =
        artefacts.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    dated.sort();
    let surplus = dated.len().saturating_sub(ARTEFACTS_KEPT);
    for (_, file) in &dated[..surplus] {
        // Another run may have been faster; what stays is compiled anew or pruned the next time.
        let _ = fs::remove_file(file);
    }
}

/// The compiler may use as much processor time as in production, and take as long over it as a laptop that does other things
/// meanwhile needs.
fn unhurried(limits: ClassLimits) -> ClassLimits {
    ClassLimits { child_wall_ms: COMPILING_WALL_MS, ..limits }
}

fn cache() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = named.or_else(|| std::env::home_dir().map(|home| home.join(".cache")))?;
    Some(cache.join(CACHE))
}

/// Reference tables, complete: name → key → entry as JSON text. A key that is not there does not exist.
#[derive(Debug, Clone, Default)]
pub struct Tables(pub BTreeMap<String, BTreeMap<String, String>>);

impl References for Tables {
    fn lookup(&self, table: &str, key: &str) -> Lookup {
        match self.0.get(table).map(|table| table.get(key)) {
            Some(Some(entry)) => Lookup::Found(entry.clone()),
            Some(None) => Lookup::KnownMissing,
            None => Lookup::UnknownTable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_compiled_modules_and_nothing_else_are_kept_or_lost() {
        let dir = tempfile::tempdir().unwrap();
        let start = std::time::SystemTime::UNIX_EPOCH;
        for number in 0..ARTEFACTS_KEPT as u64 + 3 {
            let file = fs::File::create(dir.path().join(format!("{number}.cwasm"))).unwrap();
            file.set_modified(start + std::time::Duration::from_secs(number)).unwrap();
        }
        fs::write(dir.path().join("artefact.key"), "").unwrap();
        prune(dir.path());
        let kept = |name: &str| dir.path().join(name).exists();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), ARTEFACTS_KEPT + 1);
        assert!(kept("artefact.key") && kept("3.cwasm") && !kept("2.cwasm"));
    }
}
