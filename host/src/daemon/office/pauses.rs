//! Pauses and resumes schemes and connections.

use serde::{Deserialize, Serialize};

use crate::model::{ConnectionName, TenantId};
use crate::pipeline::gate::{Pause, Scope};

use super::{Office, OfficeError};

/// What a person wants paused or resumed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseRequest {
    All,
    Connection(String),
    Scheme(String),
}

impl Office {
    /// Returns once no request of the scope is under way and none can begin.
    pub async fn pause(&self, request: &PauseRequest, reason: &str) -> Result<Vec<Pause>, OfficeError> {
        let since = (self.now)();
        let mut paused = Vec::new();
        for scope in self.scopes(request)? {
            let pause = Pause { scope, since, reason: reason.into(), code: None };
            self.gates.pause(pause.clone(), true).await?;
            paused.push(pause);
        }
        Ok(paused)
    }

    /// Returns the scopes that were paused before, and the connections that were held back for their vendor's sake.
    /// Resuming everything takes every pause away.
    pub async fn resume(&self, request: &PauseRequest) -> Result<Vec<Scope>, OfficeError> {
        let scopes = match request {
            PauseRequest::All => self.gates.pauses().into_iter().map(|pause| pause.scope).collect(),
            other => self.scopes(other)?,
        };
        let mut resumed = Vec::new();
        for scope in scopes {
            if self.gates.resume(&scope).await? {
                resumed.push(scope);
            }
        }
        let wanted = |tenant: &TenantId, connection: &ConnectionName| match request {
            PauseRequest::All => true,
            PauseRequest::Connection(name) => {
                connection.as_str() == name && self.desks().iter().any(|desk| desk.tenant == *tenant)
            }
            PauseRequest::Scheme(_) => false,
        };
        for ((tenant, connection), road) in self.gates.roads() {
            if wanted(&tenant, &connection) && road.reset() {
                resumed.push(Scope::Connection(tenant, connection));
            }
        }
        resumed.dedup();
        Ok(resumed)
    }

    pub fn pauses(&self) -> Vec<Pause> {
        self.gates.pauses()
    }

    fn scopes(&self, request: &PauseRequest) -> Result<Vec<Scope>, OfficeError> {
        let list = |names: Vec<String>| names.join(", ");
        match request {
            PauseRequest::All => Ok(vec![Scope::All]),
            PauseRequest::Scheme(name) => {
                let desks = self.chosen(Some(name))?;
                Ok(desks.iter().map(|desk| Scope::Scheme(desk.tenant.clone(), desk.scheme.clone())).collect())
            }
            PauseRequest::Connection(name) => {
                let desks = self.desks();
                let mut scopes: Vec<Scope> = desks
                    .iter()
                    .flat_map(|desk| {
                        desk.connections().iter().map(|connection| (desk.tenant.clone(), connection.clone()))
                    })
                    .filter(|(_, connection)| connection.as_str() == name)
                    .map(|(tenant, connection)| Scope::Connection(tenant, connection))
                    .collect();
                scopes.sort();
                scopes.dedup();
                if scopes.is_empty() {
                    let mut known: Vec<String> =
                        desks.iter().flat_map(|desk| desk.connections().iter().map(ToString::to_string)).collect();
                    known.sort();
                    known.dedup();
                    return Err(OfficeError::NoSuchConnection(name.clone(), list(known)));
                }
                Ok(scopes)
            }
        }
    }
}
