//! What tenants may use, and whether they may do anything at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::TenantId;
use crate::pipeline::ledger::Ledger;
use crate::pipeline::quota::Quota;
use crate::registry::{self, Registry, Tenant};
use crate::telemetry::SchemeRef;

use super::{Floor, FloorError};

/// Rows that one look brings.
const PAGE: usize = 500;

impl Floor {
    /// Has the tenant's row of now counted: its share, its quotas, and whether it is suspended.
    pub async fn settle_tenant(self: &Arc<Self>, tenant: &TenantId) -> Result<(), FloorError> {
        let (floor, tenant) = (self.clone(), tenant.clone());
        self.owned(async move {
            let Some(registry) = floor.registry.clone() else { return Ok(()) };
            let of = tenant.clone();
            let (row, stored) = floor.aside(move |_| found(&registry, &of)).await??;
            floor.apply(&tenant, row.as_ref());
            let known = floor.shown.look();
            let known = known.iter().filter(|(name, _)| name.tenant == tenant).map(|(name, _)| name.clone());
            let names: BTreeSet<SchemeRef> = known.chain(stored).collect();
            let mut settled = Ok(());
            for name in names {
                match floor.settle(&name).await {
                    // It stood still before, and what it lacks is not the tenant's row.
                    Ok(()) | Err(FloorError::Objections(_) | FloorError::StandsStill(_) | FloorError::Module(_)) => {}
                    Err(error) => settled = Err(error),
                }
            }
            settled
        })
        .await
    }

    /// Of all tenants that have a row. Says which of them are suspended.
    pub(super) async fn apply_shares(self: &Arc<Self>) -> BTreeSet<TenantId> {
        let Some(registry) = self.registry.clone() else { return BTreeSet::new() };
        let tenants = self.aside(move |floor| {
            let tenants = all_tenants(&registry)?;
            tenants.iter().for_each(|row| floor.resume_meter(&registry, &row.id));
            Ok::<_, registry::Error>(tenants)
        });
        let tenants = match tenants.await {
            Ok(Ok(tenants)) => tenants,
            Ok(Err(error)) => {
                tracing::error!("the tenants' rows cannot be read, so nobody has a quota: {error}");
                return BTreeSet::new();
            }
            Err(_) => return BTreeSet::new(),
        };
        tenants.iter().for_each(|row| self.apply(&row.id, Some(row)));
        tenants.into_iter().filter(|row| row.suspended).map(|row| row.id).collect()
    }

    fn apply(&self, tenant: &TenantId, row: Option<&Tenant>) {
        let quota = row.map_or_else(Quota::default, |row| Quota {
            documents_per_minute: Some(row.quotas.documents_per_minute),
            fuel_per_minute: Some(row.quotas.fuel_per_minute),
            ledger_bytes: Some(row.quotas.ledger_bytes),
            concurrent_calls: Some(row.quotas.concurrent_calls),
        });
        self.registers.gates.meter(tenant).set(quota);
        let settings = self.workshop.shared.sandbox.settings();
        let of_file = settings.tenant_weights.get(tenant).copied().unwrap_or(1);
        let (weight, most) = row.map_or((of_file, u32::MAX), |row| (row.weight, row.quotas.concurrent_calls));
        self.workshop.shared.sandbox.set_share(tenant, weight, most);
    }

    /// Counts what the ledger holds of the tenant: from then on each commit says what it adds.
    pub(super) async fn take_stock(self: &Arc<Self>, tenant: &TenantId, stored: &[SchemeRef]) {
        let of_file = self.config.schemes.iter().filter(|one| one.tenant == *tenant);
        let of_file = of_file.map(|one| SchemeRef { tenant: tenant.clone(), scheme: one.name.clone() });
        let names: Vec<SchemeRef> = of_file.chain(stored.iter().cloned()).collect();
        let counted = self.aside(move |floor| {
            let mut bytes = 0;
            for SchemeRef { tenant, scheme } in names {
                let ledger = Ledger::new(floor.workshop.shared.store.clone(), tenant, scheme);
                bytes += ledger.kept_bytes(&|| floor.stop.is_cancelled())?;
            }
            Ok::<u64, crate::pipeline::ledger::Error>(bytes)
        });
        match counted.await {
            Ok(Ok(bytes)) => self.registers.gates.meter(tenant).kept(i64::try_from(bytes).unwrap_or(i64::MAX)),
            Ok(Err(error)) => {
                tracing::error!(%tenant, "what the ledger holds of the tenant cannot be counted: {error}")
            }
            Err(_) => {}
        }
    }
}

/// The tenant's row, and the names of its schemes, of those too that are no more: what they moved is there still.
pub(super) fn found(
    registry: &Registry,
    tenant: &TenantId,
) -> Result<(Option<Tenant>, Vec<SchemeRef>), registry::Error> {
    let row = registry.tenant(tenant)?;
    let rows = registry.schemes(tenant, None, usize::MAX)?;
    let names = rows.into_iter().map(|row| row.name).chain(registry.deleted_schemes(tenant)?);
    Ok((row, names.map(|scheme| SchemeRef { tenant: tenant.clone(), scheme }).collect()))
}

pub(in super::super) fn all_tenants(registry: &Registry) -> Result<Vec<Tenant>, registry::Error> {
    let mut all: Vec<Tenant> = Vec::new();
    loop {
        let page = registry.tenants(all.last().map(|row| &row.id), PAGE)?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}
