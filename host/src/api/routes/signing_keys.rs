//! The Ed25519 keys that a tenant's modules are signed with.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Api;
use super::super::convert::registry_problem;
use super::super::extract::{Body, Names};
use super::super::gate::Caller;
use super::super::page::{Page, made};
use super::super::problem::Answer;
use crate::registry::SigningKey;

pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list_signing_keys, add_signing_key)).routes(routes!(remove_signing_key))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSigningKey {
    name: String,
    /// 32 bytes in base64.
    #[schema(example = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")]
    public_key: String,
}

/// The key of a path.
#[derive(Deserialize)]
struct Named {
    signing_key: String,
}

/// The tenant's keys.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/signing-keys", tag = "signing keys",
    responses((status = 200, body = Page<SigningKey>)))]
async fn list_signing_keys(State(api): State<Arc<Api>>, caller: Caller) -> Answer<Json<Page<SigningKey>>> {
    let found = api.registry.signing_keys(caller.tenant()?).map_err(registry_problem)?;
    let limit = found.len();
    Ok(Page::of(found, limit, |key| key.id.clone()))
}

/// Registers a key. Its id is the beginning of its SHA-256.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/signing-keys", tag = "signing keys", request_body = NewSigningKey,
    responses((status = 201, body = SigningKey)))]
async fn add_signing_key(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(new): Body<NewSigningKey>,
) -> Answer<Response> {
    let added = api.registry.add_signing_key(&caller.actor, caller.tenant()?, &new.name, &new.public_key).await;
    Ok(made(true, Json(added.map_err(registry_problem)?)))
}

/// Takes a key away. Modules that were signed with it stay.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/signing-keys/{signing_key}", tag = "signing keys",
    responses((status = 204)))]
async fn remove_signing_key(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { signing_key }): Names<Named>,
) -> Answer<StatusCode> {
    let removed = api.registry.remove_signing_key(&caller.actor, caller.tenant()?, &signing_key).await;
    removed.map_err(registry_problem)?;
    Ok(StatusCode::NO_CONTENT)
}
