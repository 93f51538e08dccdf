//! What the API says of itself and of whoever asks.

use axum::Json;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Api;
use super::super::extract::Names;
use super::super::gate::Caller;
use super::super::openapi;
use super::super::problem::{self, Answer, Problem};
use crate::model::TenantId;
use crate::registry::{Rights, Role};
use std::sync::Arc;

pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(openapi_document)).routes(routes!(error_page)).routes(routes!(whoami))
}

/// This description.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "about", responses((status = 200, body = Object)))]
async fn openapi_document() -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    (headers, openapi::text()).into_response()
}

/// What a problem's code means, and what to do.
#[utoipa::path(get, path = "/v1/errors/{code}", tag = "about",
    responses((status = 200, body = String, content_type = "text/markdown")))]
async fn error_page(Names(code): Names<String>) -> Answer<Response> {
    let page = problem::page(&code).ok_or_else(|| Problem::no_such("error", &code))?;
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("text/markdown; charset=utf-8"))], page).into_response())
}

/// Whose token it is, and what it may.
#[derive(Debug, Serialize, ToSchema)]
struct Whoami {
    token: String,
    name: String,
    /// Absent of an operator's.
    tenant: Option<TenantId>,
    role: Role,
    rights: Rights,
    expires_at: String,
}

/// Whose token this is, and what it may.
#[utoipa::path(get, path = "/v1/whoami", tag = "about", responses((status = 200, body = Whoami)))]
async fn whoami(caller: Caller) -> Json<Whoami> {
    let token = caller.token;
    Json(Whoami {
        token: token.id,
        name: token.name,
        tenant: token.tenant,
        role: token.role,
        rights: token.rights,
        expires_at: token.expires_at.to_string(),
    })
}
