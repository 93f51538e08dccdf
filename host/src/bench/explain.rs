//! Where the fields of a bill come from: the transform runs again and again, each time with one value of the document, the
//! parameters or a look-up replaced, and what changes in the bills was influenced by that value.
//!
//! It sees one value at a time: two fields of which either alone would give the same are not seen. It sees the branch that
//! this document takes, and no other. The number of runs is bounded; where the bound cuts, the answer says so.

mod substitutes;

use std::collections::{BTreeMap, BTreeSet};

use crossdock_guest::testing::differences;
use serde::Serialize;
use serde_json::Value;

use super::Laboratory;
use super::case::Specimen;
use super::laboratory::Tables;
use crate::model::{Document, DocumentKey, Outcome};
use crate::sandbox::{Context, Limits, Module};

/// Runs for one document. A sale-out of ten lines has a hundred values, and each gets some ten substitutes.
pub const RUNS_LIMIT: usize = 5_000;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the case cannot be run: {0}")]
    Case(String),
    #[error("there is no bill to explain: {0}")]
    NoBill(String),
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A JSON Pointer into the source document.
    Document(String),
    /// A JSON Pointer into the parameters.
    Parameter(String),
    /// A look-up that the module made.
    Lookup { table: String, key: String },
}

/// One field of a bill and what influences it; nothing where the module always writes the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    pub bill: usize,
    /// A JSON Pointer into the bill.
    pub at: String,
    /// JSON text.
    pub value: String,
    pub from: Vec<Origin>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    pub fields: Vec<Field>,
    /// What decides whether there is a bill at all: with another value the document is skipped, rejected or faults.
    pub decides: Vec<Origin>,
    pub runs: usize,
    /// Some substitutes were left out, because the runs were used up.
    pub cut: bool,
}

/// Everything that a substitute may replace a part of.
#[derive(Clone)]
struct Inputs {
    key: String,
    document: Value,
    parameters: Value,
    tables: BTreeMap<String, BTreeMap<String, String>>,
}

pub fn explain(
    laboratory: &Laboratory,
    module: &Module,
    specimen: &Specimen,
    limits: &Limits,
) -> Result<Explanation, Error> {
    let (case, limits) = (&specimen.case, specimen.limits(limits));
    let json = |text: &str, what: &str| {
        serde_json::from_str(text).map_err(|error| Error::Case(format!("{what} is not JSON: {error}")))
    };
    let inputs = Inputs {
        key: case.document.key.clone(),
        document: json(&case.document.body, "the document")?,
        parameters: json(&case.parameters, "what it has as parameters")?,
        tables: case.tables.clone(),
    };
    let (context, _) = specimen.surroundings(module).map_err(Error::Case)?;
    let mut search = Search { laboratory, module, limits, context, runs: 0 };
    let (bills, lookups) = search.run(&inputs).map_err(Error::NoBill)?;

    let mut influences: BTreeMap<(usize, String), BTreeSet<Origin>> = BTreeMap::new();
    let mut decides = BTreeSet::new();
    let mut cut = false;
    for change in substitutes::all(&inputs, &lookups) {
        if search.runs >= RUNS_LIMIT {
            cut = true;
            break;
        }
        let origin = change.origin.clone();
        match search.run(&change.apply(&inputs)) {
            Err(_) => {
                decides.insert(origin);
            }
            Ok((others, _)) if others.len() != bills.len() => {
                decides.insert(origin);
            }
            Ok((others, _)) => {
                for (bill, (before, after)) in bills.iter().zip(&others).enumerate() {
                    for difference in differences(before, after) {
                        influences.entry((bill, difference.at)).or_default().insert(origin.clone());
                    }
                }
            }
        }
    }
    Ok(Explanation {
        fields: fields(&bills, &influences),
        decides: decides.into_iter().collect(),
        runs: search.runs,
        cut,
    })
}

struct Search<'a> {
    laboratory: &'a Laboratory,
    module: &'a Module,
    limits: &'a Limits,
    context: Context,
    runs: usize,
}

type Bills = (Vec<String>, Vec<(String, String)>);

impl Search<'_> {
    /// The bills and the look-ups, or in words what there was instead.
    fn run(&mut self, inputs: &Inputs) -> Result<Bills, String> {
        self.runs += 1;
        let key = DocumentKey::new(inputs.key.clone()).map_err(|error| error.to_string())?;
        let document = Document { key, body: inputs.document.to_string() };
        let context = Context { parameters: inputs.parameters.to_string().into(), ..self.context.clone() };
        let tables = Tables(inputs.tables.clone());
        let run = self.laboratory.run(self.module, &context, &document, self.limits, &tables);
        let lookups = run.lookups.into_iter().map(|(table, key, _)| (table, key)).collect();
        match run.verdict {
            Ok(Outcome::Emit(bills)) => Ok((bills.into_iter().map(|bill| bill.body).collect(), lookups)),
            Ok(Outcome::Skip(why)) => Err(format!("the document is skipped, {}: {}", why.code, why.message)),
            Ok(Outcome::Reject(why)) => Err(format!("the document is rejected, {}: {}", why.code, why.message)),
            Err(error) => Err(error.fault().to_string()),
        }
    }
}

/// Every leaf of every bill with its influences: those of itself and of what it lies in, which may go as a whole.
fn fields(bills: &[String], influences: &BTreeMap<(usize, String), BTreeSet<Origin>>) -> Vec<Field> {
    let mut fields = Vec::new();
    for (bill, body) in bills.iter().enumerate() {
        let value: Value = serde_json::from_str(body).unwrap_or(Value::Null);
        for (at, leaf) in substitutes::leaves(&value) {
            let mut from = BTreeSet::new();
            for ((of, changed), origins) in influences {
                let holds =
                    at.strip_prefix(changed.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                if *of == bill && holds {
                    from.extend(origins.iter().cloned());
                }
            }
            fields.push(Field { bill, at, value: leaf.to_string(), from: from.into_iter().collect() });
        }
        // Fields that this document does not have and another value would bring.
        for ((of, at), origins) in influences {
            if *of == bill && value.pointer(at).is_none() {
                let from = origins.iter().cloned().collect();
                fields.push(Field { bill, at: at.clone(), value: "nothing".into(), from });
            }
        }
    }
    fields
}
