//! Reference tables that a tenant uploads.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Api;
use super::super::convert::{aside, followed, registry_problem};
use super::super::extract::{Expected, Names, PageQuery, Query};
use super::super::gate::Caller;
use super::super::page::{Page, Tagged, after, made, mark};
use super::super::problem::{Answer, Problem};
use super::super::upload;
use crate::model::{PageRoom, TenantId};
use crate::registry::{Registry, TableRow};

pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list_tables)).routes(routes!(show_table, put_table, delete_table))
}

/// A table, and some of its entries.
#[derive(Serialize, ToSchema)]
struct TableView {
    #[serde(flatten)]
    table: TableRow,
    /// In the order of their keys.
    #[schema(value_type = BTreeMap<String, Object>)]
    items: BTreeMap<String, Box<RawValue>>,
    /// Hand this over as `after` for what follows; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The table of a path.
#[derive(Deserialize)]
struct Named {
    table: String,
}

/// The tenant's uploaded tables.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/tables", tag = "tables", params(PageQuery),
    responses((status = 200, body = Page<TableRow>)))]
async fn list_tables(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Answer<Json<Page<TableRow>>> {
    let (limit, after) = (page.limit()?, after(page.after.as_deref())?);
    let found = api.registry.tables(caller.tenant()?, after.as_deref(), limit + 1).map_err(registry_problem)?;
    Ok(Page::of(found, limit, |table| table.name.clone()))
}

/// One table, and its entries a page at a time.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/tables/{table}", tag = "tables", params(PageQuery),
    responses((status = 200, body = TableView)))]
async fn show_table(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { table }): Names<Named>,
    Query(page): Query<PageQuery>,
) -> Answer<Tagged<TableView>> {
    let (limit, after) = (page.limit()?, after(page.after.as_deref())?);
    let (registry, tenant) = (api.registry.clone(), caller.tenant()?.clone());
    // A large table takes its time to be read, and others are answered meanwhile.
    aside(move || view(&registry, &tenant, &table, after, limit)).await?
}

fn view(
    registry: &Registry,
    tenant: &TenantId,
    table: &str,
    after: Option<String>,
    limit: usize,
) -> Answer<Tagged<TableView>> {
    let unknown = || Problem::no_such("table", table);
    let row = registry.table(tenant, table).map_err(registry_problem)?.ok_or_else(unknown)?;
    let entries = registry.table_entries(tenant, table).map_err(registry_problem)?.ok_or_else(unknown)?;
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let (mut items, mut room) = (BTreeMap::new(), PageRoom::default());
    let mut rest = entries.range::<String, _>((from, Bound::Unbounded)).peekable();
    while let Some((key, entry)) =
        rest.next_if(|(key, entry)| items.len() < limit && room.takes(key.len() + entry.len()))
    {
        items.insert(key.clone(), RawValue::from_string(entry.clone()).map_err(Problem::internal)?);
    }
    let next = rest.next().and_then(|_| items.keys().next_back()).map(|last| mark(last));
    Ok(Tagged(row.revision, TableView { table: row, items, next }))
}

/// Uploads a table whole: an object of key and entry, 200,000 entries and 16 MiB of both together. The same entries again change nothing.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/tables/{table}", tag = "tables",
    request_body = BTreeMap<String, Object>,
    responses((status = 200, body = TableRow), (status = 201, body = TableRow)))]
async fn put_table(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { table }): Names<Named>,
    Expected(expected): Expected,
    request: Request,
) -> Answer<Response> {
    let tenant = caller.tenant()?;
    let content = upload::entries(&api, caller.row()?, &table, request).await?;
    let created = api.registry.table(tenant, &table).map_err(registry_problem)?.is_none();
    let put = api.registry.put_table(&caller.actor, tenant, &table, content, expected).await;
    let row = put.map_err(registry_problem)?;
    followed(api.floor.settle_table(tenant, &table).await)?;
    Ok(made(created, Tagged(row.revision, row)))
}

/// Deletes a table that no scheme uses.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/tables/{table}", tag = "tables", responses((status = 204)))]
async fn delete_table(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { table }): Names<Named>,
    Expected(expected): Expected,
) -> Answer<StatusCode> {
    let deleted = api.registry.delete_table(&caller.actor, caller.tenant()?, &table, expected).await;
    deleted.map_err(registry_problem)?;
    Ok(StatusCode::NO_CONTENT)
}
