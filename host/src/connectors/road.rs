//! One connection's way to its vendor, shared by all that use the connection: how many may be under way, how fast they
//! leave, who goes first, and whether anybody leaves at all.
//!
//! A request leaves with a [`Turn`]. It is given where the vendor does not count as down ([`Breaker`]), has not asked for
//! a pause, fewer than `max_in_flight` are under way, and the [`Pace`] allows it, to whoever is next by [`Turns`]. There is
//! no task behind it: whoever waits looks again when something changes or its time has come, and gives out what can be
//! given, to whomever it belongs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::{Notify, oneshot};

use super::Error;
use super::breaker::{Admission, Breaker, Position, Verdict};
use super::limits::Limits;
use super::pace::Pace;
use super::turns::{Caller, Place, Turns};

/// The longest pause that a vendor is believed to ask for. A slip of its units must not close a connection for a year.
const LONGEST_HOLD: Duration = Duration::from_secs(24 * 3600);
/// How long whoever is refused while a probe is under way is told to wait.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// A clone is the same road.
#[derive(Debug, Clone)]
pub struct Road(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// Whoever waits has reason to look again.
    changed: Notify,
    queue_timeout: Duration,
    /// The connection's name, for the log.
    name: OnceLock<String>,
    /// The connection is a tenant's own: it reaches the public internet and what the operator allows beside it.
    guarded: OnceLock<()>,
    refused: AtomicU64,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    turns: Turns<Waiting>,
    /// Of turns given.
    pace: Pace,
    /// Of requests that really left: what is done between a turn and its request, a commit above all, takes longer one time
    /// than another, and the vendor counts what arrives.
    departures: Pace,
    under_way: u32,
    max_in_flight: u32,
    /// The vendor asked for a pause until then.
    held_until: Option<Instant>,
    /// For the breaker's jitter.
    dice: StdRng,
}

#[derive(Debug)]
struct Waiting {
    turn: oneshot::Sender<Result<Turn, Refused>>,
    /// `None` for whoever waits as long as it takes.
    gives_up_at: Option<Instant>,
}

/// Why no turn is given, or not soon enough.
#[derive(Debug)]
enum Refused {
    Down { wait: Duration },
    Held { wait: Duration },
    Crowded,
}

/// How a road stands, for people and dashboards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traffic {
    pub position: Position,
    /// How long the vendor has counted as down.
    pub down_for: Option<Duration>,
    /// How long until a request may leave as a probe.
    pub probes_in: Option<Duration>,
    /// How much is left of a pause that the vendor asked for.
    pub held_for: Option<Duration>,
    /// Times the vendor began to count as down.
    pub opened: u64,
    /// Requests that were given back unsent because it did.
    pub refused: u64,
    pub under_way: u32,
    pub waiting: usize,
}

impl Road {
    pub fn new(limits: &Limits) -> Self {
        Self::with_dice(limits, StdRng::from_os_rng())
    }

    /// One whose waits can be had again.
    #[cfg(test)]
    pub fn seeded(limits: &Limits, seed: u64) -> Self {
        Self::with_dice(limits, StdRng::seed_from_u64(seed))
    }

