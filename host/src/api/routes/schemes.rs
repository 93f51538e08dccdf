//! Schemes: made, changed, switched, paused; their modules compared, exchanged and taken back.

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
use super::super::convert::{
    aside, compare_problem, entries, floor_problem, followed, mistakes, objected, registry_problem,
};
use super::super::extract::{Body, Expected, Names, PageQuery, Query};
use super::super::gate::Caller;
use super::super::page::{Page, Tagged, after_id, after_number, made};
use super::super::problem::{Answer, Code, Entry, Problem};
use super::super::shell::Gone;
use super::super::upload::Report;
use super::engine::{NewPause, pause, resume};
use super::modules::chosen;
use crate::config::Objection;
use crate::daemon::{CompareReport, FloorError, PauseRequest, SchemeStatus};
use crate::model::{Digest, SchemeId, TenantId};
use crate::registry::{Compare, Looked, ModuleRow, SchemePut, SchemeRow};
use crate::sandbox::{Module, ModuleClass};

pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_schemes))
        .routes(routes!(show_scheme, put_scheme, delete_scheme))
        .routes(routes!(scheme_revisions))
        .routes(routes!(put_parameters))
        .routes(routes!(enable_scheme))
        .routes(routes!(disable_scheme))
        .routes(routes!(pause_scheme))
        .routes(routes!(resume_scheme))
        .routes(routes!(compare_modules))
        .routes(routes!(activate_module))
        .routes(routes!(roll_back))
}

/// A scheme, and how it stands.
#[derive(Serialize, ToSchema)]
struct SchemeView {
    /// Absent of one that stands in the configuration file.
    scheme: Option<SchemeRow>,
    status: SchemeStatus,
    /// The last comparison of another module with this scheme's.
    compare: Option<Compare>,
    /// Of a resume: whether there was a pause of its own, or something held back for its vendor's sake.
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed: Option<bool>,
    /// What can be used and most likely was not meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Entry>,
}

/// A scheme as it is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PutScheme {
    /// The module, by its digest or as `name@version`.
    #[schema(example = "saleout@1.2.0")]
    module: String,
    /// As a `[[scheme]]` block has them, without name, tenant, module and enabled.
    #[schema(value_type = Object)]
    settings: Value,
    /// A new scheme is off, and one that is changed stays as it is, where this is left out.
    enabled: Option<bool>,
    /// Why, for whoever reads the revisions.
    #[serde(default)]
    note: String,
}

/// A module that is to be tried, or to run.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Activation {
    /// The module, by its digest or as `name@version`.
    #[schema(example = "saleout@1.3.0")]
    module: String,
    /// Why, for whoever reads the revisions.
    #[serde(default)]
    note: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Candidate {
    /// The module, by its digest or as `name@version`.
    #[schema(example = "saleout@1.3.0")]
    module: String,
    /// Documents of the ledger, the newest.
    #[serde(default = "hundred")]
    #[schema(minimum = 1, maximum = 1000, default = 100)]
    last: u64,
}

const COMPARED_LIMIT: u64 = 1_000;

fn hundred() -> u64 {
    100
}

/// The scheme of a path.
#[derive(Deserialize)]
struct Named {
    scheme: SchemeId,
}

/// The tenant's schemes, of the configuration file and of the API.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/schemes", tag = "schemes", params(PageQuery),
    responses((status = 200, body = Page<SchemeStatus>)))]
async fn list_schemes(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Answer<Json<Page<SchemeStatus>>> {
    let (limit, after) = (page.limit()?, after_id::<SchemeId>(page.after.as_deref())?);
    let mut found = api.floor.schemes(caller.tenant()?);
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found.retain(|one| after.as_ref().is_none_or(|after| one.name > *after));
    Ok(Page::of(found, limit, |one| one.name.to_string()))
}

/// One scheme, its settings, and how it stands.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/schemes/{scheme}", tag = "schemes",
    responses((status = 200, body = SchemeView)))]
async fn show_scheme(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { scheme }): Names<Named>,
) -> Answer<Response> {
    view(&api, &caller, &scheme, Vec::new())
}

/// Makes or changes a scheme. It is judged as a whole before anything is changed; a change of the module alone takes place
/// between two documents, every other one stops the scheme in order and starts it again.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/schemes/{scheme}", tag = "schemes", request_body = PutScheme,
    responses((status = 200, body = SchemeView), (status = 201, body = SchemeView)))]
