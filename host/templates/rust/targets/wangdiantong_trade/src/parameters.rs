//! What differs between users: `parameters.schema.json` describes it, `parameters.example.json` is one user's.

use serde::Deserialize;

#[derive(Deserialize)]
pub struct Parameters {
    pub shop_no: String,
    pub buyer_nick: String,
    pub receiver: Receiver,
}

/// Stands in until the source's own fields say where the goods go.
#[derive(Deserialize)]
pub struct Receiver {
    pub name: String,
    pub mobile: String,
    pub address: String,
}