    fn with_dice(limits: &Limits, dice: StdRng) -> Self {
        let state = State {
            breaker: Breaker::new(limits.breaker.clone()),
            turns: Turns::default(),
            pace: Pace::new(limits.requests_per_second, limits.burst),
            departures: Pace::new(limits.requests_per_second, limits.burst),
            under_way: 0,
            max_in_flight: limits.max_in_flight,
            held_until: None,
            dice,
        };
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            changed: Notify::new(),
            queue_timeout: limits.queue_timeout(),
            name: OnceLock::new(),
            guarded: OnceLock::new(),
            refused: AtomicU64::new(0),
        }))
    }

    /// What the log calls it.
    pub fn set_name(&self, name: String) {
        let _ = self.0.name.set(name);
    }

    /// From now on its requests go to the public internet alone, and to what the operator allows beside it.
    pub fn guard(&self) {
        let _ = self.0.guarded.set(());
    }

    pub fn is_guarded(&self) -> bool {
        self.0.guarded.get().is_some()
    }

    /// A turn within the queue timeout, or why there is none. Refused at once while the vendor counts as down.
    pub(super) async fn enter(&self, caller: &Caller) -> Result<Turn, Error> {
        let gives_up_at = now() + self.0.queue_timeout;
        self.wait(caller, Some(gives_up_at)).await.map_err(|refused| match refused {
            Refused::Down { wait } => Error::CircuitOpen { wait },
            Refused::Held { wait } => {
                Error::Throttled { wait: Some(wait), detail: "the vendor has asked for a pause".into() }
            }
            Refused::Crowded => crowded(),
        })
    }

    /// A turn, however long that takes. Whoever drops this future has stopped waiting.
    pub async fn pass(&self, caller: &Caller) -> Pass {
        loop {
            if let Ok(turn) = self.wait(caller, None).await {
                return Pass(turn);
            }
        }
    }

    /// The vendor asked to be left alone for so long.
    pub fn hold(&self, wait: Duration) {
        let until = now() + wait.min(LONGEST_HOLD);
        let mut state = self.0.lock();
        if state.held_until.is_some_and(|held| held >= until) {
            return;
        }
        state.held_until = Some(until);
        let name = self.0.name();
        tracing::warn!(connection = name, seconds = wait.as_secs(), "the vendor asks for a pause: nothing leaves");
        drop(state);
        self.0.changed.notify_waiters();
    }

    /// A person says that the vendor is back: it counts as up, and a pause that it asked for is over. Whether that
    /// changed anything.
    pub fn reset(&self) -> bool {
        let mut state = self.0.lock();
        let was_down = state.breaker.reset();
        let was_held = state.held_until.take().is_some_and(|until| until > now());
        drop(state);
        if was_down {
            tracing::info!(connection = self.0.name(), "a person closed the breaker");
        }
        self.0.changed.notify_waiters();
        was_down || was_held
    }

    /// How long it is worth to wait before a request: zero where the breaker lets one leave now.
    pub fn opens_in(&self) -> Duration {
        self.0.lock().opens_in(now())
    }

    /// Whether the vendor counts as down, half or whole.
    pub fn is_down(&self) -> bool {
        self.0.lock().breaker.position(now()) != Position::Closed
    }

    /// Completes when the vendor begins or ceases to count as down, a person resets it, or for no reason.
    pub fn change(&self) -> tokio::sync::futures::Notified<'_> {
        self.0.changed.notified()
    }

    pub fn traffic(&self) -> Traffic {
        let (state, now) = (self.0.lock(), now());
        let position = state.breaker.position(now);
        Traffic {
            position,
            down_for: state.breaker.down_since().map(|since| now.saturating_duration_since(since)),
            probes_in: match position {
                Position::Open { until } => Some(until - now),
                Position::Closed | Position::HalfOpen => None,
            },
            held_for: state.held_until.filter(|until| *until > now).map(|until| until - now),
            opened: state.breaker.opened(),
            refused: self.0.refused.load(Ordering::Relaxed),
            under_way: state.under_way,
            waiting: state.turns.len(),
        }
    }

    async fn wait(&self, caller: &Caller, gives_up_at: Option<Instant>) -> Result<Turn, Refused> {
        let (turn, mut given) = oneshot::channel();
        let place = self.0.lock().turns.push(caller, Waiting { turn, gives_up_at });
        let _place = Standing { inner: &self.0, caller, place };
        loop {
            let change = self.0.changed.notified();
            tokio::pin!(change);
            change.as_mut().enable();
            let wake = self.0.give_turns();
            let until = [wake, gives_up_at].into_iter().flatten().min();
            tokio::select! {
                biased;
                given = &mut given => return given.unwrap_or(Err(Refused::Crowded)),
                () = sleep_until(until) => {}
                () = &mut change => {}
            }
            if gives_up_at.is_some_and(|at| at <= now()) && given.is_empty() {
                return Err(Refused::Crowded);
            }
        }
    }
}

/// Takes whoever stops waiting out of the order.
struct Standing<'a> {
    inner: &'a Arc<Inner>,
    caller: &'a Caller,
    place: Place,
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.inner.lock().turns.remove(self.caller, self.place);
    }
}

