//! The engine as a whole, and what a tenant uses of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Api;
use super::super::convert::{aside, office_problem, registry_problem};
use super::super::extract::Body;
use super::super::gate::Caller;
use super::super::problem::{Answer, Problem};
use crate::daemon::{PauseRequest, SchemeState, SchemeStatus, TenantUse, Witness};
use crate::model::is_unseen;
use crate::pipeline::gate::{Pause, Person};
use crate::registry::{Actor, CompileBudget, Error as RegistryError, Quotas, Used};
use crate::sandbox;

pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(engine_status))
        .routes(routes!(pause_everything))
        .routes(routes!(resume_everything))
        .routes(routes!(tenant_usage))
}

/// Schemes that are told of one by one.
const TOLD_LIMIT: usize = 500;
/// A reason is a sentence.
const REASON_LIMIT: usize = 500;

/// How the engine stands.
#[derive(Serialize, ToSchema)]
struct EngineStatus {
    version: String,
    wasmtime: String,
    started_at: String,
    now: String,
    /// Schemes by how they stand.
    schemes: BTreeMap<String, u64>,
    /// Those that do not run and should.
    troubled: Vec<SchemeStatus>,
    paused: Vec<PauseView>,
}

/// A pause, and why.
#[derive(Serialize, ToSchema)]
pub(super) struct PauseView {
    /// `everything`, or which connection or scheme of whom.
    scope: String,
    since: String,
    reason: String,
    /// The fault that paused it, where it was no person.
    code: Option<String>,
    /// The person. What the operator paused, the operator resumes.
    by: Option<Person>,
}

/// Why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPause {
    #[schema(max_length = 500)]
    pub(super) reason: String,
}

/// What a tenant uses, beside what it may.
#[derive(Serialize, ToSchema)]
struct Usage {
    quotas: Quotas,
    used: Used,
    now: TenantUse,
    /// Absent where it is used up: `used` says how much.
    compile: Option<CompileBudget>,
}

impl From<Pause> for PauseView {
    fn from(pause: Pause) -> Self {
        let by = pause.person();
        Self {
            scope: pause.scope.to_string(),
            since: pause.since.to_string(),
            reason: crate::telemetry::mask_text(&pause.reason),
            code: pause.code.map(|code| code.to_string()),
            by,
        }
    }
}

/// How the engine and its schemes stand.
#[utoipa::path(get, path = "/v1/status", tag = "engine", responses((status = 200, body = EngineStatus)))]
async fn engine_status(State(api): State<Arc<Api>>) -> Answer<Json<EngineStatus>> {
    let all = api.floor.all_schemes();
    let mut schemes = BTreeMap::new();
    for status in &all {
        *schemes.entry(word(status.state).to_owned()).or_default() += 1;
    }
    use SchemeState::{Off, Running, Starting};
    let is_well = |status: &SchemeStatus| matches!(status.state, Running | Off | Starting);
    Ok(Json(EngineStatus {
        version: env!("CARGO_PKG_VERSION").into(),
        wasmtime: sandbox::WASMTIME.into(),
        started_at: api.started_at.to_string(),
        now: (api.now)().to_string(),
        schemes,
        troubled: all.into_iter().filter(|status| !is_well(status)).take(TOLD_LIMIT).collect(),
        paused: api.office.pauses(None).into_iter().map(PauseView::from).collect(),
    }))
}

fn word(state: SchemeState) -> &'static str {
    match state {
        SchemeState::Running => "running",
        SchemeState::Paused => "paused",
        SchemeState::Off => "off",
        SchemeState::Starting => "starting",
        SchemeState::StandsStill => "stands_still",
        SchemeState::Failed => "failed",
    }
}

/// Lets no request begin anywhere, and returns when none is under way.
#[utoipa::path(post, path = "/v1/pause", tag = "engine", request_body = NewPause,
    responses((status = 200, body = Vec<PauseView>)))]
async fn pause_everything(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(new): Body<NewPause>,
) -> Answer<Json<Vec<PauseView>>> {
    pause(&api, &caller, &PauseRequest::All, &new).await.map(Json)
}

/// Takes every pause away. Answers with what was paused.
#[utoipa::path(post, path = "/v1/resume", tag = "engine", responses((status = 200, body = Vec<String>)))]
async fn resume_everything(State(api): State<Arc<Api>>, caller: Caller) -> Answer<Json<Vec<String>>> {
    resume(&api, &caller, &PauseRequest::All).await.map(Json)
}

/// What the tenant uses, beside what it may use.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/usage", tag = "tenants", responses((status = 200, body = Usage)))]
async fn tenant_usage(State(api): State<Arc<Api>>, caller: Caller) -> Answer<Json<Usage>> {
    let (tenant, registry) = (caller.tenant()?.clone(), api.registry.clone());
    let of = tenant.clone();
    let (used, compile) = aside(move || (registry.used(&of), registry.compile_left(&of))).await?;
    let compile = match compile {
        Ok(budget) => Some(budget),
        Err(RegistryError::Quota { .. }) => None,
        Err(error) => return Err(registry_problem(error)),
    };
    let quotas = caller.row()?.quotas;
    Ok(Json(Usage { quotas, used: used.map_err(registry_problem)?, now: api.floor.usage(&tenant), compile }))
}

/// Pauses, and notes it.
pub(super) async fn pause(api: &Api, caller: &Caller, what: &PauseRequest, new: &NewPause) -> Answer<Vec<PauseView>> {
    if new.reason.chars().count() > REASON_LIMIT || new.reason.chars().any(is_unseen) {
        let remedy = format!("write at most {REASON_LIMIT} characters");
        return Err(Problem::at("/reason", "is too long or holds characters that are not seen", remedy));
    }
    let tenant = caller.tenant.as_ref().map(|tenant| &tenant.id);
    let witness = witness(api, &caller.actor);
    let paused = witness.pause(tenant, what, &new.reason).await.map_err(office_problem)?;
    Ok(paused.into_iter().map(PauseView::from).collect())
}

pub(super) async fn resume(api: &Api, caller: &Caller, what: &PauseRequest) -> Answer<Vec<String>> {
    let tenant = caller.tenant.as_ref().map(|tenant| &tenant.id);
    let resumed = witness(api, &caller.actor).resume(tenant, what).await.map_err(office_problem)?;
    Ok(resumed.iter().map(ToString::to_string).collect())
}

/// The office, on the caller's word.
pub(super) fn witness<'a>(api: &'a Api, actor: &'a Actor) -> Witness<'a> {
    Witness { office: &api.office, registry: Some(&api.registry), actor }
}
