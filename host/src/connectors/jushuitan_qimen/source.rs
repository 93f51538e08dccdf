//! Reads sale-outs.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::connectors::http::Http;
use crate::connectors::qimen::{Gateway, Tally, wall_clock, whole_seconds};
use crate::connectors::{Error, Page, PageSink, ReadSummary, Source, Span};

use super::errors::refine;
use super::settings::{Connection, Cursor, OPERATION, Options};
use super::wire::{self, Row, SaleoutPage};

/// The longest window the vendor accepts.
const WINDOW_LIMIT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Sale-outs of one account, as one scheme wants them.
#[derive(Debug)]
pub struct Saleouts {
    gateway: Gateway,
    options: Options,
}

/// Why a pass over a window did not count.
enum PassEnd {
    Undisturbed,
    Disturbed,
    /// A page was over the response cap; the next pass asks for smaller ones.
    TooLarge(Error),
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

    async fn read_window(
        &self,
        window: (Timestamp, Timestamp),
        sink: &mut dyn PageSink,
        summary: &mut ReadSummary,
    ) -> Result<(), Error> {
        let mut page_size = self.options.page_size;
        for status in &self.options.statuses {
            let query = [
                ("start_time", wall_clock(window.0)),
                ("end_time", wall_clock(window.1)),
                ("status", status.clone()),
                ("is_get_total", "true".to_owned()),
            ];
            let mut passes = 0;
            loop {
                passes += 1;
                summary.passes = summary.passes.max(passes);
                match self.pass(&query, page_size, passes, sink, summary).await? {
                    PassEnd::Undisturbed => break,
                    PassEnd::Disturbed if passes >= self.options.max_passes => return Err(Error::Disturbed { passes }),
                    PassEnd::Disturbed => tracing::info!(status, passes, "the source changed while it was read"),
                    PassEnd::TooLarge(error) if page_size == 1 => return Err(error),
                    PassEnd::TooLarge(_) => {
                        // Nothing of the source's making: the pass did not happen.
                        passes -= 1;
                        page_size /= 2;
                        tracing::info!(page_size, "a page was over the response cap; asking for smaller ones");
                    }
                }
            }
        }
        Ok(())
    }

    /// One pass, from the last page to the first.
    async fn pass(
        &self,
        query: &[(&str, String)],
        page_size: u32,
        pass: u32,
        sink: &mut dyn PageSink,
        summary: &mut ReadSummary,
    ) -> Result<PassEnd, Error> {
        let first = match self.ask(query, 1, page_size).await {
            Err(error @ Error::TooLarge { .. }) => return Ok(PassEnd::TooLarge(error)),
            other => other?,
        };
        let Some(count) = first.record_count else {
            return Err(Error::Unknown {
                code: "no_total".into(),
                message: "the vendor gave no data_count, without which a window cannot be known to be complete".into(),
            });
        };
        let pages = count.div_ceil(u64::from(page_size)).max(first.page_count.unwrap_or(0));
        let mut tally = Tally::new(count);
        // A single page is one answer, and nothing can move within it.
        let mut first = (pages <= 1).then_some(first);
        for index in (1..=pages.max(1)).rev() {
            let page = match first.take() {
                Some(page) => page,
                None => match self.ask(query, index, page_size).await {
                    Err(error @ Error::TooLarge { .. }) => return Ok(PassEnd::TooLarge(error)),
                    other => other?,
                },
            };
            tally.add(page.record_count, page.rows.iter().map(|row| &row.document));
            let position = format!("page {index} of {pages}, pass {pass}");
            hand_over(page.rows, Some(count), position, sink, summary).await?;
        }
        Ok(if tally.is_undisturbed() { PassEnd::Undisturbed } else { PassEnd::Disturbed })
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
            hand_over(wanted.collect(), None, position, sink, summary).await?;
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

async fn hand_over(
    rows: Vec<Row>,
    total: Option<u64>,
    position: String,
    sink: &mut dyn PageSink,
    summary: &mut ReadSummary,
) -> Result<(), Error> {
    summary.pages += 1;
    // Nothing to make durable: an idle poll should not cost a disk its sync.
    if rows.is_empty() {
        return Ok(());
    }
    summary.documents += rows.len() as u64;
    let documents = rows.into_iter().map(|row| row.document).collect();
    Ok(sink.page(Page { documents, total, position }).await?)
}

#[async_trait]
impl Source for Saleouts {
    fn window_limit(&self) -> Option<SignedDuration> {
        Some(WINDOW_LIMIT)
    }

    fn reads_by_row_version(&self) -> bool {
        self.options.cursor == Cursor::RowVersion
    }

    async fn read(&self, span: &Span, sink: &mut dyn PageSink) -> Result<ReadSummary, Error> {
        let mut summary = ReadSummary::default();
        match span {
            Span::After { row_version, since } => self.read_after(*row_version, *since, sink, &mut summary).await?,
            Span::Window { start, end } => {
                let Some((mut start, end)) = whole_seconds(*start, *end) else { return Ok(summary) };
                while start < end {
                    let part_end = start.checked_add(WINDOW_LIMIT).map_or(end, |limit| limit.min(end));
                    self.read_window((start, part_end), sink, &mut summary).await?;
                    start = part_end;
                }
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
