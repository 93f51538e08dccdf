//! Everything that can be chosen when the simulator starts. Rules that no source confirms are here, with the default
//! that is hardest on a client.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::fault::Fault;
use crate::kingdee_jdy::JdyOptions;
use crate::wangdiantong_qimen::WangdiantongOptions;
use crate::yonyou_u8::U8Options;

/// Where a document that is modified mid-read goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoverTarget {
    /// Modified now, as in life: it leaves a window that ended in the past.
    Now,
    /// Modified at the end of the documents' window: it changes its page, and the count of rows stays.
    WindowEnd,
}

/// How amounts are written. The vendor's table says text; its native interface writes numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Money {
    Text,
    Number,
    /// One or the other from document to document.
    Mixed,
}

impl FromStr for Money {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "number" => Ok(Self::Number),
            "mixed" => Ok(Self::Mixed),
            _ => Err(format!("{text:?} is none of text, number, mixed")),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Options {
    pub listen: SocketAddr,
    pub seed: u64,
    pub faults: Vec<Fault>,
    /// Signatures and sessions are not checked; everything else is.
    pub plain: bool,

    /// Documents that each source has at the start.
    pub documents: usize,
    /// Their `modified` lies in `from..=to`. Default: three days, ending ten minutes before the start.
    pub from: Timestamp,
    pub to: Timestamp,
    /// Shares of documents made to be skipped, rejected by a mapping, or refused by the target, in percent.
    pub skip_percent: u32,
    pub reject_percent: u32,
    pub refuse_percent: u32,
    pub money: Money,
    /// Lines that each of 聚水潭's documents has.
    pub lines: RangeInclusive<u64>,
    /// Documents that change `modified` and `remark` while somebody reads.
    pub movers: usize,
    pub mover_target: MoverTarget,
    /// Documents that become `Cancelled` while somebody reads.
    pub cancelled: usize,
    /// Rows a page may hold. Two vendor texts say 50 and 100.
    pub page_size_limit: usize,
    /// Whether a row modified in the very second of `end_time` belongs to the window. No source says.
    pub window_end_inclusive: bool,
    /// Bytes that each of 聚水潭's documents carries on top in a page, for volume that nobody has to keep: what is listed and
    /// told as served is without them.
    pub pad_bytes: usize,
    /// `page_index` and `page_size` must be sent (the 2026 table) or default to 1 and 30 (the 2023 page).
    pub paging_required: bool,
    /// Requests a second and burst of one app and method; none where absent.
    pub rate_limit: Option<RateLimit>,
    /// `sub_code` of the provider's refusals; the real ones are not known.
    pub provider_sub_code: String,

    /// How far a K3Cloud timestamp may be off.
    pub signature_tolerance_seconds: i64,
    /// A K3Cloud session ends after so long without a request; never where absent.
    pub session_lifetime_seconds: Option<i64>,
    /// Rows a query may return. Vendor texts say 2000 and 10000.
    pub query_limit: usize,
    /// Bills one BatchSave may carry; no limit where absent, none is documented.
    pub batch_limit: Option<usize>,
    /// Demand `FUnitID` and the settlement fields too, which one source calls required.
    pub strict_required: bool,
    /// Above this, a row is refused with the vendor's quantity text.
    pub quantity_limit: u64,
    /// A second bill of one number is taken, as by a site whose administrator switched the check off.
    pub allow_duplicate_numbers: bool,
    /// An audit fails for want of stock unless the packet carries the flag `STK_InvCheckResult`.
    pub stock_is_short: bool,

    pub wangdiantong: WangdiantongOptions,
    pub u8: U8Options,
    pub jdy: JdyOptions,
}

/// A bucket that holds `burst` requests and refills at `per_second`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    pub per_second: u32,
    pub burst: u32,
}

impl Default for Options {
    fn default() -> Self {
        let to = Timestamp::now() - SignedDuration::from_mins(10);
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed: 1,
            faults: Vec::new(),
            plain: false,
            documents: 100,
            from: to - SignedDuration::from_hours(72),
            to,
            skip_percent: 4,
            reject_percent: 4,
            refuse_percent: 3,
            money: Money::Mixed,
            lines: 1..=20,
            movers: 0,
            mover_target: MoverTarget::Now,
            cancelled: 0,
            page_size_limit: 50,
            window_end_inclusive: true,
            pad_bytes: 0,
            paging_required: false,
            rate_limit: None,
            provider_sub_code: "invalid-parameter".to_owned(),
            signature_tolerance_seconds: 300,
            session_lifetime_seconds: None,
            query_limit: 2000,
            batch_limit: None,
            strict_required: false,
            quantity_limit: 100_000,
            allow_duplicate_numbers: false,
            stock_is_short: false,
            wangdiantong: WangdiantongOptions::default(),
            u8: U8Options::default(),
            jdy: JdyOptions::default(),
        }
    }
}
