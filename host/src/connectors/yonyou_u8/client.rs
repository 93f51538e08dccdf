//! One call to the platform, with its token.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use crate::config::Secret;
use crate::connectors::flight::{Fetched, Flight};
use crate::connectors::http::{Line, Reply, Request};
use crate::connectors::qimen::Loose;
use crate::connectors::{Error, text};

use super::errors::{Rejection, Verdict, judge, unreadable};
use super::settings::Account;
use super::token::{Budget, Token};

/// What a token lives where the platform does not say.
const TOKEN_LIFE_SECONDS: i64 = 7_200;

#[derive(Debug, Clone)]
pub struct Client {
    line: Line,
    account: Arc<Account>,
    token: Arc<Flight<Token>>,
    budget: Arc<Budget>,
}

/// An answer that is fine.
#[derive(Debug)]
pub struct Answered {
    pub text: String,
    /// For [`Error::Unreadable`]: the page as it came, without the token.
    pub bytes: bytes::Bytes,
}

impl Answered {
    pub fn unreadable(&self, detail: impl Into<String>) -> Error {
        Error::Unreadable { detail: detail.into(), bytes: self.bytes.clone() }
    }
}

impl Client {
    pub fn new(line: Line, account: Arc<Account>, token: Arc<Flight<Token>>, budget: Arc<Budget>) -> Self {
        Self { line, account, token, budget }
    }

    pub fn now(&self) -> Timestamp {
        self.line.now()
    }

    /// A question. `None` means that nothing matches. Everything asked for here only reads, so a question that met an
    /// expired token or a busy platform is asked again.
    pub async fn ask(&self, path: &str, query: &[(&str, String)]) -> Result<Option<Answered>, Error> {
        let (mut renewed, mut tries) = (false, 0);
        loop {
            let token = self.token().await?;
            self.budget.take(&token.value, self.line.now())?;
            let reply = self.send(path, query, Some(&token.value.id)).await?;
            let blank = |text: &str| self.blank(text, Some(&token.value.id));
            match self.read(&reply, &blank) {
                Ok((Verdict::Nothing, _)) => return Ok(None),
                Ok((Verdict::Fine, text)) => {
                    let Error::Unreadable { bytes, .. } = unreadable(&reply, String::new(), &blank) else {
                        return Err(Error::Stopped);
                    };
                    return Ok(Some(Answered { text, bytes }));
                }
                Err(Rejection::Other(error)) => return Err(error),
                Err(Rejection::TokenExpired(detail)) => {
                    self.token.forget(&token);
                    if renewed {
                        let detail = format!("a new token is refused as well: {detail}");
                        return Err(Error::CredentialsRefused { detail });
                    }
                    renewed = true;
                }
                Err(Rejection::Busy(detail)) => {
                    tries += 1;
                    if tries >= self.account.busy_tries {
                        return Err(Error::Throttled { wait: None, detail });
                    }
                    tokio::time::sleep(self.account.busy_pause).await;
                }
            }
        }
    }

    async fn token(&self) -> Result<Fetched<Token>, Error> {
        let now = self.line.now();
        let margin = self.account.token_margin;
        // One whose calls are used up is kept to its end: a new one before that would only go around the limit.
        let is_good = |token: &Token| token.is_fresh(now, margin) || self.budget.is_used_up(token, now);
        self.token.get(is_good, self.fetch()).await
    }

    async fn fetch(&self) -> Result<Token, Error> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<Inner>,
        }
        #[derive(Deserialize)]
        struct Inner {
            id: Secret,
            #[serde(default, rename = "expiresIn")]
            expires_in: Loose,
        }
        let fetched_at = self.line.now();
        let secret = [("app_secret", self.account.app_secret.expose().to_owned())];
        let reply = self.send("system/token", &secret, None).await?;
        let refused = |detail: String| Error::CredentialsRefused { detail: format!("no token was given: {detail}") };
        // The bytes of this answer may hold a token and are not kept.
        let not_a_token = || Error::Unreadable { detail: "not a token's answer".into(), bytes: Default::default() };
        let text = match self.read(&reply, &|text| self.blank(text, None)) {
            Ok((Verdict::Fine, text)) => text,
            Ok((Verdict::Nothing, _)) => return Err(refused("errcode 20002".into())),
            Err(Rejection::TokenExpired(detail)) => return Err(refused(detail)),
            Err(Rejection::Busy(detail)) => return Err(Error::Throttled { wait: None, detail }),
            Err(Rejection::Other(Error::Refused { code, message })) => {
                return Err(refused(format!("{message} (errcode {code})")));
            }
            // The platform's word for all that it does not like, a wrong secret among it.
            Err(Rejection::Other(Error::Server { status: 200..300, detail, .. })) => {
                reply.vendor_answered();
                return Err(refused(detail));
            }
            Err(Rejection::Other(Error::Unreadable { .. })) => return Err(not_a_token()),
            Err(Rejection::Other(error)) => return Err(error),
        };
        let answer: Answer = serde_json::from_str(&text).map_err(|_| not_a_token())?;
        let inner = answer.token.filter(|token| !token.id.is_empty()).ok_or_else(not_a_token)?;
        let seconds = inner.expires_in.number().filter(|seconds| *seconds > 0).unwrap_or(TOKEN_LIFE_SECONDS);
        // A figure in milliseconds, or any other that is longer than the documented two hours, is not believed.
        let lives = SignedDuration::from_secs(seconds.min(TOKEN_LIFE_SECONDS));
        Ok(Token { id: inner.id, fetched_at, lives })
    }

    fn read(&self, reply: &Reply, blank: &dyn Fn(&str) -> String) -> Result<(Verdict, String), Rejection> {
        let text = match text::decode(&reply.body) {
            Ok(text) => text,
            Err(_) if !reply.is_success() => {
                let detail = text::excerpt(&blank(&String::from_utf8_lossy(&reply.body)));
                return Err(Rejection::Other(reply.vendor_failed(detail)));
            }
            Err(error) => return Err(Rejection::Other(error)),
        };
        let verdict = judge(reply, &text, &self.account, blank)?;
        Ok((verdict, text.into_owned()))
    }

    /// Everything travels in the address, the platform knows no other way; [`Line`] never prints one.
    async fn send(&self, path: &str, query: &[(&str, String)], token: Option<&Secret>) -> Result<Reply, Error> {
        let account = &self.account;
        let mut url = account.base_url.join(path).map_err(|_| Error::Unreachable {
            host: account.base_url.host_str().unwrap_or("").to_owned(),
            detail: "not an address".into(),
        })?;
        {
            let mut pairs = url.query_pairs_mut();
            pairs.append_pair("from_account", &account.from_account).append_pair("app_key", &account.app_key);
            if let Some(token) = token {
                pairs.append_pair("to_account", &account.to_account).append_pair("token", token.expose());
                pairs.append_pair("ds_sequence", &account.ds_sequence.to_string());
            }
            for (name, value) in query {
                pairs.append_pair(name, value);
            }
        }
        let operation = path.trim_start_matches("api/").to_owned();
        let private = token.into_iter().chain([&account.app_secret]).cloned().collect();
        let headers = HeaderMap::new();
        let body = Default::default();
        self.line.send(Request { method: Method::GET, url, operation, headers, body, private }).await
    }

    fn blank(&self, text: &str, token: Option<&Secret>) -> String {
        let text = self.account.app_secret.blank_in(text);
        token.map_or(text.clone(), |token| token.blank_in(&text))
    }
}
