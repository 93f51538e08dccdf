//! What a world consists of: tenants, connections, schemes and their documents, all drawn from the seed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::connectors::{Limits, Resend};
use crate::model::{ConnectionName, DocumentKey, SchemeId, TenantId};
use crate::pipeline::gate::Scope;
use crate::pipeline::step::{OnChange, Rules, Sabotage};

use super::chance::Chance;

/// How long a vendor may go on with a request after its deadline, and how long a row may stay unseen in its lists.
pub const SETTLE: Duration = Duration::from_secs(20);
/// One exchange, from its turn to the last byte.
pub const TIMEOUT: Duration = Duration::from_secs(5);
pub const QUEUE_TIMEOUT: Duration = Duration::from_secs(4);
/// Windows end this long before now; no change is visible later than that.
pub const LAG: SignedDuration = SignedDuration::from_secs(10);
/// The farthest that the clock is ever set ahead. The sweep reaches back farther than that.
pub const LONGEST_LEAP: SignedDuration = SignedDuration::from_mins(10);
pub const SWEEP_EVERY: SignedDuration = SignedDuration::from_mins(15);
pub const SWEEP_OVER: SignedDuration = SignedDuration::from_hours(3);
pub const TABLE: &str = "vendor.material";

/// The instant at which every story begins: half an hour before clocks in New York go back.
pub fn beginning() -> Timestamp {
    "2026-11-01T05:30:00Z".parse().unwrap()
}

/// What a target is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Can be asked, and takes a number twice: whoever writes twice is seen to have written twice.
    Trusting,
    /// Can be asked, and refuses a number twice.
    Unique,
    /// As trusting, and a bill is saved, submitted and audited in steps of their own.
    Chain,
    /// Cannot be asked; the same bytes twice are the same as once.
    Upsert,
    /// Cannot be asked.
    Mute,
}

impl Kind {
    pub fn is_askable(self) -> bool {
        matches!(self, Kind::Trusting | Kind::Unique | Kind::Chain)
    }
    pub fn resend(self) -> Resend {
        if self == Kind::Upsert { Resend::SafeUpsert } else { Resend::Never }
    }
}

/// What is special about a document; what becomes of it in the end follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    Plain,
    /// Becomes two bills.
    Two,
    Skipped,
    Rejected,
    /// The module traps over it.
    Traps,
    /// The module runs out of fuel over it.
    Exhausts,
    /// The target refuses its bill.
    Refused,
    /// Wants the same bill as every other such document of its tenant.
    Clashes,
    /// Needs an entry of a reference table that is added some time.
    Needs,
    /// Needs one that never is.
    NeedsInVain,
}

impl Nature {
    const ALL: [Self; 10] = [
        Self::Plain,
        Self::Two,
        Self::Skipped,
        Self::Rejected,
        Self::Traps,
        Self::Exhausts,
        Self::Refused,
        Self::Clashes,
        Self::Needs,
        Self::NeedsInVain,
    ];

    pub fn word(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    pub fn of(word: &str) -> Self {
        *Self::ALL.iter().find(|nature| nature.word() == word).unwrap()
    }
}

#[derive(Debug, Clone)]
pub struct DocumentPlan {
    pub key: DocumentKey,
    pub nature: Nature,
}

#[derive(Debug, Clone)]
pub struct SchemePlan {
    pub tenant: TenantId,
    pub name: SchemeId,
    pub source: ConnectionName,
    pub target: ConnectionName,
    pub kind: Kind,
    pub rules: Rules,
    pub write_batch: usize,
    pub transform_batch: usize,
    pub page_size: usize,
    pub schedule: &'static str,
    pub priority: u8,
    pub documents: Vec<DocumentPlan>,
}

impl SchemePlan {
    pub fn label(&self) -> String {
        format!("{}/{}", self.tenant, self.name)
    }

    pub fn scope(&self) -> Scope {
        Scope::Scheme(self.tenant.clone(), self.name.clone())
    }

    pub fn source_scope(&self) -> Scope {
        Scope::Connection(self.tenant.clone(), self.source.clone())
    }

    pub fn target_scope(&self) -> Scope {
        Scope::Connection(self.tenant.clone(), self.target.clone())
    }
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub schemes: Vec<SchemePlan>,
    /// The clock may be set while the story goes on.
    pub leaps: bool,
    /// Instants at which something happens before all comes to rest.
    pub events: u64,
}

impl Plan {
    pub fn draw(chance: &Chance, sabotage: Sabotage) -> Self {
        // Connections of two tenants have the same names: whoever mixes them up is seen to.
        let frames: &[(&str, &str, &str, &str)] = &[
            ("acme", "saleout", "jst", "k3"),
            ("acme", "returns", "jst", "k3"),
            ("beta", "saleout", "jst", "k3"),
            ("acme", "trade", "jst", "wdt"),
        ];
        let count = chance.between(2, 4) as usize;
        let kinds = [Kind::Trusting, Kind::Trusting, Kind::Unique, Kind::Chain, Kind::Upsert, Kind::Mute];
        let own: Vec<Kind> = frames.iter().map(|_| chance.of(&kinds)).collect();
        let schemes = frames.iter().take(count).enumerate().map(|(index, frame)| {
            // What schemes share, they share with its nature.
            let first = frames.iter().position(|other| (other.0, other.3) == (frame.0, frame.3)).unwrap();
            scheme(chance, *frame, own[first], sabotage, index)
        });
        let schemes = schemes.collect();
        Self { schemes, leaps: chance.one_in(4), events: chance.between(10, 30) }
    }
}

fn scheme(
    chance: &Chance,
    (tenant, name, source, target): (&str, &str, &str, &str),
    kind: Kind,
    sabotage: Sabotage,
    index: usize,
) -> SchemePlan {
    let rules = Rules {
        on_change: chance.of(&[OnChange::Update, OnChange::Update, OnChange::Ignore, OnChange::Park]),
        settle: SETTLE,
        retry_base: Duration::from_millis(500),
        retry_cap: Duration::from_secs(10),
        give_up_after: Duration::from_secs(if chance.one_in(4) { 60 } else { 86_400 }),
        deadline_tries: 3,
        target_askable: kind.is_askable(),
        target_resend: kind.resend(),
        target_updatable: !chance.one_in(8),
        sabotage,
    };
    let document = |number: u64| {
        let nature = if chance.one_in(2) { Nature::Plain } else { chance.of(&Nature::ALL) };
        DocumentPlan { key: DocumentKey::new(format!("d{number}")).unwrap(), nature }
    };
    SchemePlan {
        tenant: TenantId::new(tenant).unwrap(),
        name: SchemeId::new(name).unwrap(),
        source: ConnectionName::new(source).unwrap(),
        target: ConnectionName::new(target).unwrap(),
        kind,
        rules,
        write_batch: chance.between(1, 5) as usize,
        transform_batch: chance.between(1, 4) as usize,
        page_size: chance.between(1, 4) as usize,
        schedule: chance.of(&["every 20s", "every 30s", "every 45s", "cron */1 * * * * America/New_York"]),
        priority: index as u8,
        documents: (0..chance.between(3, 7)).map(document).collect(),
    }
}

/// How hard a connection may be pressed.
pub fn limits(chance: &Chance) -> Limits {
    Limits {
        requests_per_second: chance.of(&[2.0, 5.0, 20.0]),
        burst: chance.between(1, 3) as u32,
        max_in_flight: chance.between(1, 3) as u32,
        queue_timeout_ms: QUEUE_TIMEOUT.as_millis() as u64,
        timeout_ms: TIMEOUT.as_millis() as u64,
        ..Limits::default()
    }
}
