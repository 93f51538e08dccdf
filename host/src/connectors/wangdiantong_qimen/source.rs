//! Reads stock-ins.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::connectors::http::Http;
use crate::connectors::qimen::{Gateway, Listing, WindowPage, WindowReader, wall_clock};
use crate::connectors::{Error, PageSink, ReadSummary, Source, Span};

use super::errors::refine;
use super::settings::{Connection, QUERY, StockinOptions};
use super::wire::{self, StockinPage};

/// Stock-ins of one account, as one scheme wants them.
#[derive(Debug)]
pub struct Stockins {
    gateway: Gateway,
    options: StockinOptions,
}

impl Stockins {
    pub fn new(connection: &Connection, http: &Http, options: StockinOptions) -> Self {
        Self { gateway: connection.gateway(http), options }
    }

    async fn ask(&self, own: &[(&str, String)], page_no: u64, page_size: u32) -> Result<StockinPage, Error> {
        let mut business = vec![("page_no", page_no.to_string()), ("page_size", page_size.to_string())];
        business.extend_from_slice(own);
        business.extend_from_slice(&self.options.filters);
        let answered = self.gateway.call(QUERY, &business).await.map_err(refine)?;
        wire::stockins(&answered)
    }
}

#[async_trait]
impl Listing for Stockins {
    const FIRST_PAGE: u64 = 0;
    /// Both ends count as inside, so two windows that follow each other share a second; what stands in it is read twice,
    /// and the ledger knows a record by its key and bytes.
    const WINDOW_LIMIT: SignedDuration = SignedDuration::from_hours(30 * 24);

    async fn page(
        &self,
        window: (Timestamp, Timestamp),
        status: &str,
        number: u64,
        page_size: u32,
    ) -> Result<WindowPage, Error> {
        let query =
            [("start_time", wall_clock(window.0)), ("end_time", wall_clock(window.1)), ("status", status.to_owned())];
        let StockinPage { record_count, documents } = self.ask(&query, number, page_size).await?;
        // No other page carries the count, whatever stands there.
        let record_count = record_count.filter(|_| number == Self::FIRST_PAGE);
        Ok(WindowPage { record_count, page_count: None, documents })
    }
}

#[async_trait]
impl Source for Stockins {
    fn window_limit(&self) -> Option<SignedDuration> {
        Some(Self::WINDOW_LIMIT)
    }

    async fn read(&self, span: &Span, sink: &mut dyn PageSink) -> Result<ReadSummary, Error> {
        let mut summary = ReadSummary::default();
        let Span::Window { start, end } = span else {
            let message = "stock-ins carry no row version: they are read by windows";
            return Err(Error::Unknown { code: "no_row_version".into(), message: message.into() });
        };
        let statuses: Vec<String> = self.options.statuses.iter().map(u32::to_string).collect();
        let StockinOptions { page_size, max_passes, .. } = self.options;
        let reader = WindowReader { listing: self, statuses: &statuses, page_size, max_passes };
        reader.read(*start, *end, sink, &mut summary).await?;
        Ok(summary)
    }

    fn lies_within(&self, body: &str, start: Timestamp, end: Timestamp) -> Option<bool> {
        wire::modified(body).map(|modified| (start..end).contains(&modified))
    }

    async fn probe(&self) -> Result<(), Error> {
        probe(&self.gateway).await
    }
}

/// A minute's stock-ins, one at most: the cheapest question there is, for either direction.
pub(super) async fn probe(gateway: &Gateway) -> Result<(), Error> {
    let now = gateway.now();
    let minute_ago = now.checked_sub(SignedDuration::from_mins(1)).unwrap_or(now);
    let business = [
        ("start_time", wall_clock(minute_ago)),
        ("end_time", wall_clock(now)),
        ("page_no", "0".to_owned()),
        ("page_size", "1".to_owned()),
    ];
    let answered = gateway.call(QUERY, &business).await.map_err(refine)?;
    wire::stockins(&answered).map(drop)
}
