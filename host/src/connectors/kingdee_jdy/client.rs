//! One signed call, with its token.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::config::Secret;
use crate::connectors::Error;
use crate::connectors::flight::{Fetched, Flight};
use crate::connectors::http::{Line, Reply, Request};

use super::errors::{Rejection, judge};
use super::session::{Authorisation, Authorisations, Session};
use super::settings::{Account, Auth, Generation};
use super::sign::{api_signature, encode};

const AUTHORISE: &str = "jdyconnector/app_management/push_app_authorize";
const TOKEN: &str = "jdyconnector/app_management/kingdee_auth_token";

/// One call before it is signed.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub body: String,
}

#[derive(Debug, Clone)]
pub struct Client {
    line: Line,
    account: Arc<Account>,
    session: Arc<Flight<Session>>,
    authorisations: Arc<Authorisations>,
}

impl Client {
    pub fn new(
        line: Line,
        account: Arc<Account>,
        session: Arc<Flight<Session>>,
        authorisations: Arc<Authorisations>,
    ) -> Self {
        Self { line, account, session, authorisations }
    }

    pub fn account(&self) -> &Account {
        &self.account
    }
    pub fn now(&self) -> jiff::Timestamp {
        self.line.now()
    }

    /// The longest one write can take: a token (asked for, refused, authorised anew, asked for again), and the call.
    pub fn longest_call(&self) -> Duration {
        self.line.limits().longest_send() * 5
    }

    /// A question: one that meets an ended token is asked again, once, with a new one.
    pub async fn ask(&self, call: &Call) -> Result<Value, Error> {
        let session = self.session().await?;
        match self.exchange(call, &session.value).await {
            Ok(data) => return Ok(data),
            Err(Rejection::TokenRefused(_)) => self.session.forget(&session),
            Err(rejection) => return Err(rejection.into_error()),
        }
        let session = self.session().await?;
        match self.exchange(call, &session.value).await {
            Err(Rejection::TokenRefused(detail)) => {
                self.session.forget(&session);
                let detail = format!("a new token is refused as well: {detail}");
                Err(Error::CredentialsRefused { detail })
            }
            other => other.map_err(Rejection::into_error),
        }
    }

    /// A write: never sent twice. An ended token is forgotten, and the question what became of the write brings a new
    /// one.
    pub async fn write(&self, call: &Call) -> Result<Value, Rejection> {
        let session = match self.session().await {
            Ok(session) => session,
            // Whatever became of the token, the write itself never left.
            Err(error) if error.may_have_written() => {
                let host = self.account.base_url.host_str().unwrap_or("").to_owned();
                return Err(Rejection::Other(Error::Unreachable { host, detail: format!("no token: {error}") }));
            }
            Err(error) => return Err(Rejection::Other(error)),
        };
        let result = self.exchange(call, &session.value).await;
        if let Err(Rejection::TokenRefused(detail)) = result {
            self.session.forget(&session);
            return Err(Rejection::Other(Error::SessionLost { detail, sent: true }));
        }
        result
    }

    async fn session(&self) -> Result<Fetched<Session>, Error> {
        let (now, margin) = (self.line.now(), self.account.token_margin);
        self.session.get(|session| session.is_fresh(now, margin), self.open()).await
    }

    /// A token, with the newest authorisation that is known. Its secret changes about daily, so a refused token is no
    /// news as long as a new authorisation has not been asked for.
    async fn open(&self) -> Result<Session, Error> {
        let known = self.authorisations.newest().or_else(|| Authorisation::set(&self.account));
        let can_renew = self.account.outer_instance_id.is_some();
        if let Some(authorisation) = known {
            match self.token(authorisation).await {
                Err(Error::CredentialsRefused { .. }) if can_renew => {
                    tracing::info!("the token was refused; asking for the authorisation anew");
                }
                other => return other,
            }
        }
        let authorisation = self.authorise().await?;
        self.authorisations.keep(authorisation.clone());
        self.token(authorisation).await
    }

    async fn authorise(&self) -> Result<Authorisation, Error> {
        let id = self.account.outer_instance_id.clone().unwrap_or_default();
        let query = vec![("outerInstanceId".into(), id)];
        let call = Call { method: Method::POST, path: AUTHORISE.into(), query, body: String::new() };
        let data = self.set_up(&call, &[]).await?;
        Authorisation::choose(&data, &self.account)
    }

    async fn token(&self, authorisation: Authorisation) -> Result<Session, Error> {
        let signature = authorisation.signature();
        let query = vec![
            ("app_key".into(), authorisation.app_key.clone()),
            ("app_signature".into(), signature.expose().to_owned()),
        ];
        let call = Call { method: Method::GET, path: TOKEN.into(), query, body: String::new() };
        let fetched_at = self.line.now();
        let data = self.set_up(&call, &authorisation.secrets()).await?;
        let session = Session::read(&data, authorisation, fetched_at)?;
        let (token, name) = match self.account.auth {
            Auth::AppToken => (&session.app_token, "app-token"),
            Auth::AccessToken => (&session.access_token, "access_token"),
        };
        if token.is_none() {
            let detail = format!("the token's answer has no {name}, which auth asks for");
            return Err(Error::Unreadable { detail, bytes: Default::default() });
        }
        Ok(session)
    }

