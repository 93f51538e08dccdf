//! The office's capsules: runs a document of the ledger once more, beside the engine's work, and hands out what it takes
//! to run it again anywhere. Nothing is committed, no table is fetched for it, and no vendor is asked.

use std::collections::BTreeMap;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};

use crate::capsule::mask::{MaskKey, Rules};
use crate::capsule::{
    Agreement, Capsule, Context, Document, EngineIdentity, FORMAT, Input, ModuleIdentity, Outcome, Production,
    TableRevisions, Taken, take, take_masked,
};
use crate::model::{Digest, DocumentKey, TargetDocument, TenantId};
use crate::node_key;
use crate::pipeline::ledger::Line;
use crate::pipeline::reference::Opened;
use crate::pipeline::step::{Event, Verdict};
use crate::pipeline::subject::{Phase, Subject, Version};
use crate::sandbox::{Isolation, Module, RunSettings};

use super::office::{Desk, DocumentState, Office, OfficeError};
use super::transformer::SandboxTransformer;

/// The secret behind masked values, in the data directory: equal values stay equal in all capsules of one engine.
const MASK_KEY_FILE: &str = "mask.key";
/// Lines of history that are searched for a transformation. A document has some dozen.
const HISTORY_SEARCHED: usize = 10_000;

/// What somebody wants of which document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CapsuleRequest {
    pub scheme: Option<String>,
    pub key: String,
    /// The newest one that was transformed, where none is named.
    pub version: Option<u64>,
    /// A file of mask rules beside the built-in ones; `None` keeps personal data.
    pub rules: Option<String>,
    pub with_module: bool,
}

/// A capsule's text, and what whoever asked for it should know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CapsuleAnswer {
    pub capsule: String,
    pub notes: Vec<String>,
}

/// What the ledger says of a version's last run.
struct Recorded<'a> {
    line: &'a Line,
    module: Digest,
    fuel: u64,
    verdict: &'a Verdict,
}

impl Office {
    /// Runs the document in a fresh instance and makes a capsule of the run. May compile a module: blocking.
    pub fn capsule(&self, tenant: Option<&TenantId>, request: &CapsuleRequest) -> Result<CapsuleAnswer, OfficeError> {
        let refused = |error: &dyn std::fmt::Display| OfficeError::Capsule(error.to_string());
        let rules = request.rules.as_deref().map(Rules::parse).transpose().map_err(|error| refused(&error))?;
        let (desk, key, subject) = self.find(tenant, request.scheme.as_deref(), &request.key)?;
        let history = desk.ledger.history(&key, subject.events, HISTORY_SEARCHED)?;
        let (version, recorded) = transformed(&key, &subject, &history, request.version)?;
        let Some(body) = desk.ledger.body(version.body)? else {
            return Err(OfficeError::Capsule(format!("the ledger does not hold the body of {key} any more")));
        };

        let transformer = &desk.at_work()?.transformer;
        let mut notes = Vec::new();
        let module = self.module(transformer, &key, &recorded, &mut notes)?;
        let component = match request.with_module {
            true => {
                let found = transformer.modules.component(&module.digest());
                let found = found.map_err(|fault| OfficeError::Capsule(fault.to_string()))?;
                Some(found.ok_or_else(|| {
                    OfficeError::Capsule(format!("the component {} is not there to be embedded", module.digest()))
                })?)
            }
            false => None,
        };
        // Whoever waits for a table has said since when; of all others, what was fetched after they came is the last word.
        let since = version.waits.as_ref().map_or(version.received_at, |waits| waits.since);
        let opened = transformer.catalogue.open((self.now)());
        let view = opened.quiet_view(Some(since));
        let context = Context {
            tenant: desk.tenant.clone(),
            scheme: desk.scheme.clone(),
            source: transformer.source.to_string(),
            target: transformer.target.to_string(),
            received_at: version.received_at,
        };
        let document = Document { key: key.clone(), version: version.number, body };
        let input = Input { context, parameters: transformer.parameters.to_string(), document };
        let (sandbox, limits) = (&transformer.sandbox, &(transformer.limits)(module.class()));
        // It runs on the tenant's account, like everything that runs of its.
        if let Some(exceeded) = transformer.meter.exceeded((self.now)()) {
            return Err(refused(&exceeded.fault().message));
        }
        let pay = |taken: &Taken| transformer.meter.charge((self.now)(), 0, taken.run.fuel);
        let taken = take(sandbox, &module, limits, &input, &view).map_err(|error| refused(&error))?;
        pay(&taken);
        let production = desk.production(&recorded, &module, &taken)?;
        notes.extend(production.remark());
        let tables = tables(&taken, &opened, &recorded);
        let (input, taken, masked) = match rules {
            None => (input, taken, None),
            Some(rules) => {
                let dir = Dir::open_ambient_dir(&self.data_dir, ambient_authority());
                let key = dir.and_then(|dir| node_key::open(&dir, MASK_KEY_FILE));
                let key = MaskKey(key.map_err(|error| OfficeError::Capsule(format!("{MASK_KEY_FILE}: {error}")))?);
                let first = (&input, &taken);
                let (input, taken, masked) = take_masked(sandbox, &module, limits, first, &view, (&rules, &key))
                    .map_err(|error| refused(&error))?;
                pay(&taken);
                (input, taken, Some(masked))
            }
        };
        let capsule = Capsule {
            format: FORMAT,
            captured_at: (self.now)(),
            engine: EngineIdentity::of(sandbox.settings(), module.class()),
            module: ModuleIdentity::of(&module, component),
            context: input.context,
            parameters: input.parameters,
            document: input.document,
            lookups: taken.lookups,
            tables,
            settings: RunSettings::from(sandbox.settings()),
            limits: limits.clone(),
            run: taken.run,
            production,
            masked,
        };
        Ok(CapsuleAnswer { capsule: capsule.to_text().map_err(|error| refused(&error))?, notes })
    }

