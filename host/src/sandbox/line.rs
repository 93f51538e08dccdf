//! Who of several waiting goes next: tenants in turn, each by its weight, and within a tenant the more urgent first.
//!
//! Knows no clock and no thread, so that an order is a fact that can be tested; [`super::admission`] makes gates of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::TenantId;

/// Priorities run from 0 to this.
const HIGHEST: u8 = 9;
/// What a scheme that says nothing has.
pub const PRIORITY: u8 = 5;
/// Arrivals of its own tenant that one step of priority is worth. A more urgent scheme overtakes those who came shortly
/// before it, and nobody waits for more than nine times as many others.
const HEAD_START: u64 = 16;
/// What a place costs a tenant of weight 1. Divided by the weights that [`super::Settings`] takes, it leaves no small number.
const PLACE: u64 = 1 << 20;

/// For whom a guest runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Absent where the engine itself asks a module what it is.
    pub tenant: Option<TenantId>,
    pub priority: u8,
}

impl Client {
    pub fn engine() -> Self {
        Self { tenant: None, priority: PRIORITY }
    }
}

/// Names one who waits.
pub type Ticket = u64;

/// What a tenant has of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Places for one of a tenant that has 1.
    pub weight: u32,
    /// Of it inside at once, where that is fewer than the line allows to each. One at least: who may have none does not
    /// come.
    pub most: u32,
}

#[derive(Debug)]
pub struct Line {
    shares: BTreeMap<TenantId, Share>,
    accounts: HashMap<Option<TenantId>, Account>,
    arrivals: Ticket,
    /// What the tenant that was called last had had until then. Who comes back from a rest begins there: a rest saves nothing up.
    level: u64,
}

#[derive(Debug, Default)]
struct Account {
    /// Places that it was given, in [`PLACE`]s by its weight.
    had: u64,
    inside: u32,
    /// By the arrival that counts, then by the real one.
    waiting: BTreeSet<(u64, Ticket)>,
}

impl Line {
    pub fn new(weights: BTreeMap<TenantId, u32>) -> Self {
        let shares = weights.into_iter().map(|(tenant, weight)| (tenant, Share { weight, most: u32::MAX }));
        Self { shares: shares.collect(), accounts: HashMap::new(), arrivals: 0, level: 0 }
    }

    /// From the next call on.
    pub fn set_share(&mut self, tenant: &TenantId, share: Share) {
        self.shares.insert(tenant.clone(), share);
    }

    #[cfg(test)]
    pub fn arrivals(&self) -> u64 {
        self.arrivals
    }

    pub fn join(&mut self, client: &Client) -> Ticket {
        self.arrivals += 1;
        let account = self.accounts.entry(client.tenant.clone()).or_default();
        if account.inside == 0 && account.waiting.is_empty() {
            account.had = account.had.max(self.level);
        }
        let behind = u64::from(HIGHEST - client.priority.min(HIGHEST));
        account.waiting.insert((self.arrivals + behind * HEAD_START, self.arrivals));
        self.arrivals
    }

    /// Calls the next one in, unless everybody who waits belongs to a tenant that has `each` inside already.
    pub fn call(&mut self, each: u32) -> Option<Ticket> {
        let shares = &self.shares;
        let share = |tenant: &Option<TenantId>| tenant.as_ref().and_then(|tenant| shares.get(tenant));
        let most = |tenant: &Option<TenantId>| share(tenant).map_or(each, |share| share.most.max(1).min(each));
        let may_enter = self.accounts.iter_mut().filter(|(tenant, account)| account.inside < most(tenant));
        let first = may_enter.filter_map(|(tenant, account)| {
            let (_, ticket) = *account.waiting.first()?;
            Some(((account.had, ticket), tenant, account))
        });
        let ((had, ticket), tenant, account) = first.min_by_key(|(place, _, _)| *place)?;
        let weight = share(tenant).map_or(1, |share| share.weight);
        self.level = self.level.max(had);
        account.waiting.pop_first();
        account.inside += 1;
        account.had += PLACE / u64::from(weight.max(1));
        Some(ticket)
    }

