//! One call to the site, with its session.

use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::Secret;
use crate::connectors::flight::{Fetched, Flight};
use crate::connectors::http::{Line, Reply, Request};
use crate::connectors::qimen::Loose;
use crate::connectors::{Error, text};

use super::errors::{Rejection, classify};
use super::settings::{Account, Proof};
use super::sign::{api_signature, app_signature, login_sign};
use super::wire::{AUTH, FORM, Status, path_of};

const SESSION_NAME: &str = "kdservice-sessionid";

/// Whether a call changes something. A question may be asked again after a new log-in; a change may not, for it is not
/// proven that a site which says "session lost" has done nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
}

/// The site's session id, or why there is none. A wrong password is sent once, not once by every worker until the account
/// locks.
pub type Session = Flight<Secret>;

#[derive(Debug, Clone)]
pub struct Client {
    line: Line,
    account: Arc<Account>,
    session: Arc<Session>,
}

impl Client {
    pub fn new(line: Line, account: Arc<Account>, session: Arc<Session>) -> Self {
        Self { line, account, session }
    }

    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The longest one call can take: a log-in that somebody else may be at, and the call.
    pub fn longest_call(&self) -> std::time::Duration {
        self.line.limits().longest_send() * 2
    }

    /// [`Client::call`] within [`Client::longest_call`], for the questions around a write: a lost session could make
    /// them take twice as long, and the write's deadline has to hold.
    pub async fn ask_in_time<T>(&self, question: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let limit = self.longest_call();
        tokio::time::timeout(limit, question).await.unwrap_or_else(|_| {
            let host = self.account.base_url.host_str().unwrap_or("").to_owned();
            Err(Error::AnswerLost { host, after: limit, detail: "the question took too long".into() })
        })
    }

    pub async fn call(&self, method: &str, body: String, kind: Kind) -> Result<(Value, Option<Status>), Error> {
        let service = format!("{FORM}{method}");
        let mut repeated = false;
        loop {
            let ticket = self.ticket().await?;
            let reply = self.post(&service, &body, ticket.as_ref(), None).await?;
            let blank = |text: &str| {
                let text = self.account.blank(text);
                ticket.as_ref().map_or(text.clone(), |ticket| ticket.value.blank_in(&text))
            };
            let detail = match classify(&reply, &blank) {
                Ok(answer) => return Ok(answer),
                Err(Rejection::Other(error)) => return Err(error),
                Err(Rejection::SessionLost(detail)) => detail,
            };
            let Some(ticket) = ticket else {
                // Signed requests have no session to lose: this is how the site refuses the signature.
                let tolerance = self.line.limits().clock_tolerance_seconds;
                return Err(reply.clock_error(tolerance).unwrap_or(Error::CredentialsRefused { detail }));
            };
            self.session.forget(&ticket);
            if kind == Kind::Write {
                return Err(Error::SessionLost { detail, sent: true });
            }
            if repeated {
                return Err(Error::SessionLost { detail, sent: false });
            }
            repeated = true;
        }
    }

    async fn ticket(&self) -> Result<Option<Fetched<Secret>>, Error> {
        if matches!(self.account.proof, Proof::Signature { .. }) {
            return Ok(None);
        }
        match self.session.get(|_| true, self.login()).await {
            Ok(ticket) => Ok(Some(ticket)),
            // Whatever became of the log-in, the call itself never left.
            Err(error) if error.may_have_written() => {
                let host = self.account.base_url.host_str().unwrap_or("").to_owned();
                Err(Error::Unreachable { host, detail: format!("the log-in failed: {error}") })
            }
            Err(error) => Err(error),
        }
    }

    async fn login(&self) -> Result<Secret, Error> {
        let account = &self.account;
        let (acct, user, lcid) = (&account.acct_id, &account.user_name, account.lcid);
        let now = self.line.now().as_second();
        let mut signature = None;
        let (method, body) = match &account.proof {
            Proof::LoginBySign { app_id, app_secret, hash } => {
                let timestamp = now.to_string();
                let sign = login_sign(*hash, acct, user, app_id, app_secret, &timestamp);
                signature = Some(Secret::new(&sign));
                // The list is text inside the JSON: so the vendor's positional calls are written.
                let parameters = json!([acct, user, app_id, timestamp, sign, lcid]).to_string();
                ("LoginBySign", json!({ "parameters": parameters }))
            }
            Proof::LoginByAppSecret { app_id, app_secret } => (
                "LoginByAppSecret",
                json!({ "acctid": acct, "username": user, "appid": app_id, "appsecret": app_secret.expose(), "lcid": lcid }),
            ),
            Proof::ValidateUser { password } => (
                "ValidateUser",
                json!({ "acctid": acct, "username": user, "password": password.expose(), "lcid": lcid }),
            ),
            Proof::Signature { .. } => return Err(Error::Stopped),
        };
        let reply = self.post(&format!("{AUTH}{method}"), &body.to_string(), None, signature).await?;
        self.read_login(&reply)
    }

