//! Bearer tokens: `cd1~TENANT~ID~SECRET`, the operator's `cd1~~ID~SECRET`.
//!
//! The text is shown once, when the token is made; what is kept is the SHA-256 of its secret, which is 32 random bytes
//! and so needs no slower hash. A text that is no token takes the same way as one that is: a look at the store, a hash,
//! a comparison in constant time. Why it was refused is for the log alone.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::model::TenantId;
use crate::state::{Key, Table};

use super::change::Draft;
use super::rows::under;
use super::{Actor, Error, Registry, Role, text};

const PREFIX: &str = "cd1";
const SECRET_BYTES: usize = 32;
const ID_BYTES: usize = 8;
/// A longer text is no token, whatever is in it.
const TEXT_LIMIT_BYTES: usize = 256;
/// Two years: whoever wants a token for longer has lost sight of it.
const LIFE_LIMIT: SignedDuration = SignedDuration::from_hours(24 * 731);
/// Tokens that open nothing any more and are still listed, of one tenant.
const REMEMBERED: usize = 500;
const NAME_LIMIT: usize = 100;
/// More than people and machines of one tenant have, of those that open something.
const TOKENS_LIMIT: u64 = 500;
/// How exactly it is known when a token was last used. Each note is a commit.
const USE_INTERVAL: SignedDuration = SignedDuration::from_mins(15);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    pub id: String,
    /// `None` for the operator's.
    pub tenant: Option<TenantId>,
    pub name: String,
    pub role: Role,
    pub rights: Rights,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// A token's id.
    pub created_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
    /// To the quarter of an hour.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
}

/// What a token may do beyond its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rights {
    /// See personal data. Each look is in the audit log.
    pub unmask: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    pub name: String,
    pub role: Role,
    #[serde(default)]
    pub rights: Rights,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// The token itself, to be shown once. It prints as nothing and is wiped when dropped.
pub struct TokenText(Zeroizing<String>);

impl TokenText {
    /// For the one answer that shows it, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a text is no usable token: for the log. Whoever sent it learns only that it is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    #[error("no such token")]
    Unknown,
    #[error("the token expired")]
    Expired,
    #[error("the token was revoked")]
    Revoked,
    #[error("not a token")]
    Malformed,
    /// The store did not answer. Nobody is let in.
    #[error("tokens cannot be read")]
    Unreadable,
}

/// The row. The hash is kept apart, so that no answer takes it along.
#[derive(Serialize, Deserialize)]
struct Kept {
    token: Token,
    /// SHA-256 of the secret, in hexadecimal digits.
    hash: String,
}

fn key(tenant: Option<&TenantId>, id: &str) -> Key {
    under(tenant, "token").text(id).build()
}