async fn put_scheme(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { scheme }): Names<Named>,
    Expected(expected): Expected,
    Body(PutScheme { module, settings, enabled, note }): Body<PutScheme>,
) -> Answer<Response> {
    let module = chosen(&api, caller.tenant()?, &module)?;
    let put = SchemePut { settings, module: module.digest, enabled, note };
    write(&api, &caller, &scheme, &module, put, expected).await
}

/// Changes a scheme's parameters, and nothing else of it.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/schemes/{scheme}/parameters", tag = "schemes", request_body = Object,
    responses((status = 200, body = SchemeView)))]
async fn put_parameters(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { scheme }): Names<Named>,
    Expected(expected): Expected,
    Body(parameters): Body<serde_json::Map<String, Value>>,
) -> Answer<Response> {
    let row = managed(&api, &caller, &scheme)?;
    let module = module_row(&api, caller.tenant()?, &row.module)?;
    let mut settings = row.settings;
    if let Some(settings) = settings.as_object_mut() {
        settings.insert("parameters".into(), Value::Object(parameters));
    }
    let put = SchemePut { settings, module: row.module, enabled: None, note: String::new() };
    // What else of it was changed since it was read here must not be undone.
    let written = write(&api, &caller, &scheme, &module, put, expected.or(Some(row.revision))).await;
    written.map_err(|problem| problem.beneath("/settings/parameters"))
}

/// Deletes a scheme that is off. Its documents stay; a scheme made under its name again goes on with them.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/schemes/{scheme}", tag = "schemes", responses((status = 204)))]
async fn delete_scheme(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { scheme }): Names<Named>,
    Expected(expected): Expected,
) -> Answer<StatusCode> {
    let tenant = caller.tenant()?;
    api.registry.delete_scheme(&caller.actor, tenant, &scheme, expected).await.map_err(registry_problem)?;
    followed(api.floor.settle_scheme(tenant, &scheme).await)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the scheme was, who changed it and when; the oldest first.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/schemes/{scheme}/revisions", tag = "schemes", params(PageQuery),
    responses((status = 200, body = Page<SchemeRow>)))]
async fn scheme_revisions(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { scheme }): Names<Named>,
    Query(page): Query<PageQuery>,
) -> Answer<Json<Page<SchemeRow>>> {
    let (limit, after) = (page.limit()?, after_number(page.after.as_deref())?);
    let (registry, tenant, name) = (api.registry.clone(), caller.tenant()?.clone(), scheme.clone());
    let rows = move |after, limit| registry.scheme_revisions(&tenant, &name, after, limit).map_err(registry_problem);
    let page = aside(move || Page::read(after, limit, |row: &SchemeRow| row.revision, rows)).await??;
    if page.items.is_empty() && after == 0 {
        return Err(Problem::no_such("scheme", scheme.as_str()));
    }
    Ok(Json(page))
}

/// Switches a scheme on.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/schemes/{scheme}/enable", tag = "schemes",
    responses((status = 200, body = SchemeView)))]
async fn enable_scheme(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { scheme }): Names<Named>,
    Expected(expected): Expected,
) -> Answer<Response> {
    switch(&api, &caller, &scheme, true, expected).await
}

/// Switches a scheme off. It keeps its ledger and does nothing.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/schemes/{scheme}/disable", tag = "schemes",
    responses((status = 200, body = SchemeView)))]
async fn disable_scheme(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { scheme }): Names<Named>,
    Expected(expected): Expected,
) -> Answer<Response> {
    switch(&api, &caller, &scheme, false, expected).await
}

/// Lets no request of the scheme begin, and returns when none is under way. A pause survives a restart, and holds for the
/// scheme of this name; all that a tenant runs, under whatever names, stops when the operator suspends the tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/schemes/{scheme}/pause", tag = "schemes", request_body = NewPause,
    responses((status = 200, body = SchemeView)))]
async fn pause_scheme(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { scheme }): Names<Named>,
    Body(new): Body<NewPause>,
) -> Answer<Response> {
    // One that was deleted has documents still, and nothing to pause.
    view(&api, &caller, &scheme, Vec::new())?;
    pause(&api, &caller, &PauseRequest::Scheme(scheme.to_string()), &new).await?;
    view(&api, &caller, &scheme, Vec::new())
}

/// Lets the scheme go on.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/schemes/{scheme}/resume", tag = "schemes",
    responses((status = 200, body = SchemeView)))]
async fn resume_scheme(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { scheme }): Names<Named>,
) -> Answer<Response> {
    view(&api, &caller, &scheme, Vec::new())?;
    let resumed = resume(&api, &caller, &PauseRequest::Scheme(scheme.to_string())).await?;
    viewed(&api, &caller, &scheme, Vec::new(), Some(!resumed.is_empty()))
}

