//! What no source settles about U8, with the default that is hardest on a client.

use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct U8Options {
    /// Sale-outs at the start; as many as every source has where absent.
    pub documents: Option<usize>,
    /// Rows of a list carry no `entry`; the lines come with `saleout/get`.
    pub heads_only: bool,
    /// `timestamp_begin` and `timestamp_end` filter. Else they are ignored, like any parameter that is not known.
    pub timestamp_filter: bool,
    /// More rows than this are not given, without a word: the answer's `rows_per_page` says what was meant.
    pub rows_per_page_limit: usize,
    /// Nothing found is this `errcode`; an empty list where absent.
    pub empty_code: Option<String>,
    pub token_lifetime_seconds: i64,
    /// Business calls within the life of a token; no limit where absent.
    pub call_budget: Option<u32>,
    /// A new token brings a new budget. Else the account has one budget for as long as a token lives.
    pub budget_per_token: bool,
    /// What is answered over the budget. The real one is not known.
    pub call_limit_code: String,
    /// What is answered to a token that was never given out.
    pub unknown_token_code: String,
}

impl Default for U8Options {
    fn default() -> Self {
        Self {
            documents: None,
            heads_only: true,
            timestamp_filter: false,
            rows_per_page_limit: 100,
            empty_code: Some("20002".to_owned()),
            token_lifetime_seconds: 7200,
            call_budget: Some(2000),
            budget_per_token: false,
            call_limit_code: "10001".to_owned(),
            unknown_token_code: "30012".to_owned(),
        }
    }
}
