//! Before a handler runs: whose token it is, which tenant's rows it is about, and whether the table lets it through.
//!
//! A token of a tenant sees that tenant and no other. What it asks of another is answered before anything is looked up,
//! so that a tenant which exists and one which does not answer alike, in the same time.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use zeroize::Zeroizing;

use super::Api;
use super::access::{Least, Right, Rule, Verb, rule_of};
use super::convert::registry_problem;
use super::problem::{Answer, Code, Problem};
use super::server::Peer;
use crate::model::TenantId;
use crate::registry::{Actor, Role, Tenant, Token};

/// Who asks, as far as the table let them.
#[derive(Debug, Clone)]
pub struct Caller {
    pub token: Token,
    pub actor: Actor,
    /// Whose rows the request is about.
    pub tenant: Option<Arc<Tenant>>,
    /// Asked for, granted, and in the audit log.
    pub unmask: bool,
}

impl Caller {
    /// The tenant of a route below `/v1/tenants/{tenant}`.
    pub fn tenant(&self) -> Answer<&TenantId> {
        self.row().map(|tenant| &tenant.id)
    }

    pub fn row(&self) -> Answer<&Tenant> {
        self.tenant.as_deref().ok_or_else(|| Problem::internal("a route of a tenant was reached without one"))
    }
}

/// Lets a request through, or answers it.
pub async fn authorise(
    State(api): State<Arc<Api>>,
    route: MatchedPath,
    params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(rule) = rule_of(request.method(), route.as_str()) else {
        return Problem::new(Code::MethodNotAllowed, "this address has other methods").into_response();
    };
    let named = params.iter().find(|(name, _)| *name == "tenant").map(|(_, value)| value.to_owned());
    let asked = Asked::of(&request);
    match judge(&api, rule, named.as_deref(), asked).await {
        Ok(Some(caller)) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Ok(None) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// What of a request says who may.
struct Asked {
    /// `None` where there is no bearer's token, or more than one.
    bearer: Option<Zeroizing<String>>,
    from: String,
    path: String,
    query: String,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let mut values = request.headers().get_all(AUTHORIZATION).iter();
        let value = values.next().filter(|_| values.next().is_none());
        let bearer = value.and_then(|value| {
            let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| Zeroizing::new(token.trim().to_owned()))
        });
        Self {
            bearer,
            from: request.extensions().get::<Peer>().map(|peer| peer.0.to_string()).unwrap_or_default(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
        }
    }
}

async fn judge(api: &Api, rule: &Rule, named: Option<&str>, asked: Asked) -> Answer<Option<Caller>> {
    if rule.least == Least::Everybody {
        return Ok(None);
    }
    let token = authenticated(api, &asked)?;
    let tenant = if rule.is_of_tenant() { Some(tenant(api, &token, named.unwrap_or_default())?) } else { None };
    if let Least::Role(least) = rule.least
        && token.role < least
    {
        return Err(Problem::new(
            Code::Forbidden,
            format!("this needs the role {least}; the token has {}", token.role),
        ));
    }
    // What a suspended tenant's people may still do is look.
    let is_suspended = tenant.as_ref().is_some_and(|tenant| tenant.suspended);
    if is_suspended && rule.method != Verb::Get && token.role < Role::Operator {
        return Err(Problem::new(
            Code::Forbidden,
            "the tenant is suspended: nothing of it changes until it is resumed",
        ));
    }
    let unmask = rule.right == Some(Right::Unmask) && wants_unmasked(&asked.query)?;
    if let Some(tenant) = &tenant
        && (rule.method != Verb::Get || unmask)
        && token.role < Role::Operator
        // Whoever has stolen a token uses the minute up, and must not be safe by that.
        && !rule.takes_a_token_back()
    {
        // Before it is done: what is done has its line in the audit log.
        api.registry.may_change(&tenant.id).map_err(registry_problem)?;
    }
    let actor = Actor { token: token.id.clone(), name: token.name.clone(), role: token.role, from: asked.from };
    if unmask {
        if !token.rights.unmask {
            return Err(Problem::new(Code::Forbidden, "personal data is shown to tokens with the right unmask"));
        }
        let of = tenant.as_ref().map(|tenant| &tenant.id);
        let detail = json!({ "path": asked.path });
        let recorded = api.registry.record(&actor, of, "document.unmask", &asked.path, detail).await;
        recorded.map_err(registry_problem)?;
    }
    if let Err(error) = api.registry.note_use(&token).await {
        tracing::warn!("the use of a token is not noted: {error}");
    }
    Ok(Some(Caller { token, actor, tenant: tenant.map(Arc::new), unmask }))
}

fn authenticated(api: &Api, asked: &Asked) -> Answer<Token> {
    let text = asked.bearer.as_deref().map_or("", String::as_str);
    api.registry.authenticate(text).map_err(|why| {
        tracing::info!("a request was refused: {why}");
        Problem::new(Code::Unauthenticated, "send a valid token: Authorization: Bearer TOKEN")
    })
}

/// The tenant of that name, where the token may know of it.
fn tenant(api: &Api, token: &Token, named: &str) -> Answer<Tenant> {
    let unknown = || Problem::new(Code::NotFound, "there is no such tenant");
    let id = match &token.tenant {
        // Nothing is looked up for a name that is not the token's own.
        Some(own) if own.as_str() != named => return Err(unknown()),
        Some(own) => own.clone(),
        None if token.role == Role::Operator => TenantId::new(named).map_err(|_| unknown())?,
        None => return Err(unknown()),
    };
    api.registry.tenant(&id).map_err(registry_problem)?.ok_or_else(unknown)
}

fn wants_unmasked(query: &str) -> Answer<bool> {
    let wants = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "unmask");
    match wants.as_ref().map(|(_, value)| value.as_ref()) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::invalid("the query unmask is true or false")),
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        let caller = parts.extensions.get::<Caller>().cloned();
        caller.ok_or_else(|| Problem::internal("a handler asks who called on a route that is for everybody"))
    }
}
