//! Who is asking: the signature of every request, the authorisation, and the tokens that business calls need.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use rand::Rng as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Options;
use crate::fault::FaultName;
use crate::request::Request;
use crate::system::Turn;

use super::answer::Failure;
use super::settings::{FirstAuth, JdyOptions};
use super::sign;

pub const CLIENT_ID: &str = "205000";
pub const CLIENT_SECRET: &str = "c0ffee00c0ffee00c0ffee00c0ffee00";
pub const OUTER_INSTANCE_ID: &str = "107218833860857856";
pub const APP_KEY: &str = "fPB7oQ01";
pub const ACCOUNT_ID: &str = "1203311870000009001";
pub const GROUP_NAME: &str = "ns-demo";
pub const DOMAIN: &str = "https://tf.jdy.com";
const FIRST_APP_SECRET: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";

const TIMESTAMP_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);
const EXPIRED: u32 = 1_000_202_001;

#[derive(Debug)]
pub struct Access {
    plain: bool,
    options: JdyOptions,
    /// How often the secret was replaced on order.
    replaced: u64,
    first_seen: Option<Timestamp>,
    /// Both tokens of a grant, and when it was given; `None` once it was ended on order.
    open: HashMap<String, Option<Timestamp>>,
}

/// Pairs of the query string, decoded, in the order of the wire.
pub fn pairs(request: &Request) -> Vec<(String, String)> {
    url::form_urlencoded::parse(request.query.as_bytes()).into_owned().collect()
}

pub fn parameter(request: &Request, name: &str) -> String {
    pairs(request).into_iter().find(|(key, _)| key == name).map_or_else(String::new, |(_, value)| value)
}

fn secret(turn: u64) -> String {
    match turn {
        0 => FIRST_APP_SECRET.to_owned(),
        turn => hex::encode(Sha256::digest(format!("app secret {turn}")))[..40].to_owned(),
    }
}

impl Access {
    pub fn new(options: &Options) -> Self {
        Self { plain: options.plain, options: options.jdy.clone(), replaced: 0, first_seen: None, open: HashMap::new() }
    }

    pub fn rotate(&mut self) {
        self.replaced += 1;
    }

    pub fn secrets(&self) -> Vec<String> {
        let tokens = self.open.keys().filter_map(|token| token.split_once(' ')).map(|(_, token)| token.to_owned());
        let secrets = (0..=self.replaced).map(secret);
        secrets.chain(tokens).chain([CLIENT_SECRET.to_owned()]).collect()
    }

    fn app_secret(&mut self, now: Timestamp) -> String {
        let first_seen = *self.first_seen.get_or_insert(now);
        let by_time = self.options.secret_lifetime_seconds.map_or(0, |lifetime| {
            u64::try_from(now.duration_since(first_seen).as_secs() / lifetime.max(1)).unwrap_or(0)
        });
        secret(self.replaced + by_time)
    }

