//! The platform's token, and how many calls it is still good for.

use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::config::Secret;
use crate::connectors::Error;

#[derive(Debug, Clone)]
pub struct Token {
    pub id: Secret,
    pub fetched_at: Timestamp,
    pub lives: SignedDuration,
}

impl Token {
    /// Whether so much of its life is left that a call can still be made with it.
    pub fn is_fresh(&self, now: Timestamp, margin: SignedDuration) -> bool {
        // A clock that was set back must not keep a token alive for ever.
        let age = now.duration_since(self.fetched_at);
        !age.is_negative() && age < self.lives - margin.min(self.lives / 2)
    }
}

/// Counts the calls of the token in use. The platform may hand out the same token again, which brings no new calls.
#[derive(Debug)]
pub struct Budget {
    limit: u32,
    spent: Mutex<Option<Spent>>,
}

#[derive(Debug)]
struct Spent {
    token: Secret,
    ends_at: Timestamp,
    calls: u32,
}

impl Budget {
    pub fn new(limit: u32) -> Self {
        Self { limit, spent: Mutex::default() }
    }

    /// Takes one call of `token`'s, or says how long it is until there will be a new token.
    pub fn take(&self, token: &Token, now: Timestamp) -> Result<(), Error> {
        let mut spent = self.spent.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let ends_at = token.fetched_at.checked_add(token.lives).unwrap_or(token.fetched_at);
        let is_same =
            spent.as_ref().is_some_and(|spent| spent.token.expose() == token.id.expose() && now < spent.ends_at);
        if !is_same {
            *spent = Some(Spent { token: token.id.clone(), ends_at, calls: 0 });
        }
        let Some(spent) = spent.as_mut() else { return Ok(()) };
        if spent.calls >= self.limit {
            let left = spent.ends_at.duration_since(now).max(SignedDuration::from_secs(1));
            let wait = Some(Duration::from_secs(left.as_secs().unsigned_abs()));
            let detail = format!("the {} calls of this token are used up", self.limit);
            return Err(Error::Throttled { wait, detail });
        }
        spent.calls += 1;
        Ok(())
    }

    /// When the token whose calls are used up ends: until then it is not worth renewing.
    pub fn is_used_up(&self, token: &Token, now: Timestamp) -> bool {
        let spent = self.spent.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        spent.as_ref().is_some_and(|spent| {
            spent.calls >= self.limit && now < spent.ends_at && spent.token.expose() == token.id.expose()
        })
    }
}
