//! What the owner of the control socket may do with the registry: let the first operator in, and change the key that
//! credentials are sealed with. Everything else goes through the API, with a token.

use std::sync::Arc;

use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::registry::{self, Actor, KeyFiles, NewToken, Registry, Role, Rotated, RotationError, Token};

use super::control::problem;
use super::engine::Engine;

/// The registry, and the key's files where the engine looks after its key itself.
#[derive(Clone)]
pub struct RegistryDesk {
    registry: Option<Registry>,
    files: Option<Arc<KeyFiles>>,
}

/// A token with its text, which is shown this once.
#[derive(Serialize, Deserialize)]
pub struct CreatedToken {
    pub token: Token,
    pub text: String,
}

#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error("the configuration has no [api], so there is nobody to let in")]
    NoApi,
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error(transparent)]
    Rotation(#[from] RotationError),
}

impl RegistryDesk {
    pub fn of(engine: &Engine, config: &Config) -> std::io::Result<Self> {
        let is_own = config.api.as_ref().is_some_and(|api| api.credentials_key.is_none());
        let open = || Dir::open_ambient_dir(&engine.data_dir, cap_std::ambient_authority());
        let files = is_own.then(|| open().map(KeyFiles::new)).transpose()?.map(Arc::new);
        Ok(Self { registry: engine.registry.clone(), files })
    }

    /// A token of the operator's, whatever role was asked for.
    pub async fn operator_token(&self, new: NewToken) -> Result<CreatedToken, DeskError> {
        let registry = self.registry.as_ref().ok_or(DeskError::NoApi)?;
        let new = NewToken { role: Role::Operator, ..new };
        let (token, text) = registry.create_token(&Actor::console(), None, new).await?;
        Ok(CreatedToken { token, text: text.expose().to_owned() })
    }

    /// With a new key, where the engine looks after its key itself; with the one that the configuration names otherwise.
    pub async fn rotate(&self) -> Result<Rotated, DeskError> {
        self.rotate_for(&Actor::console()).await
    }

    /// Goes on with a rotation that an earlier run did not end.
    pub(super) async fn go_on(self) {
        let is_rotating = self.files.as_ref().is_some_and(|files| files.is_rotating().unwrap_or(false));
        if is_rotating {
            match self.rotate_for(&Actor::engine()).await {
                Ok(Rotated { resealed, lost, .. }) => {
                    tracing::info!(resealed, lost, "a rotation of the credentials' key was ended")
                }
                Err(error) => tracing::error!("a rotation of the credentials' key cannot go on: {error}"),
            }
        }
    }

    async fn rotate_for(&self, actor: &Actor) -> Result<Rotated, DeskError> {
        let registry = self.registry.as_ref().ok_or(DeskError::NoApi)?;
        Ok(match &self.files {
            Some(files) => registry.rotate_files(actor, files).await?,
            None => registry.reseal(actor).await?,
        })
    }
}

pub(super) fn router(desk: RegistryDesk) -> axum::Router {
    axum::Router::new()
        .route("/registry/token", post(token))
        .route("/registry/rotate", post(rotate))
        .with_state(Arc::new(desk))
}

async fn token(State(desk): State<Arc<RegistryDesk>>, Json(new): Json<NewToken>) -> Response {
    answer(desk.operator_token(new).await)
}

async fn rotate(State(desk): State<Arc<RegistryDesk>>) -> Response {
    answer(desk.rotate().await)
}

fn answer<T: Serialize>(result: Result<T, DeskError>) -> Response {
    match result {
        Ok(value) => axum::Json(value).into_response(),
        Err(error) => problem(StatusCode::CONFLICT, error.to_string()),
    }
}
