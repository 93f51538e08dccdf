//! The description of the API: what the routes say of themselves, completed from the table of who may what, so that the
//! two cannot say different things.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use utoipa::OpenApi;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Ref, Schema, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, RefOr, Required, Response, ResponseBuilder};

use super::access::{Least, RULES, Right, Rule, Takes, Verb};
use super::problem::ProblemDocument;
use crate::model::{ConnectionName, Digest, DocumentKey, SchemeId, TenantId};

const SCHEME: &str = "token";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Crossdock",
        description = "Moves business documents between systems through tenants' sandboxed modules. Every answer that \
                       refuses is a problem document (RFC 9457). Another tenant's things do not exist for yours.",
    ),
    components(schemas(ProblemDocument, TenantId, SchemeId, ConnectionName, Digest, DocumentKey)),
    tags(
        (name = "about", description = "What this is, and whose token it is"),
        (name = "engine", description = "The engine as a whole; the operator's"),
        (name = "tenants", description = "Who there is, and what they may use"),
        (name = "tokens", description = "Who may call"),
        (name = "signing keys", description = "What modules are signed with"),
        (name = "modules", description = "The transforms that a tenant uploads"),
        (name = "connections", description = "The systems that schemes read and write; credentials go in and never come out"),
        (name = "tables", description = "Reference tables that a tenant uploads"),
        (name = "schemes", description = "What is moved, from where, through which module, to where"),
        (name = "documents", description = "What happened to each document, and what to do with it"),
        (name = "audit", description = "Who did what"),
    )
)]
struct Base;

/// The description before the routes add theirs.
pub fn base() -> utoipa::openapi::OpenApi {
    Base::openapi()
}

/// The whole description.
pub fn document() -> utoipa::openapi::OpenApi {
    let (_, mut document) = super::routes::all().split_for_parts();
    let components = document.components.get_or_insert_default();
    let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("cd1~TENANT~ID~SECRET")).build();
    components.add_security_scheme(SCHEME, SecurityScheme::Http(scheme));
    for rule in RULES {
        let item = document.paths.paths.get_mut(rule.path);
        if let Some(operation) = item.and_then(|item| operation(item, rule.method)) {
            complete(operation, rule);
        }
    }
    document
}

/// The whole description as JSON; made once.
pub fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| document().to_json().expect("a description is JSON"))
}

pub fn operation(item: &mut PathItem, verb: Verb) -> Option<&mut Operation> {
    match verb {
        Verb::Get => item.get.as_mut(),
        Verb::Post => item.post.as_mut(),
        Verb::Put => item.put.as_mut(),
        Verb::Patch => item.patch.as_mut(),
        Verb::Delete => item.delete.as_mut(),
    }
}

fn complete(operation: &mut Operation, rule: &Rule) {
    let who = match rule.least {
        Least::Everybody => "Needs no token.".to_owned(),
        Least::Anybody => "Needs a valid token of any role.".to_owned(),
        Least::Role(role) => format!("Needs the role {role} at least."),
    };
    let right = match rule.right {
        Some(Right::Unmask) => " `unmask=true` needs the right unmask, and each use of it is in the audit log.",
        None => "",
    };
    let said = operation.description.take().map(|said| said + "\n\n").unwrap_or_default();
    operation.description = Some(format!("{said}{who}{right}"));
    operation.security = Some(match rule.least {
        Least::Everybody => Vec::new(),
        Least::Anybody | Least::Role(_) => vec![SecurityRequirement::new(SCHEME, Vec::<String>::new())],
    });
    let parameters = operation.parameters.get_or_insert_default();
    for name in rule.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
        parameters.push(RefOr::T(in_path(name)));
    }
    if rule.right == Some(Right::Unmask) {
        parameters.push(RefOr::T(unmask()));
    }
    if changes_a_revision(rule) {
        parameters.push(RefOr::T(if_match()));
    }
    for (status, what) in refusals(rule) {
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_string()).or_insert_with(|| RefOr::T(problem(what, status)));
    }
}

/// What every route of its kind can answer beside what it says itself.
fn refusals(rule: &Rule) -> BTreeMap<u16, &'static str> {
    let mut all = BTreeMap::from([
        (400, "the request is not usable"),
        (429, "too much at once, or a share is used up"),
        (500, "the engine failed"),
        (503, "not now"),
    ]);
    if rule.least != Least::Everybody {
        all.insert(401, "no valid token");
    }
    if matches!(rule.least, Least::Role(_)) {
        all.insert(403, "the token's role or rights do not reach");
    }
    if rule.path.contains('{') {
        all.insert(404, "there is no such thing, or none that the token may know of");
    }
    if rule.takes != Takes::Nothing {
        all.insert(408, "the body came too slowly");
        all.insert(413, "the body is too large");
        all.insert(415, "a body of this type or encoding is not taken");
    }
    if rule.method != Verb::Get {
        all.insert(409, "the present state does not allow it");
        all.insert(422, "what is asked for is understood and cannot be");
        all.insert(507, "the disk is full");
    } else if rule.path.ends_with("/capsule") {
        all.insert(409, "there is no capsule to be had");
    }
    if changes_a_revision(rule) {
        all.insert(412, "somebody else changed it meanwhile");
    }
    all
}

