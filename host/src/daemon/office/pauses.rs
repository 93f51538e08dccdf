//! Pauses and resumes schemes and connections.

use serde::{Deserialize, Serialize};

use crate::model::{ConnectionName, SchemeId, TenantId};
use crate::pipeline::gate::{Pause, Person, Resumed, Scope};

use super::{Office, OfficeError};

/// What a person wants paused or resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseRequest {
    All,
    Connection(String),
    Scheme(String),
}

impl Office {
    /// Returns once no request of the scope is under way and none can begin, with the pauses that stand: where the operator
    /// has paused it, that is the operator's.
    pub async fn pause(
        &self,
        tenant: Option<&TenantId>,
        request: &PauseRequest,
        reason: &str,
        by: Person,
    ) -> Result<Vec<Pause>, OfficeError> {
        let since = (self.now)();
        let mut paused = Vec::new();
        for scope in self.scopes(tenant, request)? {
            let pause = Pause { scope, since, reason: reason.into(), code: None, by: Some(by) };
            paused.push(self.gates.pause(pause, true).await?);
        }
        Ok(paused)
    }

    /// Returns the scopes that were paused before, and the connections that were held back for their vendor's sake.
    /// Resuming everything takes every pause away that this person may.
    pub async fn resume(
        &self,
        tenant: Option<&TenantId>,
        request: &PauseRequest,
        by: Person,
    ) -> Result<Vec<Scope>, OfficeError> {
        // What an operator paused for everybody, no tenant resumes.
        let is_own = |scope: &Scope| tenant.is_none() || *scope != Scope::All;
        let scopes = match request {
            PauseRequest::All => self.pauses(tenant).into_iter().map(|pause| pause.scope).filter(is_own).collect(),
            other => self.scopes(tenant, other)?,
        };
        let mut resumed = Vec::new();
        for scope in scopes {
            match self.gates.resume_for(&scope, by).await? {
                Resumed::Gone => resumed.push(scope),
                Resumed::Operators if *request != PauseRequest::All => {
                    return Err(OfficeError::OperatorsPause(scope.to_string()));
                }
                Resumed::Operators | Resumed::Nothing => {}
            }
        }
        let wanted = |of: &TenantId, connection: &ConnectionName| match request {
            _ if tenant.is_some_and(|tenant| tenant != of) => false,
            PauseRequest::All => true,
            PauseRequest::Connection(name) => {
                connection.as_str() == name && self.desks().iter().any(|desk| desk.tenant == *of)
            }
            PauseRequest::Scheme(_) => false,
        };
        for ((of, connection), road) in self.gates.roads() {
            if wanted(&of, &connection) && road.reset() {
                resumed.push(Scope::Connection(of, connection));
            }
        }
        resumed.dedup();
        Ok(resumed)
    }

    /// What holds the tenant's schemes back: its own pauses, and an operator's for everybody.
    pub fn pauses(&self, tenant: Option<&TenantId>) -> Vec<Pause> {
        let concerns = |pause: &Pause| match &pause.scope {
            Scope::All => true,
            Scope::Connection(of, _) | Scope::Scheme(of, _) => tenant.is_none_or(|tenant| tenant == of),
        };
        self.gates.pauses().into_iter().filter(concerns).collect()
    }

    /// What has a row has a plug, whether or not a scheme has begun that would use it.
    fn stored_scope(&self, tenant: &TenantId, request: &PauseRequest) -> Result<Option<Scope>, OfficeError> {
        let Some(registry) = &self.registry else { return Ok(None) };
        Ok(match request {
            PauseRequest::All => None,
            PauseRequest::Scheme(name) => match SchemeId::new(name) {
                Ok(name) if registry.scheme(tenant, &name).map_err(OfficeError::Registry)?.is_some() => {
                    Some(Scope::Scheme(tenant.clone(), name))
                }
                _ => None,
            },
            PauseRequest::Connection(name) => match ConnectionName::new(name) {
                Ok(name) if registry.connection(tenant, &name).map_err(OfficeError::Registry)?.is_some() => {
                    Some(Scope::Connection(tenant.clone(), name))
                }
                _ => None,
            },
        })
    }

    pub(in super::super) fn scopes(
        &self,
        tenant: Option<&TenantId>,
        request: &PauseRequest,
    ) -> Result<Vec<Scope>, OfficeError> {
        let list = |names: Vec<String>| names.join(", ");
        if let Some(tenant) = tenant
            && let Some(scope) = self.stored_scope(tenant, request)?
        {
            return Ok(vec![scope]);
        }
        match request {
            PauseRequest::All if tenant.is_none() => Ok(vec![Scope::All]),
            PauseRequest::All | PauseRequest::Scheme(_) => {
                let name = match request {
                    PauseRequest::Scheme(name) => Some(name.as_str()),
                    PauseRequest::All | PauseRequest::Connection(_) => None,
                };
                let desks = self.chosen(tenant, name)?;
                // Whoever means one of them must not pause, or let go, another tenant's.
                if let (Some(name), [_, _, ..]) = (name, desks.as_slice()) {
                    let message = format!("more than one tenant has a scheme {name}: write TENANT/{name}");
                    return Err(OfficeError::NotUsable(message));
                }
                Ok(desks.iter().map(|desk| Scope::Scheme(desk.tenant.clone(), desk.scheme.clone())).collect())
            }
            PauseRequest::Connection(name) => {
                let desks = self.chosen(tenant, None)?;
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
