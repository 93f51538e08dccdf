//! An uploaded table: larger than other JSON, so it comes the way that components come.

use std::collections::BTreeMap;

use axum::extract::Request;
use serde_json::value::RawValue;

use super::check::aside;
use super::spool;
use crate::api::Api;
use crate::api::convert::registry_problem;
use crate::api::extract::{announced, is_json, read};
use crate::api::problem::Answer;
use crate::registry::{Entries, TABLE_LIMIT_BYTES, TableContent, Tenant};

/// Quotes and blanks around what counts.
const BESIDE_BYTES: u64 = 4 << 20;

pub async fn entries(api: &Api, tenant: &Tenant, table: &str, request: Request) -> Answer<TableContent> {
    is_json(request.headers())?;
    let limit = TABLE_LIMIT_BYTES as u64 + BESIDE_BYTES;
    announced(request.headers(), limit)?;
    api.registry.room_for_table(tenant, table).map_err(registry_problem)?;
    let _place = api.uploads.enter(&tenant.id)?;
    let spooled = spool::receive(request.into_body(), &api.uploads.directory, limit, api.uploads.limits()).await?;
    let _memory = api.uploads.memory_for(&tenant.id).await?;
    aside(move || {
        let entries: BTreeMap<String, Box<RawValue>> = read(&spooled.read()?)?;
        let entries: Entries = entries.into_iter().map(|(key, entry)| (key, entry.get().to_owned())).collect();
        TableContent::of(&entries).map_err(registry_problem)
    })
    .await
}
