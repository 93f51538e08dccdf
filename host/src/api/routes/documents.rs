//! Documents: found, shown, tried again, corrected, set aside, forgotten; one by one or all that a filter means.
//!
//! Personal data is masked in every answer, unless the caller has the right to see it and asks.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Api;
use super::super::convert::{aside, office_problem, registry_problem};
use super::super::extract::{self, Body, Names, Query};
use super::super::gate::Caller;
use super::super::problem::{Answer, Problem};
use super::engine::witness;
use super::modules::chosen;
use crate::daemon::{
    BulkAnswer, BulkRequest, CapsuleRequest, CommandRequest, DocumentState, DocumentView, Filter, Found, Wish,
};
use crate::model::{Digest, DocumentKey, SchemeId, is_unseen};
use crate::pipeline::step::RetryMode;

pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(search_documents))
        .routes(routes!(retry_documents))
        .routes(routes!(discard_documents))
        .routes(routes!(erase_documents))
        .routes(routes!(show_document))
        .routes(routes!(document_capsule))
        .routes(routes!(retry_document))
        .routes(routes!(edit_document))
        .routes(routes!(discard_document))
        .routes(routes!(erase_document))
}

/// A reason is a sentence; it stays in the document's history.
const REASON_LIMIT: usize = 500;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DocumentQuery {
    /// A scheme's name.
    scheme: Option<String>,
    /// States, with commas between: `parked,held`.
    state: Option<String>,
    /// How the key begins.
    key_prefix: Option<String>,
    /// The code of the fault that it is parked for, of the skip, or of what it waits for.
    code: Option<String>,
    /// Received not before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    received_from: Option<Timestamp>,
    /// Received before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    received_to: Option<Timestamp>,
    /// Something happened to it at this instant or later.
    #[param(value_type = Option<String>, format = DateTime)]
    changed_from: Option<Timestamp>,
    /// The last thing that happened to it was before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    changed_to: Option<Timestamp>,
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<u64>,
    /// `next` of the page before.
    after: Option<String>,
}

/// A capsule, and what whoever asked for it should know.
#[derive(Serialize, ToSchema)]
struct CapsuleView {
    /// The file's text.
    capsule: String,
    notes: Vec<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CapsuleQuery {
    /// The newest version that was transformed, where none is named.
    version: Option<u64>,
    /// With the component itself.
    with_module: Option<bool>,
}

/// Another try.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Retry {
    /// The newest parked version, where none is named.
    version: Option<u64>,
    #[serde(default = "plain")]
    mode: RetryMode,
    /// Instead of the scheme's: a module by its digest or as `name@version`.
    module: Option<String>,
}

/// Another body in the place of a parked version's. The original is kept, and so is who edited it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// The newest parked version, where none is named.
    version: Option<u64>,
    /// The document as the source should have served it.
    #[schema(value_type = Object)]
    body: Box<RawValue>,
}

/// Why a document is set aside.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Discard {
    /// The newest parked version, where none is named.
    version: Option<u64>,
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Why nothing is to be kept of a document.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Erase {
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Another try for all that a filter means.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BulkRetry {
    filter: Filter,
    #[serde(default = "plain")]
    mode: RetryMode,
    /// Instead of the scheme's: a module by its digest or as `name@version`.
    module: Option<String>,
    /// Say what would happen, and do nothing.
    dry_run: bool,
}

/// All that a filter means is set aside.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BulkWithReason {
    filter: Filter,
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// Say what would happen, and do nothing.
    dry_run: bool,
}

/// What an order applied to.
#[derive(Serialize, ToSchema)]
struct Applied {
    /// The version; with an edit, the one that the new body became.
    version: u64,
}

fn plain() -> RetryMode {
    RetryMode::Plain
}

/// The document of a path.
#[derive(Deserialize)]
struct Named {
    scheme: SchemeId,
    key: DocumentKey,
}

/// The tenant's documents, a line each.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/documents", tag = "documents", params(DocumentQuery),
    responses((status = 200, body = Found)))]