    /// A call of the log-in, whose envelope is that of the second generation. Its answers hold secrets, so their bytes
    /// are not kept.
    async fn set_up(&self, call: &Call, secrets: &[Secret]) -> Result<Value, Error> {
        let reply = self.send(call, None).await?;
        let blank = |text: &str| self.blank(text, secrets);
        self.judge(&reply, Generation::V2, &blank).map_err(|rejection| match rejection {
            Rejection::TokenRefused(detail) => Error::CredentialsRefused { detail },
            Rejection::Refused { code, message } => {
                Error::CredentialsRefused { detail: format!("{message} (code {code})") }
            }
            Rejection::Other(Error::Unreadable { detail, .. }) => {
                Error::Unreadable { detail, bytes: Default::default() }
            }
            Rejection::Other(error) => error,
        })
    }

    async fn exchange(&self, call: &Call, session: &Session) -> Result<Value, Rejection> {
        let reply = self.send(call, Some(session)).await.map_err(Rejection::Other)?;
        let secrets = session.secrets();
        self.judge(&reply, self.account.generation, &|text| self.blank(text, &secrets))
    }

    fn judge(&self, reply: &Reply, generation: Generation, blank: &dyn Fn(&str) -> String) -> Result<Value, Rejection> {
        judge(reply, &self.account, generation, self.line.limits().clock_tolerance_seconds, blank)
    }

    async fn send(&self, call: &Call, session: Option<&Session>) -> Result<Reply, Error> {
        let account = &self.account;
        let unsent = |detail: &str| {
            let host = account.base_url.host_str().unwrap_or("").to_owned();
            Error::Unreachable { host, detail: detail.into() }
        };
        let mut query = call.query.clone();
        let mut headers = HeaderMap::new();
        let mut own: Vec<(&'static str, String)> = Vec::new();
        if let Some(session) = session {
            match (account.auth, &session.app_token, &session.access_token) {
                (Auth::AppToken, Some(token), _) => own.push(("app-token", token.expose().to_owned())),
                (Auth::AccessToken, _, Some(token)) => query.push(("access_token".into(), token.expose().to_owned())),
                _ => return Err(unsent("there is no token of the kind that auth asks for")),
            }
            let granted = &session.authorisation;
            if account.auth == Auth::AccessToken {
                own.extend(account.account_id.clone().or(granted.account_id.clone()).map(|id| ("accountid", id)));
                own.extend(account.group_name.clone().or(granted.group_name.clone()).map(|name| ("groupname", name)));
            }
            own.extend(account.router_addr.clone().or(granted.domain.clone()).map(|at| ("x-gw-router-addr", at)));
        }
        let mut url = account.base_url.join(&call.path).map_err(|_| unsent("not an address"))?;
        // As the signature encodes them: a blank as `%20`.
        let pairs: Vec<_> = query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        url.set_query((!pairs.is_empty()).then(|| pairs.join("&")).as_deref());
        let timestamp_ms = self.line.now().as_millisecond();
        // Seven digits, as in the vendor's own client.
        let nonce = rand::random_range(1_000_000..10_000_000_u32);
        let method = call.method.as_str();
        let signature = api_signature(&account.client_secret, method, url.path(), &query, nonce, timestamp_ms);
        let mut private = session.map(Session::secrets).unwrap_or_default();
        private.push(Secret::new(&signature));
        own.extend([
            ("x-api-clientid", account.client_id.clone()),
            ("x-api-auth-version", "2.0".into()),
            ("x-api-timestamp", timestamp_ms.to_string()),
            ("x-api-nonce", nonce.to_string()),
            ("x-api-signheaders", "X-Api-TimeStamp,X-Api-Nonce".into()),
            ("x-api-signature", signature),
        ]);
        for (name, value) in own {
            let mut value = HeaderValue::from_str(&value).map_err(|_| unsent("a header's value is not usable"))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let operation = call.path.rsplit('/').next().unwrap_or(&call.path).to_owned();
        let body = call.body.clone().into();
        self.line.send(Request { method: call.method.clone(), url, operation, headers, body, private }).await
    }

    fn blank(&self, text: &str, secrets: &[Secret]) -> String {
        let mut text = self.account.client_secret.blank_in(text);
        if let Some((_, app_secret)) = &self.account.app {
            text = app_secret.blank_in(&text);
        }
        secrets.iter().fold(text, |text, secret| secret.blank_in(&text))
    }
}
