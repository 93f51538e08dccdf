//! Retention at work: a pass over each tenant, then a rest.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config;
use crate::model::TenantId;
use crate::pipeline::driver::Now;
use crate::pipeline::reference::Library;
use crate::pipeline::retention::{Keep, Member, Passed, pass};
use crate::telemetry::Metrics;

use super::register::Register;

pub(super) struct Retention {
    pub settings: config::Retention,
    pub members: Register<Member>,
    pub library: Library,
    pub metrics: Metrics,
    pub now: Now,
}

impl Retention {
    /// Until `stop`. A pass that fails is said, and made again at its next time: nothing is lost by what was not removed.
    pub async fn run(self, stop: CancellationToken) {
        let every = Duration::try_from(self.settings.every).unwrap_or(Duration::MAX);
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stop.cancelled() => return,
            }
            // Those of now: a scheme that comes meanwhile has nothing that is old.
            let mut tenants = BTreeMap::<TenantId, Vec<Member>>::new();
            for (scheme, member) in self.members.look().iter() {
                tenants.entry(scheme.tenant.clone()).or_default().push(member.clone());
            }
            for (tenant, members) in &tenants {
                self.of_tenant(tenant, members, &stop).await;
            }
        }
    }

    async fn of_tenant(&self, tenant: &TenantId, members: &[Member], stop: &CancellationToken) {
        let config::Keep { time, bytes } = self.settings.of(tenant);
        if time.is_none() && bytes.is_none() {
            return;
        }
        let passed = match pass(members, &Keep { time, bytes }, (self.now)(), stop).await {
            Ok(passed) => passed,
            Err(error) => {
                tracing::error!(%tenant, "retention failed and tries again later: {error}");
                return;
            }
        };
        let Passed { reduced, removed, kept_bytes } = passed;
        self.metrics.retained(tenant, reduced, removed, kept_bytes);
        if reduced > 0 || removed > 0 {
            tracing::info!(%tenant, reduced, removed, kept_bytes, "retention removed what its time had come for");
        }
        match self.library.forget_unwanted().await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "reference tables that no scheme names any more were removed"),
            Err(error) => tracing::error!("reference tables that no scheme names stay for now: {error}"),
        }
    }
}
