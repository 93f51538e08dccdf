//! Where commands over a capsule get its module from.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::bench::{Laboratory, components, laboratory};
use crate::capsule::Capsule;
use crate::sandbox::{Module, ModuleClass};

use super::transform::ClassArg;
use super::transform_project::{EXIT_NO_MODULE, Stop};

#[derive(Debug, Clone, Args)]
pub struct Components {
    /// Look here for a capsule's component; may be repeated
    #[arg(long = "modules", value_name = "DIR")]
    folders: Vec<PathBuf>,
}

pub fn read(path: &Path) -> Result<Capsule, Stop> {
    Capsule::read(path).map_err(|error| Stop::usage(format!("{}: {error}", path.display())))
}

impl Components {
    /// The sandbox under the capsule's settings, with the named component in it, or else the capsule's own: what it carries,
    /// or what lies beside it, in the project, or in the folders that were named.
    pub fn open(
        &self,
        capsule: &Capsule,
        (file, project): (&Path, Option<&Path>),
        named: Option<(&Path, Option<ClassArg>)>,
        artefacts: Option<&Path>,
    ) -> Result<(Laboratory, Module), Stop> {
        let settings = capsule.settings.within(crate::sandbox::Settings::default());
        if let Some(problem) = settings.problems().first() {
            return Err(Stop::usage(format!("{}: its settings cannot be: {problem}", file.display())));
        }
        let (component, class) = match named {
            Some((path, class)) => {
                let bytes = std::fs::read(path).map_err(|error| Stop::usage(format!("{}: {error}", path.display())))?;
                (bytes, class.map_or(capsule.module.class, ModuleClass::from))
            }
            None => (self.find(capsule, file, project)?, capsule.module.class),
        };
        let laboratory = Laboratory::like(artefacts, &capsule.settings).map_err(Stop::usage)?;
        let module = laboratory.load_bytes(&component, class).map_err(|error| match error {
            laboratory::Error::Sandbox(_) => Stop(EXIT_NO_MODULE, error.to_string()),
            other => Stop::usage(other),
        })?;
        Ok((laboratory, module))
    }

    fn find(&self, capsule: &Capsule, file: &Path, project: Option<&Path>) -> Result<Vec<u8>, Stop> {
        let module = &capsule.module;
        if let Some(component) = &module.component {
            return Ok(component.clone());
        }
        let mut places: Vec<&Path> = file.parent().into_iter().chain(project).chain([Path::new(".")]).collect();
        places.dedup();
        let folders: Vec<PathBuf> = self.folders.iter().cloned().chain(components::usual(&places)).collect();
        components::find(&module.digest, &folders).map_err(|seen| {
            let (name, version) = (module.name.clone(), module.version.clone());
            let missing = components::NotFound { digest: module.digest, name, version, folders, seen };
            Stop(EXIT_NO_MODULE, missing.to_string())
        })
    }
}
