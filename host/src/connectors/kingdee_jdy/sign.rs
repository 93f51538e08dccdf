//! The two signatures: of a request, and of an application's key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

use crate::config::Secret;

/// Everything but letters, digits and `-_.~`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// One layer of percent-encoding; a blank becomes `%20`, never `+`.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Base64 over the hex digits, not over the digest: the vendor's own way.
fn hmac_base64(key: &Secret, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).expect("HMAC takes keys of every length");
    mac.update(text.as_bytes());
    BASE64.encode(hex::encode(mac.finalize().into_bytes()))
}

/// `app_signature` of the token call: that the application's secret is known.
pub fn app_signature(app_key: &str, app_secret: &Secret) -> String {
    hmac_base64(app_secret, app_key)
}

/// What is signed of a request. The path is encoded once, names and values of the query twice; the body is not signed.
fn signed_text(method: &str, path: &str, query: &[(String, String)], nonce: u32, timestamp_ms: i64) -> String {
    let mut pairs: Vec<_> = query.iter().map(|(name, value)| (name, encode(&encode(value)))).collect();
    pairs.sort_unstable();
    let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| format!("{}={value}", encode(&encode(name)))).collect();
    let (path, pairs) = (encode(path), pairs.join("&"));
    format!("{method}\n{path}\n{pairs}\nx-api-nonce:{nonce}\nx-api-timestamp:{timestamp_ms}\n")
}

/// `X-Api-Signature`.
pub fn api_signature(
    client_secret: &Secret,
    method: &str,
    path: &str,
    query: &[(String, String)],
    nonce: u32,
    timestamp_ms: i64,
) -> String {
    hmac_base64(client_secret, &signed_text(method, path, query, nonce, timestamp_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP_SIGNATURE: &str =
        "YTJmMWYwMTBjYTM0M2YzMWYzYWExYzYyNmE5NzU1ZjVkM2RkYWM3ZWRiMTYzNDY1ZGM3ZDBkZmU0ZGIyZmIxMA==";

    #[test]
    fn an_applications_signature_is_the_vendors() {
        assert_eq!(
            app_signature("abc", &Secret::new("abc123")),
            "ZDljMTI3NGIyNTE1MTRkYzlkNjc1MDNhYjUzMzgzNWMyY2M4YTdjMzdmNmM3YTVlNDkxMTkzNjdiOTFjNzUyZQ=="
        );
        let secret = Secret::new("0a1b2c3d4e5f60718293a4b5c6d7e8f901234567");
        assert_eq!(app_signature("fPB7oQ01", &secret), APP_SIGNATURE);
    }

    #[test]
    fn a_requests_signature_is_that_of_every_vector() {
        let tail = "x-api-nonce:1234567\nx-api-timestamp:1700000000123\n";
        let secret = Secret::new("c0ffee00c0ffee00c0ffee00c0ffee00");
        type Case<'a> = (&'a str, &'a str, Vec<(String, String)>, &'a str, &'a str);
        let cases: [Case<'_>; 4] = [
            (
                "POST",
                "/jdyconnector/app_management/push_app_authorize",
                vec![("outerInstanceId".into(), "107218833860857856".into())],
                "POST\n%2Fjdyconnector%2Fapp_management%2Fpush_app_authorize\nouterInstanceId=107218833860857856\n",
                "NzljOGMwOGRiNTA2MjQ3MjJiYjE0M2I1YmI1OGRkNjczZGMwNDM0MjAwZmE0NTJjMWE5OGJhZmU1ZDQ5MmUzYw==",
            ),
            (
                "GET",
                "/jdyconnector/app_management/kingdee_auth_token",
                vec![("app_signature".into(), APP_SIGNATURE.into()), ("app_key".into(), "fPB7oQ01".into())],
                "GET\n%2Fjdyconnector%2Fapp_management%2Fkingdee_auth_token\napp_key=fPB7oQ01&app_signature=YTJmMWYwMTBjYTM0M2YzMWYzYWExYzYyNmE5NzU1ZjVkM2RkYWM3ZWRiMTYzNDY1ZGM3ZDBkZmU0ZGIyZmIxMA%253D%253D\n",
                "YWEyZDY3NmRlZDU0YjU2MWM2MzE5ODIwOTI1MTM2ZDdkY2EzNzZjZWRkYmFhZjI3YWJiNDJlZTZkMzM3YjhiMQ==",
            ),
            (
                "POST",
                "/jdy/inv/inv_check_gain_bill_save",
                vec![],
                "POST\n%2Fjdy%2Finv%2Finv_check_gain_bill_save\n\n",
                "YjY1NTkxNDYxNTdmZWQ3OGIzNzcxZjExMmZhZmMxYTJjMTZhYWQwNzYwZmIzYTNjZDlkZjcyMTY2YjRjZTJkNA==",
            ),
            (
                "GET",
                "/jdy/v2/scm/inv_check_gail_bill",
                vec![
                    ("search".into(), "盘 盈+1".into()),
                    ("page".into(), "1".into()),
                    ("page_size".into(), "10".into()),
                ],
                "GET\n%2Fjdy%2Fv2%2Fscm%2Finv_check_gail_bill\npage=1&page_size=10&search=%25E7%259B%2598%2520%25E7%259B%2588%252B1\n",
                "NTBiNzFlOWY5NTA0YzM0OGMyNTYxNTU3NDIzMGQxMDZkMjI0YTYwOTBiNTNhZTlhNzYwZjYwYzcxYTc4MWNkZA==",
            ),
        ];
        for (method, path, query, text, signature) in cases {
            assert_eq!(signed_text(method, path, &query, 1_234_567, 1_700_000_000_123), format!("{text}{tail}"));
            assert_eq!(api_signature(&secret, method, path, &query, 1_234_567, 1_700_000_000_123), signature, "{path}");
        }
    }
}
