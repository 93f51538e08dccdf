//! A scheme's module: what it makes of a document follows from the document, unless the machine is at fault.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::fault::{Code, Disposition, Fault};
use crate::model::{Digest, Outcome, Reason, TargetDocument, TargetKey};
use crate::pipeline::driver::Now;
use crate::pipeline::reference::{Catalogue, Opened, Revision};
use crate::pipeline::transformer::{Miss, Ran, Task, Transformer};
use crate::sandbox::{Lookup, References};

use super::air::Air;
use super::plan::{Nature, TABLE};

pub struct SimModule {
    pub air: Arc<Air>,
    pub tenant: String,
    pub scheme: String,
    pub catalogue: Catalogue,
    pub now: Now,
}

/// The bills of a document, by key and body.
pub fn bills(tenant: &str, scheme: &str, body: &str) -> Vec<(String, String)> {
    let fields: Vec<&str> = body.split('|').collect();
    let (document, nature, revision) = (fields[0], fields[1], fields[2].parse::<u64>().unwrap());
    // Every fourth revision changes nothing that the target would see.
    let seen = revision - u64::from(revision % 4 == 3);
    let keys = match Nature::of(nature) {
        Nature::Two => vec![format!("{tenant}-{scheme}-{document}-a"), format!("{tenant}-{scheme}-{document}-b")],
        Nature::Clashes => vec![format!("{tenant}-shared")],
        _ => vec![format!("{tenant}-{scheme}-{document}")],
    };
    keys.into_iter().map(|key| (key.clone(), format!("{key}|{document}|{nature}|{seen}|{tenant}/{scheme}"))).collect()
}

impl SimModule {
    fn verdict(&self, task: &Task, opened: &Opened) -> (Result<Outcome, Fault>, Option<Miss>) {
        let body = &task.document.body;
        let reason = |code: &str| Reason { code: code.into(), message: "so it is".into(), field: None };
        if self.air.bad_luck(20) {
            return (Err(Fault::retry(Code::GuestDeadline, None, "the wall clock ran out")), None);
        }
        if self.air.bad_luck(60) {
            return (Err(Fault::new(Code::Internal, Disposition::StopScheme, "the pool is gone")), None);
        }
        if body.ends_with("|void") {
            return (Ok(Outcome::Skip(reason("void"))), None);
        }
        match Nature::of(body.split('|').nth(1).unwrap()) {
            Nature::Skipped => return (Ok(Outcome::Skip(reason("not_ours"))), None),
            Nature::Rejected => return (Ok(Outcome::Reject(reason("empty"))), None),
            Nature::Traps => return (Err(Fault::park(Code::GuestTrap, "unreachable")), None),
            Nature::Exhausts => return (Err(Fault::park(Code::GuestFuelExhausted, "no fuel left")), None),
            Nature::Needs | Nature::NeedsInVain => {
                let key = needed(&task.document.key.to_string(), body);
                match opened.view(task.waits_since).lookup(TABLE, &key) {
                    Lookup::Found(_) => {}
                    Lookup::Pending => {
                        let fault = Fault::retry(Code::ReferencePending, None, "not known yet");
                        let missed = Miss { table: TABLE.into(), key, at: opened.at() };
                        return (Err(fault), Some(missed));
                    }
                    Lookup::KnownMissing | Lookup::UnknownTable => {
                        return (Ok(Outcome::Reject(reason("no_such_entry"))), None);
                    }
                }
            }
            Nature::Plain | Nature::Two | Nature::Refused | Nature::Clashes => {}
        }
        let emitted = bills(&self.tenant, &self.scheme, body).into_iter();
        let emitted = emitted.map(|(key, body)| TargetDocument { key: TargetKey::new(key).unwrap(), body });
        (Ok(Outcome::Emit(emitted.collect())), None)
    }
}

/// The entry that a document looks up.
pub fn needed(document: &str, body: &str) -> String {
    format!("{}-{document}", body.split('|').nth(1).unwrap())
}

impl Transformer for SimModule {
    fn run(&self, tasks: &[Task]) -> Vec<Ran> {
        let opened = self.catalogue.open((self.now)());
        let revision = opened.revision(TABLE).cloned();
        let tables: BTreeMap<String, Revision> =
            revision.map(|revision| (TABLE.to_owned(), revision)).into_iter().collect();
        // Not all of them, where what they emit is too much to hold.
        let count = if self.air.bad_luck(10) { 1 } else { tasks.len() };
        let one = |task: &Task| {
            let (verdict, missed) = self.verdict(task, &opened);
            self.air
                .story
                .say(format!("{}/{}: run over {}: {verdict:?}", self.tenant, self.scheme, task.document.body));
            let module = task.module.unwrap_or_else(|| self.module());
            Ran { verdict, module, fuel: 1, memory_bytes: 1, logs: Vec::new(), tables: tables.clone(), missed }
        };
        tasks.iter().take(count).map(one).collect()
    }

    fn module(&self) -> Digest {
        Digest::of("module")
    }

    fn catalogue(&self) -> Option<&Catalogue> {
        Some(&self.catalogue)
    }
}
