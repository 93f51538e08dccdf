//! What differs between users: `parameters.schema.json` describes it, `parameters.example.json` is one user's.

use serde::Deserialize;

#[derive(Deserialize)]
pub struct Parameters {
    pub organisation: String,
}
