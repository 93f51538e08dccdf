//! From the site's lists of successes and errors, and from what it then holds, to one answer for each job.

use std::collections::HashMap;

use crate::connectors::{Answer, Job, Saved, Step};

use super::errors::{DUPLICATE_NUMBER, is_duplicate_number};
use super::settings::Options;
use super::wire::{BillState, Status};

/// What the answer's lists say of one job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// It stands among the successes, with this id.
    pub success: Option<String>,
    pub error: Option<Words>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    pub code: String,
    pub message: String,
}

/// What the site was seen to hold afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    NotAsked,
    /// It was asked and did not say.
    Unknown,
    Absent,
    Bill {
        id: String,
        state: BillState,
    },
}

/// Whose number this is. The site's database minds neither case nor trailing blanks.
pub fn folded(number: &str) -> String {
    number.trim_end().to_lowercase()
}

/// Sorts the lists out by job. A success names its bill, which counts more than its index; an error has only the index.
pub fn attribute(status: &Status, jobs: &[&Job], options: &Options) -> Vec<Verdict> {
    let mut verdicts = vec![Verdict::default(); jobs.len()];
    let mut numbers = HashMap::with_capacity(jobs.len());
    for (index, job) in jobs.iter().enumerate() {
        numbers.entry(folded(job.key.as_str())).or_insert(index);
    }
    let at = |index: Option<i64>| usize::try_from(index?).ok().filter(|index| *index < jobs.len());
    for success in status.successes() {
        let number = folded(success.number.as_str());
        let by_number = numbers.get(&number).copied();
        let by_id = || jobs.iter().position(|job| job.id.as_deref().is_some_and(|id| id == success.id.as_str()));
        let named = !number.is_empty();
        if let Some(index) = by_number.or_else(by_id).or(if named { None } else { at(success.index.number()) }) {
            verdicts[index].success = Some(success.id.to_string());
        }
    }
    for error in status.errors() {
        // A single bill owns every error, whatever index it comes with.
        let index = if jobs.len() == 1 { Some(0) } else { at(error.index.number()) };
        let Some(index) = index else { continue };
        let (field, message) = (error.field_name.as_str(), error.message.as_str());
        let code = match is_duplicate_number(message, &options.key_field, field) {
            true => DUPLICATE_NUMBER.to_owned(),
            false => status.code().to_string(),
        };
        match &mut verdicts[index].error {
            Some(words) => {
                words.message = format!("{}; {}", words.message, error.words());
                if code == DUPLICATE_NUMBER {
                    words.code = code;
                }
            }
            none => *none = Some(Words { code, message: error.words() }),
        }
    }
    verdicts
}

/// Whether a batch was refused as a whole: the one error cannot be laid at any one bill's door.
pub fn is_refused_whole(status: &Status, job_count: usize) -> bool {
    // Validation (11) and the codes near it judge bills; these judge the packet, the form, the user or the site.
    let about_the_call = matches!(status.code(), 2..=9);
    let unplaced = status.errors().iter().all(|error| matches!(error.index.number(), None | Some(0)));
    job_count > 1 && !status.is_success() && status.successes().is_empty() && about_the_call && unplaced
}

pub fn settle(step: Step, job: &Job, verdict: Verdict, seen: Seen, options: &Options) -> Answer {
    match step {
        Step::Create => created(verdict, seen, options),
        Step::Update => updated(job, verdict, options),
        Step::Submit | Step::Audit | Step::Unaudit => operated(step, job, verdict, seen, options),
    }
}

fn created(verdict: Verdict, seen: Seen, options: &Options) -> Answer {
    let next_of = |state: BillState| state.next(options.submit_and_audit);
    match (verdict.success, verdict.error) {
        (None, None) => Answer::Unmentioned,
        (Some(id), None) => match seen {
            Seen::NotAsked => Answer::Done { id: Some(id), next: None },
            Seen::Bill { id, state } => Answer::Done { id: Some(id), next: next_of(state) },
            // The lists say saved, and the bill could not be seen: whether it is audited is not known.
            Seen::Unknown | Seen::Absent => Answer::Unmentioned,
        },
        // Saved, and a later step failed.
        (Some(id), Some(words)) => match seen {
            Seen::Bill { id, state } => match next_of(state) {
                Some(next) => refused(words, Some(Saved { id, next })),
                None => Answer::Done { id: Some(id), next: None },
            },
            Seen::NotAsked => refused(words, Some(Saved { id, next: Step::Submit })),
            Seen::Unknown | Seen::Absent => Answer::Unmentioned,
        },
        (None, Some(words)) if words.code == DUPLICATE_NUMBER => refused(words, None),
        (None, Some(words)) => match seen {
            Seen::NotAsked | Seen::Absent => refused(words, None),
            // A bill is there all the same. It may be ours, saved before the error, or a stranger's: to be compared.
            Seen::Unknown | Seen::Bill { .. } => Answer::Unmentioned,
        },
    }
}

fn updated(job: &Job, verdict: Verdict, options: &Options) -> Answer {
    match (verdict.success, verdict.error) {
        (None, None) => Answer::Unmentioned,
        (_, Some(words)) => refused(words, None),
        (Some(id), None) => {
            let id = if id.is_empty() { job.id.clone() } else { Some(id) };
            Answer::Done { id, next: options.submit_and_audit.then_some(Step::Submit) }
        }
    }
}

fn operated(step: Step, job: &Job, verdict: Verdict, seen: Seen, options: &Options) -> Answer {
    let claimed = verdict.success.is_some() && verdict.error.is_none();
    let known = job.id.clone().or(verdict.success.filter(|id| !id.is_empty()));
    let saved = |id: Option<String>, next| id.map(|id| Saved { id, next });
    let state = match seen {
        Seen::Bill { state, .. } => state,
        Seen::NotAsked => {
            return match verdict.error {
                Some(words) => refused(words, saved(known, step)),
                None if claimed => Answer::Done { id: known, next: after(step, options) },
                None => Answer::Unmentioned,
            };
        }
        Seen::Unknown | Seen::Absent => return Answer::Unmentioned,
    };
    let id = match seen {
        Seen::Bill { id, .. } => known.or(Some(id)),
        _ => known,
    };
    // What the bill is counts, not what the lists say: "already submitted" is an error and the wished-for state.
    let done = match step {
        Step::Submit => matches!(state, BillState::Submitted | BillState::Audited),
        Step::Audit => state == BillState::Audited,
        Step::Unaudit => matches!(state, BillState::Reopened | BillState::Created),
        Step::Create | Step::Update => false,
    };
    if done {
        let next = if step == Step::Unaudit { Some(Step::Update) } else { state.next(options.submit_and_audit) };
        return Answer::Done { id, next };
    }
    let remaining = if step == Step::Unaudit { step } else { state.next(true).unwrap_or(step) };
    match verdict.error {
        Some(words) => refused(words, saved(id, remaining)),
        None if claimed => {
            let message = format!("the site reports success, and the bill is still {state:?}; a workflow may hold it");
            refused(Words { code: "state_unchanged".into(), message }, saved(id, remaining))
        }
        None => Answer::Unmentioned,
    }
}

fn after(step: Step, options: &Options) -> Option<Step> {
    match step {
        Step::Unaudit => Some(Step::Update),
        Step::Create | Step::Update => options.submit_and_audit.then_some(Step::Submit),
        Step::Submit => Some(Step::Audit),
        Step::Audit => None,
    }
}

pub fn refused(words: Words, saved: Option<Saved>) -> Answer {
    Answer::Refused { code: words.code, message: words.message, saved }
}
