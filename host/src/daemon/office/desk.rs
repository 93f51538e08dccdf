//! One scheme, as the office sees it: its ledger, whoever is at work on it, and what it works with.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::config;
use crate::connectors::Resend;
use crate::model::{ConnectionName, OperationName, SchemeId, TenantId};
use crate::pipeline::driver::Handle;
use crate::pipeline::ledger::Ledger;
use crate::pipeline::reference::Catalogue;
use crate::pipeline::round::Destination;
use crate::pipeline::step::{OnChange, Rules, Sabotage};
use crate::pipeline::transformer::Transformer as _;

use super::super::reference_desk;
use super::super::scheme::Scheme;
use super::super::transformer::SandboxTransformer;
use super::OfficeError;

/// Whoever is at work on a scheme. It stays the same while drivers come and go: whoever changes the ledger while nobody
/// is at work holds it, and no driver begins until they are done.
pub(in super::super) type Seat = Arc<Mutex<Option<Handle>>>;

pub(in super::super) struct Desk {
    pub tenant: TenantId,
    pub scheme: SchemeId,
    pub ledger: Ledger,
    pub seat: Seat,
    pub(super) works: Result<Works, String>,
    /// Its ends', and those that its reference tables come from; what is known of them, where it stands still.
    pub(super) connections: Vec<ConnectionName>,
}

/// What a scheme works with.
pub(in super::super) struct Works {
    pub rules: Rules,
    pub destination: Destination,
    pub transformer: Arc<SandboxTransformer>,
    pub references: Vec<config::Reference>,
    pub document_limit_bytes: usize,
}

impl Desk {
    pub fn of(scheme: &Scheme, seat: Seat) -> Self {
        let connections = [&scheme.parts.source_connection, &scheme.parts.destination.connection].into_iter().cloned();
        let connections = connections.chain(reference_desk::connections(&scheme.config.reference)).collect();
        let works = Works {
            rules: scheme.parts.rules.clone(),
            destination: scheme.parts.destination.clone(),
            transformer: scheme.transformer.clone(),
            references: scheme.config.reference.clone(),
            document_limit_bytes: scheme.parts.document_limit_bytes,
        };
        let (tenant, scheme_id) = (scheme.parts.tenant.clone(), scheme.parts.scheme.clone());
        let ledger = scheme.parts.ledger.clone();
        Self { tenant, scheme: scheme_id, ledger, seat, works: Ok(works), connections }
    }

    /// A scheme that cannot be put together: its documents can be looked at, and nothing can be done with them.
    pub fn standing(
        tenant: TenantId,
        scheme: SchemeId,
        ledger: Ledger,
        seat: Seat,
        connections: Vec<ConnectionName>,
        why: String,
    ) -> Self {
        Self { tenant, scheme, ledger, seat, works: Err(why), connections }
    }

    /// `None` where the scheme stands still.
    pub fn works(&self) -> Option<&Works> {
        self.works.as_ref().ok()
    }

    /// For what cannot be done while the scheme stands still.
    pub fn at_work(&self) -> Result<&Works, OfficeError> {
        self.works.as_ref().map_err(|why| OfficeError::StandsStill(self.scheme.to_string(), why.clone()))
    }

    /// What the event is judged and committed by. An erasure goes by no rule and claims no bill, so it needs no scheme at
    /// work: whoever may ask for it may also where the scheme was switched off or deleted.
    pub(super) fn terms(&self, is_erasure: bool) -> Result<(Rules, Destination), OfficeError> {
        match self.at_work() {
            Ok(works) => Ok((works.rules.clone(), works.destination.clone())),
            Err(_) if is_erasure => Ok(terms_of_nothing()),
            Err(error) => Err(error),
        }
    }

    pub fn catalogue(&self) -> Option<&Catalogue> {
        self.works().and_then(|works| works.transformer.catalogue())
    }

    /// The connections that it uses.
    pub fn connections(&self) -> &[ConnectionName] {
        &self.connections
    }
}

/// Under which nothing could be written, asked for or tried.
fn terms_of_nothing() -> (Rules, Destination) {
    let rules = Rules {
        on_change: OnChange::Park,
        settle: Duration::ZERO,
        retry_base: Duration::ZERO,
        retry_cap: Duration::ZERO,
        give_up_after: Duration::ZERO,
        deadline_tries: 0,
        target_askable: false,
        target_resend: Resend::Never,
        target_updatable: false,
        sabotage: Sabotage::None,
    };
    let connection = ConnectionName::new("none").expect("a plain word is an identifier");
    let operation = OperationName::new("none").expect("a plain word is an identifier");
    (rules, Destination { connection, operation, number_space: None })
}
