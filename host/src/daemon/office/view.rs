//! Shows everything that is known of one document. Personal data is masked unless asked for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fault::Fault;
use crate::model::TenantId;
use crate::pipeline::reference::Revision;
use crate::pipeline::subject::{Edited, Phase};
use crate::telemetry::{mask_json, mask_text};

use super::{Office, OfficeError, Summary};

/// Everything about one document.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DocumentView {
    pub scheme: String,
    pub key: String,
    pub versions: Vec<VersionView>,
    pub history: Vec<HistoryLine>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct VersionView {
    pub summary: Summary,
    #[schema(value_type = Option<Object>)]
    pub fault: Option<Fault>,
    pub module: Option<String>,
    pub fuel: u64,
    /// The source's bytes, as text; masked unless asked for.
    pub body: Option<String>,
    /// The emitted bills' bytes.
    pub emitted: Vec<String>,
    /// When the bodies and the history were removed, by retention or at a person's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub removed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
    /// Its body is a person's: whose, when, and of which version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub edited: Option<Edited>,
    /// The module that a person chose for its runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_module: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HistoryLine {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What happened, as the ledger keeps it.
    #[schema(value_type = Object)]
    pub event: Box<serde_json::value::RawValue>,
    pub logs: Vec<String>,
    /// Linear memory that the module's instance held at the end of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The revisions of the reference tables that the module looked things up in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub tables: BTreeMap<String, Revision>,
}

/// Lines of history shown of one document, the newest.
const HISTORY_SHOWN: usize = 200;

impl Office {
    pub fn show(
        &self,
        tenant: Option<&TenantId>,
        scheme: Option<&str>,
        key: &str,
        unmask: bool,
    ) -> Result<DocumentView, OfficeError> {
        let (desk, key, subject) = self.find(tenant, scheme, key)?;
        let read = |digest| -> Result<Option<String>, OfficeError> {
            let body = desk.ledger.body(digest)?;
            Ok(body.map(|body| if unmask { body } else { mask_json(&body) }))
        };
        let mut versions = Vec::new();
        for version in &subject.versions {
            let removed_at = subject.removed_at(version.number);
            // What was taken away is not shown, though the same pass may not have come to its bodies yet.
            let shown = |digest| if removed_at.is_some() { Ok(None) } else { read(digest) };
            let emitted = version.writes().iter().map(|write| shown(write.body)).collect::<Result<Vec<_>, _>>()?;
            versions.push(VersionView {
                summary: desk.summary(&key, &subject, version),
                fault: match &version.phase {
                    Phase::Parked { fault, .. } => Some(if unmask { fault.clone() } else { masked(fault) }),
                    _ => None,
                },
                module: version.module.map(|digest| digest.to_string()),
                fuel: version.fuel,
                body: shown(version.body)?,
                emitted: emitted.into_iter().flatten().collect(),
                removed_at,
                erased: subject.is_erased(version.number),
                edited: version.edited.clone(),
                chosen_module: version.chosen_module.map(|digest| digest.to_string()),
            });
        }
        let history = desk.ledger.history(&key, subject.events, HISTORY_SHOWN)?;
        let history = history
            .into_iter()
            .filter_map(|line| {
                let event = serde_json::to_string(&line.event).ok()?;
                let event = if unmask { event } else { mask_json(&event) };
                let logs = if unmask { line.logs } else { line.logs.iter().map(|log| mask_text(log)).collect() };
                let event = serde_json::value::RawValue::from_string(event).ok()?;
                let (memory_bytes, tables) = (line.memory_bytes, line.tables);
                Some(HistoryLine { at: line.at, event, logs, memory_bytes, tables })
            })
            .collect();
        Ok(DocumentView { scheme: desk.scheme.to_string(), key: key.to_string(), versions, history })
    }
}

/// A vendor's or a module's words may quote the order that they are about.
fn masked(fault: &Fault) -> Fault {
    let internal = fault.internal.as_deref().map(mask_text);
    Fault { message: mask_text(&fault.message), internal, ..fault.clone() }
}
