//! Modules: uploaded, listed, shown, handed back, deleted. A version never changes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Api;
use super::super::convert::registry_problem;
use super::super::extract::{Names, PageQuery, Query};
use super::super::gate::Caller;
use super::super::page::{Page, after, made};
use super::super::problem::{Answer, Problem};
use super::super::upload::{self, Report};
use crate::model::{Digest, ModuleRef, TenantId};
use crate::registry::ModuleRow;

pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_modules, upload_module))
        .routes(routes!(show_module, delete_module))
        .routes(routes!(download_component))
}

/// A module, in short.
#[derive(Debug, Serialize, ToSchema)]
struct ModuleSummary {
    digest: Digest,
    name: String,
    version: String,
    /// `standard` or `interpreter`.
    class: String,
    /// Bytes of the component.
    size: u64,
    uploaded_at: String,
    /// A token's id.
    uploaded_by: String,
    /// A signing key's id.
    signed_by: Option<String>,
}

/// A module, with what its upload was answered with.
#[derive(Serialize, ToSchema)]
struct ModuleView {
    #[serde(flatten)]
    summary: ModuleSummary,
    #[schema(value_type = Report)]
    report: Box<RawValue>,
}

/// A component with what belongs to its upload.
#[derive(ToSchema)]
#[allow(dead_code)] // A description; the form is read part by part.
struct UploadForm {
    /// The component.
    #[schema(format = Binary, content_media_type = "application/wasm")]
    module: String,
    /// Ed25519, 64 bytes in base64, over `crossdock-module-v1:` and the component's SHA-256 in lower-case hexadecimal.
    signature: Option<String>,
    /// The scheme's parameters for the trial, a JSON object.
    parameters: Option<String>,
    /// Documents to try it with, ten at most; each is named by its file name, which without `.json` is its key.
    sample: Option<Vec<String>>,
    /// `table.NAME`: a reference table for the trial, a JSON object.
    #[schema(rename = "table.NAME")]
    table: Option<String>,
}

/// The module of a path.
#[derive(Deserialize)]
struct Named {
    digest: Digest,
}

impl From<&ModuleRow> for ModuleSummary {
    fn from(row: &ModuleRow) -> Self {
        Self {
            digest: row.digest,
            name: row.name.clone(),
            version: row.version.clone(),
            class: row.class.clone(),
            size: row.size,
            uploaded_at: row.uploaded_at.to_string(),
            uploaded_by: row.uploaded_by.clone(),
            signed_by: row.signed_by.clone(),
        }
    }
}

/// The tenant's modules, in the order of their digests.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/modules", tag = "modules", params(PageQuery),
    responses((status = 200, body = Page<ModuleSummary>)))]
async fn list_modules(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Answer<Json<Page<ModuleSummary>>> {
    let limit = page.limit()?;
    let usage = |_| Problem::invalid("the query after is what the page before had as next");
    let after = after(page.after.as_deref())?.map(|text| Digest::try_from(text).map_err(usage)).transpose()?;
    let found = api.registry.modules(caller.tenant()?, after.as_ref(), limit + 1).map_err(registry_problem)?;
    let summaries = found.iter().map(ModuleSummary::from).collect();
    Ok(Page::of(summaries, limit, |one: &ModuleSummary| one.digest.to_string()))
}

/// Takes a component: looks at it, compiles it in a process of its own, tries it with the samples, and keeps it. The same
/// bytes again are answered with 200 and change nothing; with samples, they are tried again.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/modules", tag = "modules",
    params(("crossdock-signature" = Option<String>, Header,
        description = "the signature of a component that is sent as application/wasm, 64 bytes in base64")),
    request_body(content((Vec<u8> = "application/wasm"), (UploadForm = "multipart/form-data"))),
    responses((status = 201, body = Report), (status = 200, body = Report)))]
async fn upload_module(State(api): State<Arc<Api>>, caller: Caller, request: Request) -> Answer<Response> {
    let taken = upload::take(&api, &caller, request).await?;
    Ok(made(taken.created, Json(taken.report)))
}

/// One module, with its report.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/modules/{digest}", tag = "modules",
    responses((status = 200, body = ModuleView)))]
async fn show_module(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { digest }): Names<Named>,
) -> Answer<Json<ModuleView>> {
    let row = found(&api, &caller, &digest)?;
    Ok(Json(ModuleView { summary: ModuleSummary::from(&row), report: row.report }))
}

/// Deletes a module that no scheme runs or could roll back to. Its name and version stay taken.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/modules/{digest}", tag = "modules", responses((status = 204)))]
async fn delete_module(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { digest }): Names<Named>,
) -> Answer<StatusCode> {
    api.registry.delete_module(&caller.actor, caller.tenant()?, &digest).await.map_err(registry_problem)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The component, byte for byte as it was uploaded.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/modules/{digest}/component", tag = "modules",
    responses((status = 200, body = Vec<u8>, content_type = "application/wasm")))]
async fn download_component(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { digest }): Names<Named>,
) -> Answer<Response> {
    let row = found(&api, &caller, &digest)?;
    let bytes = api.registry.module_bytes(caller.tenant()?, &digest).map_err(registry_problem)?;
    let bytes = bytes.ok_or_else(|| Problem::no_such("module", &digest.to_string()))?;
    let header = |text: String| HeaderValue::from_str(&text).map_err(Problem::internal);
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/wasm")),
        (ETAG, header(format!("\"{digest}\""))?),
        (CONTENT_DISPOSITION, header(format!("attachment; filename=\"{}-{}.wasm\"", row.name, row.version))?),
    ];
    Ok((headers, bytes).into_response())
}

fn found(api: &Api, caller: &Caller, digest: &Digest) -> Answer<ModuleRow> {
    let row = api.registry.module(caller.tenant()?, digest).map_err(registry_problem)?;
    row.ok_or_else(|| Problem::no_such("module", &digest.to_string()))
}

/// The module that a body names: by its digest, or as `name@version`.
pub(super) fn chosen(api: &Api, tenant: &TenantId, text: &str) -> Answer<ModuleRow> {
    let row = match (text.parse::<ModuleRef>(), Digest::try_from(text.to_owned())) {
        (_, Ok(digest)) => api.registry.module(tenant, &digest),
        (Ok(name), Err(_)) => api.registry.module_by_name(tenant, &name),
        (Err(_), Err(_)) => {
            return Err(Problem::at("/module", "names no module", "write its SHA-256, or name@version"));
        }
    };
    let unknown = || Problem::at("/module", "is no module of this tenant", "upload it first");
    row.map_err(registry_problem)?.ok_or_else(unknown)
}
