//! `[retention]`: how much of finished documents is kept, by all tenants and by one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use toml::de::DeValue;

use super::duration;
use super::section::Section;
use crate::model::TenantId;

/// Often enough that a size is not passed by much, seldom enough that nobody sees the walk over the ledger.
const EVERY: SignedDuration = SignedDuration::from_hours(1);

/// How much of finished documents is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// For tenants without words of their own.
    pub keep: Keep,
    pub tenants: BTreeMap<TenantId, Keep>,
    pub every: SignedDuration,
}

/// Bodies and history of one tenant's finished documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// `None`: for ever.
    pub time: Option<SignedDuration>,
    /// `None`: however many bytes there are.
    pub bytes: Option<u64>,
}

impl Default for Retention {
    /// Everything, until somebody says otherwise: what was removed does not come back.
    fn default() -> Self {
        Self { keep: Keep::default(), tenants: BTreeMap::new(), every: EVERY }
    }
}

impl Retention {
    pub fn of(&self, tenant: &TenantId) -> Keep {
        self.tenants.get(tenant).copied().unwrap_or(self.keep)
    }
}

pub(super) fn read(section: Section<'_>, known: &[&TenantId]) -> Retention {
    let every = section.duration("every", SignedDuration::from_secs(1)..=SignedDuration::from_hours(24 * 7));
    let general = keep(&section, Keep::default());
    let mut tenants = BTreeMap::new();
    let remedy = "write [retention.tenant.NAME] with keep and keep_bytes";
    let named = section.section("tenant", remedy);
    for (name, value) in named.iter().flat_map(|named| named.table.iter()) {
        let DeValue::Table(table) = value.get_ref() else {
            section.report.add(value.span(), "what a tenant keeps is a table", remedy);
            continue;
        };
        let title = format!("[retention.tenant.{}]", name.get_ref());
        let own = Section::new(title, table, value.span(), section.report);
        match known.iter().find(|tenant| tenant.as_str() == name.get_ref().as_ref()) {
            Some(tenant) => drop(tenants.insert((*tenant).clone(), keep(&own, general))),
            None => {
                let message = format!("no connection and no scheme has the tenant \"{}\"", name.get_ref());
                // Each connection and scheme names its tenant.
                let known: BTreeSet<&str> = known.iter().map(|tenant| tenant.as_str()).collect();
                let known: Vec<&str> = known.into_iter().collect();
                section.report.add(name.span(), message, format!("the tenants are: {}", known.join(", ")));
                keep(&own, general);
            }
        }
        own.finish();
    }
    section.finish();
    Retention { keep: general, tenants, every: every.unwrap_or(EVERY) }
}

/// What is not said is as it is for all.
fn keep(section: &Section<'_>, general: Keep) -> Keep {
    let remedy = "write how long, such as \"180d\", from 1s to 3650d, or \"forever\"";
    let time = section.parse("keep", remedy, |text| match text {
        "forever" => Ok(None),
        text => match duration::parse(text)? {
            time if time < SignedDuration::from_secs(1) || time > SignedDuration::from_hours(24 * 3_650) => {
                Err(format!("{text:?} is out of range"))
            }
            time => Ok(Some(time)),
        },
    });
    // Zero says "no limit", so that a tenant can be freed of the general one.
    let bytes = section.number("keep_bytes", 0..=1 << 50).map(|bytes| (bytes > 0).then_some(bytes));
    Keep { time: time.unwrap_or(general.time), bytes: bytes.unwrap_or(general.bytes) }
}