impl State {
    fn opens_in(&self, now: Instant) -> Duration {
        match self.breaker.position(now) {
            Position::Open { until } => until - now,
            Position::HalfOpen if !self.breaker.admits(now) => PROBE_WAIT,
            Position::Closed | Position::HalfOpen => Duration::ZERO,
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self) -> &str {
        self.name.get().map_or("?", String::as_str)
    }

    /// Gives out every turn that can be given. Says when the next can be, where only time is in its way.
    fn give_turns(self: &Arc<Self>) -> Option<Instant> {
        let now = now();
        loop {
            let mut state = self.lock();
            state.held_until = state.held_until.filter(|until| *until > now);
            if !state.breaker.admits(now) {
                let (position, wait) = (state.breaker.position(now), state.opens_in(now));
                let impatient = state.turns.drain(|waiting| waiting.gives_up_at.is_some());
                drop(state);
                self.refused.fetch_add(impatient.len() as u64, Ordering::Relaxed);
                refuse(impatient, || Refused::Down { wait });
                return match position {
                    Position::Open { until } => Some(until),
                    // Whoever has the probe says when it is over.
                    Position::Closed | Position::HalfOpen => None,
                };
            }
            if state.turns.is_empty() || state.under_way >= state.max_in_flight {
                return None;
            }
            if let Some(until) = state.held_until {
                let too_late = |waiting: &Waiting| waiting.gives_up_at.is_some_and(|at| at < until);
                let refused = state.turns.drain(too_late);
                drop(state);
                refuse(refused, || Refused::Held { wait: until - now });
                return Some(until);
            }
            let at = state.pace.next(now);
            if at > now {
                return Some(at);
            }
            let waiting = state.turns.next()?;
            let Some(admission) = state.breaker.admit(now) else { continue };
            state.pace.take(now);
            state.under_way += 1;
            drop(state);
            let leaves_by = waiting.gives_up_at.unwrap_or_else(|| now + self.queue_timeout);
            let turn = Turn { inner: self.clone(), admission, leaves_by, left: false, heard: false };
            // Whoever has just stopped waiting drops the turn, and it is given to the next.
            let _ = waiting.turn.send(Ok(turn));
        }
    }

    fn report(&self, admission: Admission, verdict: Verdict) {
        let now = now();
        let mut state = self.lock();
        let before = state.breaker.position(now);
        let dice = state.dice.random();
        if !state.breaker.report(admission, verdict, now, dice) {
            return;
        }
        let after = state.breaker.position(now);
        let down_for = state.breaker.down_since().map(|since| now.saturating_duration_since(since).as_secs());
        drop(state);
        let connection = self.name();
        match (before, after) {
            (Position::Closed, Position::Open { until }) => {
                let wait_ms = (until - now).as_millis();
                tracing::error!(connection, wait_ms, "the vendor counts as down: the breaker is open, nothing leaves");
            }
            (_, Position::Closed) => tracing::info!(connection, "the vendor answers again: the breaker is closed"),
            (_, Position::Open { until }) => {
                let wait_ms = (until - now).as_millis();
                tracing::warn!(connection, wait_ms, down_for, "a probe failed: the breaker stays open");
            }
            (_, Position::HalfOpen) => tracing::debug!(connection, "the breaker is half open"),
        }
        self.changed.notify_waiters();
    }
}

fn crowded() -> Error {
    let detail = "no turn within queue_timeout_ms: this connection's limits are used up".into();
    Error::Throttled { wait: None, detail }
}

fn refuse(waiting: Vec<Waiting>, why: impl Fn() -> Refused) {
    for one in waiting {
        let _ = one.turn.send(Err(why()));
    }
}

/// The right to send one request now. Given back when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    inner: Arc<Inner>,
    admission: Admission,
    /// Whoever states how long a request may take counts no longer wait than this.
    leaves_by: Instant,
    left: bool,
    heard: bool,
}