async fn search_documents(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(query): Query<DocumentQuery>,
) -> Answer<Json<Found>> {
    let filter = filter(query)?;
    let (office, tenant) = (api.office.clone(), caller.tenant()?.clone());
    Ok(Json(aside(move || office.search(Some(&tenant), &filter)).await?.map_err(office_problem)?))
}

/// Everything that is known of one document: its versions, every attempt with what was sent and answered, fuel, log lines.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/schemes/{scheme}/documents/{key}", tag = "documents",
    responses((status = 200, body = DocumentView)))]
async fn show_document(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { scheme, key }): Names<Named>,
) -> Answer<Json<DocumentView>> {
    let (office, tenant, unmask) = (api.office.clone(), caller.tenant()?.clone(), caller.unmask);
    let shown = aside(move || office.show(Some(&tenant), Some(scheme.as_str()), key.as_str(), unmask)).await?;
    Ok(Json(shown.map_err(office_problem)?))
}

/// The document's last run in a file that runs anywhere: `crossdock replay`. Values are masked so that the mapping still
/// works.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/schemes/{scheme}/documents/{key}/capsule", tag = "documents",
    params(CapsuleQuery), responses((status = 200, body = CapsuleView)))]
async fn document_capsule(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(Named { scheme, key }): Names<Named>,
    Query(query): Query<CapsuleQuery>,
) -> Answer<Json<CapsuleView>> {
    let request = CapsuleRequest {
        scheme: Some(scheme.to_string()),
        key: key.to_string(),
        version: query.version,
        rules: (!caller.unmask).then(String::new),
        with_module: query.with_module.unwrap_or(false),
    };
    let (office, tenant) = (api.office.clone(), caller.tenant()?.clone());
    let taken = aside(move || office.capsule(Some(&tenant), &request)).await?.map_err(office_problem)?;
    Ok(Json(CapsuleView { capsule: taken.capsule, notes: taken.notes }))
}

/// Tries a parked version again.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/schemes/{scheme}/documents/{key}/retry", tag = "documents",
    request_body = Retry, responses((status = 200, body = Applied)))]
async fn retry_document(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(named): Names<Named>,
    Body(Retry { version, mode, module }): Body<Retry>,
) -> Answer<Json<Applied>> {
    let module = pinned(&api, &caller, module.as_deref())?;
    order(&api, &caller, named, version, Wish::Retry { mode, module }).await
}

/// Puts another body in the place of a parked version's, and tries that.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/schemes/{scheme}/documents/{key}/edit", tag = "documents",
    request_body = Edit, responses((status = 200, body = Applied)))]
async fn edit_document(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(named): Names<Named>,
    Body(Edit { version, body }): Body<Edit>,
) -> Answer<Json<Applied>> {
    order(&api, &caller, named, version, Wish::Edit { body: body.get().to_owned() }).await
}

/// Sets a parked version aside for good.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/schemes/{scheme}/documents/{key}/discard", tag = "documents",
    request_body = Discard, responses((status = 200, body = Applied)))]
async fn discard_document(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(named): Names<Named>,
    Body(Discard { version, reason }): Body<Discard>,
) -> Answer<Json<Applied>> {
    order(&api, &caller, named, version, Wish::Discard { reason: usable(reason)? }).await
}

/// Takes away what is kept of a document: bodies, history, words. Its fingerprint stays, so that it is not taken for new.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/schemes/{scheme}/documents/{key}/erase", tag = "documents",
    request_body = Erase, responses((status = 200, body = Applied)))]
async fn erase_document(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Names(named): Names<Named>,
    Body(Erase { reason }): Body<Erase>,
) -> Answer<Json<Applied>> {
    order(&api, &caller, named, None, Wish::Erase { reason: usable(reason)? }).await
}

/// Tries again what a filter means, some hundreds a call: `next` of the answer goes into the filter as `after`.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/documents/bulk/retry", tag = "documents",
    request_body = BulkRetry, responses((status = 200, body = BulkAnswer)))]