    /// What the gateway checks of every request.
    pub fn check_signature(&self, request: &Request, now: Timestamp) -> Result<(), Failure> {
        let client = request.header("X-Api-ClientID");
        if client.is_empty() {
            return Err(Failure::gateway(4002, "Unauthorized, APP_ID is empty[GW]", "认证失败, 应用ID为空[网关]"));
        }
        if self.plain {
            return Ok(());
        }
        let code = self.options.signature_code;
        let wrong = |name: &str| {
            let (english, chinese) =
                (format!("Unauthorized, {name} is invalid[GW]"), format!("认证失败, {name}无效[网关]"));
            Err(Failure::gateway(code, &english, &chinese))
        };
        if client != CLIENT_ID {
            return wrong("APP_ID");
        }
        let timestamp = request.header("X-Api-TimeStamp");
        let at = timestamp.parse().ok().and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok());
        if at.is_none_or(|at| at.duration_since(now).abs() > TIMESTAMP_TOLERANCE) {
            return Err(Failure::gateway(
                4006,
                &format!("Unauthorized, errDescEn: X-Api-TimeStamp is invalid: {timestamp}[GW]"),
                &format!("认证失败, errDescCn: X-Api-TimeStamp过期: {timestamp}[网关]"),
            ));
        }
        if request.header("X-Api-Auth-Version") != "2.0" {
            return wrong("X-Api-Auth-Version");
        }
        let nonce = request.header("X-Api-Nonce");
        if nonce.is_empty() || !nonce.bytes().all(|byte| byte.is_ascii_digit()) {
            return wrong("X-Api-Nonce");
        }
        let names = request.header("X-Api-SignHeaders").to_ascii_lowercase();
        if !matches!(names.as_str(), "x-api-timestamp,x-api-nonce" | "x-api-nonce,x-api-timestamp") {
            return wrong("X-Api-SignHeaders");
        }
        let (given, mut sorted) = (pairs(request), pairs(request));
        sorted.sort();
        let signature = request.header("X-Api-Signature");
        let right = [sorted, given].iter().any(|pairs| {
            sign::request(&request.method, &request.path, pairs, nonce, timestamp, CLIENT_SECRET) == signature
        });
        if right { Ok(()) } else { wrong("X-Api-Signature") }
    }

    pub fn authorize(&mut self, request: &Request, turn: &Turn<'_>) -> Result<Value, Failure> {
        if parameter(request, "outerInstanceId") != OUTER_INSTANCE_ID {
            return Err(Failure::business(self.options.authority_code, "outerInstanceId不存在或未授权"));
        }
        let secret = self.app_secret(turn.now);
        Ok(json!([{
            "accountId": ACCOUNT_ID, "accountName": "演示账套", "agreementCompanyName": "示例公司", "appKey": APP_KEY,
            "appSecret": secret, "clientId": CLIENT_ID, "domain": DOMAIN, "groupName": GROUP_NAME,
            "outerInstanceId": OUTER_INSTANCE_ID, "serviceId": "1203311870000008001", "status": 1,
        }]))
    }

    pub fn give_token(&mut self, request: &Request, turn: &mut Turn<'_>) -> Result<Value, Failure> {
        let secret = self.app_secret(turn.now);
        let right = parameter(request, "app_key") == APP_KEY
            && parameter(request, "app_signature") == sign::application(APP_KEY, &secret);
        if !right && !self.plain {
            let code = self.options.authority_code;
            return Err(Failure::gateway(code, "app_signature is invalid", "app_signature校验失败"));
        }
        let [app_token, access_token] = [(); 2].map(|()| format!("{:032x}", turn.chance.random::<u128>()));
        self.open.insert(format!("app {app_token}"), Some(turn.now));
        self.open.insert(format!("access {access_token}"), Some(turn.now));
        let lifetime_ms = self.options.token_lifetime_seconds.saturating_mul(1000);
        let expires =
            if self.options.expires_is_an_instant { turn.now.as_millisecond() + lifetime_ms } else { lifetime_ms };
        Ok(
            json!({"app-token": app_token, "uid": "1203311870000007001", "access_token": access_token, "expires": expires}),
        )
    }

    /// Whether a business call may pass. `first` says which generation its path belongs to.
    pub fn check_token(&mut self, request: &Request, first: bool, turn: &Turn<'_>) -> Result<(), Failure> {
        if turn.has(FaultName::ExpireSession) {
            self.open.values_mut().for_each(|grant| *grant = None);
        }
        let expired = Failure::new(self.options.expired_status, EXPIRED, "JWT token has expired", None);
        if turn.has(FaultName::SessionLost) {
            return Err(expired);
        }
        if self.plain {
            return Ok(());
        }
        let code = self.options.authority_code;
        let missing =
            |what: &str| Failure::gateway(code, &format!("{what} is required[GW]"), &format!("没有权限，缺少{what}"));
        if self.options.router_header && request.header("X-GW-Router-Addr") != DOMAIN {
            return Err(Failure::new(404, 404, "No Route", None));
        }
        let account = (request.header("accountId"), request.header("groupName"));
        if self.options.account_headers && account != (ACCOUNT_ID, GROUP_NAME) {
            return Err(missing("accountId"));
        }
        let app_token = Some(request.header("app-token")).filter(|token| !token.is_empty());
        let access_token = Some(parameter(request, "access_token")).filter(|token| !token.is_empty());
        let (app_token, access_token) =
            (app_token.map(|token| format!("app {token}")), access_token.map(|token| format!("access {token}")));
        let token = match self.options.first_auth {
            _ if !first => app_token,
            FirstAuth::AppToken => app_token,
            FirstAuth::AccessToken => access_token,
            FirstAuth::Either => app_token.or(access_token),
        };
        let Some(token) = token else { return Err(missing("app-token")) };
        let lifetime = SignedDuration::from_secs(self.options.token_lifetime_seconds);
        match self.open.get(&token) {
            Some(Some(given_at)) if turn.judged_by.duration_since(*given_at) < lifetime => Ok(()),
            Some(_) => Err(expired),
            None => Err(missing("app-token")),
        }
    }
}
