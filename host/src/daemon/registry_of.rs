//! Opens the registry where the configuration speaks of an API.

use cap_std::fs::Dir;

use crate::config::{Config, CredentialsKey};
use crate::pipeline::driver::Now;
use crate::registry::{FileNames, KeyFiles, Keyring, Registry, SealKey};
use crate::state::Store;

use super::engine::OpenError;

/// `None` without `[api]`: nobody could manage anything.
pub(super) fn open(
    config: &Config,
    directory: &Dir,
    store: std::sync::Arc<dyn Store>,
    now: Now,
) -> Result<Option<Registry>, OpenError> {
    let Some(api) = &config.api else { return Ok(None) };
    let key = |key: &CredentialsKey| SealKey::new(*key.expose());
    let keyring = match &api.credentials_key {
        Some(current) => Keyring::new(key(current), api.previous_credentials_key.iter().map(key).collect()),
        None => {
            let fail = |source| OpenError::DataDirectory { path: config.engine.data_dir.clone(), source };
            let sealed = Registry::sealed(&*store)?;
            let keyring = KeyFiles::new(directory.try_clone().map_err(fail)?).keyring(sealed == 0).map_err(fail)?;
            if keyring.current().is_none() {
                tracing::error!(
                    "{}/credentials.key is missing, and the secrets of {sealed} connections are sealed with what it held: \
                     put it back and restart; or, where it is lost, run `crossdock credentials rotate` for a new key and \
                     send these connections again with all their secrets",
                    config.engine.data_dir.display()
                );
            }
            keyring
        }
    };
    let connections = config.connections.iter().map(|one| (one.tenant.clone(), one.name.clone()));
    let schemes = config.schemes.iter().map(|one| (one.tenant.clone(), one.name.clone()));
    let names = FileNames { connections: connections.collect(), schemes: schemes.collect() };
    Ok(Some(Registry::open_beside(store, keyring, now, names)?))
}
