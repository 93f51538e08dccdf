//! Reads sale-outs.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::connectors::http::Http;
use crate::connectors::qimen::{Gateway, Listing, WindowPage, WindowReader, hand_over, wall_clock};
use crate::connectors::{Error, PageSink, ReadSummary, Source, Span};

use super::errors::refine;
use super::settings::{Connection, Cursor, OPERATION, Options};
use super::wire::{self, SaleoutPage};

/// Sale-outs of one account, as one scheme wants them.
#[derive(Debug)]
pub struct Saleouts {
    gateway: Gateway,
    options: Options,
}

impl Saleouts {
    pub fn new(connection: &Connection, http: &Http, options: Options) -> Self {
        Self { gateway: connection.gateway(http), options }
    }

    async fn ask(&self, own: &[(&str, String)], page_index: u64, page_size: u32) -> Result<SaleoutPage, Error> {
        let mut business = vec![("page_index", page_index.to_string()), ("page_size", page_size.to_string())];
        business.extend_from_slice(own);
        business.extend_from_slice(&self.options.filters);
        let answered = self.gateway.call(OPERATION, &business).await.map_err(refine)?;
        wire::parse(&answered)
    }

    async fn read_after(
        &self,
        row_version: i64,
        since: Timestamp,
        sink: &mut dyn PageSink,
        summary: &mut ReadSummary,
    ) -> Result<(), Error> {
        // The vendor's first row version is 1.
        let mut cursor = row_version.max(1);
        let mut page_size = self.options.page_size;
        summary.passes = 1;
        summary.row_version = Some(row_version);
        loop {
            let query = [("start_ts", cursor.to_string()), ("is_get_total", "false".to_owned())];
            let page = match self.ask(&query, 1, page_size).await {
                Err(Error::TooLarge { .. }) if page_size > 1 => {
                    page_size /= 2;
                    continue;
                }
                other => other?,
            };
            let full = page.rows.len() >= page_size as usize;
            let newest = newest_version(&page)?;
            // No filter by status goes with this cursor, so what the scheme does not want is left out here. A record
            // that cannot be read is handed over: somebody has to see it.
            let wanted = page
                .rows
                .into_iter()
                .filter(|row| row.document.key.is_err() || self.options.statuses.contains(&row.status))
                .filter(|row| row.modified.is_none_or(|modified| modified >= since));
            let position = format!("after row version {cursor}");
            let documents = wanted.map(|row| row.document).collect();
            hand_over(documents, None, position, sink, summary).await?;
            match newest {
                Some(newest) if newest > cursor => cursor = newest,
                Some(_) if full => {
                    let message = format!("a full page at row version {cursor} names no larger one");
                    return Err(Error::Unknown { code: "row_version_stuck".into(), message });
                }
                _ => break,
            }
            summary.row_version = Some(cursor);
        }
        Ok(())
    }
}

/// The largest row version of the page. Every record must have one, or the next question would pass it over.
fn newest_version(page: &SaleoutPage) -> Result<Option<i64>, Error> {
    if page.rows.iter().any(|row| row.row_version.is_none()) {
        let message = "a record carries no ts: this account cannot be read by row version; set cursor = \"window\"";
        return Err(Error::Unknown { code: "no_row_version".into(), message: message.into() });
    }
    Ok(page.rows.iter().filter_map(|row| row.row_version).max())
}

#[async_trait]
impl Listing for Saleouts {
    const FIRST_PAGE: u64 = 1;
    const WINDOW_LIMIT: SignedDuration = SignedDuration::from_hours(7 * 24);

    async fn page(
        &self,
        window: (Timestamp, Timestamp),
        status: &str,
        number: u64,
        page_size: u32,
    ) -> Result<WindowPage, Error> {
        let query = [
            ("start_time", wall_clock(window.0)),
            ("end_time", wall_clock(window.1)),
            ("status", status.to_owned()),
            ("is_get_total", "true".to_owned()),
        ];
        let SaleoutPage { record_count, page_count, rows } = self.ask(&query, number, page_size).await?;
        let documents = rows.into_iter().map(|row| row.document).collect();
        Ok(WindowPage { record_count, page_count, documents })
    }
}

#[async_trait]
impl Source for Saleouts {
    fn window_limit(&self) -> Option<SignedDuration> {
        Some(Self::WINDOW_LIMIT)
    }

    fn reads_by_row_version(&self) -> bool {
        self.options.cursor == Cursor::RowVersion
    }

    async fn read(&self, span: &Span, sink: &mut dyn PageSink) -> Result<ReadSummary, Error> {
        let mut summary = ReadSummary::default();
        match span {
            Span::After { row_version, since } => self.read_after(*row_version, *since, sink, &mut summary).await?,
            Span::Window { start, end } => {
                let Options { statuses, page_size, max_passes, .. } = &self.options;
                let reader = WindowReader { listing: self, statuses, page_size: *page_size, max_passes: *max_passes };
                reader.read(*start, *end, sink, &mut summary).await?;
            }
        }
        Ok(summary)
    }

    fn lies_within(&self, body: &str, start: Timestamp, end: Timestamp) -> Option<bool> {
        wire::modified(body).map(|modified| (start..end).contains(&modified))
    }

    async fn probe(&self) -> Result<(), Error> {
        let now = self.gateway.now();
        let minute_ago = now.checked_sub(SignedDuration::from_mins(1)).unwrap_or(now);
        let query = [("start_time", wall_clock(minute_ago)), ("end_time", wall_clock(now))];
        self.ask(&query, 1, 1).await.map(drop)
    }
}
