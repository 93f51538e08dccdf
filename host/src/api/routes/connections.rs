//! Connections: credentials go in and never come out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Api;
use super::super::convert::{aside, entries, floor_problem, followed, mistakes, objected, registry_problem};
use super::super::extract::{Body, Expected, Names, PageQuery, Query};
use super::super::gate::Caller;
use super::super::page::{Page, Tagged, after_id, after_number, made};
use super::super::problem::{Answer, Entry, Problem};
use super::engine::{NewPause, pause, resume};
use crate::daemon::{ConnectionStatus, PauseRequest};
use crate::model::{ConnectionName, System};
use crate::registry::ConnectionRow;

pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_connections))
        .routes(routes!(show_connection, put_connection, delete_connection))
        .routes(routes!(connection_revisions))
        .routes(routes!(pause_connection))
        .routes(routes!(resume_connection))
}

/// A connection, and how it stands.
#[derive(Serialize, ToSchema)]
struct ConnectionView {
    /// Without its secrets; absent of one that stands in the configuration file.
    connection: Option<ConnectionRow>,
    status: ConnectionStatus,
    /// Of a resume: whether there was a pause of its own, or something held back for its vendor's sake.
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed: Option<bool>,
    /// What can be used and most likely was not meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Entry>,
}

/// A connection's settings, its secrets among them. A secret that is left out stays as it is; one that is null is
/// forgotten.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PutConnection {
    system: System,
    /// As a `[[connection]]` block has them.
    #[schema(value_type = Object)]
    settings: Value,
}

/// The connection of a path.
#[derive(Deserialize)]
pub(super) struct Named {
    connection: ConnectionName,
}

/// The tenant's connections: the configuration file's, then those of the API.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/connections", tag = "connections", params(PageQuery),
    responses((status = 200, body = Page<ConnectionStatus>)))]
async fn list_connections(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Answer<Json<Page<ConnectionStatus>>> {
    let (limit, after) = (page.limit()?, after_id::<ConnectionName>(page.after.as_deref())?);
    let (floor, tenant) = (api.floor.clone(), caller.tenant()?.clone());
    let mut found = aside(move || floor.connections(&tenant)).await?.map_err(floor_problem)?;
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found.retain(|one| after.as_ref().is_none_or(|after| one.name > *after));
    Ok(Page::of(found, limit, |one| one.name.to_string()))
}

/// One connection, without its secrets: where they belong, and that they are there.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/connections/{connection}", tag = "connections",
    responses((status = 200, body = ConnectionView)))]
async fn show_connection(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { connection }): Names<Named>,
) -> Answer<Response> {
    view(&api, &caller, &connection, Vec::new()).await
}

/// Makes or changes a connection. Schemes that use it are started again with it, when their requests under way have ended.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/connections/{connection}", tag = "connections",
    request_body = PutConnection, responses((status = 200, body = ConnectionView), (status = 201, body = ConnectionView)))]
async fn put_connection(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { connection }): Names<Named>,
    Expected(expected): Expected,
    Body(PutConnection { system, settings }): Body<PutConnection>,
) -> Answer<Response> {
    let tenant = caller.tenant()?;
    let created = api.registry.connection(tenant, &connection).map_err(registry_problem)?.is_none();
    let whole = api.registry.settings_after(tenant, &connection, system, settings.clone()).map_err(registry_problem)?;
    let (floor, of) = (api.floor.clone(), tenant.clone());
    let objections = aside(move || floor.judge_connection(&of, system, whole.expose())).await?;
    if !mistakes(&objections).is_empty() {
        return Err(objected(&objections, "/settings"));
    }
    let put = api.registry.put_connection(&caller.actor, tenant, &connection, system, settings, expected).await;
    put.map_err(registry_problem)?;
    followed(api.floor.settle_connection(tenant, &connection).await)?;
    Ok(made(created, view(&api, &caller, &connection, entries(&objections, "/settings")).await?))
}

/// Deletes a connection that no scheme uses.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/connections/{connection}", tag = "connections",
    responses((status = 204)))]
async fn delete_connection(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { connection }): Names<Named>,
    Expected(expected): Expected,
) -> Answer<StatusCode> {
    let tenant = caller.tenant()?;
    let deleted = api.registry.delete_connection(&caller.actor, tenant, &connection, expected).await;
    deleted.map_err(registry_problem)?;
    followed(api.floor.settle_connection(tenant, &connection).await)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the connection was, who changed it and when; the oldest first.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/connections/{connection}/revisions", tag = "connections",
    params(PageQuery), responses((status = 200, body = Page<ConnectionRow>)))]
async fn connection_revisions(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { connection }): Names<Named>,
    Query(page): Query<PageQuery>,
) -> Answer<Json<Page<ConnectionRow>>> {
    let (limit, after) = (page.limit()?, after_number(page.after.as_deref())?);
    let (registry, tenant, name) = (api.registry.clone(), caller.tenant()?.clone(), connection.clone());
    let rows =
        move |after, limit| registry.connection_revisions(&tenant, &name, after, limit).map_err(registry_problem);
    let page = aside(move || Page::read(after, limit, |row: &ConnectionRow| row.revision, rows)).await??;
    if page.items.is_empty() && after == 0 {
        return Err(Problem::no_such("connection", connection.as_str()));
    }
    Ok(Json(page))
}

/// Lets no request begin over the connection, and returns when none is under way. It holds for the connection of this name;
/// all that a tenant runs, under whatever names, stops when the operator suspends the tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/connections/{connection}/pause", tag = "connections",
    request_body = NewPause, responses((status = 200, body = ConnectionView)))]
async fn pause_connection(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { connection }): Names<Named>,
    Body(new): Body<NewPause>,
) -> Answer<Response> {
    pause(&api, &caller, &PauseRequest::Connection(connection.to_string()), &new).await?;
    view(&api, &caller, &connection, Vec::new()).await
}

/// Lets requests begin again.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/connections/{connection}/resume", tag = "connections",
    responses((status = 200, body = ConnectionView)))]
async fn resume_connection(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { connection }): Names<Named>,
) -> Answer<Response> {
    let resumed = resume(&api, &caller, &PauseRequest::Connection(connection.to_string())).await?;
    viewed(&api, &caller, &connection, Vec::new(), Some(!resumed.is_empty())).await
}

async fn view(api: &Api, caller: &Caller, name: &ConnectionName, warnings: Vec<Entry>) -> Answer<Response> {
    viewed(api, caller, name, warnings, None).await
}

async fn viewed(
    api: &Api,
    caller: &Caller,
    name: &ConnectionName,
    warnings: Vec<Entry>,
    resumed: Option<bool>,
) -> Answer<Response> {
    let tenant = caller.tenant()?;
    let connection = api.registry.connection(tenant, name).map_err(registry_problem)?;
    let (floor, of) = (api.floor.clone(), tenant.clone());
    let all = aside(move || floor.connections(&of)).await?.map_err(floor_problem)?;
    let status = all.into_iter().find(|one| one.name == *name);
    let status = status.ok_or_else(|| Problem::no_such("connection", name.as_str()))?;
    let revision = connection.as_ref().map(|row| row.revision);
    let view = ConnectionView { connection, status, resumed, warnings };
    Ok(match revision {
        Some(revision) => Tagged(revision, view).into_response(),
        None => Json(view).into_response(),
    })
}
