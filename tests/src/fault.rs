//! The ways in which a system can be told to misbehave, and the book of what is ordered at the moment.

use std::fmt;
use std::str::FromStr;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;

macro_rules! names {
    ($($(#[doc = $doc:literal])+ $variant:ident = $text:literal),+ $(,)?) => {
        /// What goes wrong. `=N` in a description is the fault's value.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum FaultName { $($(#[doc = $doc])+ #[serde(rename = $text)] $variant),+ }

        impl FaultName {
            pub const ALL: &'static [FaultName] = &[$(FaultName::$variant),+];

            pub fn text(self) -> &'static str {
                match self { $(FaultName::$variant => $text),+ }
            }
        }
    };
}

names! {
    /// The request is taken and never answered; nothing is carried out.
    Timeout = "timeout",
    /// The request is carried out and never answered.
    TimeoutAfterCommit = "timeout_after_commit",
    /// Carried out at once, answered `=N` milliseconds late.
    LateAnswer = "late_answer",
    /// Carried out `=N` milliseconds late and then answered; a client that goes away meanwhile takes its request along.
    Stall = "stall",
    /// Carried out `=N` milliseconds late, whether or not the client still waits; then answered.
    LateCommit = "late_commit",
    /// The connection closes and nothing is carried out.
    DropBefore = "drop_before",
    /// Carried out, then the connection closes without an answer.
    DropAfterCommit = "drop_after_commit",
    /// The connection closes at once; the request is carried out `=N` milliseconds later.
    CommitAfterDrop = "commit_after_drop",
    /// A bill saved by this request shows in queries only `=N` milliseconds later.
    ShowLate = "show_late",
    /// Every `=N`th bill of the batch is refused.
    RefuseEvery = "refuse_every",
    /// Bills are saved, but submitting (`=submit`: they stay in A) or auditing (default: they stay in B) fails.
    AuditFails = "audit_fails",
    /// Every `=N`th bill of the batch is saved and mentioned nowhere in the answer.
    Unmentioned = "unmentioned",
    /// Call limit; the answer asks to wait `=N` seconds where the vendor says so, and for no time with `=0`.
    Throttle = "throttle",
    /// The answer for a lost session, with nothing carried out.
    SessionLost = "session_lost",
    /// All sessions end before this request is looked at.
    ExpireSession = "expire_session",
    /// Before this request, somebody replaces the secret (and the password) by another.
    RotateSecret = "rotate_secret",
    /// The record is locked by somebody else (MsgCode 13).
    RecordLocked = "record_locked",
    /// The rows of the page served before, under the page number asked for.
    PageTwice = "page_twice",
    /// Before the answer, the first row of the window is modified and leaves its place, so that all others shift.
    MoveRows = "move_rows",
    /// The answer is encoded in GBK although its header says UTF-8.
    Gbk = "gbk",
    /// Raw control characters inside the answer's texts.
    ControlCharacters = "control_characters",
    /// The connection closes in the middle of the answer, after carrying out.
    Truncate = "truncate",
    /// The vendor's refusal of the whole request, with HTTP 200; nothing is carried out.
    Refuse = "refuse",
    /// A page that quotes the whole request, with HTTP `=N` (default 500); nothing is carried out.
    Echo = "echo",
    /// HTTP 500 with a text, nothing carried out; `=after_commit` carries out first.
    Http500 = "http_500",
    /// HTTP 502 with a proxy's page, nothing carried out; `=after_commit` carries out first.
    Http502 = "http_502",
    /// An answer of `=N` MiB (default 40), after carrying out.
    Huge = "huge",
    /// Timestamps and signatures are judged by a clock that is `=N` seconds ahead.
    ClockSkew = "clock_skew",
    /// HTTP 200 with a login page, nothing carried out; `=after_commit` carries out first.
    Html = "html",
    /// HTTP 200 with a plain text that begins `response_error:`; `=after_commit` carries out first.
    ResponseError = "response_error",
    /// HTTP 200 with the array of an application firewall; `=after_commit` carries out first.
    Firewall = "firewall",
}

impl FaultName {
    /// Whether the fault can have an effect on this operation. A count is not used up by requests it cannot touch.
    fn concerns(self, system: &str, operation: &str) -> bool {
        let k3cloud = system == "kingdee_k3cloud";
        let saves = matches!(operation, "save" | "batchsave");
        let jdy = system == "kingdee_jdy";
        let jdy_saves = operation == "inv_check_gain_bill_save";
        let logs_in = matches!(operation, "validateuser" | "loginbyappsecret" | "loginbysign" | "logout");
        match self {
            Self::ShowLate => (k3cloud && saves) || (jdy && jdy_saves),
            Self::RefuseEvery => (k3cloud && saves) || (jdy && jdy_saves) || operation == "wdt.trade.push",
            Self::Unmentioned => k3cloud && saves,
            Self::AuditFails => k3cloud && (saves || matches!(operation, "submit" | "audit")),
            Self::SessionLost | Self::ExpireSession => {
                (k3cloud && !logs_in)
                    || (system == "yonyou_u8" && operation != "system/token")
                    || (jdy && !matches!(operation, "push_app_authorize" | "kingdee_auth_token"))
            }
            Self::RecordLocked => k3cloud && !logs_in,
            Self::PageTwice => {
                system == "jushuitan_qimen"
                    || operation == "wdt.stockin.order.query"
                    || operation == "saleoutlist/batch_get"
            }
            Self::MoveRows => Self::PageTwice.concerns(system, operation) || (jdy && operation.ends_with("_list")),
            Self::Timeout
            | Self::TimeoutAfterCommit
            | Self::LateAnswer
            | Self::Stall
            | Self::LateCommit
            | Self::DropBefore
            | Self::DropAfterCommit
            | Self::CommitAfterDrop
            | Self::Throttle
            | Self::Refuse
            | Self::Echo
            | Self::RotateSecret
            | Self::Gbk
            | Self::ControlCharacters
            | Self::Truncate
            | Self::Http500
            | Self::Http502
            | Self::Huge
            | Self::ClockSkew
            | Self::Html
            | Self::ResponseError
            | Self::Firewall => true,
        }
    }
}

impl fmt::Display for FaultName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// One order to misbehave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub name: FaultName,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
    /// Only this system; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Only this operation, compared without regard to case; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// For so many requests, then the order is done; for ever where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// So many matching requests pass unharmed first.
    #[serde(default)]
    pub after: u64,
    /// Strikes a matching request with this probability, from the seeded generator; always where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

impl Fault {
    pub fn new(name: FaultName) -> Self {
        Self { name, value: Value::Null, system: None, operation: None, count: None, after: 0, probability: None }
    }

    pub fn value(self, value: impl Into<Value>) -> Self {
        Self { value: value.into(), ..self }
    }

    pub fn system(self, system: &str) -> Self {
        Self { system: Some(system.to_owned()), ..self }
    }

    pub fn operation(self, operation: &str) -> Self {
        Self { operation: Some(operation.to_owned()), ..self }
    }

    pub fn times(self, count: u64) -> Self {
        Self { count: Some(count), ..self }
    }

    pub fn after(self, requests: u64) -> Self {
        Self { after: requests, ..self }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("unknown fault {name:?}; known are: {known}")]
    Unknown { name: String, known: String },
    #[error("unknown fault setting {0:?}; known are system, operation, count, after, probability")]
    Setting(String),
    #[error("{0:?} is no number")]
    Number(String),
}

/// `NAME[=VALUE][,system=S][,operation=O][,count=N][,after=N][,probability=P]`
impl FromStr for Fault {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut parts = text.split(',');
        let head = parts.next().unwrap_or_default();
        let (name, value) = match head.split_once('=') {
            Some((name, value)) => (name, value.parse::<i64>().map_or_else(|_| Value::from(value), Value::from)),
            None => (head, Value::Null),
        };
        let name = FaultName::ALL.iter().copied().find(|known| known.text() == name).ok_or_else(|| {
            let known: Vec<_> = FaultName::ALL.iter().map(|known| known.text()).collect();
            ParseError::Unknown { name: name.to_owned(), known: known.join(" ") }
        })?;
        let mut fault = Fault::new(name).value(value);
        for part in parts {
            let (key, value) = part.split_once('=').ok_or_else(|| ParseError::Setting(part.to_owned()))?;
            let number = || value.parse::<u64>().map_err(|_| ParseError::Number(value.to_owned()));
            match key {
                "system" => fault.system = Some(value.to_owned()),
                "operation" => fault.operation = Some(value.to_owned()),
                "count" => fault.count = Some(number()?),
                "after" => fault.after = number()?,
                "probability" => {
                    fault.probability = Some(value.parse().map_err(|_| ParseError::Number(value.to_owned()))?)
                }
                _ => return Err(ParseError::Setting(part.to_owned())),
            }
        }
        Ok(fault)
    }
}

