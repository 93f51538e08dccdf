//! What differs between users: `parameters.schema.json` describes it, `parameters.example.json` is one user's.

use serde::Deserialize;

#[derive(Deserialize)]
pub struct Parameters {
    pub bill_type: String,
    pub organisation: String,
    pub customer: String,
    pub currency: String,
    pub unit: String,
}
