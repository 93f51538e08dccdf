//! What everybody in a world breathes: chance, the story, the clocks, and who may send at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::model::{ConnectionName, SchemeId, TenantId};
use crate::pipeline::driver::Now;
use crate::pipeline::gate::Scope;
use crate::pipeline::ledger::Ledger;

use super::chance::Chance;
use super::plan::{SETTLE, TIMEOUT, beginning};
use super::store::Durable;
use super::story::Story;

pub struct Air {
    pub chance: Chance,
    pub story: Story,
    begin: Instant,
    /// How far the machine's clock is ahead of the true time.
    ahead_ms: AtomicI64,
    /// While false, nothing goes wrong any more.
    trouble: AtomicBool,
    /// The clock was set ahead some time: rows may have been taken for read that nobody could see.
    pub leapt: AtomicBool,
    /// How long after its arrival a request may be carried out.
    pub carries_out_within: Duration,
    /// Scopes whose pause has returned.
    pub closed: Mutex<BTreeSet<Scope>>,
    /// Requests on their way, by what they use.
    pub under_way: Mutex<BTreeMap<(Scope, Scope), usize>>,
    /// What a crash at this instant would leave.
    pub durable: Durable,
}

impl Air {
    pub fn new(chance: Chance, story: Story, leaps: bool) -> Arc<Self> {
        // Where the clock is set while an engine is down, or an instant before it dies, nobody can know when a request
        // would have ended. Then the vendor's own promise is all there is: to be done soon after nobody waits any more.
        let carries_out_within = if leaps { SETTLE - Duration::from_secs(2) } else { TIMEOUT + SETTLE };
        Arc::new(Self {
            carries_out_within,
            chance,
            story,
            begin: Instant::now(),
            ahead_ms: AtomicI64::new(0),
            trouble: AtomicBool::new(true),
            leapt: AtomicBool::new(false),
            closed: Mutex::default(),
            under_way: Mutex::default(),
            durable: Durable::default(),
        })
    }

    pub fn trouble(&self) -> bool {
        self.trouble.load(Ordering::Relaxed)
    }

    pub fn end_trouble(&self) {
        self.trouble.store(false, Ordering::Relaxed);
        self.story.say("no more trouble from here on");
    }

    /// Whether something goes wrong now that goes wrong once in so many times.
    pub fn bad_luck(&self, one_in: u64) -> bool {
        self.trouble() && self.chance.one_in(one_in)
    }

    /// The vendors' time.
    pub fn true_now(&self) -> Timestamp {
        beginning() + SignedDuration::try_from(self.begin.elapsed()).unwrap()
    }

    pub fn ahead(&self) -> SignedDuration {
        SignedDuration::from_millis(self.ahead_ms.load(Ordering::Relaxed))
    }

    pub fn set_ahead(&self, ahead: SignedDuration) {
        self.ahead_ms.store(ahead.as_millis() as i64, Ordering::Relaxed);
        if ahead.is_positive() {
            self.leapt.store(true, Ordering::Relaxed);
        }
    }

    /// The machine's time.
    pub fn clock(self: &Arc<Self>) -> Now {
        let air = self.clone();
        Arc::new(move || air.true_now() + air.ahead())
    }

    /// A scheme's ledger as a crash would leave it.
    pub fn ledger(&self, tenant: &TenantId, scheme: &SchemeId) -> Ledger {
        Ledger::new(Arc::new(self.durable.clone()), tenant.clone(), scheme.clone())
    }

    /// A request leaves. Nothing may leave from behind a closed gate.
    pub fn leave(
        self: &Arc<Self>,
        tenant: &TenantId,
        connection: &ConnectionName,
        scheme: Option<&SchemeId>,
    ) -> UnderWay {
        let connection = Scope::Connection(tenant.clone(), connection.clone());
        let scheme = scheme.map_or(connection.clone(), |name| Scope::Scheme(tenant.clone(), name.clone()));
        let uses = (connection, scheme);
        for closed in self.closed.lock().unwrap().iter().filter(|closed| covers(closed, &uses)) {
            self.story.violation(format!("{closed} is paused, and a request of {} left for {}", uses.1, uses.0));
        }
        *self.under_way.lock().unwrap().entry(uses.clone()).or_default() += 1;
        UnderWay { air: self.clone(), uses }
    }

    /// A pause of the scope has returned.
    pub fn close(&self, scope: &Scope) {
        let under_way = self.under_way.lock().unwrap();
        if let Some(uses) = under_way.iter().find(|(uses, count)| **count > 0 && covers(scope, uses)) {
            self.story.violation(format!("the pause of {scope} returned with a request under way: {uses:?}"));
        }
        self.closed.lock().unwrap().insert(scope.clone());
    }
}

fn covers(scope: &Scope, uses: &(Scope, Scope)) -> bool {
    *scope == Scope::All || *scope == uses.0 || *scope == uses.1
}

/// A request on its way, until dropped.
pub struct UnderWay {
    air: Arc<Air>,
    uses: (Scope, Scope),
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        *self.air.under_way.lock().unwrap().get_mut(&self.uses).unwrap() -= 1;
    }
}
