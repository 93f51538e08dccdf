//! The audit log: who did what, from where, and when.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Api;
use super::super::convert::registry_problem;
use super::super::extract::{self, Query};
use super::super::gate::Caller;
use super::super::page::{Page, after_number, mark};
use super::super::problem::Answer;
use crate::model::TenantId;
use crate::registry::{AuditFilter, AuditRow};

pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(operator_audit)).routes(routes!(tenant_audit))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<u64>,
    /// `next` of the page before.
    after: Option<String>,
    /// `scheme` means every act on schemes, `scheme.activate` only that.
    action: Option<String>,
    /// What it was done to: a scheme's name.
    object: Option<String>,
    /// A token's id.
    token: Option<String>,
    /// Not before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// What was done beside and above the tenants.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, body = Page<AuditRow>)))]
async fn operator_audit(State(api): State<Arc<Api>>, Query(query): Query<AuditQuery>) -> Answer<Json<Page<AuditRow>>> {
    list(&api, None, query)
}

/// What was done in the tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, body = Page<AuditRow>)))]
async fn tenant_audit(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(query): Query<AuditQuery>,
) -> Answer<Json<Page<AuditRow>>> {
    list(&api, Some(caller.tenant()?), query)
}

fn list(api: &Api, tenant: Option<&TenantId>, query: AuditQuery) -> Answer<Json<Page<AuditRow>>> {
    let AuditQuery { limit, after, action, object, token, since, until } = query;
    let (limit, after) = (extract::limit(limit)?, after_number(after.as_deref())?);
    let filter = AuditFilter { action, object, token, since, until };
    let found = api.registry.audit(tenant, after, limit, &filter).map_err(registry_problem)?;
    Ok(Json(Page { items: found.rows, next: found.next.map(|number| mark(&number.to_string())) }))
}
