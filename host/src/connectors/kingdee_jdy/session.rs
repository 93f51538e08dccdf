//! Who we are to the vendor: the authorisation of an application, and the token made with it.

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::config::Secret;
use crate::connectors::Error;
use crate::connectors::qimen::Loose;

use super::settings::{Account, is_header_text};
use super::sign::app_signature;

/// What a token lives where the answer does not say, and at most.
const TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// One application's right to one account. Its secret changes about daily.
#[derive(Debug, Clone)]
pub struct Authorisation {
    pub app_key: String,
    pub app_secret: Secret,
    pub domain: Option<String>,
    pub account_id: Option<String>,
    pub group_name: Option<String>,
}

impl Authorisation {
    /// The one in the settings.
    pub fn set(account: &Account) -> Option<Self> {
        let (app_key, app_secret) = account.app.clone()?;
        Some(Self { app_key, app_secret, domain: None, account_id: None, group_name: None })
    }

    pub fn signature(&self) -> Secret {
        Secret::new(app_signature(&self.app_key, &self.app_secret))
    }

    /// Everything of it that must not be printed.
    pub fn secrets(&self) -> [Secret; 2] {
        // In an address the signature's `=` would be encoded.
        let signature = Secret::new(self.signature().expose().trim_end_matches('='));
        [self.app_secret.clone(), signature]
    }

    /// The one among the vendor's answers that is meant.
    pub fn choose(data: &Value, account: &Account) -> Result<Self, Error> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Row {
            app_key: Loose,
            app_secret: Option<Secret>,
            account_id: Loose,
            group_name: Loose,
            domain: Loose,
            client_id: Loose,
        }
        let refused = |detail: &str| Error::CredentialsRefused { detail: detail.into() };
        let not_one = |_| Error::Unreadable { detail: "not an authorisation".into(), bytes: Default::default() };
        let rows: Vec<Row> = match data {
            Value::Array(_) => Vec::deserialize(data).map_err(not_one)?,
            Value::Object(_) => vec![Row::deserialize(data).map_err(not_one)?],
            _ => Vec::new(),
        };
        let is_wanted = |row: &Row| {
            let own = row.client_id.as_str().is_empty() || row.client_id.as_str() == account.client_id;
            let meant = account.account_id.as_deref().is_none_or(|id| id == row.account_id.as_str());
            own && meant && !row.app_key.as_str().is_empty()
        };
        let mut rows = rows.into_iter().filter(is_wanted);
        let Some(row) = rows.next() else { return Err(refused("the vendor knows no authorisation for this account")) };
        if rows.any(|other| other.account_id != row.account_id) {
            return Err(refused("several accounts are authorised: set account_id to the one that is meant"));
        }
        let Some(app_secret) = row.app_secret.filter(|secret| !secret.is_empty()) else {
            return Err(refused("the authorisation carries no appSecret"));
        };
        let usable = |text: Loose| text.0.filter(|text| !text.is_empty() && is_header_text(text));
        Ok(Self {
            app_key: row.app_key.to_string(),
            app_secret,
            domain: usable(row.domain),
            account_id: usable(row.account_id),
            group_name: usable(row.group_name),
        })
    }
}

/// The newest authorisation, kept apart from the token, which ends at other times.
#[derive(Debug, Default)]
pub struct Authorisations(Mutex<Option<Authorisation>>);

impl Authorisations {
    pub fn newest(&self) -> Option<Authorisation> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
    pub fn keep(&self, authorisation: Authorisation) {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(authorisation);
    }
}

/// What business calls carry.
#[derive(Debug, Clone)]
pub struct Session {
    pub app_token: Option<Secret>,
    pub access_token: Option<Secret>,
    pub authorisation: Authorisation,
    fetched_at: Timestamp,
    lives: SignedDuration,
}

impl Session {
    pub fn read(data: &Value, authorisation: Authorisation, fetched_at: Timestamp) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Token {
            #[serde(rename = "app-token", alias = "app_token")]
            app_token: Option<Secret>,
            access_token: Option<Secret>,
            #[serde(default)]
            expires: Loose,
        }
        let not_a_token = || Error::Unreadable { detail: "not a token's answer".into(), bytes: Default::default() };
        let token = Token::deserialize(data).map_err(|_| not_a_token())?;
        let (app_token, access_token) = (usable(token.app_token), usable(token.access_token));
        if app_token.is_none() && access_token.is_none() {
            return Err(not_a_token());
        }
        let lives = life(token.expires.number(), fetched_at);
        Ok(Self { app_token, access_token, authorisation, fetched_at, lives })
    }

    pub fn is_fresh(&self, now: Timestamp, margin: SignedDuration) -> bool {
        // A clock that was set back must not keep a token alive for ever.
        let age = now.duration_since(self.fetched_at);
        !age.is_negative() && age < self.lives - margin.min(self.lives / 2)
    }

    /// Everything of it that must not be printed.
    pub fn secrets(&self) -> Vec<Secret> {
        let own = [self.app_token.clone(), self.access_token.clone()];
        let mut secrets: Vec<_> = own.into_iter().flatten().collect();
        secrets.extend(self.authorisation.secrets());
        secrets
    }
}

fn usable(token: Option<Secret>) -> Option<Secret> {
    token.filter(|token| !token.is_empty() && is_header_text(token.expose()))
}

/// `expires` is said to be in milliseconds, and not said to be a length or a point in time. A figure that makes no
/// sense as either is not believed: a life too short would fetch a token for every call.
fn life(expires: Option<i64>, fetched_at: Timestamp) -> SignedDuration {
    const YEAR_2001_MS: i64 = 1_000_000_000_000;
    const MINUTE_MS: i64 = 60_000;
    let millis = match expires {
        Some(at) if at >= YEAR_2001_MS => at - fetched_at.as_millisecond(),
        Some(length) => length,
        None => 0,
    };
    if millis < 5 * MINUTE_MS { TOKEN_LIFE } else { SignedDuration::from_millis(millis).min(TOKEN_LIFE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_token_is_read_in_either_way_and_never_believed_where_it_is_absurd() {
        let now = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        let hours = |expires| life(expires, now).as_hours();
        assert_eq!(hours(Some(20 * 3_600_000)), 20);
        assert_eq!(hours(Some(1_700_000_000_000 + 20 * 3_600_000)), 20);
        for absurd in [None, Some(86_400), Some(1_600_000_000_000), Some(0), Some(i64::MAX)] {
            assert_eq!(hours(absurd), 24, "{absurd:?}");
        }
    }
}
