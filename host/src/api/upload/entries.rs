//! An uploaded table: larger than other JSON, so it comes the way that components come.

use std::collections::BTreeMap;

use axum::extract::Request;
use serde_json::value::RawValue;

use super::check::aside;
use super::spool;
use crate::api::Api;
use crate::api::extract::{announced, is_json, read};
use crate::api::problem::{Answer, Problem};
use crate::model::TenantId;
use crate::registry::{Entries, TABLE_LIMIT_BYTES};

/// Quotes and blanks around what counts.
const BESIDE_BYTES: u64 = 4 << 20;

pub async fn entries(api: &Api, tenant: &TenantId, request: Request) -> Answer<Entries> {
    is_json(request.headers())?;
    let limit = TABLE_LIMIT_BYTES as u64 + BESIDE_BYTES;
    announced(request.headers(), limit)?;
    let _place = api.uploads.enter(tenant)?;
    let spooled = spool::receive(request.into_body(), &api.uploads.directory, limit, api.uploads.limits()).await?;
    let _memory = api.uploads.in_memory.clone().acquire_owned().await.map_err(Problem::internal)?;
    aside(move || {
        let entries: BTreeMap<String, Box<RawValue>> = read(&spooled.read()?)?;
        Ok(entries.into_iter().map(|(key, entry)| (key, entry.get().to_owned())).collect())
    })
    .await
}
