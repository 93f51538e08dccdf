//! Orders of people, each in the audit log before it is carried out.
//!
//! The line comes first because the two cannot be one batch: a document's change is its driver's, in a round with those of
//! others, and must not fail because somebody wrote to the log meanwhile. So what the log lacks was not done. What was
//! ordered and refused has a second line, which says so. Without a registry there is no audit log.

use serde_json::{Value, json};

use crate::model::{Digest, TenantId};
use crate::pipeline::gate::{Pause, Person, Scope};
use crate::registry::{self, Actor, Registry, Role};
use crate::telemetry::mask_text;

use super::capsule_desk::CapsuleRequest;
use super::office::{BulkAnswer, BulkRequest, CommandRequest, DocumentView, Office, OfficeError, PauseRequest, Wish};

/// The office, on somebody's word.
pub struct Witness<'a> {
    pub office: &'a Office,
    pub registry: Option<&'a Registry>,
    pub actor: &'a Actor,
}

impl Witness<'_> {
    /// As [`Office::command`].
    pub async fn command(&self, tenant: Option<&TenantId>, request: &CommandRequest) -> Result<u64, OfficeError> {
        // What nobody has is not in the log.
        let (desk, key, _) = self.office.find(tenant, request.scheme.as_deref(), &request.key)?;
        let of = Some(&desk.tenant);
        let (act, mut detail) = act(&request.wish);
        detail["scheme"] = json!(desk.scheme);
        detail["version"] = json!(request.version);
        self.note(of, act, key.as_str(), self.by(detail, request.by.as_deref())).await?;
        let done = self.office.command(of, request).await;
        if let Err(error) = &done {
            let why = json!({ "scheme": desk.scheme, "why": mask_text(&error.to_string()) });
            self.note_refusal(of, act, key.as_str(), why).await;
        }
        done
    }

    /// One call of an order for many. A dry run is no order.
    pub async fn bulk(&self, tenant: Option<&TenantId>, request: &BulkRequest) -> Result<BulkAnswer, OfficeError> {
        let meant = self.office.meant(tenant, request)?;
        if request.dry_run {
            return self.office.carry_out(meant, request).await;
        }
        let (act, mut detail) = act(&request.wish);
        let tenants = meant.tenants();
        for (of, matched) in &tenants {
            detail["filter"] = serde_json::to_value(&request.filter).unwrap_or_default();
            detail["matched"] = json!(matched);
            self.note(Some(of), act, IN_BULK, self.by(detail.clone(), request.by.as_deref())).await?;
        }
        let done = self.office.carry_out(meant, request).await;
        let why = match &done {
            Ok(answer) if answer.refused.is_empty() => return done,
            Ok(answer) => {
                answer.refused.iter().map(|group| json!({ "why": group.reason, "count": group.count })).collect()
            }
            Err(error) => json!(mask_text(&error.to_string())),
        };
        // Of several tenants it is the operator's to know whose they were.
        let of = tenants.keys().next().filter(|_| tenants.len() == 1);
        self.note_refusal(of, act, IN_BULK, json!({ "refused": why })).await;
        done
    }

    /// As [`Office::show`]. A look at personal data is in the log.
    pub async fn show(
        &self,
        tenant: Option<&TenantId>,
        scheme: Option<&str>,
        key: &str,
        unmask: bool,
    ) -> Result<DocumentView, OfficeError> {
        if unmask {
            self.note_look(tenant, scheme, key).await?;
        }
        self.office.show(tenant, scheme, key, unmask)
    }

    /// Before [`Office::capsule`], which blocks: a capsule that is not masked is a look at personal data.
    pub async fn note_capsule(&self, tenant: Option<&TenantId>, request: &CapsuleRequest) -> Result<(), OfficeError> {
        match request.rules {
            None => self.note_look(tenant, request.scheme.as_deref(), &request.key).await,
            Some(_) => Ok(()),
        }
    }

    /// As [`Office::pause`]. It is the plug: pulled also where the log cannot be written.
    pub async fn pause(
        &self,
        tenant: Option<&TenantId>,
        what: &PauseRequest,
        reason: &str,
    ) -> Result<Vec<Pause>, OfficeError> {
        let before = self.office.pauses(None);
        let by = Some(self.person());
        let stands = |scope: &Scope| {
            before.iter().any(|pause| pause.scope == *scope && pause.reason == reason && pause.by == by)
        };
        let noted = self.note_scopes(tenant, what, "pause", json!({ "reason": reason }), |scope| !stands(scope)).await;
        let paused = self.office.pause(tenant, what, reason, self.person()).await?;
        noted.map(|()| paused)
    }

    /// As [`Office::resume`].
    pub async fn resume(&self, tenant: Option<&TenantId>, what: &PauseRequest) -> Result<Vec<Scope>, OfficeError> {
        let stand: Vec<String> = self.office.pauses(tenant).into_iter().map(|pause| pause.scope.to_string()).collect();
        let detail = if *what == PauseRequest::All { json!({ "paused": stand }) } else { json!({}) };
        let before = self.office.pauses(tenant);
        // Everything is resumed where anything is paused.
        let stands = |scope: &Scope| before.iter().any(|pause| *scope == Scope::All || pause.scope == *scope);
        self.note_scopes(tenant, what, "resume", detail, stands).await?;
        let resumed = self.office.resume(tenant, what, self.person()).await;
        if let Err(error) = &resumed {
            let (kind, object) = match what {
                PauseRequest::All => ("engine", "everything"),
                PauseRequest::Connection(name) => ("connection", name.as_str()),
                PauseRequest::Scheme(name) => ("scheme", name.as_str()),
            };
            let why = json!({ "why": error.to_string() });
            self.note_refusal(tenant, &format!("{kind}.resume"), object, why).await;
        }
        resumed
    }

    fn person(&self) -> Person {
        if self.actor.role == Role::Operator { Person::Operator } else { Person::Tenant }
    }

    fn by(&self, mut detail: Value, by: Option<&str>) -> Value {
        // Of a token the line says it anyhow.
        if let Some(by) = by.filter(|_| *self.actor == Actor::console()) {
            detail["by"] = json!(by);
        }
        detail
    }

    /// In the log of each tenant that it concerns, where it changes something.
    async fn note_scopes(
        &self,
        tenant: Option<&TenantId>,
        what: &PauseRequest,
        act: &str,
        detail: Value,
        changes: impl Fn(&Scope) -> bool,
    ) -> Result<(), OfficeError> {
        let scopes = if *what == PauseRequest::All { vec![Scope::All] } else { self.office.scopes(tenant, what)? };
        for scope in scopes.into_iter().filter(changes) {
            let (of, kind, object) = match &scope {
                Scope::All => (tenant, "engine", "everything"),
                Scope::Connection(of, name) => (Some(of), "connection", name.as_str()),
                Scope::Scheme(of, name) => (Some(of), "scheme", name.as_str()),
            };
            self.note(of, &format!("{kind}.{act}"), object, detail.clone()).await?;
        }
        Ok(())
    }

    async fn note_look(&self, tenant: Option<&TenantId>, scheme: Option<&str>, key: &str) -> Result<(), OfficeError> {
        let (desk, key, _) = self.office.find(tenant, scheme, key)?;
        let detail = json!({ "scheme": desk.scheme });
        Ok(self.note(Some(&desk.tenant), "document.unmask", key.as_str(), detail).await?)
    }

    /// In the tenant's log; in the operator's own where the tenant has none, for it stands in the configuration file alone.
    async fn note(
        &self,
        tenant: Option<&TenantId>,
        action: &str,
        object: &str,
        mut detail: Value,
    ) -> Result<(), registry::Error> {
        let Some(registry) = self.registry else { return Ok(()) };
        // A filter may be as long as a request: the line says how it begins.
        let text = detail.to_string();
        if text.len() > DETAIL_LIMIT_BYTES {
            detail = json!({ "shortened": text[..text.floor_char_boundary(DETAIL_LIMIT_BYTES)] });
        }
        let own = match tenant {
            Some(tenant) if registry.tenant(tenant)?.is_some() => Some(tenant),
            Some(tenant) => {
                detail["tenant"] = json!(tenant);
                None
            }
            None => None,
        };
        registry.record(self.actor, own, action, object, detail).await
    }

    /// Whoever was refused is told why in any case.
    async fn note_refusal(&self, tenant: Option<&TenantId>, act: &str, object: &str, detail: Value) {
        if let Err(error) = self.note(tenant, &format!("{act}.refused"), object, detail).await {
            tracing::error!(act, "a refusal is not in the audit log: {error}");
        }
    }
}

const IN_BULK: &str = "in bulk";

/// Of what a line says besides who did what to what.
const DETAIL_LIMIT_BYTES: usize = 4 << 10;

/// The order in the log's words. Of a body it is the digest.
fn act(wish: &Wish) -> (&'static str, Value) {
    match wish {
        Wish::Retry { mode, module } => ("document.retry", json!({ "mode": mode, "module": module })),
        Wish::Discard { reason } => ("document.discard", json!({ "reason": reason })),
        Wish::Edit { body } => ("document.edit", json!({ "body": Digest::of(body) })),
        Wish::Erase { reason } => ("document.erase", json!({ "reason": reason })),
    }
}
