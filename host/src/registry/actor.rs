//! Who acts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a token may do, from the least to the most: a route names the least role that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Reads.
    TenantViewer,
    /// And manages modules, schemes and documents.
    TenantDeveloper,
    /// And manages connections, tokens and signing keys.
    TenantAdmin,
    /// All of that for every tenant, and the tenants themselves.
    Operator,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::TenantViewer, Role::TenantDeveloper, Role::TenantAdmin, Role::Operator];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::TenantViewer => "tenant-viewer",
            Role::TenantDeveloper => "tenant-developer",
            Role::TenantAdmin => "tenant-admin",
            Role::Operator => "operator",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// On whose word something is changed, as the audit log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Actor {
    /// The token's id; `console` for the control socket, `engine` for the engine itself.
    pub token: String,
    /// The token's name.
    pub name: String,
    pub role: Role,
    /// Where the request came from: an address.
    pub from: String,
}

impl Actor {
    /// The owner of the control socket, who could open the store as well: the operator.
    pub fn console() -> Self {
        let local = || "console".to_owned();
        Self { token: local(), name: local(), role: Role::Operator, from: "control socket".into() }
    }

    /// The engine, for what it does of itself.
    pub fn engine() -> Self {
        let own = || "engine".to_owned();
        Self { token: own(), name: own(), role: Role::Operator, from: own() }
    }
}
