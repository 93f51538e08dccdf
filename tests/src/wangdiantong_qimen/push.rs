//! `wdt.trade.push`: what was pushed, and what is kept of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::fault::FaultName;
use crate::qimen::{Failure, Parameters};
use crate::system::Turn;

use super::settings::WangdiantongOptions;
use super::trade::{self, text};

const TRADES_LIMIT: usize = 50;
const NICK_LIMIT: usize = 30;
const SAME_NICK_CODE: &str = "99";

#[derive(Debug)]
pub struct Ledger {
    options: WangdiantongOptions,
    shop_no: &'static str,
    trades: Vec<Trade>,
    /// Where a tid stands in `trades`.
    at: HashMap<String, usize>,
    /// The trade that a line's number belongs to.
    owners: HashMap<String, String>,
    tries: Vec<Try>,
}

#[derive(Debug)]
struct Trade {
    tid: String,
    shop_no: String,
    first_at: Timestamp,
    last_at: Timestamp,
    accepted_pushes: u64,
    repeated_oids: BTreeSet<String>,
    fields: Value,
}

#[derive(Debug)]
struct Try {
    at: Timestamp,
    tid: String,
    is_new: bool,
    /// Other than the trade that is held under this number.
    is_changed: bool,
    reason: Option<String>,
}

/// What a push came to.
#[derive(Debug, Default)]
pub struct Outcome {
    pub new: u64,
    pub changed: u64,
    /// Trade and reason; not empty only where results are given per trade.
    pub failed: Vec<(String, String)>,
}

impl Outcome {
    pub fn json(&self, request_id: &str) -> String {
        let mut response = json!({
            "errorcode": 0, "message": "ok", "new_count": self.new, "chg_count": self.changed, "request_id": request_id,
        });
        if !self.failed.is_empty() {
            let failed: Vec<_> = self.failed.iter().map(|(tid, text)| json!({"tid": tid, "error": text})).collect();
            response["errors"] = Value::Array(failed);
        }
        json!({"response": response}).to_string()
    }
}

impl Ledger {
    pub fn new(options: &WangdiantongOptions, shop_no: &'static str) -> Self {
        Self {
            options: options.clone(),
            shop_no,
            trades: Vec::new(),
            at: HashMap::new(),
            owners: HashMap::new(),
            tries: Vec::new(),
        }
    }

    pub fn push(&mut self, parameters: &Parameters, turn: &Turn<'_>) -> Result<Outcome, Failure> {
        if self.options.refuse_switch && !parameters.get("switch").is_empty() {
            return Err(Failure::platform(41, "Invalid Arguments:switch"));
        }
        for name in ["shop_no", "trade_list"] {
            if parameters.get(name).is_empty() {
                return Err(Failure::platform(40, &format!("Missing Required Arguments:{name}")));
            }
        }
        let list: Vec<Value> = serde_json::from_str(parameters.get("trade_list"))
            .map_err(|_| self.refuse("trade_list 不是合法的JSON数组"))?;
        let refused = self.check_list(parameters.get("shop_no"), &list);
        if let Err(failure) = refused {
            self.note_all(&list, turn.now, &failure);
            return Err(failure);
        }
        let every = turn.faults.number(FaultName::RefuseEvery, 1).and_then(|every| usize::try_from(every).ok());
        let mut outcome = Outcome::default();
        let mut undo = Vec::new();
        for (position, trade) in list.iter().enumerate() {
            let ordered = every.is_some_and(|every| every > 0 && (position + 1) % every == 0);
            let checked = if ordered { Err("订单数据异常".to_owned()) } else { self.check_trade(trade) };
            let is_new = !self.at.contains_key(&text(trade, "tid"));
            let (tid, reason) = (text(trade, "tid"), checked.as_ref().err().cloned());
            let is_changed = self.at.get(&tid).is_some_and(|&at| self.trades[at].fields != *trade);
            self.tries.push(Try { at: turn.now, tid: tid.clone(), is_new, is_changed, reason });
            match checked {
                Ok(()) => {
                    undo.push(self.keep(trade, turn.now));
                    *(if is_new { &mut outcome.new } else { &mut outcome.changed }) += 1;
                }
                Err(reason) if self.options.per_trade_results => outcome.failed.push((tid, reason)),
                Err(reason) => {
                    if !self.options.keep_before_failure {
                        undo.into_iter().rev().for_each(|undo| self.take_back(undo));
                    }
                    return Err(self.refuse(&format!("{tid}：{reason}")));
                }
            }
        }
        Ok(outcome)
    }

    fn refuse(&self, message: &str) -> Failure {
        Failure::provider(&self.options.invalid_code, message)
    }

