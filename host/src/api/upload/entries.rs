//! An uploaded table: larger than other JSON, so it comes the way that components come.

use std::fmt;

use axum::extract::Request;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::check::aside;
use super::spool;
use crate::api::Api;
use crate::api::convert::registry_problem;
use crate::api::extract::{announced, is_json, read};
use crate::api::problem::Answer;
use crate::registry::{Entries, TABLE_LIMIT_BYTES, TABLE_LIMIT_ENTRIES, TableContent, Tenant};

/// A table as it is sent: key and entry. Reading ends where there are too many entries, and not when they are all in memory.
pub(super) struct Sent(pub Entries);

impl<'de> Deserialize<'de> for Sent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SentVisitor)
    }
}

struct SentVisitor;

impl<'de> Visitor<'de> for SentVisitor {
    type Value = Sent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of key and entry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Sent, A::Error> {
        let mut entries = Entries::new();
        while let Some((key, entry)) = fields.next_entry::<String, Box<RawValue>>()? {
            if entries.len() == TABLE_LIMIT_ENTRIES {
                return Err(A::Error::custom(format!("a table has at most {TABLE_LIMIT_ENTRIES} entries")));
            }
            entries.insert(key, entry.get().to_owned());
        }
        Ok(Sent(entries))
    }
}

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
        let Sent(entries) = read(&spooled.read()?)?;
        TableContent::of(&entries).map_err(registry_problem)
    })
    .await
}
