//! What the Qimen gateway checks before the merchant's system sees a request. The order of the checks is a guess.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::Options;
use crate::fault::FaultName;
use crate::options::RateLimit;
use crate::system::Turn;
use crate::time;

use super::parameters::{Parameters, bare_method};
use super::sign;

pub const APP_KEY: &str = "30000001";
pub const APP_SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The rule of the platform.
const TIMESTAMP_TOLERANCE: SignedDuration = SignedDuration::from_mins(10);

/// What one vendor behind the gateway is known by.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub target_app_key: &'static str,
    /// The parameter that names the merchant.
    pub route: &'static str,
    pub methods: &'static [&'static str],
    /// Parameters that the journal may show, besides the method.
    pub shown: &'static [&'static str],
}

pub fn request_id(chance: &mut ChaCha8Rng) -> String {
    (0..13).map(|_| char::from(b"0123456789abcdefghijklmnopqrstuvwxyz"[chance.random_range(0..36)])).collect()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: u32,
    pub message: String,
    pub sub: Option<(String, String)>,
}

impl Failure {
    pub fn platform(code: u32, message: &str) -> Self {
        Self { code, message: message.to_owned(), sub: None }
    }

    /// The merchant's system refused. That code and message are 15 and these words is a guess.
    pub fn provider(sub_code: &str, sub_message: &str) -> Self {
        let sub = Some((sub_code.to_owned(), sub_message.to_owned()));
        Self { code: 15, message: "Remote service error".to_owned(), sub }
    }

    pub fn throttled(wait_seconds: i64) -> Self {
        if wait_seconds == 0 {
            return Self::provider("isp.call-limited", "This interface is limited by its provider");
        }
        let sub = (
            "accesscontrol.limited-by-app-api-access-count".to_owned(),
            format!("This ban will last for {wait_seconds} more seconds"),
        );
        Self { code: 7, message: "App Call Limited".to_owned(), sub: Some(sub) }
    }

    pub fn json(&self, request_id: &str) -> String {
        let mut response = json!({"flag": "failure", "code": self.code, "message": self.message});
        if let Some((code, message)) = &self.sub {
            response["sub_code"] = json!(code);
            response["sub_message"] = json!(message);
        }
        response["request_id"] = json!(request_id);
        json!({"response": response}).to_string()
    }
}

#[derive(Debug)]
pub struct Gateway {
    scenario: Scenario,
    plain: bool,
    limit: Option<RateLimit>,
    secret: String,
    /// One for each method.
    buckets: HashMap<String, Bucket>,
}

impl Gateway {
    pub fn new(options: &Options, scenario: Scenario) -> Self {
        let secret = APP_SECRET.to_owned();
        Self { scenario, plain: options.plain, limit: options.rate_limit, secret, buckets: HashMap::new() }
    }

    pub fn secret(&self) -> &str {
        &self.secret
    }

    pub fn check(&mut self, parameters: &Parameters, turn: &Turn<'_>) -> Result<(), Failure> {
        if turn.has(FaultName::RotateSecret) {
            self.secret = self.secret.chars().rev().collect();
        }
        let fail = |code, message: &str| Err(Failure::platform(code, message));
        let method = bare_method(parameters.get("method"));
        match method {
            "" => return fail(21, "Missing Method"),
            known if self.scenario.methods.contains(&known) => {}
            _ => return fail(22, "Invalid Method"),
        }
        if parameters.get("format") != "json" {
            return fail(23, "Invalid Format");
        }
        match parameters.get("app_key") {
            "" => return fail(28, "Missing App Key"),
            APP_KEY => {}
            _ => return fail(29, "Invalid App Key"),
        }
        match parameters.get("timestamp") {
            "" => return fail(30, "Missing Timestamp"),
            text if is_timely(text, turn.judged_by) => {}
            _ => return fail(31, "Invalid Timestamp"),
        }
        match parameters.get("v") {
            "" => return fail(32, "Missing Version"),
            "2.0" => {}
            _ => return fail(34, "Unsupported Version"),
        }
        self.check_signature(parameters)?;
        match parameters.get("target_app_key") {
            "" => return fail(40, "Missing Required Arguments:target_app_key"),
            key if key == self.scenario.target_app_key => {}
            _ => return fail(41, "Invalid Arguments:target_app_key"),
        }
        if parameters.get(self.scenario.route).is_empty() {
            return fail(40, &format!("Missing Required Arguments:{}", self.scenario.route));
        }
        let Some(limit) = self.limit else { return Ok(()) };
        let bucket = self.buckets.entry(method.to_owned()).or_insert_with(|| Bucket::new(limit));
        bucket.take(turn.now).map_or(Ok(()), |wait_seconds| Err(Failure::throttled(wait_seconds)))
    }

