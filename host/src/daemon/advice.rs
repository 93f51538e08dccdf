//! What there is to say of a scheme beyond right and wrong settings: what its target cannot do, what is most likely not
//! meant, and how its writes are known again.

use crate::config::{self, Config, Objection, OnChange};
use crate::connectors::{Capabilities, Connection, Http, SettingProblem, Source, Target};
use crate::model::{SchemeId, TenantId};

/// How the writes of one scheme behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writing {
    pub tenant: TenantId,
    pub scheme: SchemeId,
    /// System and operation.
    pub target: String,
    pub capabilities: Capabilities,
}

/// How the writes of every scheme behave, in the order of the file.
pub fn writings(config: &Config) -> Vec<Writing> {
    let Ok(http) = Http::new(None) else { return Vec::new() };
    let writing = |scheme: &config::Scheme| {
        let connection = config.connection(&scheme.tenant, &scheme.target.connection)?;
        let target = Connection::parse(connection.system, connection.settings.clone())
            .and_then(|parsed| parsed.target(&http, &scheme.target.operation, scheme.target.options.clone()));
        Some(Writing {
            tenant: scheme.tenant.clone(),
            scheme: scheme.name.clone(),
            target: format!("{} {}", connection.system, scheme.target.operation),
            capabilities: target.ok()?.capabilities(),
        })
    };
    config.schemes.iter().filter_map(writing).collect()
}

pub(super) fn on_source(source: &dyn Source) -> Vec<Objection> {
    let warning = |SettingProblem { path, message, remedy }| Objection::warning(&path, message, remedy);
    source.warnings().into_iter().map(warning).collect()
}

pub(super) fn on_target(scheme: &config::Scheme, target: &dyn Target) -> Vec<Objection> {
    let mut objections = Vec::new();
    if scheme.on_change == OnChange::Update && !target.capabilities().updatable {
        let message = "is \"update\", and this target cannot change what is written";
        let remedy = "write \"park\" to be asked, or \"ignore\" to let the written bill be";
        objections.push(Objection::new("on_change", message, remedy));
    }
    let parameters: serde_json::Value = serde_json::from_str(&scheme.parameters).unwrap_or_default();
    for field in target.own_fields().iter().filter(|field| parameters.get(field).is_some_and(|value| value.is_string()))
    {
        let message = format!("is one {field} for all bills, and the target refuses what is the same in all");
        let remedy = format!("let the module take {field} from the document");
        objections.push(Objection::warning(&format!("parameters.{field}"), message, remedy));
    }
    objections
}

pub(super) fn on_schedule(scheme: &config::Scheme) -> Option<Objection> {
    let config::Sweep { every, over } = scheme.sweep;
    let message =
        "is shorter than the time from one sweep to the next: what the first pass missed in between stays missed";
    (over < every).then(|| Objection::warning("sweep.over", message, "make it at least as long as every"))
}