    /// One of this client's tenant has gone.
    pub fn left(&mut self, client: &Client) {
        if let Some(account) = self.accounts.get_mut(&client.tenant) {
            account.inside -= 1;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.accounts.values().all(|account| account.waiting.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(tenant: &str, priority: u8) -> Client {
        Client { tenant: Some(TenantId::new(tenant).unwrap()), priority }
    }

    /// A line with names instead of tickets.
    struct Rig {
        line: Line,
        names: HashMap<Ticket, (&'static str, Client)>,
        each: u32,
    }

    impl Rig {
        fn new(each: u32, weights: &[(&str, u32)]) -> Self {
            let weights = weights.iter().map(|(tenant, weight)| (TenantId::new(tenant).unwrap(), *weight)).collect();
            Self { line: Line::new(weights), names: HashMap::new(), each }
        }

        /// `names` wait, each a tenant's letter and anything, with the priority given.
        fn wait(&mut self, names: &[&'static str], priority: u8) {
            for name in names {
                let client = client(&name[..1], priority);
                self.names.insert(self.line.join(&client), (*name, client));
            }
        }

        fn call(&mut self) -> Option<&'static str> {
            self.line.call(self.each).map(|ticket| self.names[&ticket].0)
        }

        /// Who goes next, where each leaves before the next one is called.
        /// The next one, who leaves before anybody else is called.
        fn pass(&mut self) -> Option<&'static str> {
            let ticket = self.line.call(self.each)?;
            let (name, client) = &self.names[&ticket];
            self.line.left(client);
            Some(*name)
        }

        fn one_after_another(&mut self) -> Vec<&'static str> {
            std::iter::from_fn(|| self.pass()).collect()
        }
    }

    #[test]
    fn tenants_take_turns_however_many_wait_for_one_of_them() {
        let mut rig = Rig::new(9, &[]);
        rig.wait(&["b1", "b2", "b3", "b4", "b5", "b6"], 5);
        rig.wait(&["a1", "a2", "c1"], 5);
        assert_eq!(rig.one_after_another(), ["b1", "a1", "c1", "b2", "a2", "b3", "b4", "b5", "b6"]);
    }

    #[test]
    fn who_comes_to_a_long_line_is_next_but_one_and_a_rest_saves_nothing_up() {
        let mut rig = Rig::new(9, &[]);
        rig.wait(&["b1", "b2", "b3", "b4", "b5", "b6", "b7"], 5);
        let first: Vec<_> = (0..4).map(|_| rig.call()).collect();
        assert_eq!(first, [Some("b1"), Some("b2"), Some("b3"), Some("b4")]);
        // Nothing of what `b` had before counts for `a`, or it would be served four times in a row.
        rig.wait(&["a1", "a2", "a3"], 5);
        let order: Vec<_> = std::iter::from_fn(|| rig.call()).collect();
        assert_eq!(order, ["a1", "b5", "a2", "b6", "a3", "b7"]);
    }

    #[test]
    fn a_tenant_of_weight_three_goes_three_times_as_often() {
        let mut rig = Rig::new(99, &[("b", 3)]);
        rig.wait(&["a1", "a2", "a3"], 5);
        rig.wait(&["b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9"], 5);
        let order = rig.one_after_another();
        for (round, four) in order.chunks(4).enumerate() {
            let of_b = four.iter().filter(|name| name.starts_with('b')).count();
            assert_eq!(of_b, 3, "round {round} of {order:?}");
        }
    }

    #[test]
    fn a_tenant_with_as_many_inside_as_it_may_have_is_passed_over() {
        let mut rig = Rig::new(2, &[]);
        rig.wait(&["b1", "b2", "b3"], 9);
        rig.wait(&["a1"], 0);
        assert_eq!([rig.call(), rig.call(), rig.call()], [Some("b1"), Some("a1"), Some("b2")]);
        assert_eq!(rig.call(), None, "the cap holds although nobody else waits");
        rig.line.left(&client("b", 9));
        assert_eq!(rig.call(), Some("b3"));
    }

    #[test]
    fn a_share_can_be_changed_and_holds_from_the_next_call_on() {
        let mut rig = Rig::new(3, &[]);
        let b = TenantId::new("b").unwrap();
        rig.line.set_share(&b, Share { weight: 1, most: 1 });
        rig.wait(&["b1", "b2", "b3", "b4"], 5);
        rig.wait(&["a1", "a2"], 5);
        assert_eq!([rig.call(), rig.call(), rig.call()], [Some("b1"), Some("a1"), Some("a2")]);
        assert_eq!(rig.call(), None, "one of b's is inside, and more it may not have");
        rig.line.set_share(&b, Share { weight: 1, most: 9 });
        assert_eq!([rig.call(), rig.call(), rig.call()], [Some("b2"), Some("b3"), None], "never more than each has");
        rig.line.set_share(&b, Share { weight: 1, most: 0 });
        for _ in 0..3 {
            rig.line.left(&client("b", 5));
        }
        assert_eq!(rig.call(), Some("b4"), "nobody who waits is forgotten");
    }

    #[test]
    fn within_a_tenant_the_more_urgent_goes_first_and_for_others_that_counts_nothing() {
        let mut rig = Rig::new(9, &[]);
        rig.wait(&["a low"], 0);
        rig.wait(&["a usual", "a usual too"], 5);
        rig.wait(&["a urgent"], 9);
        rig.wait(&["b low"], 0);
        assert_eq!(rig.one_after_another(), ["a urgent", "b low", "a usual", "a usual too", "a low"]);
    }

    #[test]
    fn nobody_is_overtaken_for_ever() {
        let mut rig = Rig::new(9, &[]);
        rig.wait(&["a low"], 0);
        for _ in 0..HEAD_START * 9 - 1 {
            rig.wait(&["a urgent"], 9);
            assert_eq!(rig.pass(), Some("a urgent"));
        }
        rig.wait(&["a urgent"], 9);
        assert_eq!(rig.pass(), Some("a low"));
    }
}