impl Registry {
    /// A token of `tenant`, or one of the operator's. Its text is in the answer and nowhere else.
    pub async fn create_token(
        &self,
        actor: &Actor,
        tenant: Option<&TenantId>,
        new: NewToken,
    ) -> Result<(Token, TokenText), Error> {
        text::require("/name", &new.name, NAME_LIMIT)?;
        let make = |draft: &mut Draft<'_>| {
            check(&new, tenant, actor, draft.at)?;
            let used = forget_dead(draft, tenant)?;
            if used >= TOKENS_LIMIT {
                return Err(Error::Quota { quota: "tokens", limit: TOKENS_LIMIT, used, resets_at: None });
            }
            let id = hex::encode(rand::random::<[u8; ID_BYTES]>());
            let secret = Zeroizing::new(rand::random::<[u8; SECRET_BYTES]>());
            let token = Token {
                id: id.clone(),
                tenant: tenant.cloned(),
                name: new.name.clone(),
                role: new.role,
                rights: new.rights,
                created_at: draft.at,
                created_by: actor.token.clone(),
                expires_at: new.expires_at,
                revoked_at: None,
                last_used_at: None,
            };
            let kept = Kept { token: token.clone(), hash: hex::encode(Sha256::digest(*secret)) };
            // Absent, with near certainty; the expectation makes it certain.
            if draft.get::<Kept>(Table::Tokens, &key(tenant, &id))?.is_some() {
                return Err(Error::Busy);
            }
            draft.put(Table::Tokens, key(tenant, &id), &kept);
            let detail = json!({
                "name": token.name, "role": token.role, "rights": token.rights, "expires_at": token.expires_at,
            });
            draft.log("token.create", &id, detail);
            let secret = Zeroizing::new(BASE64.encode(*secret));
            let tenant = tenant.map_or("", TenantId::as_str);
            let text = Zeroizing::new(format!("{PREFIX}~{tenant}~{id}~{}", *secret));
            Ok((token, TokenText(text)))
        };
        match tenant {
            Some(tenant) => self.change_of(actor, tenant, |draft, _| make(draft)).await,
            None => self.change(actor, None, make).await,
        }
    }

    /// Of a tenant, or the operator's own, in the order of their ids.
    pub fn tokens(&self, tenant: Option<&TenantId>, after: Option<&str>, limit: usize) -> Result<Vec<Token>, Error> {
        let kept: Vec<Kept> = self.list(Table::Tokens, under(tenant, "token"), after, limit)?;
        Ok(kept.into_iter().map(|kept| kept.token).collect())
    }

    pub fn token(&self, tenant: Option<&TenantId>, id: &str) -> Result<Option<Token>, Error> {
        if id.contains('\0') {
            return Ok(None);
        }
        Ok(self.read::<Kept>(Table::Tokens, &key(tenant, id))?.map(|kept| kept.token))
    }

    /// From now on it opens nothing. Revoking it again changes nothing.
    pub async fn revoke_token(&self, actor: &Actor, tenant: Option<&TenantId>, id: &str) -> Result<Token, Error> {
        if id.contains('\0') {
            return Err(Error::not_found("token", id));
        }
        self.change(actor, tenant, |draft| {
            let row = key(tenant, id);
            let Some(mut kept) = draft.get::<Kept>(Table::Tokens, &row)? else {
                return Err(Error::not_found("token", id));
            };
            if kept.token.revoked_at.is_none() {
                kept.token.revoked_at = Some(draft.at);
                draft.put(Table::Tokens, row, &kept);
                draft.log("token.revoke", id, json!({ "name": kept.token.name }));
            }
            Ok(kept.token)
        })
        .await
    }

    /// Whose token this is. Every failure costs the same work.
    pub fn authenticate(&self, text: &str) -> Result<Token, Unauthenticated> {
        let parsed = Parts::of(text);
        let is_malformed = parsed.is_none();
        // What cannot be a token is looked for all the same, under an id that no token has.
        let parts = parsed.unwrap_or_else(Parts::nobody);
        let found = self.read::<Kept>(Table::Tokens, &key(parts.tenant.as_ref(), &parts.id));
        let given = hex::encode(Sha256::digest(*parts.secret));
        let (kept, is_unreadable) = match found {
            Ok(kept) => (kept, false),
            Err(_) => (None, true),
        };
        let expected = kept.as_ref().map_or_else(|| hex::encode([0; 32]), |kept| kept.hash.clone());
        let is_right: bool = given.as_bytes().ct_eq(expected.as_bytes()).into();
        match kept {
            _ if is_unreadable => Err(Unauthenticated::Unreadable),
            _ if is_malformed => Err(Unauthenticated::Malformed),
            Some(Kept { token, .. }) if is_right => {
                if token.revoked_at.is_some() {
                    Err(Unauthenticated::Revoked)
                } else if token.expires_at <= (self.inner.now)() {
                    Err(Unauthenticated::Expired)
                } else {
                    Ok(token)
                }
            }
            Some(_) | None => Err(Unauthenticated::Unknown),
        }
    }

    /// Notes that the token was used, where the last note is a while ago. No change that anybody made, so not in the
    /// audit log.
    pub async fn note_use(&self, token: &Token) -> Result<(), Error> {
        let now = (self.inner.now)();
        if token.last_used_at.is_some_and(|last| now.duration_since(last) < USE_INTERVAL) {
            return Ok(());
        }
        let row = key(token.tenant.as_ref(), &token.id);
        let Some(found) = self.store().get(Table::Tokens, &row)? else { return Ok(()) };
        let mut kept: Kept = super::rows::decode(Table::Tokens, &found.value)?;
        kept.token.last_used_at = Some(now);
        let mut batch = crate::state::Batch::new();
        batch.expect(Table::Tokens, row.clone(), crate::state::Expect::At(found.revision));
        batch.put(Table::Tokens, row, super::rows::encode(&kept));
        match self.inner.store.commit(batch).await {
            // Somebody revoked it or noted the same: nothing is lost.
            Ok(_) | Err(crate::state::CommitError::Conflict { .. }) => Ok(()),
            Err(crate::state::CommitError::Store(error)) => Err(error.into()),
        }
    }
}

