//! What differs between users: `parameters.schema.json` describes it, `parameters.example.json` is one user's.

use serde::Deserialize;

/// The reference tables that turn codes into the target's ids. Every entry is `{"id": "…"}`.
#[derive(Deserialize)]
pub struct Parameters {
    /// By `spec_no`.
    #[serde(default = "material")]
    pub material_table: String,
    /// By `warehouse_no`.
    #[serde(default = "stock")]
    pub stock_table: String,
    /// By `goods_unit`.
    #[serde(default = "unit")]
    pub unit_table: String,
}

fn material() -> String {
    "kingdee_jdy.material".into()
}

fn stock() -> String {
    "kingdee_jdy.stock".into()
}

fn unit() -> String {
    "kingdee_jdy.unit".into()
}
