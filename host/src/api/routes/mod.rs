//! The routes, a file for each noun. A handler reads what was sent, asks the layer below, and tells what it said.

mod about;
mod audit;
mod connections;
mod documents;
mod engine;
mod modules;
mod schemes;
mod signing_keys;
mod tables;
mod tenants;
mod tokens;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use super::Api;

/// Every route, with its description.
pub fn all() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(super::openapi::base())
        .merge(about::routes())
        .merge(tenants::routes())
        .merge(tokens::routes())
        .merge(signing_keys::routes())
        .merge(modules::routes())
        .merge(connections::routes())
        .merge(tables::routes())
        .merge(schemes::routes())
        .merge(documents::routes())
        .merge(engine::routes())
        .merge(audit::routes())
}
