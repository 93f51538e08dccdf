//! Runs a document once more and keeps everything that was asked and answered.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::de::IgnoredAny;

use super::mask::{Holder, MaskKey, Masker, Rules};
use super::{Asked, Context, Document, Masked, Outcome, Run};
use crate::sandbox::{Call, Error, Isolation, Limits, Lookup, Module, References, Sandbox};

/// What a run begins with.
#[derive(Debug, Clone)]
pub struct Input {
    pub context: Context,
    pub parameters: String,
    pub document: Document,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Taken {
    pub run: Run,
    pub lookups: Vec<Asked>,
}

/// Why there is nothing to keep.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    #[error(
        "the run ended at a look-up: whether {table} has {key:?} is not known; `crossdock reference refresh {table}` \
         fetches the table, then try again"
    )]
    Pending { table: String, key: String },
    #[error(
        "the run ended at the wall clock, which says nothing of the module; try again when the machine has less to do"
    )]
    Deadline,
    #[error("the sandbox could not run it: {0}")]
    Sandbox(String),
    #[error("{what} is not JSON ({problem}), so nothing in it can be masked; --raw keeps it as it is")]
    NotJson { what: &'static str, problem: String },
}

/// A person waits for it, and what a busy machine takes is nobody's fault.
const PATIENCE: u64 = 10;

/// Runs the document in a fresh instance.
pub fn take(
    sandbox: &Sandbox,
    module: &Module,
    limits: &Limits,
    input: &Input,
    references: &dyn References,
) -> Result<Taken, TakeError> {
    let context = input.context.with_parameters(&input.parameters);
    let document = crate::model::Document { key: input.document.key.clone(), body: input.document.body.clone() };
    let deadline_ms = Some(limits.deadline_ms.saturating_mul(PATIENCE));
    let call = Call { context: &context, document: &document, deadline_ms };
    let mut runs = sandbox.transform(module, &[call], Isolation::Document, limits, references);
    let Some(run) = runs.pop() else { return Err(TakeError::Sandbox("it gave no answer".into())) };
    match &run.verdict {
        Err(Error::ReferencePending { table, key }) => {
            return Err(TakeError::Pending { table: table.clone(), key: key.clone() });
        }
        Err(Error::DeadlinePassed { .. }) => return Err(TakeError::Deadline),
        Err(error @ (Error::Internal { .. } | Error::Artefacts { .. })) => {
            return Err(TakeError::Sandbox(error.to_string()));
        }
        Ok(_) | Err(_) => {}
    }
    let asked = |(table, key, answer)| Asked { table, key, answer };
    let lookups = run.lookups.into_iter().map(asked).collect();
    let outcome = Outcome::from(&run.verdict);
    let (fuel, memory_bytes) = (run.fuel, run.memory_bytes);
    Ok(Taken { run: Run { outcome, fuel, memory_bytes, logs: run.logs, logs_dropped: run.logs_dropped }, lookups })
}

/// Replaces personal data in what `first` was given, and runs that. `first` says which look-ups are made.
pub fn take_masked(
    sandbox: &Sandbox,
    module: &Module,
    limits: &Limits,
    (input, first): (&Input, &Taken),
    references: &dyn References,
    (rules, key): (&Rules, &MaskKey),
) -> Result<(Input, Taken, Masked), TakeError> {
    check_json("the document", &input.document.body)?;
    check_json("what the scheme has as parameters", &input.parameters)?;
    let mut masker = Masker::new(rules, key);
    let mut masked = None;
    // The second time everything that is anywhere is known.
    for _ in 0..2 {
        let body = masker.json(Holder::Document, &input.document.body);
        let answers: BTreeMap<(String, String), Lookup> = first
            .lookups
            .iter()
            .map(|asked| {
                ((asked.table.clone(), masker.text(&asked.key)), answer(&mut masker, &asked.table, &asked.answer))
            })
            .collect();
        masked = Some((body, masker.json(Holder::Parameters, &input.parameters), answers));
    }
    let (body, parameters, answers) = masked.unwrap_or_default();
    let document_key = masker.text(input.document.key.as_str());
    let key = crate::model::DocumentKey::new(document_key).map_err(|error| TakeError::Sandbox(error.to_string()))?;
    let input = Input {
        context: input.context.clone(),
        parameters,
        document: Document { key, body, ..input.document.clone() },
    };
    let tables = MaskedTables { answers, references, masker: Mutex::new(masker) };
    let taken = take(sandbox, module, limits, &input, &tables)?;
    let values = tables.masker.into_inner().unwrap_or_else(PoisonError::into_inner).values();
    Ok((input, taken, Masked { rules: rules.lines().to_vec(), values }))
}

fn check_json(what: &'static str, text: &str) -> Result<(), TakeError> {
    let read = serde_json::from_str::<IgnoredAny>(text);
    read.map(drop).map_err(|error| TakeError::NotJson { what, problem: error.to_string() })
}

fn answer(masker: &mut Masker<'_>, table: &str, answer: &Lookup) -> Lookup {
    match answer {
        // A table's entries are JSON, always.
        Lookup::Found(entry) => Lookup::Found(masker.json(Holder::Lookup(table), entry)),
        other => other.clone(),
    }
}

/// The tables as the masked document sees them.
struct MaskedTables<'a> {
    /// What was answered before, by the masked key.
    answers: BTreeMap<(String, String), Lookup>,
    references: &'a dyn References,
    masker: Mutex<Masker<'a>>,
}

impl References for MaskedTables<'_> {
    fn lookup(&self, table: &str, key: &str) -> Lookup {
        if let Some(known) = self.answers.get(&(table.to_owned(), key.to_owned())) {
            return known.clone();
        }
        // Another value may lead another way, to a key that is no value of the document: the real tables have it.
        match self.references.lookup(table, key) {
            // Nothing is called what the mask made up.
            Lookup::Pending => Lookup::KnownMissing,
            found => answer(&mut self.masker.lock().unwrap_or_else(PoisonError::into_inner), table, &found),
        }
    }
}