    fn read_login(&self, reply: &Reply) -> Result<Secret, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Login {
            #[serde(default)]
            login_result_type: Loose,
            #[serde(default)]
            message: Loose,
            #[serde(default, rename = "KDSVCSessionId")]
            session_id: Option<Secret>,
        }
        let refused = |words: &str| {
            let tolerance = self.line.limits().clock_tolerance_seconds;
            let detail = format!("the log-in was refused: {}", text::excerpt(&self.account.blank(words)));
            reply.clock_error(tolerance).unwrap_or(Error::CredentialsRefused { detail })
        };
        let answer = match classify(reply, &|text| self.account.blank(text)) {
            Ok((answer, _)) => answer,
            Err(Rejection::SessionLost(detail)) => return Err(refused(&detail)),
            // The bytes of a log-in's answer may hold a session id and are not kept.
            Err(Rejection::Other(Error::Unreadable { detail, .. })) => {
                return Err(Error::Unreadable { detail, bytes: Default::default() });
            }
            Err(Rejection::Other(error)) => return Err(error),
        };
        let not_a_login = |_| Error::Unreadable { detail: "not a log-in's answer".into(), bytes: Default::default() };
        let login = Login::deserialize(&answer).map_err(not_a_login)?;
        if login.login_result_type.number() != Some(1) {
            return Err(refused(login.message.as_str()));
        }
        let id = login.session_id.filter(|id| !id.is_empty()).or_else(|| session_cookie(&reply.headers));
        id.ok_or_else(|| Error::Unreadable {
            detail: "the log-in gave no session id".into(),
            bytes: Default::default(),
        })
    }

    async fn post(
        &self,
        service: &str,
        body: &str,
        ticket: Option<&Fetched<Secret>>,
        signature: Option<Secret>,
    ) -> Result<Reply, Error> {
        let host = || self.account.base_url.host_str().unwrap_or("").to_owned();
        let unsent = |detail: &str| Error::Unreachable { host: host(), detail: detail.into() };
        let url = self.account.base_url.join(&path_of(service)).map_err(|_| unsent("not an address"))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        if let Some(ticket) = ticket {
            let id = ticket.value.expose();
            for (name, value) in
                [(HeaderName::from_static(SESSION_NAME), id.to_owned()), (COOKIE, format!("{SESSION_NAME}={id}"))]
            {
                let mut value = HeaderValue::from_str(&value).map_err(|_| unsent("the session id is not usable"))?;
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        let mut private: Vec<_> = signature.into_iter().chain(ticket.map(|ticket| ticket.value.clone())).collect();
        private.extend(self.sign(&mut headers, url.path()));
        let operation = service.rsplit('.').next().unwrap_or(service).to_owned();
        let body = body.to_owned().into();
        self.line.send(Request { method: Method::POST, url, operation, headers, body, private }).await
    }

    /// Signs, where no log-in does; hands back what was signed with.
    fn sign(&self, headers: &mut HeaderMap, path: &str) -> Vec<Secret> {
        let account = &self.account;
        let Proof::Signature { app_id, app_secret, key } = &account.proof else { return Vec::new() };
        let timestamp = self.line.now().as_second().to_string();
        let (data, signature) =
            app_signature(&account.acct_id, &account.user_name, account.lcid, &account.org_num, app_id, app_secret);
        let request_signature = api_signature(key, path, &timestamp);
        let private = [&request_signature, &signature].map(Secret::new);
        let values = [
            ("x-api-clientid", key.client_id.clone()),
            ("x-api-auth-version", "2.0".into()),
            ("x-api-timestamp", timestamp.clone()),
            ("x-api-nonce", timestamp.clone()),
            ("x-api-signheaders", "x-api-timestamp,x-api-nonce".into()),
            ("x-api-signature", request_signature),
            ("x-kd-appkey", app_id.clone()),
            ("x-kd-appdata", data),
            ("x-kd-signature", signature),
        ];
        for (name, value) in values {
            // Only an application id with a line break could fail here, and the site refuses the request without it.
            if let Ok(mut value) = HeaderValue::from_str(&value) {
                value.set_sensitive(true);
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        private.into()
    }
}

fn session_cookie(headers: &HeaderMap) -> Option<Secret> {
    headers.get_all(SET_COOKIE).iter().find_map(|value| {
        let (name, rest) = value.to_str().ok()?.split_once('=')?;
        let id = rest.split(';').next()?.trim();
        (name.trim().eq_ignore_ascii_case(SESSION_NAME) && !id.is_empty()).then(|| Secret::new(id))
    })
}
