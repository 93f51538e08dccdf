//! What every mover is given: where, who, what, and how much at once.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Deserialize;

#[derive(Deserialize)]
pub struct Settings {
    pub source: Source,
    pub target: Target,
    pub window: Window,
    pub page_size: u64,
    pub saves_in_flight: usize,
    pub parameters: Parameters,
    /// For files that a mover wants.
    pub directory: PathBuf,
}

#[derive(Deserialize)]
pub struct Source {
    pub base_url: String,
    pub app_key: String,
    pub target_app_key: String,
    pub customer_id: String,
}

#[derive(Deserialize)]
pub struct Target {
    pub base_url: String,
    pub acct_id: String,
    pub user_name: String,
    pub password: String,
}

#[derive(Deserialize)]
pub struct Window {
    pub start: String,
    pub end: String,
}

#[derive(Deserialize)]
pub struct Parameters {
    pub bill_type: String,
    pub default: Shop,
    pub shops: HashMap<String, Shop>,
    pub shop_customers: HashMap<String, String>,
    pub shipped_statuses: Vec<String>,
}

#[derive(Deserialize)]
pub struct Shop {
    pub organisation: String,
    pub department: String,
    pub currency: String,
    pub profit_centre: String,
}
