//! Finds modules by their digest among the components that lie where the configuration says.

use std::sync::{Mutex, PoisonError};

use crate::fault::{Code, Fault};
use crate::model::Digest;
use crate::sandbox::{Module, Sandbox};

use super::capsule_desk::ModulePlaces;
use super::transformer::Modules;

pub struct PlacedModules {
    places: ModulePlaces,
    sandbox: Sandbox,
    /// The last one: who retries many documents with a module wants the same one each time.
    last: Mutex<Option<Module>>,
}

impl PlacedModules {
    pub fn new(places: ModulePlaces, sandbox: Sandbox) -> Self {
        Self { places, sandbox, last: Mutex::new(None) }
    }
}

impl Modules for PlacedModules {
    fn module(&self, digest: &Digest) -> Result<Module, Fault> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = last.as_ref().filter(|module| module.digest() == *digest) {
            return Ok(module.clone());
        }
        let Some(component) = self.places.component(digest) else {
            let place = self.places.directory.display();
            let message = format!("no component of the digest {digest} lies in {place} or is named by a scheme");
            return Err(Fault::park(Code::ModuleMissing, message));
        };
        let loaded = self.sandbox.load(&component, self.sandbox.class_of(&component));
        let module = loaded.map_err(|error| error.fault())?;
        *last = Some(module.clone());
        Ok(module)
    }
}
