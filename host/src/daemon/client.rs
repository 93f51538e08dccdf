//! Talks to a running engine over its control socket.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::pipeline::backfill::Progress;
use crate::pipeline::gate::{Pause, Scope};
use crate::pipeline::reconcile::Line;
use crate::registry::{NewToken, Rotated};

use super::backfill::BackfillRequest;
use super::capsule_desk::{CapsuleAnswer, CapsuleRequest};
use super::compaction::CompactionLine;
use super::control::{PauseCall, Problem, ShowRequest, socket_path};
use super::office::{BulkAnswer, BulkRequest, CommandRequest, DocumentView, Filter, Found, PauseRequest};
use super::reconcile::ReconcileRequest;
use super::reference_desk::{TableContent, TableFilter, TableQuestion, TableView};
use super::registry_desk::CreatedToken;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The engine said no, in its own words.
    #[error("{0}")]
    Refused(String),
    #[error("the running engine did not answer: {0}")]
    Broken(String),
}

pub struct Client {
    http: reqwest::Client,
}

impl Client {
    /// `None` where no engine listens on this data directory.
    pub async fn connect(data_dir: &Path) -> Result<Option<Self>, ClientError> {
        let path = socket_path(data_dir);
        if tokio::net::UnixStream::connect(&path).await.is_err() {
            return Ok(None);
        }
        super::tls::install();
        let http = reqwest::Client::builder()
            .unix_socket(path)
            .build()
            .map_err(|error| ClientError::Broken(error.to_string()))?;
        Ok(Some(Self { http }))
    }

    pub async fn search(&self, filter: &Filter) -> Result<Found, ClientError> {
        self.post("documents/search", filter).await
    }

    pub async fn bulk(&self, request: &BulkRequest) -> Result<BulkAnswer, ClientError> {
        self.post("documents/bulk", request).await
    }

    pub async fn show(&self, scheme: Option<&str>, key: &str, unmask: bool) -> Result<DocumentView, ClientError> {
        let request = ShowRequest { scheme: scheme.map(Into::into), key: key.into(), unmask };
        self.post("documents/show", &request).await
    }

    pub async fn command(&self, request: &CommandRequest) -> Result<u64, ClientError> {
        self.post("documents/command", request).await
    }

    pub async fn capsule(&self, request: &CapsuleRequest) -> Result<CapsuleAnswer, ClientError> {
        self.post("documents/capsule", request).await
    }

    pub async fn tables(&self, filter: &TableFilter) -> Result<Vec<TableView>, ClientError> {
        self.post("references/list", filter).await
    }

    pub async fn table(&self, question: &TableQuestion) -> Result<TableContent, ClientError> {
        self.post("references/show", question).await
    }

    pub async fn refresh(&self, filter: &TableFilter) -> Result<Vec<TableView>, ClientError> {
        self.post("references/refresh", filter).await
    }

    pub async fn pause(&self, what: &PauseRequest, reason: &str) -> Result<Vec<Pause>, ClientError> {
        self.post("pause", &PauseCall { what: what.clone(), reason: reason.into() }).await
    }

    pub async fn resume(&self, what: &PauseRequest) -> Result<Vec<Scope>, ClientError> {
        self.post("resume", what).await
    }

    /// Carries out the order, where there is one, and says how the scheme's backfill stands.
    pub async fn backfill(&self, request: &BackfillRequest) -> Result<Option<Progress>, ClientError> {
        self.post("backfill", request).await
    }

    /// Compares in the engine; `take` is given each line as it comes, and `false` ends it.
    pub async fn reconcile(
        &self,
        request: &ReconcileRequest,
        mut take: impl FnMut(Line) -> bool,
    ) -> Result<(), ClientError> {
        let answer = self.send("reconcile", request).await?;
        each_line(answer, &mut take).await
    }

    /// Has the engine write its store anew; `take` is given each line as it comes, and `false` stops it.
    pub async fn compact(&self, mut take: impl FnMut(CompactionLine) -> bool) -> Result<(), ClientError> {
        let answer = self.send("compact", &()).await?;
        each_line(answer, &mut take).await
    }

    /// Writes a backup to `out`, as the engine makes it. Whether it is whole, the backup itself says.
    pub async fn backup(&self, out: &mut impl std::io::Write) -> Result<(), ClientError> {
        let mut answer = self.http.post("http://engine/backup").send().await.map_err(|error| broken(&error))?;
        if !answer.status().is_success() {
            return Err(ClientError::Broken(format!("HTTP {}", answer.status())));
        }
        while let Some(chunk) = answer.chunk().await.map_err(|error| broken(&error))? {
            out.write_all(&chunk).map_err(|error| ClientError::Refused(format!("writing the backup: {error}")))?;
        }
        Ok(())
    }

    pub async fn operator_token(&self, new: &NewToken) -> Result<CreatedToken, ClientError> {
        self.post("registry/token", new).await
    }

    pub async fn rotate(&self) -> Result<Rotated, ClientError> {
        self.post("registry/rotate", &()).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let answer = self.send(path, body).await?;
        let bytes = answer.bytes().await.map_err(|error| broken(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| broken(&error))
    }

    /// The answer, where the engine did not say no.
    async fn send(&self, path: &str, body: &impl Serialize) -> Result<reqwest::Response, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| broken(&error))?;
        let request = self
            .http
            .post(format!("http://engine/{path}"))
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(body);
        let answer = request.send().await.map_err(|error| broken(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let bytes = answer.bytes().await.map_err(|error| broken(&error))?;
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => Err(ClientError::Refused(problem.message)),
            Err(_) => Err(ClientError::Broken(format!("HTTP {status}"))),
        }
    }
}

/// One JSON object a line, until the last one or until `take` says no.
async fn each_line<T: DeserializeOwned>(
    mut answer: reqwest::Response,
    take: &mut dyn FnMut(T) -> bool,
) -> Result<(), ClientError> {
    let mut rest = Vec::new();
    while let Some(bytes) = answer.chunk().await.map_err(|error| broken(&error))? {
        rest.extend_from_slice(&bytes);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            if !take(serde_json::from_slice(&line).map_err(|error| broken(&error))?) {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn broken(error: &dyn std::fmt::Display) -> ClientError {
    ClientError::Broken(error.to_string())
}