/// How many tokens still open something. Of those that do not, the newest are remembered: whoever makes and revokes one
/// after the other must not fill the store.
fn forget_dead(draft: &mut Draft<'_>, tenant: Option<&TenantId>) -> Result<u64, Error> {
    let kept: Vec<Kept> = draft.registry.list(Table::Tokens, under(tenant, "token"), None, usize::MAX)?;
    let ended = |token: &Token| token.revoked_at.map_or(token.expires_at, |revoked| revoked.min(token.expires_at));
    let (alive, mut dead): (Vec<_>, Vec<_>) =
        kept.into_iter().map(|kept| kept.token).partition(|token| ended(token) > draft.at);
    dead.sort_by_key(|token| std::cmp::Reverse(ended(token)));
    for token in dead.iter().skip(REMEMBERED) {
        draft.remove(Table::Tokens, key(tenant, &token.id));
    }
    Ok(alive.len() as u64)
}

fn check(new: &NewToken, tenant: Option<&TenantId>, actor: &Actor, now: Timestamp) -> Result<(), Error> {
    if (new.role == Role::Operator) != tenant.is_none() {
        let remedy = "operators' tokens belong to no tenant, all others to one";
        return Err(Error::invalid("/role", "does not fit whose token it is to be", remedy));
    }
    if new.role > actor.role {
        return Err(Error::invalid("/role", "is above your own", "ask somebody who has that role"));
    }
    let life = new.expires_at.duration_since(now);
    if life <= SignedDuration::ZERO || life > LIFE_LIMIT {
        return Err(Error::invalid("/expires_at", "is out of range", "name an instant within the next two years"));
    }
    Ok(())
}

/// A token's text, taken apart.
struct Parts {
    tenant: Option<TenantId>,
    id: String,
    secret: Zeroizing<[u8; SECRET_BYTES]>,
}

impl Parts {
    fn of(text: &str) -> Option<Self> {
        if text.len() > TEXT_LIMIT_BYTES {
            return None;
        }
        let mut parts = text.split('~');
        let (prefix, tenant, id, secret) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if prefix != PREFIX || parts.next().is_some() {
            return None;
        }
        let tenant = if tenant.is_empty() { None } else { Some(TenantId::new(tenant).ok()?) };
        if id.len() != 2 * ID_BYTES || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let bytes = Zeroizing::new(BASE64.decode(secret).ok()?);
        let secret = Zeroizing::new(<[u8; SECRET_BYTES]>::try_from(bytes.as_slice()).ok()?);
        Some(Self { tenant, id: id.to_owned(), secret })
    }

    fn nobody() -> Self {
        Self { tenant: None, id: String::new(), secret: Zeroizing::new([0; SECRET_BYTES]) }
    }
}
