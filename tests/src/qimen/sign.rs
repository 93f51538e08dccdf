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

    const TRADES: &str = r#"[{"tid":"T20260115001","trade_status":30,"pay_status":2,"delivery_term":1,"trade_time":"2026-01-15 09:00:00","pay_time":"2026-01-15 09:01:00","buyer_nick":"测试买家","receiver_name":"张三","receiver_province":"北京","receiver_city":"北京市","receiver_district":"海淀区","receiver_address":"中关村大街1号","receiver_mobile":"13800000000","post_amount":0,"cod_amount":0,"ext_cod_fee":0,"other_amount":0,"paid":100,"order_list":[{"oid":"T20260115001-1","num":2,"price":50,"status":30,"refund_status":0,"goods_id":"G1","spec_id":"S1","goods_no":"G1","spec_no":"SKU001","goods_name":"测试商品","adjust_amount":0,"discount":0,"share_discount":0}]}]"#;
    const JUSHUITAN: &[(&str, &str)] = &[
        ("target_app_key", "23060081"),
        ("v", "2.0"),
        ("method", "jushuitan.saleout.list.query"),
        ("customer_id", "10000001"),
        ("page_index", "1"),
        ("page_size", "25"),
        ("status", "Confirmed"),
        ("start_time", "2026-01-14 00:00:00"),
        ("end_time", "2026-01-15 00:00:00"),
    ];
    const WANGDIANTONG: &[(&str, &str)] = &[("target_app_key", "21363512"), ("v", "2.0"), ("sid", "demo2")];

    fn parameters(method: &str, own: &[(&str, &str)]) -> BTreeMap<String, String> {
        let common = [
            ("app_key", "30000001"),
            ("format", "json"),
            ("timestamp", "2026-01-15 10:30:00"),
            ("sign_method", method),
            ("sign", "is not signed"),
        ];
        common.iter().chain(own).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn check(method: &str, own: &[&[(&str, &str)]], sign: &str) {
        let parameters = parameters(method, &own.concat());
        assert_eq!(expected(&parameters, method, SECRET).as_deref(), Some(sign), "{method} {own:?}");
    }

    #[test]
    fn agrees_with_every_vector_of_jushuitan() {
        check("md5", &[JUSHUITAN], "DD41A9CBE39401055D9A3ED9CA0E5D28");
        check("hmac", &[JUSHUITAN], "4F57AFD42BC4217F5A0AB4DA25491501");
        check("hmac-sha256", &[JUSHUITAN], "D335C4C9E0C2D24291538025D90890BC8831FD5E7FF84AF3BFD352A56D5248CB");
        check("md5", &[JUSHUITAN, &[("session", "")]], "DD41A9CBE39401055D9A3ED9CA0E5D28");
        let more = [("is_get_total", "true"), ("so_ids", "1001,1002")];
        check("md5", &[JUSHUITAN, &more], "F67FE3124A5A742A7C62329D1127360F");
        // An older interface of the same gateway, with a signature of its own among the parameters and no version.
        let older = [
            ("target_app_key", "23060081"),
            ("method", "jst.orders.query"),
            ("jstsign", "8c902199103b35ce01150366d013d4b3"),
            ("page_index", "1"),
            ("page_size", "25"),
            ("partnerid", "partner-id"),
            ("token", "tok123"),
            ("ts", "1768444200"),
        ];
        check("md5", &[&older], "3BBC15DE34E895DEB11544BFFB7186B3");
    }

    #[test]
    fn agrees_with_every_vector_of_wangdiantong() {
        let query = [
            ("method", "wdt.stockin.order.query"),
            ("start_time", "2026-01-14 00:00:00"),
            ("end_time", "2026-01-15 00:00:00"),
            ("page_no", "0"),
            ("page_size", "40"),
            ("status", "80"),
        ];
        check("md5", &[WANGDIANTONG, &query], "AE681974D6C7DB0ABB5FF5AEBAE26CC5");
        check("hmac", &[WANGDIANTONG, &query], "5C173C2C96280FA6BC2767860132E01D");
        let sha256 = "E1A9AD4267A57870728F2E2D1E58F6744C01F70C76FBDA3E6186FBEF04315142";
        check("hmac-sha256", &[WANGDIANTONG, &query], sha256);
        let push = [("method", "wdt.trade.push"), ("shop_no", "SHOP01"), ("trade_list", TRADES)];
        check("md5", &[WANGDIANTONG, &push], "C1BCFE5E26CFAB4AD0AD6EF02068289B");
        check("hmac", &[WANGDIANTONG, &push], "192A77C11A4F3DCC7260F0808553781C");
        let sha256 = "C9D8A8B71D5FEF7EA6D05507351ACFF92B8FD19406AEDD305DC2C99A6E3EEB56";
        check("hmac-sha256", &[WANGDIANTONG, &push], sha256);
    }

    #[test]
    fn knows_no_other_method() {
        assert_eq!(expected(&parameters("sha1", JUSHUITAN), "sha1", SECRET), None);
    }
}