impl Turn {
    /// Called as the request leaves; waits the moment by which it would be ahead of the pace. Refused where the vendor came
    /// to count as down since the turn was given, and where the moment is longer than one may wait for a turn.
    pub async fn leave(&mut self) -> Result<(), Error> {
        loop {
            let at = {
                let (mut state, now) = (self.inner.lock(), now());
                if !state.breaker.still_admits(self.admission) {
                    self.inner.refused.fetch_add(1, Ordering::Relaxed);
                    return Err(Error::CircuitOpen { wait: state.opens_in(now) });
                }
                let at = state.departures.next(now);
                if at <= now {
                    state.departures.take(now);
                    self.left = true;
                    return Ok(());
                }
                at
            };
            if at > self.leaves_by {
                return Err(crowded());
            }
            sleep_until(Some(at)).await;
        }
    }

    /// The request had no answer.
    pub fn failed(mut self) {
        self.heard = true;
        self.inner.report(self.admission, Verdict::Failed);
    }

    /// The request had an answer, and whoever reads it says what it is worth.
    pub fn answered(mut self) -> Hearing {
        self.heard = true;
        Hearing(Some(Reading { inner: self.inner.clone(), admission: self.admission, failed: AtomicBool::new(false) }))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        state.under_way -= 1;
        if !self.left {
            state.pace.give_back();
        }
        drop(state);
        if !self.heard {
            self.inner.report(self.admission, Verdict::Unheard);
        }
        self.inner.changed.notify_waiters();
    }
}

/// An answer that is being read. Unless whoever reads it says otherwise, it proves that the vendor is up.
#[derive(Debug, Default)]
pub(super) struct Hearing(Option<Reading>);

#[derive(Debug)]
struct Reading {
    inner: Arc<Inner>,
    admission: Admission,
    failed: AtomicBool,
}

impl Hearing {
    /// What was heard is a server error, or is not one after all.
    pub fn set_failed(&self, failed: bool) {
        if let Some(reading) = &self.0 {
            reading.failed.store(failed, Ordering::Relaxed);
        }
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        if let Some(reading) = self.0.take() {
            let failed = reading.failed.load(Ordering::Relaxed);
            reading.inner.report(reading.admission, if failed { Verdict::Failed } else { Verdict::Answered });
        }
    }
}

/// A request of a test's own target, which has no [`super::http::Line`].
#[cfg(test)]
pub struct Crossing(Turn);

#[cfg(test)]
impl Road {
    /// As a line sends: with the exchange's pass, or with a turn within the queue timeout.
    pub async fn set_out(&self, caller: &Caller) -> Result<Crossing, Error> {
        let mut turn = match Pass::carried(self) {
            Some(turn) => turn,
            None => self.enter(caller).await?,
        };
        turn.leave().await?;
        Ok(Crossing(turn))
    }
}

#[cfg(test)]
impl Crossing {
    pub fn end(self, answered: bool) {
        match answered {
            true => drop(self.0.answered()),
            false => self.0.failed(),
        }
    }
}

/// A turn that is waited for before it is clear what will be sent. Intents are committed between the two: a request that
/// cannot leave is then never intended.
#[derive(Debug)]
pub struct Pass(Turn);

tokio::task_local! {
    /// The pass of the exchange that the task is at. It concerns the exchange's first request, and the traits of sources
    /// and targets need not know of it.
    static PASS: Mutex<Option<Turn>>;
}

impl Pass {
    /// Runs an exchange whose first request leaves with this pass.
    pub async fn carry<F: Future>(self, exchange: F) -> F::Output {
        PASS.scope(Mutex::new(Some(self.0)), exchange).await
    }

    /// What the exchange under way carries for this road.
    pub(super) fn carried(road: &Road) -> Option<Turn> {
        let take = |slot: &Mutex<Option<Turn>>| {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            let mut turn = slot.take_if(|turn| Arc::ptr_eq(&turn.inner, &road.0))?;
            // What came before, the commit of the intent, is none of the request's time.
            turn.leaves_by = now() + road.0.queue_timeout;
            Some(turn)
        };
        PASS.try_with(take).ok().flatten()
    }
}

/// The clock of tokio, so that tests pass an hour at once.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Never, where there is no time to wait for.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