async fn retry_documents(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(BulkRetry { filter, mode, module, dry_run }): Body<BulkRetry>,
) -> Answer<Json<BulkAnswer>> {
    let module = pinned(&api, &caller, module.as_deref())?;
    bulk(&api, &caller, filter, Wish::Retry { mode, module }, dry_run).await
}

/// Sets aside what a filter means, some hundreds a call.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/documents/bulk/discard", tag = "documents",
    request_body = BulkWithReason, responses((status = 200, body = BulkAnswer)))]
async fn discard_documents(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(BulkWithReason { filter, reason, dry_run }): Body<BulkWithReason>,
) -> Answer<Json<BulkAnswer>> {
    bulk(&api, &caller, filter, Wish::Discard { reason: usable(reason)? }, dry_run).await
}

/// Takes away what is kept of all that a filter means, some hundreds a call.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/documents/bulk/erase", tag = "documents",
    request_body = BulkWithReason, responses((status = 200, body = BulkAnswer)))]
async fn erase_documents(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(BulkWithReason { filter, reason, dry_run }): Body<BulkWithReason>,
) -> Answer<Json<BulkAnswer>> {
    bulk(&api, &caller, filter, Wish::Erase { reason: usable(reason)? }, dry_run).await
}

async fn order(
    api: &Api,
    caller: &Caller,
    Named { scheme, key }: Named,
    version: Option<u64>,
    wish: Wish,
) -> Answer<Json<Applied>> {
    let tenant = caller.tenant()?;
    let request =
        CommandRequest { scheme: Some(scheme.to_string()), key: key.to_string(), version, wish, by: Some(by(caller)) };
    let version = witness(api, &caller.actor).command(Some(tenant), &request).await.map_err(office_problem)?;
    Ok(Json(Applied { version }))
}

async fn bulk(api: &Api, caller: &Caller, filter: Filter, wish: Wish, dry_run: bool) -> Answer<Json<BulkAnswer>> {
    let request = BulkRequest { filter, wish, dry_run, by: Some(by(caller)) };
    let answered = witness(api, &caller.actor).bulk(Some(caller.tenant()?), &request).await;
    Ok(Json(answered.map_err(office_problem)?))
}

/// Who it was, as the document's history keeps it.
fn by(caller: &Caller) -> String {
    format!("{} ({})", caller.actor.name, caller.actor.token)
}

/// A module that is named beside the scheme's.
fn pinned(api: &Api, caller: &Caller, module: Option<&str>) -> Answer<Option<Digest>> {
    let Some(row) = module.map(|module| chosen(api, caller.tenant()?, module)).transpose()? else { return Ok(None) };
    // What may not be a scheme's module may not be one document's either.
    caller.row()?.may_run(&row).map_err(registry_problem)?;
    Ok(Some(row.digest))
}

fn usable(reason: String) -> Answer<String> {
    let length = reason.chars().count();
    if reason.trim().is_empty() || length > REASON_LIMIT || reason.chars().any(is_unseen) {
        let remedy = format!("write 1 to {REASON_LIMIT} characters, without line breaks");
        return Err(Problem::at("/reason", "is no usable reason", remedy));
    }
    Ok(reason)
}

fn filter(query: DocumentQuery) -> Answer<Filter> {
    let limit = extract::limit(query.limit)?;
    let state = |word: &str| {
        let found = DocumentState::ALL.into_iter().find(|state| state.as_str() == word.trim());
        let known = DocumentState::ALL.map(DocumentState::as_str).join(", ");
        found.ok_or_else(|| Problem::invalid(format!("the query state has one of: {known}")))
    };
    let states = query.state.as_deref().map(|words| words.split(',').map(state).collect::<Answer<_>>()).transpose()?;
    Ok(Filter {
        scheme: query.scheme,
        states: states.unwrap_or_default(),
        key_prefix: query.key_prefix,
        code: query.code,
        received_from: query.received_from,
        received_to: query.received_to,
        changed_from: query.changed_from,
        changed_to: query.changed_to,
        after: query.after,
        limit: Some(limit),
    })
}
