//! The parameters of `jushuitan.saleout.list.query` and the rules of the merchant's system.

use jiff::{SignedDuration, Timestamp};

use crate::Options;

use crate::qimen::{Failure, Parameters};
use crate::time;

const SPAN_LIMIT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The cap of the vendor's order query, which one source repeats for this one.
const SO_IDS_LIMIT: usize = 20;
const STATUSES: &[&str] = &["WaitConfirm", "Confirmed", "Cancelled", "Delete", "OuterConfirming", "Archive"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeField {
    Modified,
    IoDate,
}

/// A request that keeps the rules.
#[derive(Debug)]
pub struct Query {
    pub page_index: usize,
    pub page_size: usize,
    pub status: Option<String>,
    pub window: Option<(Timestamp, Timestamp)>,
    pub time_field: TimeField,
    pub so_ids: Vec<String>,
    pub io_ids: Vec<String>,
    pub o_ids: Vec<String>,
    pub shop_id: Option<String>,
    pub wms_co_id: Option<String>,
    /// Rows from this version on, in the order of versions.
    pub start_ts: Option<i64>,
    pub with_total: bool,
}

#[derive(Debug)]
pub struct Rules {
    page_size_limit: usize,
    paging_required: bool,
    sub_code: String,
}

impl Rules {
    pub fn new(options: &Options) -> Self {
        Self {
            page_size_limit: options.page_size_limit,
            paging_required: options.paging_required,
            sub_code: options.provider_sub_code.clone(),
        }
    }

    /// The texts are a guess: no source has the real ones.
    pub fn refuse(&self, message: &str) -> Failure {
        Failure::provider(&self.sub_code, message)
    }

    pub fn read(&self, parameters: &Parameters) -> Result<Query, Failure> {
        let page_index = self.number(parameters, "page_index", 1)?;
        let page_size = self.number(parameters, "page_size", 30.min(self.page_size_limit))?;
        if page_index == 0 {
            return Err(self.refuse("page_index 从1开始"));
        }
        if page_size == 0 || page_size > self.page_size_limit {
            return Err(self.refuse(&format!("page_size 不能超过{}", self.page_size_limit)));
        }
        let status = parameters.optional("status");
        if status.as_deref().is_some_and(|status| !STATUSES.contains(&status)) {
            return Err(self.refuse("status 不合法"));
        }
        let time_field = match parameters.get("date_type") {
            "" | "0" => TimeField::Modified,
            "2" => TimeField::IoDate,
            _ => return Err(self.refuse("date_type 不合法")),
        };
        let query = Query {
            page_index,
            page_size,
            status,
            window: self.window(parameters)?,
            time_field,
            so_ids: list(parameters, "so_ids"),
            io_ids: list(parameters, "io_ids"),
            o_ids: list(parameters, "o_ids"),
            shop_id: parameters.optional("shop_id"),
            wms_co_id: parameters.optional("wms_co_id"),
            start_ts: self.cursor(parameters)?,
            with_total: parameters.get("is_get_total") != "false",
        };
        if query.so_ids.len() > SO_IDS_LIMIT {
            return Err(self.refuse(&format!("so_ids 最多{SO_IDS_LIMIT}个")));
        }
        let by_id = !(query.so_ids.is_empty() && query.io_ids.is_empty() && query.o_ids.is_empty());
        if query.window.is_none() && query.start_ts.is_none() && !by_id {
            return Err(self.refuse("开始时间、结束时间与线上单号不能同时为空"));
        }
        if query.start_ts.is_some() && query.window.is_some() {
            return Err(self.refuse("start_ts 不能与时间条件同时使用"));
        }
        Ok(query)
    }

    fn number(&self, parameters: &Parameters, name: &str, default: usize) -> Result<usize, Failure> {
        match parameters.get(name) {
            "" if self.paging_required => Err(self.refuse(&format!("{name} 不能为空"))),
            "" => Ok(default),
            // The vendor's field is an int.
            text => text
                .parse::<i32>()
                .ok()
                .and_then(|number| usize::try_from(number).ok())
                .ok_or_else(|| self.refuse(&format!("{name} 不合法"))),
        }
    }

    fn window(&self, parameters: &Parameters) -> Result<Option<(Timestamp, Timestamp)>, Failure> {
        let (start, end) = (parameters.get("start_time"), parameters.get("end_time"));
        match (start.is_empty(), end.is_empty()) {
            (true, true) => return Ok(None),
            (false, false) => {}
            _ => return Err(self.refuse("开始时间和结束时间必须同时存在")),
        }
        let (Some(start), Some(end)) = (time::parse(start), time::parse(end)) else {
            return Err(self.refuse("时间格式不正确，应为yyyy-MM-dd HH:mm:ss"));
        };
        if end < start {
            return Err(self.refuse("结束时间不能早于开始时间"));
        }
        if end.duration_since(start) > SPAN_LIMIT {
            return Err(self.refuse("开始时间与结束时间间隔不能超过7天"));
        }
        Ok(Some((start, end)))
    }

    fn cursor(&self, parameters: &Parameters) -> Result<Option<i64>, Failure> {
        match parameters.get("start_ts") {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| self.refuse("start_ts 不合法")),
        }
    }
}

/// `1,2`, `[1,2]` or `["1","2"]`: which one the vendor wants is not known, clients send all three.
fn list(parameters: &Parameters, name: &str) -> Vec<String> {
    let text = parameters.get(name).trim();
    let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    text.split(',').map(|part| part.trim().trim_matches('"').to_owned()).filter(|part| !part.is_empty()).collect()
}
