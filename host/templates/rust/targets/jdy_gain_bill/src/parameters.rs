//! What differs between users: `parameters.schema.json` describes it, `parameters.example.json` is one user's.

use serde::Deserialize;

#[derive(Deserialize)]
pub struct Parameters {
    /// The unit of every line, as the unit table knows it.
    pub unit: String,
    pub material_table: String,
    pub stock_table: String,
    pub unit_table: String,
}
