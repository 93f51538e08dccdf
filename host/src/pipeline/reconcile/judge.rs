//! What a bill is to a bookkeeper: pure, from what the ledger says and what the target holds.

use serde::{Deserialize, Serialize};

use crate::connectors::{Difference, Finding, Step};
use crate::fault::Fault;

use super::super::subject::{End, Existence, Phase, Version};

/// What became of one document or bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// There, as it should be.
    Agrees,
    /// Should be at the target and is not.
    Missing,
    /// There, with other content or in another state than it should be.
    Differs,
    /// At the target although the ledger never wrote it: entered by hand, or by another system.
    Foreign,
    /// In the ledger for this span, and the source does not serve it any more.
    NotServed,
    /// Not meant for the target: the module skips it, or a person discarded it.
    LeftOut,
    /// Written by the ledger's word; the target cannot be asked.
    NotAsked,
}

impl Class {
    pub const ALL: [Class; 7] = [
        Class::Agrees,
        Class::Missing,
        Class::Differs,
        Class::Foreign,
        Class::NotServed,
        Class::LeftOut,
        Class::NotAsked,
    ];

    /// Whether somebody has to look.
    pub fn is_difference(self) -> bool {
        match self {
            Class::Missing | Class::Differs | Class::Foreign | Class::NotServed => true,
            Class::Agrees | Class::LeftOut | Class::NotAsked => false,
        }
    }
}

/// The ledger's word on a document as the source serves it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    NeverReceived,
    /// The source has a newer version than the ledger.
    NewerAtSource,
    Waiting(&'static str),
    Parked(Fault),
    Done,
}

impl Word {
    pub fn of(version: &Version) -> Self {
        match &version.phase {
            Phase::Received { .. } => Word::Waiting("received, not yet transformed"),
            Phase::Held => Word::Waiting("held until an older version is written"),
            Phase::Writing { .. } => Word::Waiting("being written"),
            Phase::Parked { fault, .. } => Word::Parked(fault.clone()),
            Phase::Done { end, .. } => match end {
                End::Written
                | End::Unchanged
                | End::Skipped(_)
                | End::Ignored
                | End::Superseded { .. }
                | End::Discarded { .. } => Word::Done,
            },
        }
    }

    pub fn reason(&self) -> String {
        match self {
            Word::NeverReceived => "never received".into(),
            Word::NewerAtSource => "changed at the source since, and this version was not received yet".into(),
            Word::Waiting(what) => format!("waiting: {what}"),
            Word::Parked(fault) => format!("parked: {fault}"),
            Word::Done => "was written".into(),
        }
    }

    pub fn code(&self) -> Option<String> {
        match self {
            Word::Parked(fault) => Some(fault.code.to_string()),
            Word::NeverReceived | Word::NewerAtSource | Word::Waiting(_) | Word::Done => None,
        }
    }
}

/// What should be at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The bill that was asked for.
    Bill,
    /// None, and why.
    Nothing(String),
    /// One that nobody can make, and why: what an earlier version wrote is out of date.
    Unmade(String),
}

/// One bill that a document has, or had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub word: Word,
    /// Whether the ledger wrote it.
    pub held: Existence,
    pub wanted: Wanted,
}

/// A class, why, and in which fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub class: Class,
    pub reason: String,
    pub differences: Vec<Difference>,
}

impl Judgement {
    pub fn new(class: Class, reason: impl Into<String>) -> Self {
        Self { class, reason: reason.into(), differences: Vec::new() }
    }
}

/// `None` where the target cannot be asked.
pub fn judge(claim: &Claim, finding: Option<Finding>) -> Judgement {
    let never_written = claim.held == Existence::No;
    let Some(finding) = finding else { return by_the_ledger_alone(claim) };
    match (&claim.wanted, &finding) {
        (Wanted::Bill, _) => {}
        (Wanted::Nothing(why), Finding::Absent) => return Judgement::new(Class::LeftOut, why),
        (Wanted::Unmade(why), Finding::Absent) => return Judgement::new(Class::Missing, why),
        (Wanted::Nothing(_) | Wanted::Unmade(_), _) if never_written => return foreign(claim, Vec::new()),
        (Wanted::Nothing(why), _) => {
            return Judgement::new(Class::Differs, format!("still there, though there should be none: {why}"));
        }
        (Wanted::Unmade(why), _) => {
            return Judgement::new(Class::Differs, format!("an earlier version is there: {why}"));
        }
    }
    match finding {
        Finding::Absent if claim.held == Existence::Yes => {
            let parked = matches!(claim.word, Word::Parked(_)).then(|| format!("; {}", claim.word.reason()));
            let reason = format!("was written, and is not there any more{}", parked.unwrap_or_default());
            Judgement::new(Class::Missing, reason)
        }
        Finding::Absent => Judgement::new(Class::Missing, claim.word.reason()),
        Finding::Ours { .. } if never_written => foreign(claim, Vec::new()),
        Finding::Ours { next: None, .. } => Judgement::new(Class::Agrees, "there as it should be"),
        Finding::Ours { next: Some(step), .. } => {
            Judgement::new(Class::Differs, format!("there, and not in its final state: {} is missing", name(step)))
        }
        Finding::Differs { differences, .. } if never_written => foreign(claim, differences),
        Finding::Differs { differences, .. } => {
            let reason = match &claim.word {
                Word::Done => "written, and other now".to_owned(),
                other => other.reason(),
            };
            Judgement { differences, ..Judgement::new(Class::Differs, reason) }
        }
    }
}

