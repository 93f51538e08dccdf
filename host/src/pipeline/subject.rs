//! One source key of one scheme: its versions, and everything ever written for it. The unit that the step function
//! works on, and one row of the ledger.

mod fingerprint;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::connectors::Step;
use crate::fault::{Code, Fault};
use crate::model::{Digest, Reason, TargetKey};

pub use fingerprint::{ERASED, Reduced};

/// Finished versions a row keeps. Older ones are forgotten; what was written for them stays in `targets`. A record that
/// changes every minute for a day would otherwise carry 1,440 versions through every commit.
const FINISHED_VERSIONS_KEPT: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Subject {
    /// Oldest first. Numbers grow by one and are never used twice.
    pub versions: Vec<Version>,
    /// Every target key ever intended for this source key (rule 6), and what is known of it.
    pub targets: BTreeMap<TargetKey, Held>,
    /// Events taken so far: the sequence number of the next line of history.
    pub events: u64,
    /// Bytes of bodies and history that the ledger took in for this record since retention last took them away; what was
    /// put twice counts twice.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub kept_bytes: u64,
    /// When the last event was taken. Rows of an earlier Crossdock have none until their next event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touched_at: Option<Timestamp>,
    /// What was taken away of it, by retention or at a person's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduced: Option<Reduced>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What is known of one bill at the target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Held {
    pub existence: Existence,
    /// The target's own id, once it told us.
    pub id: Option<String>,
    /// The bytes that were last surely written.
    pub body: Option<Digest>,
    /// `body` stands in its final state: no step of a chain is owed, and no change of it was sent since. Without this,
    /// a bill that was saved and never audited, or that may have been changed, would count as unchanged.
    #[serde(default)]
    pub complete: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Existence {
    /// Surely not written by us.
    #[default]
    No,
    /// A request left and its fate is not known.
    Maybe,
    Yes,
}

/// One version of the source record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub number: u64,
    pub body: Digest,
    /// When this version was first received; the guest sees it as `received-at`.
    pub received_at: Timestamp,
    /// The source says that the record is void.
    pub cancelled: bool,
    /// Its body is a person's and not the source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<Edited>,
    /// The module that a person chose for its runs; the scheme's where `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_module: Option<Digest>,
    /// The module that produced the present outcome.
    pub module: Option<Digest>,
    pub fuel: u64,
    /// A person allowed this version to change what is written, whatever the scheme's `on_change` says.
    pub approved: bool,
    /// What its next run is to believe of reference tables, where that is not its first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
    pub phase: Phase,
}

/// Where a version comes from that the source never served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edited {
    /// The version whose body it was.
    pub from: u64,
    /// What the source serves in its place: read again, that is nothing new.
    pub source: Digest,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Where a version stands with the scheme's reference tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// Only what was fetched since then proves that an entry is missing.
    pub since: Timestamp,
    /// The look-up that ended the last run. `None` where a person asked for the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Missed>,
}

/// An entry that a module asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    pub table: String,
    pub key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Committed; to be transformed. `tries` counts runs that ended at the wall clock.
    Received {
        tries: u32,
    },
    /// Waits for an older version whose write is under way or unknown.
    Held,
    /// Transformed; its bills are being written.
    Writing {
        targets: Vec<TargetWrite>,
    },
    /// Set aside for a person, or for a newer version.
    Parked {
        fault: Fault,
        targets: Vec<TargetWrite>,
    },
    Done {
        end: End,
        targets: Vec<TargetWrite>,
    },
}

/// How a version ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Written,
    /// The module emitted the bytes that are already there.
    Unchanged,
    Skipped(Reason),
    /// Changed after the write, and the scheme says to let that be.
    Ignored,
    Superseded {
        by: u64,
    },
    Discarded {
        reason: String,
    },
}

/// One bill of one version on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetWrite {
    pub key: TargetKey,
    pub body: Digest,
    pub step: Step,
    /// Intents made so far; an answer to another attempt is stale.
    pub attempt: u32,
    /// Times the target said the number is taken although it could not be found.
    pub disputes: u32,
    /// Asked what became of a write whose answer was lost.
    pub verified: bool,
    /// Sendings of these bytes whose fate is not known. Above zero the bill may exist, whatever a later sending is
    /// told, and nothing but the same bytes is sent.
    #[serde(default)]
    pub doubts: u32,
    /// When these bytes were first sent, or tried to be. A person's retry begins anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_tried_at: Option<Timestamp>,
    pub fate: Fate,
}

