//! What differs between users: `parameters.schema.json` describes it, `parameters.example.json` is one user's.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
pub struct Parameters {
    /// Number of the bill type.
    #[serde(default = "standard_sale_out")]
    pub bill_type: String,
    /// For every shop that `shops` does not name.
    pub default: Shop,
    /// By `shop_id`.
    #[serde(default)]
    pub shops: BTreeMap<String, Shop>,
    /// `shop_id` to customer number. A shop that is not in it is a customer under its own `shop_id`.
    #[serde(default)]
    pub shop_customers: BTreeMap<String, String>,
    /// Statuses that mean that the goods have left.
    #[serde(default = "confirmed")]
    pub shipped_statuses: Vec<String>,
    /// Number of the unit for every line; without it the target takes the material's own.
    pub unit: Option<String>,
}

/// What a shop's bills are booked to, as numbers of base data.
#[derive(Deserialize)]
pub struct Shop {
    /// Sells, keeps the stock and settles.
    pub organisation: String,
    pub department: String,
    pub currency: String,
    pub profit_centre: String,
}

fn standard_sale_out() -> String {
    "XSCKD01_SYS".into()
}

fn confirmed() -> Vec<String> {
    vec!["Confirmed".into()]
}

impl Parameters {
    pub fn shop(&self, shop_id: &str) -> &Shop {
        self.shops.get(shop_id).unwrap_or(&self.default)
    }

    pub fn customer_of_shop<'a>(&'a self, shop_id: &'a str) -> &'a str {
        self.shop_customers.get(shop_id).map_or(shop_id, String::as_str)
    }
}
