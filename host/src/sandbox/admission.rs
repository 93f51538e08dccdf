//! Gates that guests pass: one before the pool's slots, because an exhausted pool is an error and a full gate only a wait,
//! and one before the machine's cores. Whom they let in next is said by [`Line`].

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::line::{Client, Line, Share, Ticket};
use crate::model::TenantId;

/// How often the epoch advances, and with it how long a guest computes before it lets another have the core. What a tenant
/// waits for another one's endless loop is a few of these; a usual document takes a tenth of one.
pub const TICK: Duration = Duration::from_millis(1);

/// Lets a fixed number in at once, and so many of one tenant; the others block. Callers are on blocking threads.
#[derive(Debug)]
pub struct Gate {
    each: u32,
    places: u32,
    state: Mutex<State>,
    /// Rung when somebody enters who finds nobody inside, and when nobody is waited for any more.
    occupied: Condvar,
}

#[derive(Debug)]
struct State {
    free: u32,
    is_dismissed: bool,
    #[cfg(test)]
    rests: bool,
    /// Instead of [`TICK`].
    #[cfg(test)]
    turn: Option<Duration>,
    line: Line,
    /// Of those who wait, to be rung when they are called.
    bells: HashMap<Ticket, Arc<Condvar>>,
}

impl Gate {
    /// `each` is what one tenant may have of the places.
    pub fn new(places: u32, each: u32, weights: BTreeMap<TenantId, u32>) -> Arc<Self> {
        let state = State {
            free: places,
            is_dismissed: false,
            #[cfg(test)]
            rests: false,
            #[cfg(test)]
            turn: None,
            line: Line::new(weights),
            bells: HashMap::new(),
        };
        Arc::new(Self { each, places, state: Mutex::new(state), occupied: Condvar::new() })
    }

    /// Blocks while nobody is inside. Says whether somebody is; where not, who waits so was dismissed.
    pub fn until_occupied(&self) -> bool {
        let vacant = |state: &mut State| {
            let vacant = state.free == self.places && !state.is_dismissed;
            #[cfg(test)]
            {
                state.rests = vacant;
            }
            vacant
        };
        let state = self.occupied.wait_while(self.lock(), vacant).unwrap_or_else(PoisonError::into_inner);
        !state.is_dismissed
    }

    /// Nobody is to wait for somebody inside any more.
    pub fn dismiss(&self) {
        self.lock().is_dismissed = true;
        self.occupied.notify_all();
    }

    /// From now on this is what the tenant has of the gate; nobody who is inside has to leave.
    pub fn set_share(&self, tenant: &TenantId, share: Share) {
        let mut state = self.lock();
        state.line.set_share(tenant, share);
        state.call(self.each);
    }

    pub fn enter(self: &Arc<Self>, client: &Client) -> Pass {
        self.wait_in(self.lock(), client);
        Pass { gate: self.clone(), client: client.clone() }
    }

    fn wait_in(&self, mut state: MutexGuard<'_, State>, client: &Client) {
        let ticket = state.line.join(client);
        let bell = Arc::new(Condvar::new());
        state.bells.insert(ticket, bell.clone());
        let was_vacant = state.free == self.places;
        state.call(self.each);
        if was_vacant && state.free < self.places {
            self.occupied.notify_all();
        }
        let called = bell.wait_while(state, |state| state.bells.contains_key(&ticket));
        drop(called.unwrap_or_else(PoisonError::into_inner));
    }

    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.lock().bells.len()
    }

    /// How long a core is kept over documents, and how often somebody has come in so far.
    #[cfg(test)]
    pub fn take_turns_of(&self, turn: Duration) -> u64 {
        let mut state = self.lock();
        state.turn = Some(turn);
        state.line.arrivals()
    }

    #[cfg(test)]
    fn turn(&self) -> Duration {
        self.lock().turn.unwrap_or(TICK)
    }

    #[cfg(not(test))]
    fn turn(&self) -> Duration {
        TICK
    }

    #[cfg(test)]
    pub fn is_waited_for(&self) -> bool {
        self.lock().rests
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn call(&mut self, each: u32) {
        while self.free > 0 {
            let Some(ticket) = self.line.call(each) else { return };
            self.free -= 1;
            if let Some(bell) = self.bells.remove(&ticket) {
                bell.notify_one();
            }
        }
    }

    fn left(&mut self, client: &Client) {
        self.line.left(client);
        self.free += 1;
    }
}

/// One place behind the gate, given back when dropped.
#[derive(Debug)]
pub struct Pass {
    gate: Arc<Gate>,
    client: Client,
}