impl TargetWrite {
    /// Whether it may be sent now.
    pub fn is_due(&self, now: Timestamp) -> bool {
        match self.fate {
            Fate::Ready => true,
            Fate::Resend { settled_at } => now >= settled_at,
            Fate::Intended { .. } | Fate::Asking { .. } | Fate::Written | Fate::Unchanged | Fate::Stopped { .. } => {
                false
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// May be sent.
    Ready,
    /// The intent is committed; the request may have left. `deadline` is when it surely ended for us.
    Intended {
        deadline: Timestamp,
    },
    /// Only the target knows. It is asked until it says; "absent" counts only when it was asked at or after
    /// `settled_at`, for until then it may still be committing.
    Asking {
        settled_at: Timestamp,
        tries: u32,
    },
    /// The answer was lost, and the same bytes are sent again, at a target where that does no harm. Not before
    /// `settled_at`: what was lost may be carried out until then, and must not come behind a later version's bytes.
    Resend {
        settled_at: Timestamp,
    },
    Written,
    Unchanged,
    Stopped {
        fault: Fault,
    },
}

impl Subject {
    pub fn version(&self, number: u64) -> Option<&Version> {
        self.versions.iter().find(|version| version.number == number)
    }

    pub fn version_mut(&mut self, number: u64) -> Option<&mut Version> {
        self.versions.iter_mut().find(|version| version.number == number)
    }

    pub fn latest(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// The target keys that hold, or may hold, something of ours. A key whose write was surely refused is not one.
    pub fn standing_keys(&self) -> BTreeSet<&TargetKey> {
        self.targets.iter().filter(|(_, held)| held.existence != Existence::No).map(|(key, _)| key).collect()
    }

    /// Whether a write is under way or unknown: later versions wait for it. A version counts as under way until its
    /// last bill has ended, for between two steps of a chain, or two of its bills, it has only paused.
    pub fn is_blocked(&self) -> bool {
        self.versions.iter().any(|version| match &version.phase {
            Phase::Writing { .. } => true,
            Phase::Parked { fault, .. } => fault.code == Code::WriteUnknown,
            Phase::Received { .. } | Phase::Held | Phase::Done { .. } => false,
        })
    }

    /// Whether anything remains to be done or decided.
    pub fn is_open(&self) -> bool {
        self.versions.iter().any(|version| !matches!(version.phase, Phase::Done { .. }))
    }

    /// Whether the engine itself has something left to do (a parked version waits for others).
    pub fn has_work(&self) -> bool {
        self.versions.iter().any(|version| match version.phase {
            Phase::Received { .. } | Phase::Writing { .. } => true,
            Phase::Held | Phase::Parked { .. } | Phase::Done { .. } => false,
        })
    }

    /// Whether all that is left to do waits for a reference table.
    pub fn only_waits(&self) -> bool {
        let waits = |version: &Version| version.waits.as_ref().is_some_and(|waits| waits.missed.is_some());
        self.has_work()
            && self.versions.iter().all(|version| match version.phase {
                Phase::Received { .. } => waits(version),
                Phase::Writing { .. } => false,
                Phase::Held | Phase::Parked { .. } | Phase::Done { .. } => true,
            })
    }

    pub fn parked(&self) -> impl Iterator<Item = (&Version, &Fault)> {
        self.versions.iter().filter_map(|version| match &version.phase {
            Phase::Parked { fault, .. } => Some((version, fault)),
            _ => None,
        })
    }

    /// The version that a person means who names none: the newest parked one; the newest of all where retention took it,
    /// so that they hear of that.
    pub fn newest_to_command(&self) -> Option<u64> {
        let parked = self.parked().map(|(version, _)| version.number).last();
        let latest = self.latest().map(|latest| latest.number);
        parked.or_else(|| latest.filter(|latest| self.removed_at(*latest).is_some()))
    }

    /// Forgets finished versions beyond those kept, oldest first; never an unfinished one, never the latest.
    pub(super) fn prune(&mut self) {
        let finished = self.versions.iter().filter(|v| matches!(v.phase, Phase::Done { .. })).count();
        let mut surplus = finished.saturating_sub(FINISHED_VERSIONS_KEPT);
        let latest = self.versions.last().map(|version| version.number);
        self.versions.retain(|version| {
            let goes = surplus > 0 && matches!(version.phase, Phase::Done { .. }) && Some(version.number) != latest;
            if goes {
                surplus -= 1;
            }
            !goes
        });
    }
}

impl Version {
    /// The body that the source serves where it has nothing newer than this version.
    pub fn served(&self) -> Digest {
        self.edited.as_ref().map_or(self.body, |edited| edited.source)
    }

    /// Its bills, as far as they were planned.
    pub fn writes(&self) -> &[TargetWrite] {
        match &self.phase {
            Phase::Writing { targets } | Phase::Parked { targets, .. } | Phase::Done { targets, .. } => targets,
            Phase::Received { .. } | Phase::Held => &[],
        }
    }

    /// Whether nothing of this version was, or may have been, sent and carried out.
    pub fn is_surely_unwritten(&self, targets: &BTreeMap<TargetKey, Held>) -> bool {
        let (writes, unknown) = match &self.phase {
            Phase::Received { .. } | Phase::Held => return true,
            Phase::Writing { targets } => (targets, false),
            Phase::Parked { fault, targets } => (targets, fault.code == Code::WriteUnknown),
            Phase::Done { .. } => return false,
        };
        !unknown
            && writes.iter().all(|write| match write.fate {
                // Never sent, or only asked about: whatever stands there is an earlier version's.
                _ if write.attempt == 0 => true,
                Fate::Ready | Fate::Stopped { .. } => {
                    // A chain that got as far as a saved bill is not unwritten, even where its next step is only ready.
                    write.step == Step::Create
                        && targets.get(&write.key).is_none_or(|held| held.existence == Existence::No)
                }
                Fate::Intended { .. } | Fate::Asking { .. } | Fate::Resend { .. } | Fate::Written | Fate::Unchanged => {
                    false
                }
            })
    }

    /// Whether this version is, or has been, at work at the target: an older one must not be taken up again after it.
    pub fn has_begun(&self) -> bool {
        match &self.phase {
            Phase::Received { .. } | Phase::Writing { .. } => true,
            Phase::Held => false,
            Phase::Parked { targets, .. } | Phase::Done { targets, .. } => {
                targets.iter().any(|write| write.attempt > 0)
            }
        }
    }
}
