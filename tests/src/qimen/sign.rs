//! Signatures of the Qimen gateway, from the vendor's table: all parameters but `sign`, empties dropped, sorted by key,
//! `key + value` without separators, digest in upper-case hex.

use std::collections::BTreeMap;

use hmac::{Hmac, Mac as _};
use md5::Md5;
use sha2::{Digest as _, Sha256};

/// `None` for a method that the gateway does not know.
pub fn expected(parameters: &BTreeMap<String, String>, method: &str, secret: &str) -> Option<String> {
    let text: String = parameters
        .iter()
        .filter(|(key, value)| key.as_str() != "sign" && !key.is_empty() && !value.is_empty())
        .flat_map(|(key, value)| [key.as_str(), value.as_str()])
        .collect();
    let digest = match method {
        "md5" => Md5::digest(format!("{secret}{text}{secret}")).to_vec(),
        "hmac" => {
            let mut mac = Hmac::<Md5>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().to_vec()
        }
        "hmac-sha256" => {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().to_vec()
        }
        _ => return None,
    };
    Some(hex::encode_upper(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn vector_a(method: &str, more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let mut parameters: BTreeMap<_, _> = [
            ("app_key", "30000001"),
            ("target_app_key", "23060081"),
            ("method", "jushuitan.saleout.list.query"),
            ("format", "json"),
            ("v", "2.0"),
            ("timestamp", "2026-01-15 10:30:00"),
            ("customer_id", "10000001"),
            ("page_index", "1"),
            ("page_size", "25"),
            ("status", "Confirmed"),
            ("start_time", "2026-01-14 00:00:00"),
            ("end_time", "2026-01-15 00:00:00"),
            ("sign_method", method),
        ]
        .into_iter()
        .chain(more.iter().copied())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
        parameters.insert("sign".to_owned(), "is not signed".to_owned());
        parameters
    }

    fn check(method: &str, more: &[(&str, &str)], sign: &str) {
        assert_eq!(expected(&vector_a(method, more), method, SECRET).as_deref(), Some(sign), "{method} {more:?}");
    }

    #[test]
    fn agrees_with_every_vector_of_the_vendor_notes() {
        check("md5", &[], "DD41A9CBE39401055D9A3ED9CA0E5D28");
        check("hmac", &[], "4F57AFD42BC4217F5A0AB4DA25491501");
        check("hmac-sha256", &[], "D335C4C9E0C2D24291538025D90890BC8831FD5E7FF84AF3BFD352A56D5248CB");
        check("md5", &[("session", "")], "DD41A9CBE39401055D9A3ED9CA0E5D28");
        check("md5", &[("is_get_total", "true"), ("so_ids", "1001,1002")], "F67FE3124A5A742A7C62329D1127360F");
    }

    #[test]
    fn knows_no_other_method() {
        assert_eq!(expected(&vector_a("sha1", &[]), "sha1", SECRET), None);
    }
}
