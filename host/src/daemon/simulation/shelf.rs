//! The reference table of one connection: entries that somebody adds.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;

use crate::connectors::{Error as VendorError, ReferenceSource};

use super::plan::TABLE;
use super::vendor::Vendor;

pub struct Shelf {
    pub vendor: Arc<Vendor>,
    pub entries: Mutex<BTreeSet<String>>,
}

#[async_trait]
impl ReferenceSource for Shelf {
    fn tables(&self) -> &[&str] {
        &[TABLE]
    }

    async fn fetch(&self, _: &str) -> Result<Vec<(String, String)>, VendorError> {
        let exchange = self.vendor.enter(None, 5).await?;
        let air = &self.vendor.air;
        // What is added while the list is read may be behind the page that is read.
        let entries = self.entries.lock().unwrap().clone();
        sleep(air.chance.up_to(Duration::from_millis(500))).await;
        if air.bad_luck(4) {
            let host = self.vendor.label();
            return exchange.ends(Err(match air.chance.below(3) {
                0 => VendorError::Throttled { wait: Some(Duration::from_secs(20)), detail: "slow down".into() },
                1 => VendorError::Server { host, status: 500, detail: "oops".into() },
                _ => VendorError::AnswerLost { host, after: Duration::from_secs(1), detail: "reset".into() },
            }));
        }
        exchange.ends(Ok(entries.into_iter().map(|key| (key, "\"1\"".to_owned())).collect()))
    }
}