/// Whether `If-Match` means something.
fn changes_a_revision(rule: &Rule) -> bool {
    const OF_REVISIONS: &[&str] = &[
        "/v1/tenants/{tenant}",
        "/v1/tenants/{tenant}/connections/{connection}",
        "/v1/tenants/{tenant}/tables/{table}",
        "/v1/tenants/{tenant}/schemes/{scheme}",
        "/v1/tenants/{tenant}/schemes/{scheme}/parameters",
        "/v1/tenants/{tenant}/schemes/{scheme}/enable",
        "/v1/tenants/{tenant}/schemes/{scheme}/disable",
        "/v1/tenants/{tenant}/schemes/{scheme}/activate",
        "/v1/tenants/{tenant}/schemes/{scheme}/rollback",
    ];
    rule.method != Verb::Get && OF_REVISIONS.contains(&rule.path)
}

fn problem(what: &str, status: u16) -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    let mut response =
        ResponseBuilder::new().description(what).content("application/problem+json", Content::new(Some(schema)));
    if status == 401 {
        response = response.header("WWW-Authenticate", HeaderBuilder::new().schema(Some(plain(Type::String))).build());
    }
    if matches!(status, 429 | 503) {
        response = response.header("Retry-After", HeaderBuilder::new().schema(Some(plain(Type::Integer))).build());
    }
    response.build()
}

fn plain(kind: Type) -> Schema {
    Schema::Object(ObjectBuilder::new().schema_type(kind).build())
}

fn in_path(name: &str) -> Parameter {
    let (schema, description) = match name {
        "tenant" => (Some("TenantId"), "the tenant's id"),
        "scheme" => (Some("SchemeId"), "the scheme's name"),
        "connection" => (Some("ConnectionName"), "the connection's name"),
        "digest" => (Some("Digest"), "the module, by the SHA-256 of its component"),
        "key" => (Some("DocumentKey"), "the document's key, percent-encoded"),
        "table" => (None, "the table's name"),
        "token" => (None, "the token's id"),
        "signing_key" => (None, "the key's id"),
        _ => (None, "a code of docs/errors"),
    };
    let schema = match schema {
        Some(name) => RefOr::Ref(Ref::from_schema_name(name)),
        None => RefOr::T(Schema::Object(ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).build())),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

fn unmask() -> Parameter {
    ParameterBuilder::new()
        .name("unmask")
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some("show personal data"))
        .schema(Some(plain(Type::Boolean)))
        .build()
}

fn if_match() -> Parameter {
    ParameterBuilder::new()
        .name("If-Match")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("the revision that is to be changed, as its ETag had it: \"7\""))
        .schema(Some(plain(Type::String)))
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn described() -> Value {
        serde_json::from_str(text()).unwrap()
    }

    #[test]
    fn every_route_is_in_the_table_and_in_the_description_and_nothing_else_is() {
        let document = described();
        let mut routed = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for verb in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
                routed.insert(format!("{} {path}", verb.to_uppercase()));
            }
        }
        let ruled: BTreeSet<String> =
            RULES.iter().map(|rule| format!("{} {}", rule.method.as_str(), rule.path)).collect();
        let (more, less): (Vec<_>, Vec<_>) = (routed.difference(&ruled).collect(), ruled.difference(&routed).collect());
        assert!(more.is_empty() && less.is_empty(), "without a rule: {more:?}; without a route: {less:?}");
    }

    #[test]
    fn every_reference_resolves_and_every_operation_has_a_name_of_its_own() {
        let document = described();
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(references.len() > 100, "hardly anything refers to anything: {}", references.len());
        for reference in references {
            let found = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
            assert!(found.is_some(), "{reference} leads nowhere");
        }
        let mut names = BTreeSet::new();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let name = operation["operationId"].as_str().unwrap();
                assert!(names.insert(name.to_owned()), "two operations are called {name}");
                assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name} says nothing");
                let answers = operation["responses"].as_object().unwrap();
                assert!(answers.keys().any(|status| status.starts_with('2')), "{name} never succeeds");
            }
        }
    }

    fn collect(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                into.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|field| collect(field, into));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
            _ => {}
        }
    }
}
