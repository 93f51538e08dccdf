//! Public keys (Ed25519) that a tenant signs its modules with. The private halves never come here.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use ed25519_dalek::{Signature, VerifyingKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::model::{Digest, TenantId};
use crate::state::{Key, Table};

use super::rows::under;
use super::{Actor, Error, Registry, text};

const NAME_LIMIT: usize = 100;
/// Each is tried on every signed upload.
const KEYS_LIMIT: u64 = 50;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SigningKey {
    /// The beginning of the key's SHA-256.
    pub id: String,
    pub name: String,
    /// 32 bytes in base64.
    pub public_key: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// A token's id.
    pub created_by: String,
}

/// What is signed of a component: a text that names what it is for, so that no signature made for something else fits.
pub fn signed_message(digest: &Digest) -> String {
    format!("crossdock-module-v1:{digest}")
}

fn key(tenant: &TenantId, id: &str) -> Key {
    under(Some(tenant), "key").text(id).build()
}

impl Registry {
    pub async fn add_signing_key(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        name: &str,
        public_key: &str,
    ) -> Result<SigningKey, Error> {
        text::require("/name", name, NAME_LIMIT)?;
        let public = read(public_key).ok_or_else(|| {
            let remedy = "write the 32 bytes of an Ed25519 public key in base64";
            Error::invalid("/public_key", "is not a usable Ed25519 public key", remedy)
        })?;
        let id = Digest::of(public.as_bytes()).to_string()[..16].to_owned();
        self.change_of(actor, tenant, |draft, _| {
            if draft.get::<SigningKey>(Table::SigningKeys, &key(tenant, &id))?.is_some() {
                return Err(Error::Exists { what: "signing key", id: id.clone(), problem: "is registered" });
            }
            let used = draft.registry.count(Table::SigningKeys, under(Some(tenant), "key"))?;
            if used >= KEYS_LIMIT {
                return Err(Error::Quota { quota: "signing_keys", limit: KEYS_LIMIT, used, resets_at: None });
            }
            let added = SigningKey {
                id: id.clone(),
                name: name.to_owned(),
                public_key: BASE64.encode(public.as_bytes()),
                created_at: draft.at,
                created_by: actor.token.clone(),
            };
            draft.put(Table::SigningKeys, key(tenant, &id), &added);
            draft.log("signing_key.add", &id, json!({ "name": name, "public_key": added.public_key }));
            Ok(added)
        })
        .await
    }

    pub fn signing_keys(&self, tenant: &TenantId) -> Result<Vec<SigningKey>, Error> {
        self.list(Table::SigningKeys, under(Some(tenant), "key"), None, usize::MAX)
    }

    /// Modules that were signed with it stay.
    pub async fn remove_signing_key(&self, actor: &Actor, tenant: &TenantId, id: &str) -> Result<(), Error> {
        if id.contains('\0') {
            return Err(Error::not_found("signing key", id));
        }
        self.change_of(actor, tenant, |draft, _| {
            let Some(found) = draft.get::<SigningKey>(Table::SigningKeys, &key(tenant, id))? else {
                return Err(Error::not_found("signing key", id));
            };
            draft.remove(Table::SigningKeys, key(tenant, id));
            draft.log("signing_key.remove", id, json!({ "name": found.name, "public_key": found.public_key }));
            Ok(())
        })
        .await
    }

    /// The id of the tenant's key that signed the message, if one did.
    pub fn verify(&self, tenant: &TenantId, message: &[u8], signature: &[u8; 64]) -> Result<Option<String>, Error> {
        let signature = Signature::from_bytes(signature);
        let keys = self.signing_keys(tenant)?;
        let signed = |key: &&SigningKey| {
            read(&key.public_key).is_some_and(|public| public.verify_strict(message, &signature).is_ok())
        };
        Ok(keys.iter().find(signed).map(|key| key.id.clone()))
    }
}

/// `None` too for the few keys under which a signature proves nothing.
fn read(public_key: &str) -> Option<VerifyingKey> {
    let bytes: [u8; 32] = BASE64.decode(public_key.trim()).ok()?.try_into().ok()?;
    VerifyingKey::from_bytes(&bytes).ok().filter(|key| !key.is_weak())
}
