//! Tenants: the operator makes them, says what they may use, and takes them away.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Api;
use super::super::convert::{followed, registry_problem};
use super::super::extract::{Body, Expected, PageQuery, Query};
use super::super::gate::Caller;
use super::super::page::{Page, Tagged, after_id, made};
use super::super::problem::Answer;
use crate::registry::{NewTenant, Tenant, TenantChange};

pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list_tenants, create_tenant)).routes(routes!(
        show_tenant,
        change_tenant,
        delete_tenant
    ))
}

/// All tenants, in the order of their ids.
#[utoipa::path(get, path = "/v1/tenants", tag = "tenants", params(PageQuery),
    responses((status = 200, body = Page<Tenant>)))]
async fn list_tenants(State(api): State<Arc<Api>>, Query(page): Query<PageQuery>) -> Answer<Json<Page<Tenant>>> {
    let (limit, after) = (page.limit()?, after_id(page.after.as_deref())?);
    let found = api.registry.tenants(after.as_ref(), limit + 1).map_err(registry_problem)?;
    Ok(Page::of(found, limit, |tenant| tenant.id.to_string()))
}

/// A new tenant.
#[utoipa::path(post, path = "/v1/tenants", tag = "tenants", request_body = NewTenant,
    responses((status = 201, body = Tenant)))]
async fn create_tenant(State(api): State<Arc<Api>>, caller: Caller, Body(new): Body<NewTenant>) -> Answer<Response> {
    let tenant = api.registry.create_tenant(&caller.actor, new).await.map_err(registry_problem)?;
    followed(api.floor.settle_tenant(&tenant.id).await)?;
    Ok(made(true, Tagged(tenant.revision, tenant)))
}

/// One tenant, with its quotas and its policy.
#[utoipa::path(get, path = "/v1/tenants/{tenant}", tag = "tenants", responses((status = 200, body = Tenant)))]
async fn show_tenant(caller: Caller) -> Answer<Tagged<Tenant>> {
    let tenant = caller.row()?.clone();
    Ok(Tagged(tenant.revision, tenant))
}

/// Changes what is named, and leaves the rest, as a merge patch (RFC 7396): a quota or rule that is left out stays as it is,
/// and one that is null has its default.
#[utoipa::path(patch, path = "/v1/tenants/{tenant}", tag = "tenants", request_body = TenantChange,
    responses((status = 200, body = Tenant)))]
async fn change_tenant(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Expected(expected): Expected,
    Body(change): Body<TenantChange>,
) -> Answer<Tagged<Tenant>> {
    let id = caller.tenant()?;
    let changed = api.registry.change_tenant(&caller.actor, id, change, expected).await.map_err(registry_problem)?;
    followed(api.floor.settle_tenant(id).await)?;
    Ok(Tagged(changed.revision, changed))
}

/// Takes a tenant away, with its tokens, keys and connections. Refused while it has schemes or modules; its documents and
/// its audit log stay, and its id stays taken.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}", tag = "tenants", responses((status = 204)))]
async fn delete_tenant(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Expected(expected): Expected,
) -> Answer<StatusCode> {
    let deleted = api.registry.delete_tenant(&caller.actor, caller.tenant()?, expected).await;
    deleted.map_err(registry_problem)?;
    followed(api.floor.settle_tenant(caller.tenant()?).await)?;
    Ok(StatusCode::NO_CONTENT)
}