fn by_the_ledger_alone(claim: &Claim) -> Judgement {
    match (&claim.wanted, claim.held, &claim.word) {
        (Wanted::Nothing(why), Existence::No, _) => Judgement::new(Class::LeftOut, why),
        (Wanted::Nothing(why), Existence::Maybe | Existence::Yes, _) => {
            Judgement::new(Class::Differs, format!("written, though there should be none: {why}"))
        }
        (Wanted::Unmade(why), Existence::No | Existence::Maybe, _) => Judgement::new(Class::Missing, why),
        (Wanted::Unmade(why), Existence::Yes, _) => {
            Judgement::new(Class::Differs, format!("an earlier version is written: {why}"))
        }
        (Wanted::Bill, Existence::Yes, Word::Done) => Judgement::new(Class::NotAsked, "written, by the ledger"),
        (Wanted::Bill, Existence::Yes, word) => {
            Judgement::new(Class::Differs, format!("an earlier version is written; {}", word.reason()))
        }
        (Wanted::Bill, Existence::No | Existence::Maybe, word) => Judgement::new(Class::Missing, word.reason()),
    }
}

fn foreign(claim: &Claim, differences: Vec<Difference>) -> Judgement {
    let content = if differences.is_empty() { "with the content it should have" } else { "with other content" };
    let reason = format!("there {content}, and not written by the ledger; the document: {}", claim.word.reason());
    Judgement { differences, ..Judgement::new(Class::Foreign, reason) }
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Create => "its creation",
        Step::Unaudit => "the taking back of its audit",
        Step::Update => "its change",
        Step::Submit => "its submission",
        Step::Audit => "its audit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Code;

    fn absent() -> Option<Finding> {
        Some(Finding::Absent)
    }
    fn ours(next: Option<Step>) -> Option<Finding> {
        Some(Finding::Ours { id: "1".into(), next })
    }
    fn other() -> Option<Finding> {
        let difference = Difference { field: "FDate".into(), intended: "a".into(), found: "b".into() };
        Some(Finding::Differs { id: "1".into(), next: None, differences: vec![difference] })
    }
    fn parked(code: Code) -> Word {
        Word::Parked(Fault::park(code, "words"))
    }

    #[track_caller]
    fn check(word: Word, held: Existence, finding: Option<Finding>, class: Class, words: &str) {
        let claim = Claim { word, held, wanted: Wanted::Bill };
        let judgement = judge(&claim, finding.clone());
        assert_eq!(judgement.class, class, "{claim:?} {finding:?}: {judgement:?}");
        assert!(judgement.reason.contains(words), "{judgement:?}");
    }

    #[test]
    fn what_is_not_there_is_missing_and_says_why() {
        use Existence::{Maybe, No, Yes};
        check(Word::Done, Yes, absent(), Class::Missing, "not there any more");
        check(parked(Code::BillGone), Yes, absent(), Class::Missing, "bill_gone");
        check(parked(Code::TargetRefused), No, absent(), Class::Missing, "parked: target_refused");
        check(parked(Code::WriteUnknown), Maybe, absent(), Class::Missing, "write_unknown");
        check(Word::Waiting("received"), No, absent(), Class::Missing, "waiting: received");
        check(Word::NeverReceived, No, absent(), Class::Missing, "never received");
        check(Word::NewerAtSource, No, absent(), Class::Missing, "not received yet");
    }

    #[test]
    fn what_is_there_agrees_differs_or_is_somebody_elses() {
        use Existence::{Maybe, No, Yes};
        check(Word::Done, Yes, ours(None), Class::Agrees, "there");
        check(parked(Code::WriteUnknown), Maybe, ours(None), Class::Agrees, "there");
        check(parked(Code::LeftUnaudited), Yes, ours(Some(Step::Audit)), Class::Differs, "its audit");
        check(Word::Done, Yes, other(), Class::Differs, "other now");
        check(parked(Code::ChangedAfterWrite), Yes, other(), Class::Differs, "changed_after_write");
        check(Word::NeverReceived, No, ours(None), Class::Foreign, "never received");
        check(parked(Code::KeyOccupied), No, other(), Class::Foreign, "key_occupied");
    }

    #[test]
    fn a_target_that_cannot_be_asked_leaves_the_ledgers_word() {
        use Existence::{Maybe, No, Yes};
        check(Word::Done, Yes, None, Class::NotAsked, "by the ledger");
        check(parked(Code::WriteUnknown), Maybe, None, Class::Missing, "write_unknown");
        check(Word::NeverReceived, No, None, Class::Missing, "never received");
        check(Word::NewerAtSource, Yes, None, Class::Differs, "an earlier version");
    }

    #[test]
    fn what_should_not_be_there_is_left_out_or_still_there() {
        let claim = |held| Claim { word: Word::Done, held, wanted: Wanted::Nothing("cancelled".into()) };
        assert_eq!(judge(&claim(Existence::Yes), absent()).class, Class::LeftOut);
        assert_eq!(judge(&claim(Existence::Yes), ours(None)).class, Class::Differs);
        assert_eq!(judge(&claim(Existence::No), other()).class, Class::Foreign);
        assert_eq!(judge(&claim(Existence::No), None).class, Class::LeftOut);
        assert_eq!(judge(&claim(Existence::Yes), None).class, Class::Differs);
    }

    #[test]
    fn what_an_earlier_version_wrote_is_out_of_date_or_gone() {
        let claim = |held| Claim { word: parked(Code::Rejected), held, wanted: Wanted::Unmade("rejected".into()) };
        assert_eq!(judge(&claim(Existence::Yes), absent()).class, Class::Missing);
        assert_eq!(judge(&claim(Existence::Yes), other()).class, Class::Differs);
        assert_eq!(judge(&claim(Existence::Yes), None).class, Class::Differs);
        assert_eq!(judge(&claim(Existence::Maybe), None).class, Class::Missing);
    }
}
