//! Signatures, from the vendor's worked vectors.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// Published inside every SDK of the vendor; its first 24 bytes are used.
const MASK: &[u8] = b"0054f397c6234378b09ca7d3e5debce7";
/// What a path keeps; a percent sign on the wire is there already and stays.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'%');

/// SHA-256 and SHA-1 over the five texts in ordinal order, for `LoginBySign`. Newer sites are sent the first, older ones
/// the second.
pub fn logins(acct_id: &str, user_name: &str, app_id: &str, app_secret: &str, timestamp: &str) -> [String; 2] {
    let mut parts = [acct_id, user_name, app_id, app_secret, timestamp];
    parts.sort_unstable();
    let text = parts.concat();
    [hex::encode(Sha256::digest(&text)), hex::encode(Sha1::digest(&text))]
}

/// The key of `X-Api-Signature`, hidden in the application's id. `None` where the id is not of that form.
pub fn client_secret(app_id: &str) -> Option<String> {
    let (_, part) = app_id.split_once('_')?;
    let bytes = BASE64.decode(part).ok().filter(|_| part.len() == 32)?;
    let unmasked: Vec<u8> = bytes.iter().zip(MASK).map(|(byte, mask)| byte ^ mask).collect();
    Some(BASE64.encode(unmasked))
}

/// `X-Api-Signature`: what, where and when.
pub fn request(path: &str, nonce: &str, timestamp: &str, app_id: &str) -> Option<String> {
    let path = utf8_percent_encode(path, PATH);
    let text = format!("POST\n{path}\n\nx-api-nonce:{nonce}\nx-api-timestamp:{timestamp}\n");
    Some(BASE64.encode(hmac_hex(&client_secret(app_id)?, &text)))
}

/// `X-Kd-Signature`: who. Holds neither time nor path.
pub fn identity(app_id: &str, app_data: &str, app_secret: &str) -> String {
    BASE64.encode(hmac_hex(app_secret, &format!("{app_id}{app_data}")))
}

fn hmac_hex(key: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP_ID: &str = "123456_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const PATH: &str = "/k3cloud/Kingdee.BOS.WebApi.ServicesStub.DynamicFormService.BatchSave.common.kdsvc";

    #[test]
    fn the_client_secret_is_that_of_the_notes() {
        assert_eq!(client_secret(APP_ID).as_deref(), Some("MDE3N2I2PzBrPzg4OD45N3IhK3B1InIk"));
        assert_eq!(client_secret("123456"), None);
        assert_eq!(client_secret("123456_AAECAwQF"), None);
    }

    #[test]
    fn requests_are_signed_as_in_the_notes_in_seconds_and_milliseconds() {
        for (at, signature) in [
            ("1700000000", "YTJiNDBhZjc1MjMyYTE2ZTkwMDc3MmFiMDc4OWUxMjEyOTQ2ZDE5NWQ0NWE5MGI5ZGZhMTY1MzBlM2I5NzExYQ=="),
            (
                "1700000000123",
                "YTc1NjU3NTNiYTUzN2I0OWI5MjcwY2NkMWIxMzZkOTg0ZmIyMjdiMjgwOGI4MDg5YTU1YzMyZGM0MjVkYzFjNg==",
            ),
        ] {
            assert_eq!(request(PATH, at, at, APP_ID).as_deref(), Some(signature));
        }
    }

    #[test]
    fn identities_are_signed_as_in_the_notes() {
        for (app_data, encoded, signature) in [
            (
                "60aa00bb00cc00,demo,2052,100",
                Some("NjBhYTAwYmIwMGNjMDAsZGVtbywyMDUyLDEwMA=="),
                "ZmM1ZjlmMWI0ODI3MDZkZjA2ZjkyNzQ1NjYzNmU1NmZkZGMzY2I0MzQyY2Y0YTIxMDE1NjI1ZjlhZDkxZGEwMg==",
            ),
            (
                "60aa00bb00cc00,demo,2052,0",
                None,
                "OGFiODEyNjFmYTgwNDg4M2M1ZWM5YzJjNzc2MDMwNTdkMzExZWMzODE3NTdmYTJiOWI0MDEzYzBkNWE1MzUxNA==",
            ),
            (
                "60aa00bb00cc00,张三,2052,100",
                Some("NjBhYTAwYmIwMGNjMDAs5byg5LiJLDIwNTIsMTAw"),
                "MDRkYmFmYmU1NmVmNzEwNWE3N2ZiNzUwZDhkNmIzZmNiNjI3ZWZkNmQzMmQ2NTAwOTU0NWI0OTM1YTEyNmMyMQ==",
            ),
        ] {
            assert_eq!(identity(APP_ID, app_data, SECRET), signature, "{app_data}");
            if let Some(encoded) = encoded {
                assert_eq!(BASE64.encode(app_data), encoded);
            }
        }
    }

    #[test]
    fn logins_are_signed_as_in_the_notes() {
        let of = |user| logins("60aa00bb00cc00", user, APP_ID, SECRET, "1700000000");
        let [demo, sha1] = of("demo");
        assert_eq!(demo, "9484221a2f6c7b65368f293c7ccf7c40c6baeb4c61599c39da66f253a1fed5e1");
        assert_eq!(sha1, "bac84f3d76e53a9c03b4b55d2ff59c1b572a182a");
        assert_eq!(of("Administrator")[0], "b78b0cffef1a3e678c34fe9cb999d9a102e256cbbe0c562ae2fac784f6f17201");
    }
}
