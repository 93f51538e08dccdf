//! Who is asking: sessions by cookie or header, and the signature headers that need no session.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::{SignedDuration, Timestamp};
use rand::Rng as _;
use serde_json::{Value, json};

use crate::Options;
use crate::request::{Reply, Request};
use crate::system::Turn;

use super::body::Call;
use super::sign;

pub const ACCT_ID: &str = "60aa00bb00cc00";
pub const USER_NAME: &str = "demo";
pub const PASSWORD: &str = "demo-password-1";
pub const APP_ID: &str = "123456_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
pub const APP_SECRET: &str = "0123456789abcdef0123456789abcdef";
pub const LCID: u32 = 2052;

const SESSION: &str = "kdservice-sessionid";

/// What a request may do.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    Known,
    /// No usable session but right signatures: a new session is issued without a word.
    Renewed(String),
    Lost,
    WrongAccount,
}

#[derive(Debug)]
pub struct Sessions {
    plain: bool,
    tolerance: SignedDuration,
    lifetime: Option<SignedDuration>,
    /// What `APP_SECRET` and `PASSWORD` are now.
    app_secret: String,
    password: String,
    /// Session and its last use.
    open: HashMap<String, Timestamp>,
    /// All that were ever given out, and the signatures that they were asked for with.
    given: Vec<String>,
}

impl Sessions {
    pub fn new(options: &Options) -> Self {
        Self {
            plain: options.plain,
            tolerance: SignedDuration::from_secs(options.signature_tolerance_seconds),
            lifetime: options.session_lifetime_seconds.map(SignedDuration::from_secs),
            app_secret: APP_SECRET.to_owned(),
            password: PASSWORD.to_owned(),
            open: HashMap::new(),
            given: Vec::new(),
        }
    }