/// The faults that strike one request.
#[derive(Debug, Clone, Default)]
pub struct Matched(Vec<(FaultName, Value)>);

impl Matched {
    pub fn get(&self, name: FaultName) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The fault's value as a number, `default` where none was given; `None` where the fault does not strike.
    pub fn number(&self, name: FaultName, default: i64) -> Option<i64> {
        self.get(name).map(|value| value.as_i64().unwrap_or(default))
    }

    pub fn says(&self, name: FaultName, text: &str) -> bool {
        self.get(name).and_then(Value::as_str) == Some(text)
    }

    /// Whether the answer leaves whole, in time and untouched, as far as this side can tell.
    pub fn leave_the_answer_intact(&self) -> bool {
        self.0.iter().all(|(name, value)| match name {
            FaultName::TimeoutAfterCommit
            | FaultName::Stall
            | FaultName::LateCommit
            | FaultName::LateAnswer
            | FaultName::DropAfterCommit
            | FaultName::CommitAfterDrop
            | FaultName::Gbk
            | FaultName::ControlCharacters
            | FaultName::Truncate
            | FaultName::Huge => false,
            FaultName::Http500
            | FaultName::Http502
            | FaultName::Html
            | FaultName::ResponseError
            | FaultName::Firewall => value.as_str() != Some("after_commit"),
            // Either nothing is answered with documents at all, or the answer is a right one about a wrong world.
            FaultName::Timeout
            | FaultName::DropBefore
            | FaultName::ShowLate
            | FaultName::RefuseEvery
            | FaultName::AuditFails
            | FaultName::Unmentioned
            | FaultName::Throttle
            | FaultName::Refuse
            | FaultName::Echo
            | FaultName::SessionLost
            | FaultName::ExpireSession
            | FaultName::RotateSecret
            | FaultName::RecordLocked
            | FaultName::PageTwice
            | FaultName::MoveRows
            | FaultName::ClockSkew => true,
        })
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|(name, _)| name.text()).collect()
    }
}

