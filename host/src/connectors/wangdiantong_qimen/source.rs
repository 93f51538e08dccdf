//! Reads stock-ins.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::connectors::http::Http;
use crate::connectors::qimen::{Gateway, Tally, wall_clock, whole_seconds};
use crate::connectors::{Error, Page, PageSink, ReadSummary, Source, SourceDocument, Span};

use super::errors::refine;
use super::settings::{Connection, QUERY, StockinOptions};
use super::wire::{self, StockinPage};

/// The longest window the vendor accepts. It counts both ends as inside, so two windows that follow each other share a
/// second; what stands in it is read twice, and the ledger knows a record by its key and bytes.
const WINDOW_LIMIT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Stock-ins of one account, as one scheme wants them.
#[derive(Debug)]
pub struct Stockins {
    gateway: Gateway,
    options: StockinOptions,
}

/// Why a pass over a window did not count.
enum PassEnd {
    Undisturbed,
    Disturbed,
    /// A page was over the response cap; the next pass asks for smaller ones.
    TooLarge(Error),
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
                ("status", status.to_string()),
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

    /// One pass: page 0 for the count, which no other page carries, then from the last page down to page 0 again.
    async fn pass(
        &self,
        query: &[(&str, String)],
        page_size: u32,
        pass: u32,
        sink: &mut dyn PageSink,
        summary: &mut ReadSummary,
    ) -> Result<PassEnd, Error> {
        let first = match self.ask(query, 0, page_size).await {
            Err(error @ Error::TooLarge { .. }) => return Ok(PassEnd::TooLarge(error)),
            other => other?,
        };
        let Some(count) = first.record_count else {
            return Err(Error::Unknown {
                code: "no_total".into(),
                message: "page 0 gave no total_count, without which a window cannot be known to be complete".into(),
            });
        };
        let pages = count.div_ceil(u64::from(page_size)).max(1);
        let mut tally = Tally::new(count);
        // A single page is one answer, and nothing can move within it.
        let mut first = (pages == 1).then_some(first);
        for page_no in (0..pages).rev() {
            let page = match first.take() {
                Some(page) => page,
                None => match self.ask(query, page_no, page_size).await {
                    Err(error @ Error::TooLarge { .. }) => return Ok(PassEnd::TooLarge(error)),
                    other => other?,
                },
            };
            tally.add(page.record_count.filter(|_| page_no == 0), &page.documents);
            let position = format!("page {page_no}, the last is {}, pass {pass}", pages - 1);
            hand_over(page.documents, count, position, sink, summary).await?;
        }
        Ok(if tally.is_undisturbed() { PassEnd::Undisturbed } else { PassEnd::Disturbed })
    }
}

async fn hand_over(
    documents: Vec<SourceDocument>,
    total: u64,
    position: String,
    sink: &mut dyn PageSink,
    summary: &mut ReadSummary,
) -> Result<(), Error> {
    summary.pages += 1;
    // Nothing to make durable: an idle poll should not cost a disk its sync.
    if documents.is_empty() {
        return Ok(());
    }
    summary.documents += documents.len() as u64;
    Ok(sink.page(Page { documents, total: Some(total), position }).await?)
}

#[async_trait]
impl Source for Stockins {
    fn window_limit(&self) -> Option<SignedDuration> {
        Some(WINDOW_LIMIT)
    }

    async fn read(&self, span: &Span, sink: &mut dyn PageSink) -> Result<ReadSummary, Error> {
        let mut summary = ReadSummary::default();
        let Span::Window { start, end } = span else {
            let message = "stock-ins carry no row version: they are read by windows";
            return Err(Error::Unknown { code: "no_row_version".into(), message: message.into() });
        };
        let Some((mut start, end)) = whole_seconds(*start, *end) else { return Ok(summary) };
        while start < end {
            let part_end = start.checked_add(WINDOW_LIMIT).map_or(end, |limit| limit.min(end));
            self.read_window((start, part_end), sink, &mut summary).await?;
            start = part_end;
        }
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
