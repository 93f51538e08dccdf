//! The one webhook: tells a person that something stalls.
//!
//! An alert is sent once for each (kind, subject) until it is cleared. Raising never waits: alerts go through a bounded
//! channel to a worker that posts them, tries again a few times, and then logs the failure and forgets, so that the next
//! raise is a new attempt. What the post goes through is the caller's: there is no HTTP client here.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::mpsc;

use crate::model::{ConnectionName, TenantId};

use super::{SchemeRef, mask_text};

/// Alerts that wait for the webhook. There is one per (kind, subject) at most, so this is more than a night's worth.
const QUEUE_LIMIT: usize = 256;

/// What a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alert {
    SchemePaused {
        scheme: SchemeRef,
        reason: String,
    },
    ParkedGrowing {
        scheme: SchemeRef,
        count: u64,
    },
    CursorStale {
        scheme: SchemeRef,
        age: Duration,
    },
    /// The vendor has counted as down for so long.
    ConnectionDown {
        tenant: TenantId,
        connection: ConnectionName,
        age: Duration,
    },
    DiskLow {
        free_bytes: u64,
        reserve_bytes: u64,
    },
}

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    Scheme(SchemeRef),
    Connection(TenantId, ConnectionName),
    Disk,
}

impl From<&SchemeRef> for Subject {
    fn from(scheme: &SchemeRef) -> Self {
        Subject::Scheme(scheme.clone())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Scheme(scheme) => write!(f, "{scheme}"),
            Subject::Connection(tenant, connection) => write!(f, "connection {connection} of {tenant}"),
            Subject::Disk => f.write_str("the disk of data_dir"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlertKind {
    SchemePaused,
    ParkedGrowing,
    CursorStale,
    ConnectionDown,
    DiskLow,
}

impl Alert {
    pub fn kind(&self) -> AlertKind {
        match self {
            Alert::SchemePaused { .. } => AlertKind::SchemePaused,
            Alert::ParkedGrowing { .. } => AlertKind::ParkedGrowing,
            Alert::CursorStale { .. } => AlertKind::CursorStale,
            Alert::ConnectionDown { .. } => AlertKind::ConnectionDown,
            Alert::DiskLow { .. } => AlertKind::DiskLow,
        }
    }

    pub fn subject(&self) -> Subject {
        match self {
            Alert::SchemePaused { scheme, .. }
            | Alert::ParkedGrowing { scheme, .. }
            | Alert::CursorStale { scheme, .. } => Subject::Scheme(scheme.clone()),
            Alert::ConnectionDown { tenant, connection, .. } => Subject::Connection(tenant.clone(), connection.clone()),
            Alert::DiskLow { .. } => Subject::Disk,
        }
    }

    /// The JSON that is posted. `message` is for a person, the rest for a program.
    pub fn body(&self) -> String {
        let name = self.subject();
        let about = |SchemeRef { tenant, scheme }: &SchemeRef| (tenant.to_string(), scheme.to_string());
        let body = match self {
            Alert::SchemePaused { scheme, reason } => {
                let (tenant, scheme) = about(scheme);
                // A vendor's words may quote the order that they are about, and a chat room is no place for it.
                let reason = mask_text(reason);
                let message = format!("{name} is paused: {reason}");
                json!({ "alert": "scheme_paused", "tenant": tenant, "scheme": scheme, "message": message,
                        "reason": reason })
            }
            Alert::ParkedGrowing { scheme, count } => {
                let (tenant, scheme) = about(scheme);
                let message = format!("{name} has {count} parked documents, and more are coming");
                json!({ "alert": "parked_growing", "tenant": tenant, "scheme": scheme, "message": message,
                        "count": count })
            }
            Alert::CursorStale { scheme, age } => {
                let (tenant, scheme) = about(scheme);
                let message = format!("{name} has read nothing new for {} minutes", age.as_secs() / 60);
                json!({ "alert": "cursor_stale", "tenant": tenant, "scheme": scheme, "message": message,
                        "age_seconds": age.as_secs() })
            }
            Alert::ConnectionDown { tenant, connection, age } => {
                let message = format!("{name} has been down for {} minutes", age.as_secs() / 60);
                json!({ "alert": "connection_down", "tenant": tenant.as_str(), "connection": connection.as_str(),
                        "message": message, "age_seconds": age.as_secs() })
            }
            Alert::DiskLow { free_bytes, reserve_bytes } => {
                let mebibytes = |bytes: &u64| bytes >> 20;
                let message = format!(
                    "{name} has {} MiB left, {} MiB should be free: nothing is read",
                    mebibytes(free_bytes),
                    mebibytes(reserve_bytes)
                );
                json!({ "alert": "disk_low", "message": message, "free_bytes": free_bytes,
                        "reserve_bytes": reserve_bytes })
            }
        };
        body.to_string()
    }
}

/// Carries one body to the webhook. The address is a secret that only the implementation knows. An error is for the log
/// and must not quote it.
#[async_trait]
pub trait Post: Send + Sync {
    async fn post(&self, body: String) -> Result<(), String>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertSettings {
    /// Tries for one alert in all.
    pub attempts: u32,
    /// The wait after the first failure; each next one is twice as long.
    pub backoff: Duration,
}

impl Default for AlertSettings {
    fn default() -> Self {
        // Half a minute in all: past that the webhook is down, and the next raise tries anew.
        Self { attempts: 5, backoff: Duration::from_secs(2) }
    }
}

type Raised = Arc<Mutex<HashSet<(AlertKind, Subject)>>>;

/// The handle that raises and clears. Cheap to clone.
#[derive(Clone)]
pub struct Alerts {
    raised: Raised,
    queue: mpsc::Sender<Alert>,
}

/// The other end. Its owner runs it and waits for it.
pub struct AlertWorker {
    raised: Raised,
    queue: mpsc::Receiver<Alert>,
    settings: AlertSettings,
    post: Arc<dyn Post>,
}

impl Alerts {
    pub fn new(post: Arc<dyn Post>, settings: AlertSettings) -> (Alerts, AlertWorker) {
        let (sender, receiver) = mpsc::channel(QUEUE_LIMIT);
        let raised = Raised::default();
        let worker = AlertWorker { raised: raised.clone(), queue: receiver, settings, post };
        (Alerts { raised, queue: sender }, worker)
    }

    /// Sends the alert unless it is standing already. Never waits.
    pub fn raise(&self, alert: Alert) {
        let key = (alert.kind(), alert.subject());
        if !lock(&self.raised).insert(key.clone()) {
            return;
        }
        tracing::warn!(subject = %key.1, alert = ?key.0, "alert raised");
        if let Err(error) = self.queue.try_send(alert) {
            lock(&self.raised).remove(&key);
            tracing::error!(subject = %key.1, alert = ?key.0, %error, "alert not queued");
        }
    }

    /// What the alert was about is over: the next one of this kind is news again.
    pub fn clear(&self, kind: AlertKind, subject: impl Into<Subject>) {
        let key = (kind, subject.into());
        if lock(&self.raised).remove(&key) {
            tracing::info!(subject = %key.1, alert = ?kind, "alert cleared");
        }
    }
}

impl AlertWorker {
    /// Posts until every [`Alerts`] is dropped and the queue is empty.
    pub async fn run(mut self) {
        while let Some(alert) = self.queue.recv().await {
            self.deliver(&alert).await;
        }
    }

    async fn deliver(&self, alert: &Alert) {
        let (kind, subject) = (alert.kind(), alert.subject());
        let mut wait = self.settings.backoff;
        for attempt in 1..=self.settings.attempts {
            match self.post.post(alert.body()).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%subject, alert = ?kind, attempt, %error, "the webhook did not take it"),
            }
            if attempt < self.settings.attempts {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
        }
        tracing::error!(%subject, alert = ?kind, attempts = self.settings.attempts, "alert not delivered");
        lock(&self.raised).remove(&(kind, subject));
    }
}

fn lock(raised: &Raised) -> std::sync::MutexGuard<'_, HashSet<(AlertKind, Subject)>> {
    raised.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SchemeId;

    /// Refuses the first posts, then takes them.
    struct Webhook {
        refuse: Mutex<u32>,
        tried: Mutex<u32>,
        taken: Mutex<Vec<serde_json::Value>>,
    }

    impl Webhook {
        fn refusing(count: u32) -> Arc<Self> {
            Arc::new(Self { refuse: Mutex::new(count), tried: Mutex::default(), taken: Mutex::default() })
        }
        fn taken(&self) -> Vec<serde_json::Value> {
            self.taken.lock().unwrap().clone()
        }
    }

    #[async_trait]
    impl Post for Webhook {
        async fn post(&self, body: String) -> Result<(), String> {
            *self.tried.lock().unwrap() += 1;
            let mut refuse = self.refuse.lock().unwrap();
            if *refuse > 0 {
                *refuse -= 1;
                return Err("503".into());
            }
            self.taken.lock().unwrap().push(serde_json::from_str(&body).unwrap());
            Ok(())
        }
    }

    const AT_ONCE: AlertSettings = AlertSettings { attempts: 3, backoff: Duration::ZERO };

    fn saleout() -> SchemeRef {
        SchemeRef { tenant: TenantId::new("acme").unwrap(), scheme: SchemeId::new("saleout").unwrap() }
    }
    fn paused(reason: &str) -> Alert {
        Alert::SchemePaused { scheme: saleout(), reason: reason.into() }
    }

    /// Raises by `story`, then runs the worker to its end.
    async fn check(webhook: &Arc<Webhook>, story: impl FnOnce(&Alerts)) -> Vec<serde_json::Value> {
        let (alerts, worker) = Alerts::new(webhook.clone(), AT_ONCE);
        story(&alerts);
        drop(alerts);
        worker.run().await;
        webhook.taken()
    }

    #[tokio::test]
    async fn sends_an_alert_once_until_it_is_cleared() {
        let taken = check(&Webhook::refusing(0), |alerts| {
            alerts.raise(paused("first"));
            alerts.raise(paused("again"));
            alerts.raise(Alert::ParkedGrowing { scheme: saleout(), count: 12 });
            alerts.clear(AlertKind::SchemePaused, &saleout());
            alerts.raise(paused("second"));
            for age in [600, 660] {
                let connection = ConnectionName::new("k3").unwrap();
                let age = Duration::from_secs(age);
                alerts.raise(Alert::ConnectionDown { tenant: saleout().tenant, connection, age });
            }
            alerts.raise(Alert::DiskLow { free_bytes: 5 << 20, reserve_bytes: 1 << 30 });
        })
        .await;
        let said: Vec<_> = taken.iter().map(|body| body["message"].as_str().unwrap()).collect();
        assert_eq!(
            said,
            [
                "acme/saleout is paused: first",
                "acme/saleout has 12 parked documents, and more are coming",
                "acme/saleout is paused: second",
                "connection k3 of acme has been down for 10 minutes",
                "the disk of data_dir has 5 MiB left, 1024 MiB should be free: nothing is read",
            ]
        );
        assert_eq!(taken[1]["count"], 12);
    }

    #[tokio::test]
    async fn tries_again_where_the_webhook_fails() {
        let webhook = Webhook::refusing(2);
        let taken = check(&webhook, |alerts| alerts.raise(paused("x"))).await;
        assert_eq!(taken.len(), 1);
        assert_eq!(*webhook.tried.lock().unwrap(), 3);
    }

    #[tokio::test]
    async fn stops_trying_and_lets_the_next_raise_try_anew() {
        let webhook = Webhook::refusing(3);
        let (alerts, worker) = Alerts::new(webhook.clone(), AT_ONCE);
        worker.deliver(&paused("lost")).await;
        assert_eq!((*webhook.tried.lock().unwrap(), webhook.taken().len()), (3, 0));

        alerts.raise(paused("anew"));
        lock(&worker.raised).insert((AlertKind::SchemePaused, Subject::Scheme(saleout())));
        *webhook.refuse.lock().unwrap() = 3;
        worker.deliver(&paused("lost too")).await;
        assert!(lock(&alerts.raised).is_empty(), "a lost alert still counts as sent");
    }

    #[tokio::test]
    async fn raising_never_waits_for_a_webhook_that_hangs() {
        let (alerts, worker) = Alerts::new(Webhook::refusing(0), AT_ONCE);
        for number in 0..QUEUE_LIMIT + 10 {
            let scheme = SchemeId::new(format!("s{number}")).unwrap();
            alerts.raise(Alert::CursorStale {
                scheme: SchemeRef { tenant: saleout().tenant, scheme },
                age: Duration::from_secs(1860),
            });
        }
        assert_eq!(lock(&worker.raised).len(), QUEUE_LIMIT, "what was not queued counts as sent");
    }

    #[test]
    fn a_reason_that_quotes_a_customer_is_masked() {
        let body = paused(r#"refused: {"receiver_name":"张三丰","receiver_mobile":"13812345678"}"#).body();
        assert!(!body.contains("张三丰") && !body.contains("13812345678"), "{body}");
        assert!(body.contains("138****5678"), "{body}");
    }
}
