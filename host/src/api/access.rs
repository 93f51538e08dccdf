//! Who may do what: one table. The middleware asks it before a handler runs, the description of the API is completed from
//! it, and the tests walk it. A route that does not stand here answers nobody.

use axum::http::Method;

use crate::registry::Role;

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    pub method: Verb,
    /// As the router knows it.
    pub path: &'static str,
    pub least: Least,
    /// What the query `unmask=true` needs beside the role.
    pub right: Option<Right>,
    pub takes: Takes,
    /// Its work has limits of time of its own.
    pub own_time: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Put => "PUT",
            Verb::Patch => "PATCH",
            Verb::Delete => "DELETE",
        }
    }
}

/// Who may, at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Least {
    /// Everybody, without a token: nothing of a tenant is told.
    Everybody,
    /// Every valid token.
    Anybody,
    Role(Role),
}

/// What a token may beside what its role may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// See personal data.
    Unmask,
}

/// The body that a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    Json,
    Upload,
}

impl Rule {
    /// Whether a token opens nothing any more once this is done.
    pub fn takes_a_token_back(&self) -> bool {
        self.method == Verb::Delete && self.path.contains("/tokens/")
    }

    pub fn is_of_tenant(&self) -> bool {
        self.path.starts_with("/v1/tenants/{tenant}")
    }

    const fn with(self, right: Right) -> Self {
        Self { right: Some(right), ..self }
    }

    const fn in_its_own_time(self) -> Self {
        Self { own_time: true, ..self }
    }
}

const fn rule(method: Verb, path: &'static str, least: Least, takes: Takes) -> Rule {
    Rule { method, path, least, right: None, takes, own_time: false }
}

const fn get(path: &'static str, least: Least) -> Rule {
    rule(Verb::Get, path, least, Takes::Nothing)
}

const fn delete(path: &'static str, least: Least) -> Rule {
    rule(Verb::Delete, path, least, Takes::Nothing)
}

/// A change with a body.
const fn put(path: &'static str, least: Least) -> Rule {
    rule(Verb::Put, path, least, Takes::Json)
}

const fn post(path: &'static str, least: Least) -> Rule {
    rule(Verb::Post, path, least, Takes::Json)
}

/// An act that needs no words.
const fn act(path: &'static str, least: Least) -> Rule {
    rule(Verb::Post, path, least, Takes::Nothing)
}

const EVERYBODY: Least = Least::Everybody;
const ANYBODY: Least = Least::Anybody;
const OPERATOR: Least = Least::Role(Role::Operator);
const ADMIN: Least = Least::Role(Role::TenantAdmin);
const DEVELOPER: Least = Least::Role(Role::TenantDeveloper);
const VIEWER: Least = Least::Role(Role::TenantViewer);

