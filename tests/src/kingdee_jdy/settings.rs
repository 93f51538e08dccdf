//! What no source settles about 星辰, with the default that is hardest on a client.

use serde::Deserialize;

/// Which of its two generations' envelopes a path answers in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    /// `errcode`, `description`, `data`, on every path, as gateway and second generation do.
    Second,
    /// `success`, `errorCode`, `data` on the first generation's paths.
    ByPath,
}

/// What opens the first generation's paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstAuth {
    /// `?access_token=…` or the header `app-token`.
    Either,
    AccessToken,
    AppToken,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JdyOptions {
    pub envelope: Envelope,
    pub first_auth: FirstAuth,
    /// Business calls must carry `X-GW-Router-Addr`, the `domain` of the authorisation.
    pub router_header: bool,
    /// Business calls must carry the headers `accountId` and `groupName`.
    pub account_headers: bool,
    pub token_lifetime_seconds: i64,
    /// HTTP status of the answer to a token that has expired; only known not to be 2xx.
    pub expired_status: u16,
    /// The vendor says "about daily"; never where absent.
    pub secret_lifetime_seconds: Option<i64>,
    /// `expires` is the instant of expiry in milliseconds. Else the time to live.
    pub expires_is_an_instant: bool,
    /// `errcode` of a wrong request signature.
    pub signature_code: u32,
    /// `errcode` of a token request that is refused because of its `app_signature`, and of a missing token.
    pub authority_code: u32,
    /// `errcode` of a bill that is refused.
    pub business_code: u32,
    /// A bill number in the head is kept. Else the system gives one of its own.
    pub keep_head_billno: bool,
    /// A bill number in a row is kept.
    pub keep_row_billno: bool,
    pub keep_remark: bool,
    /// A second bill with a number that is taken is refused.
    pub unique_billno: bool,
    /// `search` looks into remarks too. Else into bill numbers only.
    pub search_remark: bool,
    /// A quantity may be written as text.
    pub quantity_as_text: bool,
    /// Internal ids may be written as numbers.
    pub ids_as_numbers: bool,
    /// Rows of a page; more are not given, without a word.
    pub page_size_limit: usize,
    /// A new account: no material, no stock, no unit.
    pub empty_tables: bool,
}

impl Default for JdyOptions {
    fn default() -> Self {
        Self {
            envelope: Envelope::Second,
            first_auth: FirstAuth::Either,
            router_header: false,
            account_headers: false,
            token_lifetime_seconds: 86_400,
            expired_status: 401,
            secret_lifetime_seconds: Some(86_400),
            expires_is_an_instant: false,
            signature_code: 4003,
            authority_code: 4012,
            business_code: 2_000_000_001,
            keep_head_billno: true,
            keep_row_billno: false,
            keep_remark: true,
            unique_billno: false,
            search_remark: false,
            quantity_as_text: false,
            ids_as_numbers: false,
            page_size_limit: 100,
            empty_tables: false,
        }
    }
}
