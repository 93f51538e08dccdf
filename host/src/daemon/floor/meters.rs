//! Keeps what tenants used within the last minute, so that a restart gives nobody a fresh one.
//!
//! Sparsely: every few seconds, one batch of a few kilobytes with the tenants that used something, and once at the end. So
//! whoever brings the engine down gains these few seconds at most, and the commit that a row for each document would be is
//! saved. To begin with a minute that counts as used up would cost no commit at all, and everybody a minute at every
//! restart.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::TenantId;
use crate::pipeline::quota::{Meter, Spent};
use crate::registry::{Metered, Registry};

use super::Floor;

const EVERY: Duration = Duration::from_secs(5);

impl Floor {
    /// What an earlier life of the engine counted counts still.
    pub(super) fn resume_meter(&self, registry: &Registry, tenant: &TenantId) {
        match registry.metered(tenant) {
            Ok(kept) => {
                let spent = |Metered { second, documents, fuel }| Spent { second, documents, fuel };
                self.registers.gates.meter(tenant).resume(kept.into_iter().map(spent).collect());
            }
            Err(error) => tracing::error!(%tenant, "what the tenant has used of late cannot be read: {error}"),
        }
    }

    /// Until the engine stops.
    pub(super) fn keep_meters(self: &Arc<Self>) {
        let Some(registry) = self.registry.clone() else { return };
        let floor = self.clone();
        self.tasks.spawn(async move {
            let mut kept = HashMap::new();
            loop {
                let stopped = tokio::time::timeout(EVERY, floor.stop.cancelled()).await.is_ok();
                if stopped {
                    return;
                }
                floor.keep_meters_once(&registry, &mut kept).await;
            }
        });
    }

    /// Those that are not as they were kept last.
    pub(super) async fn keep_meters_once(&self, registry: &Registry, kept: &mut HashMap<TenantId, Vec<Spent>>) {
        let now = (self.workshop.shared.now)();
        // Without a quota there is nothing to be counted for, and a tenant that was deleted has none.
        let is_limited = |meter: &Meter| meter.quota() != Default::default();
        let meters = self.registers.gates.meters().into_iter().filter(|(_, meter)| is_limited(meter));
        let changed: Vec<(TenantId, Vec<Spent>)> = meters
            .map(|(tenant, meter)| (tenant, meter.spent(now)))
            // What only grew old need not be kept anew.
            .filter(|(tenant, spent)| {
                spent.last().is_some_and(|last| kept.get(tenant).and_then(|kept| kept.last()) != Some(last))
            })
            .collect();
        if changed.is_empty() {
            return;
        }
        let metered =
            |Spent { second, documents, fuel }: &Spent| Metered { second: *second, documents: *documents, fuel: *fuel };
        let rows: Vec<_> =
            changed.iter().map(|(tenant, spent)| (tenant.clone(), spent.iter().map(metered).collect())).collect();
        match registry.keep_meters(&rows).await {
            Ok(()) => kept.extend(changed),
            Err(error) => tracing::error!("what tenants have used of late is not kept: {error}"),
        }
    }
}
