//! Posts alerts to the configured webhook.

use std::time::Duration;

use async_trait::async_trait;

use crate::config::Secret;
use crate::telemetry::Post;

/// How long the other side may take to take an alert.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Webhook {
    address: Secret,
    http: reqwest::Client,
}

impl Webhook {
    pub fn new(address: Secret) -> Result<Self, String> {
        super::tls::install();
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| error.without_url().to_string())?;
        Ok(Self { address, http })
    }
}

#[async_trait]
impl Post for Webhook {
    async fn post(&self, body: String) -> Result<(), String> {
        let request =
            self.http.post(self.address.expose()).header(reqwest::header::CONTENT_TYPE, "application/json").body(body);
        // The address often carries a token: no error may quote it.
        let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("HTTP {}", answer.status())) }
    }
}