/// Runs the scheme's last documents through another module, beside the one that runs. Nothing is written and nothing is
/// committed; what differs is told by its place, never by its value.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/schemes/{scheme}/compare", tag = "schemes", request_body = Candidate,
    responses((status = 200, body = CompareReport)))]
async fn compare_modules(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { scheme }): Names<Named>,
    Gone(gone): Gone,
    Body(Candidate { module, last }): Body<Candidate>,
) -> Answer<Json<CompareReport>> {
    let tenant = caller.tenant()?;
    if !(1..=COMPARED_LIMIT).contains(&last) {
        return Err(Problem::at("/last", "is out of range", format!("write a number from 1 to {COMPARED_LIMIT}")));
    }
    // As it is before, so that a change while it runs is not taken for compared.
    let row = api.registry.scheme(tenant, &scheme).map_err(registry_problem)?;
    let candidate = load(&api, tenant, chosen(&api, tenant, &module)?).await?;
    let digest = candidate.digest();
    let last = usize::try_from(last).map_err(Problem::internal)?;
    let report = tokio::select! {
        report = api.floor.compare(tenant, &scheme, candidate, last) => report.map_err(compare_problem)?,
        // Nobody reads what this says.
        () = gone.cancelled() => return Err(Problem::new(Code::Unavailable, "whoever asked has hung up")),
    };
    if let Some(row) = row.filter(|row| row.module == report.present) {
        let CompareReport { documents, undecided, available, clean, .. } = report;
        let [documents, undecided, available] = [documents, undecided, available].map(|count| count as u64);
        let looked = Looked { documents, undecided, available, clean };
        let noted = api.registry.note_compare(&caller.actor, tenant, &row, &digest, looked).await;
        noted.map_err(registry_problem)?;
    }
    Ok(Json(report))
}

/// Has the scheme run another module, from the next document on, without stopping it.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/schemes/{scheme}/activate", tag = "schemes",
    request_body = Activation, responses((status = 200, body = SchemeView)))]
async fn activate_module(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { scheme }): Names<Named>,
    Expected(expected): Expected,
    Body(Activation { module, note }): Body<Activation>,
) -> Answer<Response> {
    let tenant = caller.tenant()?;
    let row = managed(&api, &caller, &scheme)?;
    let module = chosen(&api, tenant, &module)?;
    let digest = module.digest;
    let warnings = judged(&api, tenant, &scheme, candidate(row, &module), &module).await?;
    let activated = api.registry.activate(&caller.actor, tenant, &scheme, &digest, expected, &note).await;
    activated.map_err(registry_problem)?;
    followed(api.floor.settle_scheme(tenant, &scheme).await)?;
    view(&api, &caller, &scheme, warnings)
}

/// Has the scheme run the module that it ran before, from the next document on.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/schemes/{scheme}/rollback", tag = "schemes",
    responses((status = 200, body = SchemeView)))]
async fn roll_back(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { scheme }): Names<Named>,
    Expected(expected): Expected,
) -> Answer<Response> {
    let tenant = caller.tenant()?;
    api.registry.rollback(&caller.actor, tenant, &scheme, expected, "").await.map_err(registry_problem)?;
    followed(api.floor.settle_scheme(tenant, &scheme).await)?;
    view(&api, &caller, &scheme, Vec::new())
}

async fn switch(
    api: &Arc<Api>,
    caller: &Caller,
    scheme: &SchemeId,
    enabled: bool,
    expected: Option<u64>,
) -> Answer<Response> {
    let tenant = caller.tenant()?;
    let switched = api.registry.set_enabled(&caller.actor, tenant, scheme, enabled, expected).await;
    switched.map_err(registry_problem)?;
    followed(api.floor.settle_scheme(tenant, scheme).await)?;
    view(api, caller, scheme, Vec::new())
}

