//! The registry's schemes at a start: known at once, and put to work one after another.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::join_all;

use crate::model::TenantId;
use crate::registry::{self, Registry};
use crate::telemetry::SchemeRef;

use super::tenants::{all_tenants, found};
use super::{Floor, FloorError, Shown};

/// Why nothing but looking, erasing and pausing is done with a scheme for a moment.
const NOT_YET: &str = "it has not begun yet";

impl Floor {
    /// Has the registry's schemes known, with nobody at work: whoever looks at one, or pulls its plug, need not wait until
    /// its module is compiled. Before anybody can ask.
    pub(in super::super) async fn announce_stored(self: &Arc<Self>) {
        let Some(registry) = self.registry.clone() else { return };
        let rows = registry.clone();
        let announced = match self.aside(move |_| all_tenants(&rows)).await {
            Ok(Ok(tenants)) => {
                let mut announced = Ok(());
                for tenant in tenants {
                    announced = announced.and(self.announce_tenant(&registry, tenant.id, tenant.suspended).await);
                }
                announced
            }
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(error),
        };
        if let Err(error) = announced {
            tracing::error!("schemes of the registry cannot be read, and are not known yet: {error}");
        }
    }

    async fn announce_tenant(
        self: &Arc<Self>,
        registry: &Registry,
        tenant: TenantId,
        suspended: bool,
    ) -> Result<(), FloorError> {
        let (registry, of) = (registry.clone(), tenant.clone());
        let rows = self.aside(move |_| -> Result<Vec<(SchemeRef, Shown)>, registry::Error> {
            let rows = registry.schemes(&of, None, usize::MAX)?;
            let named = |row: registry::SchemeRow| {
                let shown = Shown::of_row(&row, suspended);
                (SchemeRef { tenant: of.clone(), scheme: row.name }, shown)
            };
            Ok(rows.into_iter().map(named).collect())
        });
        let rows = rows.await??;
        let lock = self.tenant(&tenant);
        let mut places = lock.lock().await;
        for (name, shown) in rows {
            let place = places.entry(name.scheme.clone()).or_default();
            let why = shown.reason.clone().unwrap_or_else(|| NOT_YET.into());
            self.leave_a_desk(place, &name, &shown.connections, why);
            self.shown.put(&name, shown);
        }
        Ok(())
    }

    /// Has a scheme known that was just made. It has no desk before it has its place, for which it may have to wait.
    pub(super) async fn announce(self: &Arc<Self>, name: &SchemeRef) -> Result<(), FloorError> {
        let Some(registry) = self.registry.clone() else { return Ok(()) };
        if self.shown.get(name).is_some() {
            return Ok(());
        }
        let of = name.clone();
        let found = self.aside(move |_| -> Result<Option<Shown>, registry::Error> {
            let suspended = registry.tenant(&of.tenant)?.is_some_and(|tenant| tenant.suspended);
            let row = registry.scheme(&of.tenant, &of.scheme)?;
            Ok(row.map(|row| Shown::of_row(&row, suspended)))
        });
        if let Some(shown) = found.await?? {
            self.shown.put(name, shown);
        }
        Ok(())
    }

    /// Begins to put the registry's schemes to work, each tenant's beside the others'.
    pub(super) fn start_stored(self: &Arc<Self>) {
        let Some(registry) = self.registry.clone() else {
            self.has_begun.store(true, Ordering::Release);
            return;
        };
        let floor = self.clone();
        self.tasks.spawn(async move {
            let rows = registry.clone();
            let tenants = match floor.aside(move |_| all_tenants(&rows)).await {
                Ok(Ok(tenants)) => tenants,
                // It stays as one that has not begun: nobody should take it for one that works.
                Ok(Err(error)) => return tracing::error!("the tenants' rows cannot be read: {error}"),
                Err(_) => return,
            };
            let start = |tenant: registry::Tenant| {
                let (starting, registry) = (floor.clone(), registry.clone());
                floor.tasks.spawn(async move { starting.start_tenant(&registry, tenant.id).await })
            };
            let started = join_all(tenants.into_iter().map(start)).await;
            let all = started.into_iter().all(|started| started.unwrap_or(false));
            floor.has_begun.store(all, Ordering::Release);
        });
    }

    /// Whether each of its schemes was looked at.
    async fn start_tenant(self: Arc<Self>, registry: &Registry, tenant: TenantId) -> bool {
        let (registry, of) = (registry.clone(), tenant.clone());
        let names = match self.aside(move |_| found(&registry, &of)).await {
            Ok(Ok((_, names))) => names,
            Ok(Err(error)) => {
                tracing::error!(%tenant, "the tenant's schemes cannot be read: {error}");
                return false;
            }
            Err(_) => return false,
        };
        // First, or what is committed meanwhile would count twice.
        self.take_stock(&tenant, &names).await;
        for name in names {
            // What is wrong is logged and shown where it is found.
            let _ = self.settle(&name).await;
        }
        true
    }
}
