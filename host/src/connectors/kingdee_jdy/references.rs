//! The lists that ids are looked up in.

use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::json;

use crate::connectors::{Error, ReferenceSource};

use super::client::Client;
use super::lists::{self, List, PAGE_SIZE};
use super::settings::UnitKey;

const MATERIAL: &str = "kingdee_jdy.material";
const STOCK: &str = "kingdee_jdy.stock";
const UNIT: &str = "kingdee_jdy.unit";
const TABLES: [&str; 3] = [MATERIAL, STOCK, UNIT];

/// Materials and stocks by number, units by name or number.
#[derive(Debug)]
pub struct Lists {
    client: Client,
}

impl Lists {
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl ReferenceSource for Lists {
    fn tables(&self) -> &[&str] {
        &TABLES
    }

    async fn fetch(&self, table: &str) -> Result<Vec<(String, String)>, Error> {
        let account = self.client.account();
        let (path, key) = match table {
            MATERIAL => (&account.paths.material, "number"),
            STOCK => (&account.paths.stock, "number"),
            UNIT if account.unit_key == UnitKey::Name => (&account.paths.unit, "name"),
            UNIT => (&account.paths.unit, "number"),
            _ => {
                let message = format!("{table} is none of {}", TABLES.join(", "));
                return Err(Error::Unknown { code: "no_such_table".into(), message });
            }
        };
        let list = List { path: path.clone(), filters: Vec::new(), everything: true };
        let rows = lists::all(&self.client, &list, PAGE_SIZE).await?;
        let mut entries: Vec<(String, Option<String>)> = Vec::new();
        let mut places = HashMap::<String, usize>::new();
        for row in &rows {
            let (Some(key), Some(id)) = (lists::text(row, key), lists::text(row, "id")) else { continue };
            let value = json!({ "id": id, "name": lists::text(row, "name").unwrap_or_default() }).to_string();
            match places.get(&key) {
                None => {
                    places.insert(key.clone(), entries.len());
                    entries.push((key, Some(value)));
                }
                // Two of one key: whichever were taken, it could be the wrong one.
                Some(place) => {
                    tracing::warn!(table, key, "the account has this key more than once; it is left out");
                    entries[*place].1 = None;
                }
            }
        }
        Ok(entries.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
    }
}
