//! What no source settles about 旺店通, with the default that is hardest on a client.

use serde::Deserialize;

use crate::options::Money;

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WangdiantongOptions {
    /// Stock-ins at the start; as many as every source has where absent.
    pub documents: Option<usize>,
    /// How `status` and the other small whole numbers are written; one client compares text.
    pub whole_numbers: Money,
    /// `total_count` as text, as one recorded native answer has it.
    pub total_as_text: bool,
    /// The older text says 40, the newer one 100.
    pub page_size_limit: usize,
    /// What the merchant's system calls a value it does not take; known from the web edition only.
    pub invalid_code: String,
    /// A push may not say `switch`, which the gateway's interface lacks. Else it is ignored.
    pub refuse_switch: bool,
    /// So many different receivers under one and the same `buyer_nick` are refused with 99; never where absent.
    pub receivers_of_one_nick: Option<usize>,
    /// `paid` and `cod_amount` are checked against the formula.
    pub check_paid: bool,
    /// Province, city and district must be on the address list.
    pub check_places: bool,
    /// Where they are empty, the address is split at spaces and its parts are checked in their place.
    pub parse_address: bool,
    /// A line's number that another trade has is refused at once; else it is taken and fails when orders are made.
    pub refuse_repeated_oid: bool,
    /// Of a push that fails, the trades before the failing one stay.
    pub keep_before_failure: bool,
    /// A push with a bad trade answers success with a list of what failed, instead of failing as a whole.
    pub per_trade_results: bool,
}

impl Default for WangdiantongOptions {
    fn default() -> Self {
        Self {
            documents: None,
            whole_numbers: Money::Mixed,
            total_as_text: false,
            page_size_limit: 100,
            invalid_code: "2830".to_owned(),
            refuse_switch: true,
            receivers_of_one_nick: Some(20),
            check_paid: true,
            check_places: true,
            parse_address: true,
            refuse_repeated_oid: true,
            keep_before_failure: true,
            per_trade_results: false,
        }
    }
}