    /// The module that the version was transformed with, or the scheme's of now where that is gone.
    fn module(
        &self,
        transformer: &SandboxTransformer,
        key: &DocumentKey,
        recorded: &Recorded<'_>,
        notes: &mut Vec<String>,
    ) -> Result<Module, OfficeError> {
        let current = transformer.current();
        if recorded.module == current.digest() {
            return Ok(current);
        }
        let component = transformer.modules.component(&recorded.module);
        if component.map_err(|fault| OfficeError::Capsule(fault.to_string()))?.is_some() {
            let loaded = transformer.modules.module(&recorded.module);
            return loaded.map_err(|fault| OfficeError::Capsule(fault.to_string()));
        }
        notes.push(format!(
            "{key} was transformed with module {}, which is not in {} any more; the capsule has the scheme's module of now, \
             {current:?}, and says nothing of production. Put the component back there to have that",
            recorded.module,
            transformer.modules.place(),
        ));
        Ok(current)
    }
}

impl Desk {
    /// How the run of now compares with the ledger's.
    fn production(&self, recorded: &Recorded<'_>, module: &Module, taken: &Taken) -> Result<Production, OfficeError> {
        let same_module = recorded.module == module.digest();
        let outcome = match self.outcome(recorded.verdict)? {
            _ if !same_module => Agreement::OtherModule,
            Some(outcome) if outcome.is_same(&taken.run.outcome) => Agreement::Agrees,
            Some(outcome) => {
                let differences = outcome.differences(&taken.run.outcome);
                Agreement::Differs { at: differences.into_iter().map(|difference| difference.at).collect() }
            }
            None => Agreement::Differs { at: vec![String::new()] },
        };
        let isolation = self.at_work()?.transformer.isolation;
        let counted_alike = same_module && isolation == Isolation::Document;
        Ok(Production {
            transformed_at: recorded.line.at,
            module: recorded.module,
            isolation,
            fuel: recorded.fuel,
            outcome,
            fuel_agrees: counted_alike.then_some(recorded.fuel == taken.run.fuel),
        })
    }

