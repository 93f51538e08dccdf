//! Look-ups in the scheme's reference tables: material codes, units, customers.
//!
//! One call sees one revision of each table. A look-up that the host cannot answer yet ends the call by itself and the
//! document runs again, so a transform sees only "there" and "known not to exist". At most 10,000 look-ups a call.

use serde::de::DeserializeOwned;

use crate::{Rejection, json};

/// The entry of `key` in `table`, or `None` where the key is known not to exist.
///
/// Rejects with `reference_unknown_table` where the scheme has no such table, and with `reference_unreadable` where
/// the entry does not have the shape of `T`.
pub fn lookup<T: DeserializeOwned>(table: &str, key: &str) -> Result<Option<T>, Rejection> {
    let Some(entry) = lookup_text(table, key)? else { return Ok(None) };
    json::from_str(&entry).map(Some).map_err(|why| {
        Rejection::new("reference_unreadable", format!("the entry {key:?} of table {table}: {}", why.message()))
    })
}

/// The entry of `key` in `table`; where there is none, a rejection `reference_missing` that names the table, the key
/// and `field`, the JSON Pointer of the source field that `key` came from.
pub fn required<T: DeserializeOwned>(table: &str, key: &str, field: &str) -> Result<T, Rejection> {
    lookup(table, key)?.ok_or_else(|| {
        Rejection::new("reference_missing", format!("table {table} has no entry {key:?} for {field}")).at(field)
    })
}

/// The entry as JSON text. See [`lookup`].
pub fn lookup_text(table: &str, key: &str) -> Result<Option<String>, Rejection> {
    #[cfg(target_arch = "wasm32")]
    let answer = crate::bindings::crossdock::transform::reference::lookup(table, key).map_err(|_| ());
    #[cfg(not(target_arch = "wasm32"))]
    let answer = crate::testing::answer(table, key).ok_or(());
    answer.map_err(|()| Rejection::new("reference_unknown_table", format!("the scheme has no reference table {table}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, with_host};

    #[test]
    fn tells_a_missing_entry_from_a_missing_table_and_an_unreadable_entry() {
        let host = Host::default().with_entry("unit", "件", r#""pcs""#).with_entry("unit", "box", "{}");
        let (codes, _) = with_host(host, || {
            assert_eq!(required::<String>("unit", "件", "/unit").expect("an entry"), "pcs");
            assert_eq!(lookup::<String>("unit", "none").expect("a table"), None);
            ["none", "box"].map(|key| required::<String>("unit", key, "/unit").expect_err(key).code().to_owned())
        });
        assert_eq!(codes, ["reference_missing", "reference_unreadable"]);
        let (why, _) = with_host(Host::default(), || lookup_text("unit", "件").expect_err("no table"));
        assert_eq!(why.code(), "reference_unknown_table");
    }
}