    pub fn rotate(&mut self) {
        for secret in [&mut self.app_secret, &mut self.password] {
            *secret = secret.chars().rev().collect();
        }
    }

    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = self.given.clone();
        secrets.retain(|secret| !secret.is_empty());
        secrets.extend([APP_SECRET, PASSWORD, &self.app_secret, &self.password].map(str::to_owned));
        secrets.extend(sign::client_secret(APP_ID));
        secrets
    }

    pub fn end_all(&mut self) {
        self.open.clear();
    }

    pub fn log_in(&mut self, operation: &str, call: &Call, turn: &mut Turn<'_>) -> Reply {
        let right = match operation {
            "validateuser" => {
                call.argument(0, "acctid") == ACCT_ID
                    && call.argument(1, "username") == USER_NAME
                    && call.argument(2, "password") == self.password
            }
            "loginbyappsecret" => {
                call.argument(0, "acctid") == ACCT_ID
                    && call.argument(1, "username") == USER_NAME
                    && call.argument(2, "appid") == APP_ID
                    && call.argument(3, "appsecret") == self.app_secret
            }
            "loginbysign" => self.is_signed_login(call, turn.judged_by),
            "logout" => {
                // Ends every session: which one was meant stands in a cookie that some clients do not send here.
                self.end_all();
                return Reply::json("true".to_owned(), "ok", Value::Null);
            }
            _ => return Reply::text(404, "The service was not found.", "unknown_service"),
        };
        if !right && !self.plain {
            let answer = json!({
                "Message": "用户名或密码错误", "MessageCode": "LoginFailed", "LoginResultType": 0, "Context": null,
                "KDSVCSessionId": null, "IsSuccessByAPI": false,
            });
            return Reply::json(answer.to_string(), "refused:login", Value::Null);
        }
        let session = self.open_one(turn);
        let answer = json!({
            "Message": null, "MessageCode": "CheckPasswordPolicy", "LoginResultType": 1,
            "Context": {
                "UserLocale": "zh-CN", "SessionId": "r0x3z5c1", "UserName": USER_NAME, "DBid": ACCT_ID,
                "DataCenterName": "演示账套", "CurrentOrganizationInfo": {"ID": 1, "Name": "总公司"},
            },
            "KDSVCSessionId": session, "FormId": null, "RedirectFormParam": null, "FormInputObject": null,
            "ErrorStackTrace": null, "Lcid": 0, "AccessToken": null, "CustomParam": null, "KdAccessResult": null,
            "IsSuccessByAPI": true,
        });
        Reply { headers: headers(&session), ..Reply::json(answer.to_string(), "ok", Value::Null) }
    }

    fn is_signed_login(&mut self, call: &Call, now: Timestamp) -> bool {
        let [acct_id, user_name, app_id, timestamp, signature] =
            [(0, "acctid"), (1, "username"), (2, "appid"), (3, "timestamp"), (4, "sign")]
                .map(|(position, name)| call.argument(position, name));
        self.given.push(signature.clone());
        let timely = timestamp.parse().is_ok_and(|seconds| self.is_timely(Timestamp::from_second(seconds).ok(), now));
        timely
            && acct_id == ACCT_ID
            && user_name == USER_NAME
            && app_id == APP_ID
            && sign::logins(ACCT_ID, USER_NAME, APP_ID, &self.app_secret, &timestamp).contains(&signature)
    }

    /// Credentials in the headers are looked at only when there is no valid session.
    pub fn standing(&mut self, request: &Request, turn: &mut Turn<'_>) -> Standing {
        let now = turn.now;
        for session in sessions_of(request) {
            let lifetime = self.lifetime;
            let alive = |used: &Timestamp| lifetime.is_none_or(|lifetime| now.duration_since(*used) <= lifetime);
            if self.open.get(&session).is_some_and(alive) {
                self.open.insert(session, now);
                return Standing::Known;
            }
        }
        if self.plain {
            return Standing::Known;
        }
        let app_data =
            BASE64.decode(request.header("X-Kd-Appdata")).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(app_data) = app_data.filter(|text| !text.is_empty()) else { return Standing::Lost };
        let mut parts = app_data.splitn(4, ',');
        let [acct_id, user_name, lcid] = [(); 3].map(|()| parts.next().unwrap_or_default());
        if acct_id != ACCT_ID {
            return Standing::WrongAccount;
        }
        let known = user_name == USER_NAME && lcid == LCID.to_string() && request.header("X-Kd-Appkey") == APP_ID;
        if known && self.is_signed(request, &app_data, turn.judged_by) {
            return Standing::Renewed(self.open_one(turn));
        }
        Standing::Lost
    }

    fn is_signed(&self, request: &Request, app_data: &str, now: Timestamp) -> bool {
        let (nonce, timestamp) = (request.header("x-api-nonce"), request.header("x-api-timestamp"));
        // Eleven digits of seconds last until the year 5138; milliseconds have had thirteen since 2001.
        let at = timestamp.parse().ok().and_then(|count: i64| match timestamp.len() {
            0..=11 => Timestamp::from_second(count).ok(),
            _ => Timestamp::from_millisecond(count).ok(),
        });
        let expected = sign::request(&request.path, nonce, timestamp, APP_ID);
        self.is_timely(at, now)
            && !nonce.is_empty()
            && request.header("X-Api-ClientID") == APP_ID.split('_').next().unwrap_or_default()
            && expected.as_deref() == Some(request.header("X-Api-Signature"))
            && sign::identity(APP_ID, app_data, &self.app_secret) == request.header("X-Kd-Signature")
    }

    fn is_timely(&self, at: Option<Timestamp>, now: Timestamp) -> bool {
        at.is_some_and(|at| at.duration_since(now).abs() <= self.tolerance)
    }

    fn open_one(&mut self, turn: &mut Turn<'_>) -> String {
        let digits = format!("{:032x}", turn.chance.random::<u128>());
        let session =
            format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]);
        self.open.insert(session.clone(), turn.now);
        self.given.push(session.clone());
        session
    }
}

/// How a session reaches the client.
pub fn headers(session: &str) -> Vec<(&'static str, String)> {
    vec![
        ("set-cookie", format!("{SESSION}={session}; path=/; HttpOnly")),
        ("set-cookie", "ASP.NET_SessionId=r0x3z5c1; path=/; HttpOnly; SameSite=Lax".to_owned()),
    ]
}

/// From the header and from cookies; some clients send whole `Set-Cookie` lines back, attributes and all.
fn sessions_of(request: &Request) -> Vec<String> {
    let mut sessions = vec![request.header(SESSION).to_owned()];
    for cookies in request.headers.get_all("cookie") {
        let parts = cookies.to_str().unwrap_or_default().split([';', ',']);
        let named = parts.filter_map(|part| part.trim().split_once('=')).filter(|(name, _)| *name == SESSION);
        sessions.extend(named.map(|(_, value)| value.to_owned()));
    }
    sessions.retain(|session| !session.is_empty());
    sessions
}
