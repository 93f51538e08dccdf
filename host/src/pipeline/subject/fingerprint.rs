//! What is left of a subject once its bodies, its history and the words in it are taken away: enough to know each version
//! again, and everything that a later one is judged by.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::model::{Digest, Reason};

use super::{End, Fate, Phase, Subject, TargetWrite};

/// In the place of words that retention took away.
const REMOVED: &str = "removed by retention";

/// In the place of words that a person had erased, and why what was unfinished then has ended.
pub const ERASED: &str = "erased";

/// The bodies and the history of these versions were taken away. What is left says what they were, and not what was in
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reduced {
    pub at: Timestamp,
    /// The newest version they were taken of, and with it all older ones.
    pub through: u64,
    /// At a person's word, and not by retention.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

impl Subject {
    /// When this version's bodies were taken away, where they were.
    pub fn removed_at(&self, version: u64) -> Option<Timestamp> {
        self.reduced.filter(|reduced| version <= reduced.through).map(|reduced| reduced.at)
    }

    /// Whether a person had this version erased.
    pub fn is_erased(&self, version: u64) -> bool {
        self.reduced.is_some_and(|reduced| reduced.erased && version <= reduced.through)
    }

    /// Leaves the fingerprint alone. Nothing is, where something of it is unfinished.
    pub(in super::super) fn reduce(&mut self, at: Timestamp) -> bool {
        let Some(through) = self.latest().map(|latest| latest.number).filter(|_| !self.is_open()) else { return false };
        for version in &mut self.versions {
            // What a module looked up may be a customer's name.
            version.waits = None;
            let Phase::Done { end, targets } = &mut version.phase else { continue };
            // A module's words, and a vendor's, may quote the document.
            if let End::Skipped(reason) = end {
                reason.message = REMOVED.into();
            }
            forget_words(targets, REMOVED);
        }
        self.kept_bytes = 0;
        self.reduced = Some(Reduced { at, through, erased: false });
        true
    }

    /// As [`Subject::reduce`], at a person's word: nothing stays that a person, a module or a vendor wrote. All of it has
    /// ended.
    pub(in super::super) fn erase(&mut self, at: Timestamp) {
        let Some(through) = self.latest().map(|latest| latest.number) else { return };
        for version in &mut self.versions {
            version.waits = None;
            let Phase::Done { end, targets } = &mut version.phase else { continue };
            match end {
                End::Skipped(reason) => *reason = Reason { code: ERASED.into(), message: ERASED.into(), field: None },
                End::Discarded { reason } => *reason = ERASED.into(),
                End::Written | End::Unchanged | End::Ignored | End::Superseded { .. } => {}
            }
            forget_words(targets, ERASED);
        }
        self.kept_bytes = 0;
        self.reduced = Some(Reduced { at, through, erased: true });
    }

    /// Since when it has been finished, where it is and nothing was taken away: what retention may take.
    pub fn finished_at(&self) -> Option<Timestamp> {
        let latest = self.latest().filter(|latest| !self.is_open() && self.removed_at(latest.number).is_none())?;
        Some(self.touched_at.unwrap_or(latest.received_at))
    }

    /// The bodies that something may still be done with, or that a person may still look at.
    pub fn named_bodies(&self) -> impl Iterator<Item = Digest> + '_ {
        let kept = self.versions.iter().filter(|version| self.removed_at(version.number).is_none());
        let of_versions = kept
            .flat_map(|version| std::iter::once(version.body).chain(version.writes().iter().map(|write| write.body)));
        // What stands is compared with what is to stand, for as long as anything of the record is kept.
        let is_reduced = self.latest().is_some_and(|latest| self.removed_at(latest.number).is_some());
        let standing = self.targets.values().filter(move |_| !is_reduced).filter_map(|held| held.body);
        of_versions.chain(standing)
    }

    /// Every body that the row speaks of, whether it may still be needed or not.
    pub fn all_bodies(&self) -> impl Iterator<Item = Digest> + '_ {
        let of_versions = self.versions.iter().flat_map(|version| {
            let writes = version.writes().iter().map(|write| write.body);
            [version.body, version.served()].into_iter().chain(writes)
        });
        of_versions.chain(self.targets.values().filter_map(|held| held.body))
    }
}

fn forget_words(writes: &mut [TargetWrite], instead: &str) {
    for write in writes {
        if let Fate::Stopped { fault } = &mut write.fate {
            *fault = Fault { message: instead.into(), internal: None, ..fault.clone() };
        }
    }
}
