//! The parameters of `wdt.stockin.order.query` and the rules of the merchant's system.

use jiff::{SignedDuration, Timestamp};

use crate::qimen::{Failure, Parameters};
use crate::time;

const SPAN_LIMIT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The web edition's code for a span that is too long.
const SPAN_CODE: &str = "11000000";
const PAGE_SIZE: usize = 40;
const STATUS_DONE: &str = "80";

/// A request that keeps the rules.
#[derive(Debug)]
pub struct Query {
    /// From 0.
    pub page_no: usize,
    pub page_size: usize,
    pub order_type: Option<String>,
    pub status: String,
    pub warehouse_no: Option<String>,
    /// Both ends belong to it. `None` where a number stands in its place.
    pub window: Option<(Timestamp, Timestamp)>,
    pub stockin_no: Option<String>,
    pub src_order_no: Option<String>,
    pub outer_no: Option<String>,
}

#[derive(Debug)]
pub struct Rules {
    pub page_size_limit: usize,
    pub invalid_code: String,
}

impl Rules {
    /// The texts are a guess: no source has the real ones.
    pub fn refuse(&self, message: &str) -> Failure {
        Failure::provider(&self.invalid_code, message)
    }

    pub fn read(&self, parameters: &Parameters) -> Result<Query, Failure> {
        let page_no = self.number(parameters, "page_no", 0)?;
        let page_size = self.number(parameters, "page_size", PAGE_SIZE)?;
        if page_size == 0 || page_size > self.page_size_limit {
            return Err(self.refuse(&format!("page_size 必须在1到{}之间", self.page_size_limit)));
        }
        self.number(parameters, "order_type", 0)?;
        self.number(parameters, "status", 0)?;
        let [stockin_no, src_order_no, outer_no] =
            ["stockin_no", "src_order_no", "outer_no"].map(|name| parameters.optional(name));
        let by_number = stockin_no.is_some() || src_order_no.is_some() || outer_no.is_some();
        Ok(Query {
            page_no,
            page_size,
            order_type: parameters.optional("order_type"),
            status: parameters.optional("status").unwrap_or_else(|| STATUS_DONE.to_owned()),
            warehouse_no: parameters.optional("warehouse_no"),
            window: if by_number { None } else { Some(self.window(parameters)?) },
            stockin_no,
            src_order_no,
            outer_no,
        })
    }

    fn number(&self, parameters: &Parameters, name: &str, default: usize) -> Result<usize, Failure> {
        match parameters.get(name) {
            "" => Ok(default),
            text => text
                .parse::<i32>()
                .ok()
                .and_then(|number| usize::try_from(number).ok())
                .ok_or_else(|| self.refuse(&format!("{name} 不合法"))),
        }
    }

    fn window(&self, parameters: &Parameters) -> Result<(Timestamp, Timestamp), Failure> {
        let (start, end) = (parameters.get("start_time"), parameters.get("end_time"));
        if start.is_empty() || end.is_empty() {
            return Err(self.refuse("start_time、end_time 不能为空"));
        }
        let (Some(start), Some(end)) = (time::parse(start), time::parse(end)) else {
            return Err(self.refuse("时间格式不正确，应为yyyy-MM-dd HH:mm:ss"));
        };
        if end < start {
            return Err(self.refuse("结束时间不能早于开始时间"));
        }
        if end.duration_since(start) > SPAN_LIMIT {
            return Err(Failure::provider(SPAN_CODE, "时间跨度不能超过30天"));
        }
        Ok((start, end))
    }
}