    fn check_signature(&self, parameters: &Parameters) -> Result<(), Failure> {
        if self.plain {
            return Ok(());
        }
        if parameters.get("sign").is_empty() {
            return Err(Failure::platform(24, "Missing Signature"));
        }
        if parameters.get("sign_method").is_empty() {
            return Err(Failure::platform(40, "Missing Required Arguments:sign_method"));
        }
        // What the gateway does with a method it does not know was never seen; no signature can be right, so 25.
        let expected = sign::expected(&parameters.0, parameters.get("sign_method"), &self.secret);
        if expected.as_deref() != Some(parameters.get("sign")) {
            return Err(Failure::platform(25, "Invalid signature"));
        }
        Ok(())
    }
}

/// Local text or epoch milliseconds, at most ten minutes off.
fn is_timely(text: &str, now: Timestamp) -> bool {
    let at = match text.parse::<i64>() {
        Ok(milliseconds) => Timestamp::from_millisecond(milliseconds).ok(),
        Err(_) => time::parse(text),
    };
    at.is_some_and(|at| at.duration_since(now).abs() <= TIMESTAMP_TOLERANCE)
}

/// Lets so many requests through and refills with time.
#[derive(Debug)]
struct Bucket {
    limit: RateLimit,
    /// Thousandths of a request.
    level: i64,
    refilled: Option<Timestamp>,
}

impl Bucket {
    fn new(limit: RateLimit) -> Self {
        Self { limit, level: i64::from(limit.burst) * 1000, refilled: None }
    }

    /// `None` where the request may pass, else the seconds to wait.
    fn take(&mut self, now: Timestamp) -> Option<i64> {
        let passed_ms = self.refilled.map_or(0, |then| now.as_millisecond() - then.as_millisecond()).max(0);
        let refill = passed_ms.saturating_mul(i64::from(self.limit.per_second));
        self.level = self.level.saturating_add(refill).min(i64::from(self.limit.burst) * 1000);
        self.refilled = Some(now);
        if self.level >= 1000 {
            self.level -= 1000;
            return None;
        }
        let missing = 1000 - self.level;
        let per_second = i64::from(self.limit.per_second.max(1)) * 1000;
        Some((missing + per_second - 1) / per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_lets_the_burst_through_and_then_asks_to_wait() {
        let mut bucket = Bucket::new(RateLimit { per_second: 1, burst: 2 });
        let start = Timestamp::UNIX_EPOCH;
        assert_eq!([bucket.take(start), bucket.take(start), bucket.take(start)], [None, None, Some(1)]);
        let later = start + SignedDuration::from_secs(1);
        assert_eq!([bucket.take(later), bucket.take(later)], [None, Some(1)]);
    }

    #[test]
    fn a_timestamp_may_be_ten_minutes_off_and_not_one_second_more() {
        let now = time::parse("2026-01-15 10:30:00").expect("a time");
        for (text, timely) in [
            ("2026-01-15 10:20:00", true),
            ("2026-01-15 10:19:59", false),
            ("2026-01-15 10:40:00", true),
            ("2026-01-15 10:40:01", false),
            ("1768444200000", true),
            ("1768444200", false),
            ("15.01.2026 10:30", false),
        ] {
            assert_eq!(is_timely(text, now), timely, "{text}");
        }
    }
}
