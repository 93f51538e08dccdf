//! Secrets at rest: XChaCha20-Poly1305 under a key that the store does not hold.
//!
//! A sealed text is bound to its place: it opens only for the tenant, the name and the revision that it was sealed for,
//! so that nobody with access to the rows can give one tenant another's credentials, or bring back older ones.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::model::TenantId;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Why a sealed text could not be opened. It never says what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error(
        "it was sealed with the key {key}, which the engine does not have: the operator may bring that key back, or the \
         connection be sent again with all its secrets"
    )]
    UnknownKey { key: String },
    #[error(
        "the engine's key is missing: the operator may put credentials.key back and restart, or run `crossdock credentials \
         rotate` for a new one"
    )]
    NoKey,
    #[error("the sealed text does not belong to this place, or was changed")]
    Broken,
}

/// A key that seals. It prints as its id and is wiped when dropped.
#[derive(Clone)]
pub struct SealKey {
    id: String,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl SealKey {
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        let hash = Sha256::new().chain_update("crossdock-credentials-key-id-v1:").chain_update(bytes).finalize();
        Self { id: hex::encode(&hash[..8]), bytes: Zeroizing::new(bytes) }
    }

    /// A digest of the key, to tell two apart.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.bytes).into())
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealKey({})", self.id)
    }
}

/// The key that seals, and those that what is there may still be sealed with.
#[derive(Debug, Clone)]
pub struct Keyring {
    /// `None` where it is missing.
    current: Option<SealKey>,
    previous: Vec<SealKey>,
}

/// Where a sealed text belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub tenant: &'a TenantId,
    pub name: &'a str,
    pub revision: u64,
}

/// As it lies in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sealed {
    /// The id of the key.
    pub key: String,
    /// Nonce and sealed text, in base64.
    text: String,
}

impl Keyring {
    pub fn new(current: SealKey, previous: Vec<SealKey>) -> Self {
        Self { current: Some(current), previous }
    }

    /// What was sealed does not open, and nothing is sealed, until there is a key.
    pub fn without_key() -> Self {
        Self { current: None, previous: Vec::new() }
    }

    /// The id of the key that seals.
    pub fn current(&self) -> Option<&str> {
        self.current.as_ref().map(SealKey::id)
    }

    fn keys(&self) -> impl Iterator<Item = &SealKey> {
        self.current.iter().chain(&self.previous)
    }

    /// From now on `new` seals, and all the others open.
    pub fn with(&self, new: SealKey) -> Self {
        let mut previous: Vec<SealKey> = self.keys().cloned().collect();
        previous.retain(|key| key.id != new.id);
        Self { current: Some(new), previous }
    }

    pub(super) fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Sealed, SealError> {
        let current = self.current.as_ref().ok_or(SealError::NoKey)?;
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload { msg: plain, aad: &place.bytes() };
        let cipher = current.cipher();
        // The cipher refuses only what is longer than 256 GiB.
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload).expect("settings are shorter than 256 GiB");
        let text = BASE64.encode([nonce.as_slice(), &sealed].concat());
        Ok(Sealed { key: current.id.clone(), text })
    }

    pub(super) fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let key = self.keys().find(|key| key.id == sealed.key);
        let key = key.ok_or_else(|| SealError::UnknownKey { key: sealed.key.clone() })?;
        let bytes = BASE64.decode(&sealed.text).map_err(|_| SealError::Broken)?;
        let (nonce, text) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Broken)?;
        let payload = Payload { msg: text, aad: &place.bytes() };
        let plain = key.cipher().decrypt(&XNonce::from(*nonce), payload);
        plain.map(Zeroizing::new).map_err(|_| SealError::Broken)
    }
}

impl Place<'_> {
    /// Lengths before the parts, so that no two places read the same.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"crossdock-connection-v1".to_vec();
        for part in [self.tenant.as_str(), self.name] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.extend_from_slice(&self.revision.to_be_bytes());
        bytes
    }
}
