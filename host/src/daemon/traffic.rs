//! What the connections and the disk have to say: for the health page, the metrics and the webhook.

use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::connectors::{Position, Road, Traffic};
use crate::model::{ConnectionName, TenantId};
use crate::pipeline::gate::Gates;
use crate::state::Look;
use crate::telemetry::{Alert, AlertKind, Alerts, Metrics, RoadNumbers, Subject};

/// Raises and clears the alerts that are no scheme's own.
pub(super) struct Watch {
    pub gates: Gates,
    pub alerts: Option<Alerts>,
    /// A vendor that has counted as down for this long is told of.
    pub down_after: Duration,
}

impl Watch {
    pub async fn run(self, interval: Duration, stop: CancellationToken) {
        let Some(alerts) = &self.alerts else { return };
        let mut ticks = tokio::time::interval(interval);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.look(alerts),
                () = stop.cancelled() => return,
            }
        }
    }

    fn look(&self, alerts: &Alerts) {
        for ((tenant, connection), road) in self.gates.roads() {
            match road.traffic().down_for {
                Some(age) if age >= self.down_after => {
                    alerts.raise(Alert::ConnectionDown { tenant, connection, age });
                }
                // Not yet, or a probe is about to tell: only an answer clears it.
                Some(_) => {}
                None => alerts.clear(AlertKind::ConnectionDown, Subject::Connection(tenant, connection)),
            }
        }
        match self.gates.disk().low {
            Some(low) => {
                let (free_bytes, reserve_bytes) = (low.free_bytes, low.reserve_bytes);
                alerts.raise(Alert::DiskLow { free_bytes, reserve_bytes });
            }
            None => alerts.clear(AlertKind::DiskLow, Subject::Disk),
        }
    }
}

/// The connections' part of the health page.
pub(super) fn connections(gates: &Gates) -> Vec<serde_json::Value> {
    let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs());
    let line = |((tenant, connection), road): ((TenantId, ConnectionName), Road)| {
        let Traffic { position, down_for, probes_in, held_for, opened, refused, under_way, waiting } = road.traffic();
        json!({
            "tenant": tenant.as_str(), "connection": connection.as_str(), "breaker": name(position),
            "down_for_seconds": seconds(down_for), "probe_in_seconds": seconds(probes_in),
            "held_for_seconds": seconds(held_for), "opened": opened, "refused": refused,
            "under_way": under_way, "waiting": waiting,
        })
    };
    gates.roads().into_iter().map(line).collect()
}

/// The disk's part of the health page.
pub(super) fn disk(gates: &Gates) -> serde_json::Value {
    let Look { low, is_critical, room, reserve_bytes } = gates.disk();
    json!({
        "low": low.is_some(), "critical": is_critical,
        "free_bytes": room.map(|room| room.free_bytes), "reserve_bytes": room.map(|_| reserve_bytes),
    })
}

/// Brings the numbers up to date.
pub(super) fn measure(gates: &Gates, metrics: &Metrics) {
    for ((tenant, connection), road) in gates.roads() {
        let Traffic { position, held_for, opened, refused, under_way, waiting, .. } = road.traffic();
        let breaker = match position {
            Position::Closed => 0,
            Position::HalfOpen => 1,
            Position::Open { .. } => 2,
        };
        let held_seconds = held_for.map_or(0, |left| left.as_secs());
        let (under_way, waiting) = (under_way.into(), waiting as u64);
        let numbers = RoadNumbers { breaker, opened, refused, held_seconds, waiting, under_way };
        metrics.set_road(&tenant, &connection, numbers);
    }
    let Look { low, is_critical, .. } = gates.disk();
    metrics.set_disk_low(u8::from(low.is_some()) + u8::from(is_critical));
}

fn name(position: Position) -> &'static str {
    match position {
        Position::Closed => "closed",
        Position::Open { .. } => "open",
        Position::HalfOpen => "half_open",
    }
}
