//! Tokens and the calls that may be made with them.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::settings::U8Options;

#[derive(Debug)]
pub struct Tokens {
    lifetime: SignedDuration,
    budget: Option<u32>,
    per_token: bool,
    open: HashMap<String, Grant>,
    /// Start of the account's current count, and the count.
    account: Option<(Timestamp, u32)>,
}

#[derive(Debug)]
struct Grant {
    given_at: Timestamp,
    ended: bool,
    calls: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    Fine,
    Expired,
    Unknown,
    OverBudget,
}

impl Tokens {
    pub fn new(options: &U8Options) -> Self {
        Self {
            lifetime: SignedDuration::from_secs(options.token_lifetime_seconds),
            budget: options.call_budget,
            per_token: options.budget_per_token,
            open: HashMap::new(),
            account: None,
        }
    }

    pub fn give(&mut self, now: Timestamp, chance: &mut ChaCha8Rng) -> String {
        let id = format!("{:032x}", chance.random::<u128>());
        self.open.insert(id.clone(), Grant { given_at: now, ended: false, calls: 0 });
        id
    }

    pub fn ids(&self) -> impl Iterator<Item = String> {
        self.open.keys().cloned()
    }

    pub fn end_all(&mut self) {
        self.open.values_mut().for_each(|grant| grant.ended = true);
    }

    /// Counts the call.
    pub fn use_one(&mut self, id: &str, now: Timestamp) -> Standing {
        let Some(grant) = self.open.get_mut(id) else { return Standing::Unknown };
        if grant.ended || now.duration_since(grant.given_at) >= self.lifetime {
            return Standing::Expired;
        }
        let count = if self.per_token {
            &mut grant.calls
        } else {
            let account = self.account.get_or_insert((now, 0));
            if now.duration_since(account.0) >= self.lifetime {
                *account = (now, 0);
            }
            &mut account.1
        };
        *count += 1;
        if self.budget.is_some_and(|budget| *count > budget) { Standing::OverBudget } else { Standing::Fine }
    }
}
