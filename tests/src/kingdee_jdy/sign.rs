//! Signatures, from the vendor's worked vectors: base64 over the lower-case hex of an HMAC-SHA256.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn encode(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string()
}

/// `X-Api-Signature`. The pairs are taken in the order given.
pub fn request(
    method: &str,
    path: &str,
    pairs: &[(String, String)],
    nonce: &str,
    timestamp: &str,
    secret: &str,
) -> String {
    let twice = |text: &str| encode(&encode(text));
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{}={}", twice(key), twice(value))).collect();
    let path = encode(path);
    let text = format!("{method}\n{path}\n{}\nx-api-nonce:{nonce}\nx-api-timestamp:{timestamp}\n", pairs.join("&"));
    hmac(secret, &text)
}

/// `app_signature` of a token request.
pub fn application(app_key: &str, app_secret: &str) -> String {
    hmac(app_secret, app_key)
}

fn hmac(key: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    BASE64.encode(hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "c0ffee00c0ffee00c0ffee00c0ffee00";
    const OWN: &str = "YTJmMWYwMTBjYTM0M2YzMWYzYWExYzYyNmE5NzU1ZjVkM2RkYWM3ZWRiMTYzNDY1ZGM3ZDBkZmU0ZGIyZmIxMA==";

    #[test]
    fn applications_are_signed_as_in_the_notes() {
        for (key, secret, signature) in [
            (
                "abc",
                "abc123",
                "ZDljMTI3NGIyNTE1MTRkYzlkNjc1MDNhYjUzMzgzNWMyY2M4YTdjMzdmNmM3YTVlNDkxMTkzNjdiOTFjNzUyZQ==",
            ),
            ("fPB7oQ01", "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567", OWN),
        ] {
            assert_eq!(application(key, secret), signature, "{key}");
        }
    }

    #[test]
    fn requests_are_signed_as_in_the_notes() {
        for (method, path, pairs, signature) in [
            (
                "POST",
                "/jdyconnector/app_management/push_app_authorize",
                &[("outerInstanceId", "107218833860857856")][..],
                "NzljOGMwOGRiNTA2MjQ3MjJiYjE0M2I1YmI1OGRkNjczZGMwNDM0MjAwZmE0NTJjMWE5OGJhZmU1ZDQ5MmUzYw==",
            ),
            (
                "GET",
                "/jdyconnector/app_management/kingdee_auth_token",
                &[("app_key", "fPB7oQ01"), ("app_signature", OWN)],
                "YWEyZDY3NmRlZDU0YjU2MWM2MzE5ODIwOTI1MTM2ZDdkY2EzNzZjZWRkYmFhZjI3YWJiNDJlZTZkMzM3YjhiMQ==",
            ),
            (
                "POST",
                "/jdy/inv/inv_check_gain_bill_save",
                &[],
                "YjY1NTkxNDYxNTdmZWQ3OGIzNzcxZjExMmZhZmMxYTJjMTZhYWQwNzYwZmIzYTNjZDlkZjcyMTY2YjRjZTJkNA==",
            ),
            (
                "GET",
                "/jdy/v2/scm/inv_check_gail_bill",
                &[("page", "1"), ("page_size", "10"), ("search", "盘 盈+1")],
                "NTBiNzFlOWY5NTA0YzM0OGMyNTYxNTU3NDIzMGQxMDZkMjI0YTYwOTBiNTNhZTlhNzYwZjYwYzcxYTc4MWNkZA==",
            ),
        ] {
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            assert_eq!(request(method, path, &pairs, "1234567", "1700000000123", SECRET), signature, "{path}");
        }
    }
}
