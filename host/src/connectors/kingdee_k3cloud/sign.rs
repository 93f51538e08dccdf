//! K3Cloud's two signatures: the one of a log-in, and the headers that replace a log-in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::config::Secret;

/// The digest of LoginBySign. Sites of older versions know the second only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignHash {
    #[default]
    Sha256,
    Sha1,
}

/// The `sign` of LoginBySign: a digest over the five texts, sorted by their bytes and joined with nothing between.
pub fn login_sign(
    hash: SignHash,
    acct_id: &str,
    user_name: &str,
    app_id: &str,
    app_secret: &Secret,
    timestamp: &str,
) -> String {
    let mut parts = [acct_id, user_name, app_id, app_secret.expose(), timestamp];
    parts.sort_unstable();
    let text = Zeroizing::new(parts.concat());
    match hash {
        SignHash::Sha256 => hex::encode(Sha256::digest(text.as_bytes())),
        SignHash::Sha1 => hex::encode(Sha1::digest(text.as_bytes())),
    }
}

/// An application id of the form `<client>_<32 characters>`, taken apart.
#[derive(Debug, Clone)]
pub struct AppKey {
    pub client_id: String,
    client_secret: Secret,
}

impl AppKey {
    /// The vendor masks the client's secret with a constant that stands in every one of its published clients.
    pub fn parse(app_id: &str) -> Result<Self, &'static str> {
        const MASK: &[u8; 32] = b"0054f397c6234378b09ca7d3e5debce7";
        let (client_id, masked) = app_id.split_once('_').ok_or("has no underscore")?;
        let mut bytes = BASE64.decode(masked).map_err(|_| "has no base64 after its underscore")?;
        if masked.len() != 32 || bytes.len() != 24 {
            return Err("has not 32 characters after its underscore");
        }
        bytes.iter_mut().zip(MASK).for_each(|(byte, mask)| *byte ^= mask);
        Ok(Self { client_id: client_id.into(), client_secret: Secret::new(BASE64.encode(bytes)) })
    }
}

/// Base64 over the hex digits, not over the digest: the vendor's own way.
fn hmac_base64(key: &Secret, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).expect("HMAC takes keys of every length");
    mac.update(text.as_bytes());
    BASE64.encode(hex::encode(mac.finalize().into_bytes()))
}

/// `X-Api-Signature`, over the path as it goes over the wire. The nonce is the timestamp, as in the vendor's clients.
pub fn api_signature(key: &AppKey, path: &str, timestamp: &str) -> String {
    let path = path.replace('/', "%2F");
    let text = format!("POST\n{path}\n\nx-api-nonce:{timestamp}\nx-api-timestamp:{timestamp}\n");
    hmac_base64(&key.client_secret, &text)
}

/// `X-Kd-Appdata` and `X-Kd-Signature`. They hold neither time nor path.
pub fn app_signature(
    acct_id: &str,
    user_name: &str,
    lcid: u32,
    org_num: &str,
    app_id: &str,
    app_secret: &Secret,
) -> (String, String) {
    let data = format!("{acct_id},{user_name},{lcid},{org_num}");
    (BASE64.encode(&data), hmac_base64(app_secret, &format!("{app_id}{data}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCT: &str = "60aa00bb00cc00";
    const APP_ID: &str = "123456_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    const PATH: &str = "/k3cloud/Kingdee.BOS.WebApi.ServicesStub.DynamicFormService.BatchSave.common.kdsvc";

    fn secret() -> Secret {
        Secret::new("0123456789abcdef0123456789abcdef")
    }

    #[test]
    fn unmasks_the_client_secret_as_the_vector_says() {
        let key = AppKey::parse(APP_ID).unwrap();
        assert_eq!(key.client_id, "123456");
        assert_eq!(key.client_secret.expose(), "MDE3N2I2PzBrPzg4OD45N3IhK3B1InIk");
        for bad in ["123456", "1_short", "1_!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!", "1_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXAAAA"]
        {
            assert!(AppKey::parse(bad).is_err(), "{bad} was taken");
        }
        assert!(!format!("{key:?}").contains("MDE3"));
    }

    #[test]
    fn signs_a_request_as_the_vectors_say() {
        let key = AppKey::parse(APP_ID).unwrap();
        for (timestamp, signature) in [
            ("1700000000", "YTJiNDBhZjc1MjMyYTE2ZTkwMDc3MmFiMDc4OWUxMjEyOTQ2ZDE5NWQ0NWE5MGI5ZGZhMTY1MzBlM2I5NzExYQ=="),
            (
                "1700000000123",
                "YTc1NjU3NTNiYTUzN2I0OWI5MjcwY2NkMWIxMzZkOTg0ZmIyMjdiMjgwOGI4MDg5YTU1YzMyZGM0MjVkYzFjNg==",
            ),
        ] {
            assert_eq!(api_signature(&key, PATH, timestamp), signature);
        }
    }

    #[test]
    fn signs_the_account_as_the_vectors_say() {
        for (user, org, data, signature) in [
            (
                "demo",
                "100",
                Some("NjBhYTAwYmIwMGNjMDAsZGVtbywyMDUyLDEwMA=="),
                "ZmM1ZjlmMWI0ODI3MDZkZjA2ZjkyNzQ1NjYzNmU1NmZkZGMzY2I0MzQyY2Y0YTIxMDE1NjI1ZjlhZDkxZGEwMg==",
            ),
            (
                "demo",
                "0",
                None,
                "OGFiODEyNjFmYTgwNDg4M2M1ZWM5YzJjNzc2MDMwNTdkMzExZWMzODE3NTdmYTJiOWI0MDEzYzBkNWE1MzUxNA==",
            ),
            (
                "张三",
                "100",
                Some("NjBhYTAwYmIwMGNjMDAs5byg5LiJLDIwNTIsMTAw"),
                "MDRkYmFmYmU1NmVmNzEwNWE3N2ZiNzUwZDhkNmIzZmNiNjI3ZWZkNmQzMmQ2NTAwOTU0NWI0OTM1YTEyNmMyMQ==",
            ),
        ] {
            let (actual_data, actual) = app_signature(ACCT, user, 2052, org, APP_ID, &secret());
            assert_eq!(actual, signature, "{user} {org}");
            assert!(data.is_none_or(|data| data == actual_data), "{actual_data}");
        }
    }

    #[test]
    fn signs_a_log_in_as_the_vectors_say() {
        for (hash, user, sign) in [
            (SignHash::Sha256, "demo", "9484221a2f6c7b65368f293c7ccf7c40c6baeb4c61599c39da66f253a1fed5e1"),
            (SignHash::Sha256, "Administrator", "b78b0cffef1a3e678c34fe9cb999d9a102e256cbbe0c562ae2fac784f6f17201"),
            (SignHash::Sha1, "demo", "bac84f3d76e53a9c03b4b55d2ff59c1b572a182a"),
        ] {
            assert_eq!(login_sign(hash, ACCT, user, APP_ID, &secret(), "1700000000"), sign);
        }
    }
}
