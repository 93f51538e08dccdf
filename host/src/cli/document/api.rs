//! Documents through a server's API.

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::client::{Ask, Body, Error, Server};
use crate::daemon::{
    BulkAnswer, BulkRequest, CapsuleAnswer, CapsuleRequest, CommandRequest, DocumentView, Filter, Found, Wish,
};

/// One call's page; the server gives no more.
const PAGE: usize = 500;

pub(in crate::cli) struct Api(pub(super) Server);

impl Api {
    pub async fn search(&self, filter: &Filter) -> Result<Found, Error> {
        let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
        let limit = filter.limit.map(|limit| limit.min(PAGE).to_string());
        let query = [
            ("scheme", filter.scheme.clone()),
            ("state", (!states.is_empty()).then(|| states.join(","))),
            ("key_prefix", filter.key_prefix.clone()),
            ("code", filter.code.clone()),
            ("received_from", filter.received_from.map(|at| at.to_string())),
            ("received_to", filter.received_to.map(|at| at.to_string())),
            ("changed_from", filter.changed_from.map(|at| at.to_string())),
            ("changed_to", filter.changed_to.map(|at| at.to_string())),
            ("limit", limit),
            ("after", filter.after.clone()),
        ];
        let query = query.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let path = self.0.of_tenant(&["documents"])?;
        read(self.0.ask(Method::GET, &path, Ask { query, ..Ask::default() }).await?.body)
    }

    pub async fn show(&self, scheme: Option<&str>, key: &str, unmask: bool) -> Result<DocumentView, Error> {
        let query = if unmask { vec![("unmask", "true".to_owned())] } else { Vec::new() };
        read(self.of(Method::GET, scheme, key, None, Ask { query, ..Ask::default() }).await?)
    }

    pub async fn capsule(&self, request: &CapsuleRequest) -> Result<CapsuleAnswer, Error> {
        if request.rules.as_ref().is_some_and(|rules| !rules.is_empty()) {
            let message = "rules of your own for masking need the engine itself: --config";
            return Err(Error::Usage(message.into()));
        }
        let query = [
            ("version", request.version.map(|version| version.to_string())),
            ("with_module", request.with_module.then(|| "true".to_owned())),
            ("unmask", request.rules.is_none().then(|| "true".to_owned())),
        ];
        let query = query.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let ask = Ask { query, ..Ask::default() };
        read(self.of(Method::GET, request.scheme.as_deref(), &request.key, Some("capsule"), ask).await?)
    }

    pub async fn command(&self, request: &CommandRequest) -> Result<u64, Error> {
        let CommandRequest { scheme, key, version, wish, .. } = request;
        let (act, mut body) = order(wish)?;
        if let (Some(version), Value::Object(body)) = (version, &mut body) {
            body.insert("version".into(), json!(version));
        }
        let ask = Ask { body: Body::Json(body), ..Ask::default() };
        let applied = self.of(Method::POST, scheme.as_deref(), key, Some(act), ask).await?;
        read(applied.get("version").cloned().unwrap_or(Value::Null))
    }

    pub async fn bulk(&self, request: &BulkRequest) -> Result<BulkAnswer, Error> {
        let (act, mut body) = order(&request.wish)?;
        body["filter"] = serde_json::to_value(&request.filter).unwrap_or_default();
        body["dry_run"] = json!(request.dry_run);
        let ask = Ask { body: Body::Json(body), ..Ask::default() };
        read(self.0.ask(Method::POST, &self.0.of_tenant(&["documents", "bulk", act])?, ask).await?.body)
    }

    /// Asks about one document. Where its scheme is not named, the only one that has the key is meant.
    async fn of(
        &self,
        method: Method,
        scheme: Option<&str>,
        key: &str,
        act: Option<&str>,
        ask: Ask,
    ) -> Result<Value, Error> {
        let scheme = match scheme {
            Some(scheme) => scheme.to_owned(),
            None => self.scheme_of(key).await?,
        };
        let path = self.0.of_tenant(&["schemes", &scheme, "documents", key])?;
        let path: Vec<&str> = path.into_iter().chain(act).collect();
        Ok(self.0.ask(method, &path, ask).await?.body)
    }

    async fn scheme_of(&self, key: &str) -> Result<String, Error> {
        let mut filter = Filter { key_prefix: Some(key.to_owned()), limit: Some(PAGE), ..Filter::default() };
        let mut schemes: Vec<String> = Vec::new();
        loop {
            let found = self.search(&filter).await?;
            schemes.extend(
                found.documents.into_iter().filter(|one| one.key.as_str() == key).map(|one| one.scheme.to_string()),
            );
            filter.after = found.next;
            if filter.after.is_none() {
                break;
            }
        }
        schemes.dedup();
        match schemes.as_slice() {
            [scheme] => Ok(scheme.clone()),
            [] => Err(Error::File(format!("no scheme has a document {key:?}"))),
            several => Err(Error::Usage(format!("several schemes have {key:?}: --scheme {}", several.join(" or ")))),
        }
    }
}

/// Which act below the document's address it is, and what is sent.
fn order(wish: &Wish) -> Result<(&'static str, Value), Error> {
    Ok(match wish {
        Wish::Retry { mode, module } => ("retry", json!({ "mode": mode, "module": module })),
        Wish::Edit { body } => {
            let body: Box<serde_json::value::RawValue> = serde_json::from_str(body).map_err(|error| {
                Error::Usage(format!("the body is not JSON: line {} column {}", error.line(), error.column()))
            })?;
            ("edit", json!({ "body": body }))
        }
        Wish::Discard { reason } => ("discard", json!({ "reason": reason })),
        Wish::Erase { reason } => ("erase", json!({ "reason": reason })),
    })
}

fn read<T: DeserializeOwned>(body: Value) -> Result<T, Error> {
    serde_json::from_value(body).map_err(|error| Error::File(format!("the server's answer cannot be read: {error}")))
}