    /// What is wrong with the push as a whole.
    fn check_list(&self, shop_no: &str, list: &[Value]) -> Result<(), Failure> {
        if shop_no != self.shop_no {
            return Err(self.refuse(&format!("店铺编号 {shop_no} 不存在")));
        }
        if list.is_empty() || list.len() > TRADES_LIMIT {
            return Err(self.refuse(&format!("trade_list 每次1到{TRADES_LIMIT}条")));
        }
        let mut numbers = HashSet::new();
        let mut nicks: BTreeMap<String, usize> = BTreeMap::new();
        for trade in list {
            if !numbers.insert(text(trade, "tid")) {
                return Err(self.refuse(&format!("tid {} 重复", text(trade, "tid"))));
            }
            *nicks.entry(text(trade, "buyer_nick")).or_default() += 1;
        }
        if let Some((nick, _)) = nicks.iter().find(|(_, count)| **count > NICK_LIMIT) {
            return Err(self.refuse(&format!("同一buyer_nick（{nick}）每次不能超过{NICK_LIMIT}条")));
        }
        let known = self.trades.iter().map(|trade| &trade.fields);
        let all: Vec<&Value> = known.chain(list).collect();
        let receivers: HashSet<_> =
            all.iter().map(|trade| (text(trade, "receiver_name"), text(trade, "receiver_mobile"))).collect();
        let one_nick = all.iter().all(|trade| trade["buyer_nick"] == all[0]["buyer_nick"]);
        if one_nick && self.options.receivers_of_one_nick.is_some_and(|limit| receivers.len() >= limit) {
            return Err(Failure::provider(SAME_NICK_CODE, "buyer_nick 不能所有客户都相同"));
        }
        Ok(())
    }

    fn check_trade(&self, trade: &Value) -> Result<(), String> {
        trade::check(trade, &self.options)?;
        let tid = text(trade, "tid");
        let lines = trade["order_list"].as_array().map_or(&[][..], Vec::as_slice);
        for line in lines {
            let oid = text(line, "oid");
            let owner = self.owners.get(&oid);
            if self.options.refuse_repeated_oid && owner.is_some_and(|owner| *owner != tid) {
                return Err(format!("oid {oid} 已存在"));
            }
        }
        let Some(&at) = self.at.get(&tid) else { return Ok(()) };
        let held = self.trades[at].fields["order_list"].as_array().map_or(&[][..], Vec::as_slice);
        for before in held {
            let oid = text(before, "oid");
            let Some(now) = lines.iter().find(|line| text(line, "oid") == oid) else {
                return Err(format!("oid {oid} 不能删除"));
            };
            for name in ["num", "price"] {
                let number = |line| text(line, name).parse::<rust_decimal::Decimal>().ok();
                if number(before) != number(now) {
                    return Err(format!("oid {oid} 的{name}不能修改"));
                }
            }
        }
        Ok(())
    }

    /// What it takes to undo this: the trade's place and what stood there.
    fn keep(&mut self, trade: &Value, now: Timestamp) -> (String, Option<Value>) {
        let tid = text(trade, "tid");
        let at = *self.at.entry(tid.clone()).or_insert_with(|| {
            self.trades.push(Trade {
                tid: tid.clone(),
                shop_no: self.shop_no.to_owned(),
                first_at: now,
                last_at: now,
                accepted_pushes: 0,
                repeated_oids: BTreeSet::new(),
                fields: Value::Null,
            });
            self.trades.len() - 1
        });
        for line in trade["order_list"].as_array().map_or(&[][..], Vec::as_slice) {
            let oid = text(line, "oid");
            let owner = self.owners.entry(oid.clone()).or_insert_with(|| tid.clone());
            if *owner != tid {
                self.trades[at].repeated_oids.insert(oid);
            }
        }
        let held = &mut self.trades[at];
        held.last_at = now;
        held.accepted_pushes += 1;
        let before = std::mem::replace(&mut held.fields, trade.clone());
        (tid, Some(before).filter(|before| !before.is_null()))
    }

    fn take_back(&mut self, (tid, before): (String, Option<Value>)) {
        let Some(&at) = self.at.get(&tid) else { return };
        if let Some(before) = before {
            self.trades[at].fields = before;
            self.trades[at].accepted_pushes -= 1;
            return;
        }
        // Kept last and taken back first, so that it stands at the end.
        self.trades.truncate(at);
        self.at.remove(&tid);
        self.owners.retain(|_, owner| *owner != tid);
    }

    fn note_all(&mut self, list: &[Value], now: Timestamp, failure: &Failure) {
        let reason = failure.sub.as_ref().map_or(&failure.message, |(_, text)| text);
        for trade in list {
            let tid = text(trade, "tid");
            let is_new = !self.at.contains_key(&tid);
            self.tries.push(Try { at: now, tid, is_new, is_changed: false, reason: Some(reason.clone()) });
        }
    }

    pub fn held(&self) -> Value {
        let trades: Vec<_> = self
            .trades
            .iter()
            .map(|trade| {
                json!({
                    "tid": trade.tid, "number": trade.tid, "shop_no": trade.shop_no,
                    "accepted_pushes": trade.accepted_pushes, "first_at": trade.first_at.to_string(),
                    "last_at": trade.last_at.to_string(), "repeated_oids": trade.repeated_oids, "trade": trade.fields,
                })
            })
            .collect();
        let mut pushes: BTreeMap<&str, u64> = BTreeMap::new();
        let tries: Vec<_> = self
            .tries
            .iter()
            .enumerate()
            .map(|(index, tried)| {
                *pushes.entry(&tried.tid).or_default() += 1;
                json!({
                    "n": index + 1, "at": tried.at.to_string(), "number": tried.tid, "new": tried.is_new,
                    "changed": tried.is_changed, "accepted": tried.reason.is_none(), "reason": tried.reason,
                })
            })
            .collect();
        json!({"trades": trades, "creates": tries, "pushes": pushes})
    }
}
