//! The gateway's signature.

use std::collections::BTreeMap;

use hmac::{Hmac, Mac};
use md5::{Digest as _, Md5};
use serde::Deserialize;
use sha2::Sha256;

use crate::config::Secret;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum SignMethod {
    #[serde(rename = "md5")]
    Md5,
    /// HMAC-MD5.
    #[serde(rename = "hmac")]
    Hmac,
    #[default]
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
}

impl SignMethod {
    pub fn as_str(self) -> &'static str {
        match self {
            SignMethod::Md5 => "md5",
            SignMethod::Hmac => "hmac",
            SignMethod::HmacSha256 => "hmac-sha256",
        }
    }

    /// The `sign` over all parameters of a request. Empty values are left out of it, as they must be of the request:
    /// the vendor's own clients disagree about whether they count.
    pub fn sign(self, secret: &Secret, parameters: &BTreeMap<String, String>) -> String {
        let mut text = String::new();
        for (name, value) in parameters {
            if name != "sign" && !name.is_empty() && !value.is_empty() {
                text.push_str(name);
                text.push_str(value);
            }
        }
        let key = secret.expose().as_bytes();
        match self {
            SignMethod::Md5 => {
                let digest = Md5::new().chain_update(key).chain_update(&text).chain_update(key).finalize();
                hex::encode_upper(digest)
            }
            SignMethod::Hmac => hex::encode_upper(mac::<Hmac<Md5>>(key, &text)),
            SignMethod::HmacSha256 => hex::encode_upper(mac::<Hmac<Sha256>>(key, &text)),
        }
    }
}

fn mac<M: Mac + hmac::digest::KeyInit>(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = <M as Mac>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const TRADES: &str = r#"[{"tid":"T20260115001","trade_status":30,"pay_status":2,"delivery_term":1,"trade_time":"2026-01-15 09:00:00","pay_time":"2026-01-15 09:01:00","buyer_nick":"测试买家","receiver_name":"张三","receiver_province":"北京","receiver_city":"北京市","receiver_district":"海淀区","receiver_address":"中关村大街1号","receiver_mobile":"13800000000","post_amount":0,"cod_amount":0,"ext_cod_fee":0,"other_amount":0,"paid":100,"order_list":[{"oid":"T20260115001-1","num":2,"price":50,"status":30,"refund_status":0,"goods_id":"G1","spec_id":"S1","goods_no":"G1","spec_no":"SKU001","goods_name":"测试商品","adjust_amount":0,"discount":0,"share_discount":0}]}]"#;

    fn jushuitan() -> Vec<(&'static str, &'static str)> {
        vec![
            ("target_app_key", "23060081"),
            ("method", "jushuitan.saleout.list.query"),
            ("customer_id", "10000001"),
            ("page_index", "1"),
            ("page_size", "25"),
            ("status", "Confirmed"),
            ("start_time", "2026-01-14 00:00:00"),
            ("end_time", "2026-01-15 00:00:00"),
        ]
    }

    fn wangdiantong(method: &'static str) -> Vec<(&'static str, &'static str)> {
        vec![("target_app_key", "21363512"), ("method", method), ("sid", "demo2")]
    }

    fn check(method: SignMethod, own: &[(&str, &str)], expected: &str) {
        let common = [("app_key", "30000001"), ("format", "json"), ("v", "2.0"), ("timestamp", "2026-01-15 10:30:00")];
        let mut parameters: BTreeMap<String, String> =
            common.iter().chain(own).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        parameters.insert("sign_method".into(), method.as_str().into());
        assert_eq!(method.sign(&Secret::new(SECRET), &parameters), expected, "{parameters:?}");
        parameters.insert("sign".into(), "left out".into());
        assert_eq!(method.sign(&Secret::new(SECRET), &parameters), expected);
    }

    #[test]
    fn signs_the_jushuitan_query_as_the_vectors_say() {
        let a = jushuitan();
        check(SignMethod::Md5, &a, "DD41A9CBE39401055D9A3ED9CA0E5D28");
        check(SignMethod::Hmac, &a, "4F57AFD42BC4217F5A0AB4DA25491501");
        check(SignMethod::HmacSha256, &a, "D335C4C9E0C2D24291538025D90890BC8831FD5E7FF84AF3BFD352A56D5248CB");
        let empty = [a.clone(), vec![("session", "")]].concat();
        check(SignMethod::Md5, &empty, "DD41A9CBE39401055D9A3ED9CA0E5D28");
        let more = [a, vec![("is_get_total", "true"), ("so_ids", "1001,1002")]].concat();
        check(SignMethod::Md5, &more, "F67FE3124A5A742A7C62329D1127360F");
        // An older interface of the same gateway, with a signature of its own among the parameters and no version.
        let older = [
            ("target_app_key", "23060081"),
            ("v", ""),
            ("method", "jst.orders.query"),
            ("jstsign", "8c902199103b35ce01150366d013d4b3"),
            ("page_index", "1"),
            ("page_size", "25"),
            ("partnerid", "partner-id"),
            ("token", "tok123"),
            ("ts", "1768444200"),
        ];
        check(SignMethod::Md5, &older, "3BBC15DE34E895DEB11544BFFB7186B3");
    }

    #[test]
    fn signs_the_wangdiantong_requests_as_the_vectors_say() {
        let own = [
            ("start_time", "2026-01-14 00:00:00"),
            ("end_time", "2026-01-15 00:00:00"),
            ("page_no", "0"),
            ("page_size", "40"),
            ("status", "80"),
        ];
        let b = [wangdiantong("wdt.stockin.order.query"), own.to_vec()].concat();
        check(SignMethod::Md5, &b, "AE681974D6C7DB0ABB5FF5AEBAE26CC5");
        check(SignMethod::Hmac, &b, "5C173C2C96280FA6BC2767860132E01D");
        check(SignMethod::HmacSha256, &b, "E1A9AD4267A57870728F2E2D1E58F6744C01F70C76FBDA3E6186FBEF04315142");
        assert_eq!((TRADES.chars().count(), TRADES.len()), (618, 666));
        let c = [wangdiantong("wdt.trade.push"), vec![("shop_no", "SHOP01"), ("trade_list", TRADES)]].concat();
        check(SignMethod::Md5, &c, "C1BCFE5E26CFAB4AD0AD6EF02068289B");
        check(SignMethod::Hmac, &c, "192A77C11A4F3DCC7260F0808553781C");
        check(SignMethod::HmacSha256, &c, "C9D8A8B71D5FEF7EA6D05507351ACFF92B8FD19406AEDD305DC2C99A6E3EEB56");
    }
}