/// The table.
pub const RULES: &[Rule] = &[
    get("/v1/openapi.json", EVERYBODY),
    get("/v1/errors/{code}", EVERYBODY),
    get("/v1/whoami", ANYBODY),
    // The operator's.
    get("/v1/audit", OPERATOR),
    get("/v1/status", OPERATOR),
    post("/v1/pause", OPERATOR),
    act("/v1/resume", OPERATOR),
    get("/v1/tokens", OPERATOR),
    post("/v1/tokens", OPERATOR),
    delete("/v1/tokens/{token}", OPERATOR),
    get("/v1/tenants", OPERATOR),
    post("/v1/tenants", OPERATOR),
    rule(Verb::Patch, "/v1/tenants/{tenant}", OPERATOR, Takes::Json),
    delete("/v1/tenants/{tenant}", OPERATOR),
    // A tenant's.
    get("/v1/tenants/{tenant}", VIEWER),
    get("/v1/tenants/{tenant}/audit", ADMIN),
    get("/v1/tenants/{tenant}/tokens", ADMIN),
    post("/v1/tenants/{tenant}/tokens", ADMIN),
    delete("/v1/tenants/{tenant}/tokens/{token}", ADMIN),
    get("/v1/tenants/{tenant}/signing-keys", VIEWER),
    post("/v1/tenants/{tenant}/signing-keys", ADMIN),
    delete("/v1/tenants/{tenant}/signing-keys/{signing_key}", ADMIN),
    get("/v1/tenants/{tenant}/modules", VIEWER),
    rule(Verb::Post, "/v1/tenants/{tenant}/modules", DEVELOPER, Takes::Upload).in_its_own_time(),
    get("/v1/tenants/{tenant}/modules/{digest}", VIEWER),
    delete("/v1/tenants/{tenant}/modules/{digest}", DEVELOPER),
    get("/v1/tenants/{tenant}/modules/{digest}/component", DEVELOPER),
    get("/v1/tenants/{tenant}/tables", VIEWER),
    get("/v1/tenants/{tenant}/tables/{table}", VIEWER),
    put("/v1/tenants/{tenant}/tables/{table}", DEVELOPER).in_its_own_time(),
    delete("/v1/tenants/{tenant}/tables/{table}", DEVELOPER),
    get("/v1/tenants/{tenant}/usage", VIEWER),
    get("/v1/tenants/{tenant}/connections", VIEWER),
    get("/v1/tenants/{tenant}/connections/{connection}", VIEWER),
    put("/v1/tenants/{tenant}/connections/{connection}", ADMIN),
    delete("/v1/tenants/{tenant}/connections/{connection}", ADMIN),
    get("/v1/tenants/{tenant}/connections/{connection}/revisions", VIEWER),
    post("/v1/tenants/{tenant}/connections/{connection}/pause", ADMIN),
    act("/v1/tenants/{tenant}/connections/{connection}/resume", ADMIN),
    get("/v1/tenants/{tenant}/schemes", VIEWER),
    get("/v1/tenants/{tenant}/schemes/{scheme}", VIEWER),
    put("/v1/tenants/{tenant}/schemes/{scheme}", ADMIN),
    delete("/v1/tenants/{tenant}/schemes/{scheme}", ADMIN),
    get("/v1/tenants/{tenant}/schemes/{scheme}/revisions", VIEWER),
    put("/v1/tenants/{tenant}/schemes/{scheme}/parameters", DEVELOPER),
    act("/v1/tenants/{tenant}/schemes/{scheme}/enable", ADMIN),
    act("/v1/tenants/{tenant}/schemes/{scheme}/disable", ADMIN),
    post("/v1/tenants/{tenant}/schemes/{scheme}/pause", DEVELOPER),
    act("/v1/tenants/{tenant}/schemes/{scheme}/resume", DEVELOPER),
    post("/v1/tenants/{tenant}/schemes/{scheme}/compare", DEVELOPER).in_its_own_time(),
    post("/v1/tenants/{tenant}/schemes/{scheme}/activate", DEVELOPER).in_its_own_time(),
    act("/v1/tenants/{tenant}/schemes/{scheme}/rollback", DEVELOPER).in_its_own_time(),
    get("/v1/tenants/{tenant}/documents", VIEWER),
    post("/v1/tenants/{tenant}/documents/bulk/retry", DEVELOPER),
    post("/v1/tenants/{tenant}/documents/bulk/discard", DEVELOPER),
    post("/v1/tenants/{tenant}/documents/bulk/erase", ADMIN),
    get("/v1/tenants/{tenant}/schemes/{scheme}/documents/{key}", VIEWER).with(Right::Unmask),
    post("/v1/tenants/{tenant}/schemes/{scheme}/documents/{key}/retry", DEVELOPER),
    post("/v1/tenants/{tenant}/schemes/{scheme}/documents/{key}/edit", DEVELOPER),
    post("/v1/tenants/{tenant}/schemes/{scheme}/documents/{key}/discard", DEVELOPER),
    post("/v1/tenants/{tenant}/schemes/{scheme}/documents/{key}/erase", ADMIN),
    get("/v1/tenants/{tenant}/schemes/{scheme}/documents/{key}/capsule", DEVELOPER)
        .with(Right::Unmask)
        .in_its_own_time(),
];

/// The rule of a route; a `HEAD` is a `GET` whose body nobody wants.
pub fn rule_of(method: &Method, path: &str) -> Option<&'static Rule> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    RULES.iter().find(|rule| rule.path == path && rule.method.as_str() == method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_stands_once_and_nobody_but_the_operator_has_more_than_one_tenant() {
        for (index, rule) in RULES.iter().enumerate() {
            let again = RULES[..index].iter().any(|other| other.path == rule.path && other.method == rule.method);
            assert!(!again, "{rule:?} stands twice");
            let tells_of_all = !rule.is_of_tenant() && !matches!(rule.least, Least::Everybody | Least::Anybody);
            assert!(!tells_of_all || rule.least == OPERATOR, "{rule:?}");
            assert!(rule.right.is_none() || rule.method == Verb::Get, "{rule:?}");
        }
    }
}
