//! One signed call.

use std::collections::BTreeMap;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};

use crate::config::Secret;
use crate::connectors::Error;
use crate::connectors::http::{Line, Reply, Request};

use super::envelope::{self, Answered};
use super::{SignMethod, wall_clock};

/// Who calls whom.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub base_url: Url,
    pub app_key: String,
    pub app_secret: Secret,
    /// The ERP's key on the gateway.
    pub target_app_key: String,
    /// The parameter that routes to the merchant, and its value: `customer_id` or `sid`.
    pub routing: (&'static str, String),
    pub sign_method: SignMethod,
}

#[derive(Debug, Clone)]
pub struct Gateway {
    line: Line,
    credentials: Credentials,
}

impl Gateway {
    pub fn new(line: Line, credentials: Credentials) -> Self {
        Self { line, credentials }
    }

    pub fn now(&self) -> jiff::Timestamp {
        self.line.now()
    }

    pub async fn call(&self, method: &str, business: &[(&str, String)]) -> Result<Answered, Error> {
        let reply = self.exchange(method, business).await?;
        envelope::read(&reply, self.line.limits().clock_tolerance_seconds)
    }

    async fn exchange(&self, method: &str, business: &[(&str, String)]) -> Result<Reply, Error> {
        let parameters = self.parameters(method, business);
        let private = parameters.get("sign").map(Secret::new).into_iter().collect();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded;charset=UTF-8"));
        // All parameters travel in the body: what stands in an address ends up in the access logs of every proxy.
        let request = Request {
            method: Method::POST,
            url: self.credentials.base_url.clone(),
            operation: method.to_owned(),
            headers,
            body: form(&parameters).into(),
            private,
        };
        self.line.send(request).await
    }

    fn parameters(&self, method: &str, business: &[(&str, String)]) -> BTreeMap<String, String> {
        let credentials = &self.credentials;
        let timestamp = wall_clock(self.line.now());
        let system = [
            ("method", method),
            ("app_key", &credentials.app_key),
            ("target_app_key", &credentials.target_app_key),
            ("timestamp", &timestamp),
            ("v", "2.0"),
            // The gateway's default is XML.
            ("format", "json"),
            ("sign_method", credentials.sign_method.as_str()),
            (credentials.routing.0, &credentials.routing.1),
        ];
        let own = business.iter().map(|(name, value)| (*name, value.as_str()));
        let mut parameters: BTreeMap<String, String> = system
            .into_iter()
            .chain(own)
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let sign = credentials.sign_method.sign(&credentials.app_secret, &parameters);
        parameters.insert("sign".into(), sign);
        parameters
    }
}

fn form(parameters: &BTreeMap<String, String>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}