async fn write(
    api: &Arc<Api>,
    caller: &Caller,
    scheme: &SchemeId,
    module: &ModuleRow,
    put: SchemePut,
    expected: Option<u64>,
) -> Answer<Response> {
    let tenant = caller.tenant()?;
    let before = api.registry.scheme(tenant, scheme).map_err(registry_problem)?;
    let row = SchemeRow {
        name: scheme.clone(),
        settings: put.settings.clone(),
        module: module.digest,
        module_ref: module.module(),
        previous_module: None,
        enabled: put.enabled.unwrap_or(before.as_ref().is_some_and(|row| row.enabled)),
        revision: before.as_ref().map_or(0, |row| row.revision) + 1,
        changed_at: (api.now)(),
        changed_by: caller.actor.token.clone(),
        note: put.note.clone(),
    };
    // Whatever names or forms are wrong is told in the registry's words first where there is no object to judge.
    let warnings = match row.settings.is_object() {
        true => judged(api, tenant, scheme, row, module).await?,
        false => Vec::new(),
    };
    api.registry.put_scheme(&caller.actor, tenant, scheme, put, expected).await.map_err(registry_problem)?;
    followed(api.floor.settle_scheme(tenant, scheme).await)?;
    Ok(made(before.is_none(), view(api, caller, scheme, warnings)?))
}

/// The scheme, were it to run this module.
fn candidate(row: SchemeRow, module: &ModuleRow) -> SchemeRow {
    SchemeRow { module: module.digest, module_ref: module.module(), ..row }
}

/// Refuses a scheme with a mistake in it; what is left are warnings.
async fn judged(
    api: &Arc<Api>,
    tenant: &TenantId,
    scheme: &SchemeId,
    row: SchemeRow,
    module: &ModuleRow,
) -> Answer<Vec<Entry>> {
    let wants_batches = row.settings.get("isolation").and_then(Value::as_str) == Some("batch");
    let report: Option<Report> = serde_json::from_str(module.report.get()).ok();
    let is_unsafe = report.and_then(|report| report.trial?.batch_safe) == Some(false);
    let (floor, of, name) = (api.floor.clone(), tenant.clone(), scheme.clone());
    let mut objections = aside(move || floor.judge_scheme(&of, &name, &row)).await?;
    if wants_batches && is_unsafe {
        let message = "the module gave other bytes after others had run in the same instance";
        let remedy = "write isolation = \"document\", or upload a version whose trial is safe for batches";
        objections.push(Objection::new("isolation", message, remedy));
    }
    match mistakes(&objections).is_empty() {
        true => Ok(entries(&objections, "/settings")),
        false => Err(objected(&objections, "/settings")),
    }
}

/// A scheme of the registry's.
fn managed(api: &Api, caller: &Caller, scheme: &SchemeId) -> Answer<SchemeRow> {
    let tenant = caller.tenant()?;
    if let Some(row) = api.registry.scheme(tenant, scheme).map_err(registry_problem)? {
        return Ok(row);
    }
    match api.floor.scheme(tenant, scheme) {
        Some(_) => Err(floor_problem(FloorError::ManagedByFile)),
        None => Err(Problem::no_such("scheme", scheme.as_str())),
    }
}

fn module_row(api: &Api, tenant: &TenantId, digest: &Digest) -> Answer<ModuleRow> {
    let row = api.registry.module(tenant, digest).map_err(registry_problem)?;
    row.ok_or_else(|| Problem::no_such("module", &digest.to_string()))
}

async fn load(api: &Arc<Api>, tenant: &TenantId, row: ModuleRow) -> Answer<Module> {
    let bytes = api.registry.module_bytes(tenant, &row.digest).map_err(registry_problem)?;
    let bytes = bytes.ok_or_else(|| Problem::no_such("module", &row.digest.to_string()))?;
    let sandbox = api.sandbox.clone();
    let class = match row.class.as_str() {
        "interpreter" => ModuleClass::Interpreter,
        _ => ModuleClass::Standard,
    };
    aside(move || sandbox.load(&bytes, class)).await?.map_err(|error| error.fault().into())
}

fn view(api: &Api, caller: &Caller, scheme: &SchemeId, warnings: Vec<Entry>) -> Answer<Response> {
    viewed(api, caller, scheme, warnings, None)
}

fn viewed(
    api: &Api,
    caller: &Caller,
    scheme: &SchemeId,
    warnings: Vec<Entry>,
    resumed: Option<bool>,
) -> Answer<Response> {
    let tenant = caller.tenant()?;
    let row = api.registry.scheme(tenant, scheme).map_err(registry_problem)?;
    let status = api.floor.scheme(tenant, scheme).ok_or_else(|| Problem::no_such("scheme", scheme.as_str()))?;
    let compare = api.registry.compare(tenant, scheme).map_err(registry_problem)?;
    let revision = row.as_ref().map(|row| row.revision);
    let view = SchemeView { scheme: row, status, compare, resumed, warnings };
    Ok(match revision {
        Some(revision) => Tagged(revision, view).into_response(),
        None => Json(view).into_response(),
    })
}
