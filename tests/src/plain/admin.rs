//! What a measurement asks.
//!
//! ```text
//! GET counts     {"pages": 2000, "rows": 100000, "saves": 2000, "bills": 100000, "doubled": 0}
//! GET bills      every bill by its number, as it came; with `--keep-bills` only
//! GET documents  {}: there are no tables
//! ```

use serde_json::json;

use super::{Answer, Plain};

pub fn answer(plain: &Plain, page: &str) -> Answer {
    match page {
        "counts" => {
            let (source, target) = (plain.source.counts(), plain.target.counts());
            let counts = json!({
                "pages": source.pages, "rows": source.rows,
                "saves": target.saves, "bills": target.bills, "doubled": target.doubled,
            });
            Ok(counts.to_string())
        }
        "bills" => plain.target.kept(),
        "documents" => Ok("{}".to_owned()),
        _ => Err((404, format!("no page {page}"))),
    }
}