/// What is ordered at the moment.
#[derive(Debug)]
pub struct FaultBook {
    orders: Vec<Fault>,
    chance: ChaCha8Rng,
}

impl FaultBook {
    pub fn new(orders: Vec<Fault>, chance: ChaCha8Rng) -> Self {
        Self { orders, chance }
    }

    pub fn add(&mut self, fault: Fault) {
        self.orders.push(fault);
    }

    /// Takes back the orders of one name, or all.
    pub fn clear(&mut self, name: Option<FaultName>) {
        self.orders.retain(|fault| name.is_some_and(|name| fault.name != name));
    }

    pub fn orders(&self) -> &[Fault] {
        &self.orders
    }

    /// The faults that strike this request; their counts go down.
    pub fn take(&mut self, system: &str, operation: &str) -> Matched {
        let mut matched = Matched::default();
        for fault in &mut self.orders {
            let wanted = fault.system.as_deref().is_none_or(|wanted| wanted == system)
                && fault.operation.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(operation))
                && fault.name.concerns(system, &operation.to_ascii_lowercase());
            if !wanted || fault.count == Some(0) {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
                continue;
            }
            if fault.probability.is_some_and(|probability| self.chance.random::<f64>() >= probability) {
                continue;
            }
            if let Some(count) = &mut fault.count {
                *count -= 1;
            }
            matched.0.push((fault.name, fault.value.clone()));
        }
        self.orders.retain(|fault| fault.count != Some(0));
        matched
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn book(orders: &[&str]) -> FaultBook {
        let orders = orders.iter().map(|text| text.parse().expect("a fault")).collect();
        FaultBook::new(orders, ChaCha8Rng::seed_from_u64(1))
    }

    #[test]
    fn strikes_so_often_as_ordered_and_after_so_many_requests() {
        let mut book = book(&["throttle=3,count=2,after=1"]);
        let struck: Vec<_> = (0..5).map(|_| book.take("s", "o").number(FaultName::Throttle, 1)).collect();
        assert_eq!(struck, [None, Some(3), Some(3), None, None]);
        assert!(book.orders().is_empty());
    }

    #[test]
    fn leaves_other_systems_and_operations_alone() {
        let mut book = book(&["drop_before,system=kingdee_k3cloud,operation=BatchSave"]);
        assert!(book.take("jushuitan_qimen", "batchsave").names().is_empty());
        assert!(book.take("kingdee_k3cloud", "view").names().is_empty());
        assert_eq!(book.take("kingdee_k3cloud", "batchsave").names(), ["drop_before"]);
    }

    #[test]
    fn a_count_is_not_used_up_by_requests_the_fault_cannot_touch() {
        let mut book = book(&["refuse_every=2,count=1"]);
        assert!(book.take("kingdee_k3cloud", "loginbysign").names().is_empty());
        assert_eq!(book.take("kingdee_k3cloud", "batchsave").names(), ["refuse_every"]);
    }

    #[test]
    fn refuses_a_name_it_does_not_know() {
        let error = "tiemout".parse::<Fault>().expect_err("no such fault");
        assert!(error.to_string().contains("timeout_after_commit"), "{error}");
    }
}
