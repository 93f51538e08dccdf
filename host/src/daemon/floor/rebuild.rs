//! Makes compiled modules again that another engine made, or that are gone: one after another, behind everything else that
//! is to be compiled, so that whoever activates one of them need not wait for it.

use std::sync::Arc;

use crate::registry::{ModuleRow, Registry};
use crate::sandbox::ModuleClass;

use super::super::modules::StoredModules;
use super::Floor;
use super::tenants::all_tenants;

const PAGE: usize = 100;
const LOWEST: u8 = 0;

impl Floor {
    pub(super) fn rebuild_modules(self: &Arc<Self>) {
        let Some(registry) = self.registry.clone() else { return };
        let floor = self.clone();
        self.tasks.spawn(async move {
            let done = floor.aside(move |floor| floor.rebuild(&registry)).await;
            if let Ok(Err(error)) = done {
                tracing::error!("modules are not compiled ahead of their use: {error}");
            }
        });
    }

    fn rebuild(&self, registry: &Registry) -> Result<(), crate::registry::Error> {
        let sandbox = self.workshop.shared.sandbox.with_priority(LOWEST);
        for tenant in all_tenants(registry)? {
            let stored =
                StoredModules { sandbox: sandbox.clone(), registry: registry.clone(), tenant: tenant.id.clone() };
            let mut after = None;
            loop {
                let page: Vec<ModuleRow> = registry.modules(&tenant.id, after.as_ref(), PAGE)?;
                let Some(last) = page.last() else { break };
                after = Some(last.digest);
                for row in page {
                    if self.stop.is_cancelled() {
                        return Ok(());
                    }
                    let Ok((component, class)) = stored.found(&row.digest) else { continue };
                    self.make_again(&stored, &row, &component, class);
                }
            }
        }
        Ok(())
    }

    fn make_again(&self, stored: &StoredModules, row: &ModuleRow, component: &[u8], class: ModuleClass) {
        if stored.sandbox.is_compiled(&row.digest, class) {
            return;
        }
        let tenant = &stored.tenant;
        match stored.sandbox.load_aside(component, class, tenant) {
            Ok(_) => tracing::info!(%tenant, module = %row.digest, "a module was compiled again for this engine"),
            Err(error) => {
                let fault = error.fault();
                tracing::warn!(%tenant, module = %row.digest, "a module does not compile for this engine: {fault}");
            }
        }
    }
}
