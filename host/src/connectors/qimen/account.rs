//! One account at an ERP behind the gateway: what the connections of all of them have in common.

use std::sync::Arc;

use crate::config::Secret;
use crate::connectors::http::{Http, Line};
use crate::connectors::limits::Limits;
use crate::connectors::road::Road;
use crate::connectors::settings::{SettingProblem, check_base_url};

use super::{Credentials, Gateway, SignMethod};

/// The settings of a connection, as they were given.
#[derive(Debug)]
pub struct Given {
    pub base_url: String,
    pub app_key: String,
    pub app_secret: Secret,
    pub target_app_key: String,
    /// See [`Credentials::routing`].
    pub routing: (&'static str, String),
    pub sign_method: SignMethod,
    pub limits: Limits,
}

/// One account, and the limits that all its uses share.
#[derive(Debug, Clone)]
pub struct Account {
    credentials: Credentials,
    limits: Arc<Limits>,
    road: Road,
}

impl Account {
    pub fn check(given: Given) -> Result<Self, Vec<SettingProblem>> {
        let mut problems = given.limits.problems("connection.limits");
        let base_url = check_base_url("connection.base_url", &given.base_url).map_err(|problem| problems.push(problem));
        let (routed_by, route) = &given.routing;
        let names = [("app_key", &given.app_key), (*routed_by, route), ("target_app_key", &given.target_app_key)];
        for (name, value) in names {
            // One of the vendor's clients takes a value that begins with @ for a file, and the others sign blanks.
            if value.starts_with('@') || value.chars().any(|c| c.is_whitespace() || c.is_control()) {
                let message = "must not begin with @ or hold blanks";
                problems.push(SettingProblem::new(format!("connection.{name}"), message, "copy it once more"));
            }
        }
        let (Ok(base_url), true) = (base_url, problems.is_empty()) else { return Err(problems) };
        let credentials = Credentials {
            base_url,
            app_key: given.app_key,
            app_secret: given.app_secret,
            target_app_key: given.target_app_key,
            routing: given.routing,
            sign_method: given.sign_method,
        };
        let road = Road::new(&given.limits);
        Ok(Self { credentials, limits: Arc::new(given.limits), road })
    }

    pub fn road(&self) -> &Road {
        &self.road
    }

    pub fn gateway(&self, http: &Http) -> Gateway {
        Gateway::new(Line::new(http, self.limits.clone(), self.road.clone()), self.credentials.clone())
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}