    /// What the ledger keeps of a verdict, with the bills' bytes; `None` where they are not there any more.
    fn outcome(&self, verdict: &Verdict) -> Result<Option<Outcome>, OfficeError> {
        Ok(Some(match verdict {
            Verdict::Emit(emitted) => {
                let mut bills = Vec::new();
                for bill in emitted {
                    let Some(body) = self.ledger.body(bill.body)? else { return Ok(None) };
                    bills.push(TargetDocument { key: bill.key.clone(), body });
                }
                Outcome::Emit(bills)
            }
            Verdict::Skip(why) => Outcome::Skip(why.clone()),
            Verdict::Reject(why) => Outcome::Reject(why.clone()),
            Verdict::Fault(fault) => {
                Outcome::Fault { code: fault.code.as_str().into(), message: fault.message.clone() }
            }
            Verdict::Waits { .. } => return Ok(None),
        }))
    }
}

impl Production {
    /// What a person should hear before relying on the capsule.
    fn remark(&self) -> Option<String> {
        match (&self.outcome, self.fuel_agrees) {
            (Agreement::Differs { at }, _) => Some(format!(
                "this run gave something else than the ledger has of {}: it differs at {}. The module is the same, so \
                 parameters or reference tables have changed since then",
                self.transformed_at,
                at.join(", "),
            )),
            (Agreement::Agrees, Some(false)) => Some(format!(
                "the outcome is the ledger's, the fuel is not ({} then): parameters, tables or settings have changed",
                self.fuel,
            )),
            (Agreement::Agrees | Agreement::OtherModule, _) => None,
        }
    }
}

fn tables(taken: &Taken, opened: &Opened, recorded: &Recorded<'_>) -> BTreeMap<String, TableRevisions> {
    let revisions = |table: &str| {
        let revision = opened.revision(table)?.to_string();
        let production = recorded.line.tables.get(table).map(ToString::to_string);
        Some((table.to_owned(), TableRevisions { revision, production }))
    };
    taken.lookups.iter().filter_map(|asked| revisions(&asked.table)).collect()
}

/// The version that is meant, and its last run that came to a verdict.
fn transformed<'a>(
    key: &DocumentKey,
    subject: &'a Subject,
    history: &'a [Line],
    wanted: Option<u64>,
) -> Result<(&'a Version, Recorded<'a>), OfficeError> {
    let run_of = |number: u64| {
        history.iter().rev().find_map(|line| match &line.event {
            Event::Transformed { verdict: Verdict::Waits { .. }, .. } => None,
            Event::Transformed { version, module, fuel, verdict } if *version == number => {
                Some(Recorded { line, module: *module, fuel: *fuel, verdict })
            }
            _ => None,
        })
    };
    let version = match wanted {
        Some(number) => subject.version(number),
        None => subject.versions.iter().rev().find(|version| run_of(version.number).is_some()).or(subject.latest()),
    };
    let Some(version) = version else {
        let known: Vec<String> = subject.versions.iter().map(|version| version.number.to_string()).collect();
        return Err(OfficeError::Capsule(format!(
            "{key} has no version {}; there are: {}",
            wanted.unwrap_or_default(),
            known.join(", ")
        )));
    };
    if let Some(at) = subject.removed_at(version.number) {
        return Err(OfficeError::Capsule(format!(
            "{key} v{}: retention removed its body and its run at {at}, so there is nothing to capture; a version that the \
             source serves from now on can be",
            version.number
        )));
    }
    match run_of(version.number) {
        Some(recorded) => Ok((version, recorded)),
        None => Err(OfficeError::Capsule(never_transformed(key, version))),
    }
}

/// Why there is nothing to capture, and what would bring it about.
fn never_transformed(key: &DocumentKey, version: &Version) -> String {
    let state = DocumentState::of(version).as_str();
    let next = match &version.phase {
        Phase::Received { .. } if version.waits.is_some() => {
            "it waits for a reference table: `crossdock reference list` says how that stands".to_owned()
        }
        Phase::Received { .. } => "let the engine run, or `crossdock run`, then capture it".to_owned(),
        Phase::Held => "it waits for an older version whose write is under way".to_owned(),
        Phase::Parked { fault, .. } => {
            format!("it parked before its module saw it; docs/errors/{}.md says what to do", fault.code.as_str())
        }
        Phase::Writing { .. } | Phase::Done { .. } => {
            "the ledger has no run of it; another version may have one".to_owned()
        }
    };
    format!("{key} v{} was never transformed, it is {state}: {next}", version.number)
}
