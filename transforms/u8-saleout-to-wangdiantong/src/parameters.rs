//! What differs between users: `parameters.schema.json` describes it, `parameters.example.json` is one user's. A name of
//! a field is always one of U8's.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
pub struct Parameters {
    /// The shop that all trades are pushed to.
    pub shop_no: String,
    /// Warehouse code to warehouse number. A warehouse that is not in it keeps its code.
    #[serde(default)]
    pub warehouses: BTreeMap<String, String>,
    /// The row's field with the price; U8's own `price` is often the cost.
    #[serde(default = "price")]
    pub price_field: String,
    pub receiver: ReceiverFields,
    /// The head's field with the discount on the whole order, which is spread over the lines.
    pub order_discount_field: Option<String>,
    /// Fields of the head, 0 where none is named.
    pub post_amount_field: Option<String>,
    pub cod_amount_field: Option<String>,
    pub ext_cod_fee_field: Option<String>,
    pub other_amount_field: Option<String>,
    /// Fields of the row, 0 where none is named.
    pub adjust_amount_field: Option<String>,
    pub discount_field: Option<String>,
}

/// Fields of the head that say where the goods go.
#[derive(Deserialize)]
pub struct ReceiverFields {
    pub name: String,
    pub mobile: String,
    pub address: String,
    /// Without it the address starts with province, city and district, split at blanks.
    pub region: Option<RegionFields>,
    /// May be blank in a document, unlike all others.
    pub telno: Option<String>,
    /// May be blank too.
    pub zip: Option<String>,
}

#[derive(Deserialize)]
pub struct RegionFields {
    pub province: String,
    pub city: String,
    pub district: String,
}

fn price() -> String {
    "price".into()
}

impl Parameters {
    pub fn warehouse<'a>(&'a self, warehousecode: &'a str) -> &'a str {
        self.warehouses.get(warehousecode).map_or(warehousecode, String::as_str)
    }
}