impl Pass {
    /// Goes to the end of the line, where there is one.
    fn give_way(&self) {
        let mut state = self.gate.lock();
        if !state.line.is_empty() {
            state.left(&self.client);
            self.gate.wait_in(state, &self.client);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.left(&self.client);
        state.call(self.gate.each);
    }
}

/// A core, held from one document of a run to the next: a line before each of them would make fifty short ones wait
/// fifty times beside somebody who computes for long.
#[derive(Debug)]
pub struct Core {
    pass: Pass,
    /// Since when the others in the line wait for this one.
    since: Instant,
}

impl Core {
    pub fn enter(cores: &Arc<Gate>, client: &Client) -> Self {
        Self { pass: cores.enter(client), since: Instant::now() }
    }

    /// Whether the documents since it was entered, or since it last gave way, have had what one turn is.
    pub fn has_had_its_turn(&self) -> bool {
        self.since.elapsed() >= self.pass.gate.turn()
    }

    /// Lets others have it and comes back in its turn.
    pub fn give_way(&mut self) {
        self.pass.give_way();
        self.since = Instant::now();
    }
}

/// One document's time on a core. While others have the core its clock stands: whom it waits for is none of its doing.
#[derive(Debug)]
pub struct Shift {
    core: Core,
    deadline: Duration,
    worked: Duration,
    since: Instant,
}

impl Shift {
    pub fn begin(core: Core, deadline: Duration) -> Self {
        Self { core, deadline, worked: Duration::ZERO, since: Instant::now() }
    }

    /// The core for the next document, and how long this one had it.
    pub fn end(self) -> (Core, Duration) {
        let worked = self.worked();
        (self.core, worked)
    }

    pub fn worked(&self) -> Duration {
        self.worked + self.since.elapsed()
    }

    /// Lets others have the core and comes back in its turn, unless its time is up: then this is false.
    pub fn go_on(&mut self) -> bool {
        self.worked = self.worked();
        let in_time = self.worked < self.deadline;
        if in_time {
            self.core.give_way();
        }
        self.since = Instant::now();
        in_time
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn client(tenant: &str) -> Client {
        Client { tenant: Some(TenantId::new(tenant).unwrap()), priority: 5 }
    }

    fn until_waiting(gate: &Gate, count: usize) {
        while gate.waiting() < count {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_place_that_comes_back_goes_to_the_tenant_whose_turn_it_is() {
        let gate = Gate::new(1, 1, BTreeMap::new());
        let held = gate.enter(&client("b"));
        let (said, heard) = mpsc::channel();
        std::thread::scope(|scope| {
            for (waiting, name) in ["b", "b", "a"].into_iter().enumerate() {
                let (gate, said) = (&gate, said.clone());
                scope.spawn(move || {
                    let _pass = gate.enter(&client(name));
                    said.send(name).unwrap();
                });
                until_waiting(gate, waiting + 1);
            }
            drop(held);
        });
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["a", "b", "b"]);
        assert_eq!(gate.lock().free, 1, "every place came back once");
    }

    #[test]
    fn a_tenant_that_may_have_more_is_let_in_at_once() {
        let gate = Gate::new(2, 2, BTreeMap::new());
        let b = TenantId::new("b").unwrap();
        gate.set_share(&b, Share { weight: 1, most: 1 });
        let held = gate.enter(&client("b"));
        std::thread::scope(|scope| {
            let second = scope.spawn(|| drop(gate.enter(&client("b"))));
            until_waiting(&gate, 1);
            gate.set_share(&b, Share { weight: 1, most: 2 });
            second.join().unwrap();
        });
        drop(held);
        assert_eq!(gate.lock().free, 2);
    }

    #[test]
    fn who_gives_way_lets_the_other_tenant_in_and_comes_back_after_it() {
        let cores = Gate::new(1, u32::MAX, BTreeMap::new());
        let mut spins = Shift::begin(Core::enter(&cores, &client("b")), Duration::MAX);
        let (said, heard) = mpsc::channel();
        std::thread::scope(|scope| {
            let (cores, said) = (&cores, said.clone());
            scope.spawn(move || {
                let _core = Core::enter(cores, &client("a"));
                said.send(()).unwrap();
            });
            until_waiting(cores, 1);
            let too_early = heard.try_recv().is_ok();
            assert!(spins.go_on());
            let in_between = heard.try_recv().is_ok();
            // Before anything is said, or the other one would wait for ever.
            drop(spins);
            assert!(!too_early, "the core was taken");
            assert!(in_between, "the other one was there before this one came back");
        });
        assert_eq!(cores.lock().free, 1);
    }

    #[test]
    fn a_shift_that_is_over_gives_way_to_nobody_and_says_so() {
        let cores = Gate::new(1, u32::MAX, BTreeMap::new());
        let mut shift = Shift::begin(Core::enter(&cores, &client("b")), Duration::ZERO);
        assert!(!shift.go_on());
    }
}
