//! Tokens: made, listed, revoked. A token's text is in the answer that makes it and nowhere else.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Api;
use super::super::convert::registry_problem;
use super::super::extract::{Body, Names, PageQuery, Query};
use super::super::gate::Caller;
use super::super::page::{Page, after, made};
use super::super::problem::{Answer, Code, Problem};
use crate::model::TenantId;
use crate::registry::{NewToken, Token};

pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_operator_tokens, create_operator_token))
        .routes(routes!(revoke_operator_token))
        .routes(routes!(list_tokens, create_token))
        .routes(routes!(revoke_token))
}

/// A new token.
#[derive(Serialize, ToSchema)]
struct CreatedToken {
    token: Token,
    /// The token itself: `Authorization: Bearer TEXT`. Shown this once.
    text: String,
}

/// The token of a path below a tenant.
#[derive(Deserialize)]
struct OfTenant {
    token: String,
}

/// The operator's tokens, without their texts.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens", params(PageQuery),
    responses((status = 200, body = Page<Token>)))]
async fn list_operator_tokens(State(api): State<Arc<Api>>, Query(page): Query<PageQuery>) -> Answer<Json<Page<Token>>> {
    list(&api, None, &page)
}

/// A new token of the operator's.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", request_body = NewToken,
    responses((status = 201, body = CreatedToken)))]
async fn create_operator_token(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(new): Body<NewToken>,
) -> Answer<Response> {
    create(&api, &caller, None, new).await
}

/// From now on the token opens nothing.
#[utoipa::path(delete, path = "/v1/tokens/{token}", tag = "tokens", responses((status = 204)))]
async fn revoke_operator_token(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(token): Names<String>,
) -> Answer<StatusCode> {
    revoke(&api, &caller, None, &token).await
}

/// The tenant's tokens, without their texts.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/tokens", tag = "tokens", params(PageQuery),
    responses((status = 200, body = Page<Token>)))]
async fn list_tokens(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Answer<Json<Page<Token>>> {
    list(&api, Some(caller.tenant()?), &page)
}

/// A new token of the tenant's, of a role up to the caller's own.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/tokens", tag = "tokens", request_body = NewToken,
    responses((status = 201, body = CreatedToken)))]
async fn create_token(State(api): State<Arc<Api>>, caller: Caller, Body(new): Body<NewToken>) -> Answer<Response> {
    create(&api, &caller, Some(caller.tenant()?), new).await
}

/// From now on the token opens nothing.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/tokens/{token}", tag = "tokens", responses((status = 204)))]
async fn revoke_token(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(OfTenant { token }): Names<OfTenant>,
) -> Answer<StatusCode> {
    revoke(&api, &caller, Some(caller.tenant()?), &token).await
}

fn list(api: &Api, tenant: Option<&TenantId>, page: &PageQuery) -> Answer<Json<Page<Token>>> {
    let (limit, after) = (page.limit()?, after(page.after.as_deref())?);
    let found = api.registry.tokens(tenant, after.as_deref(), limit + 1).map_err(registry_problem)?;
    Ok(Page::of(found, limit, |token| token.id.clone()))
}

async fn create(api: &Api, caller: &Caller, tenant: Option<&TenantId>, new: NewToken) -> Answer<Response> {
    if new.rights.unmask && !caller.token.rights.unmask {
        return Err(Problem::new(Code::Forbidden, "nobody gives a right that he has not: unmask"));
    }
    let (token, text) = api.registry.create_token(&caller.actor, tenant, new).await.map_err(registry_problem)?;
    Ok(made(true, Json(CreatedToken { token, text: text.expose().to_owned() })).into_response())
}

async fn revoke(api: &Api, caller: &Caller, tenant: Option<&TenantId>, token: &str) -> Answer<StatusCode> {
    api.registry.revoke_token(&caller.actor, tenant, token).await.map_err(registry_problem)?;
    Ok(StatusCode::NO_CONTENT)
}
