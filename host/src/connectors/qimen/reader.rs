//! Reads windows for the ERPs behind the gateway, whose records move from page to page while they are read.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::connectors::{Error, Page, PageSink, ReadSummary, SourceDocument};

use super::window::{Tally, whole_seconds};

/// One page of a window.
#[derive(Debug)]
pub struct WindowPage {
    /// Records in the whole window, where this page says so.
    pub record_count: Option<u64>,
    /// Pages of the window, where the ERP counts them itself.
    pub page_count: Option<u64>,
    pub documents: Vec<SourceDocument>,
}

/// What one ERP's list has of its own.
#[async_trait]
pub trait Listing: Sync {
    /// The number of a window's first page. It says how many records there are.
    const FIRST_PAGE: u64;
    /// The longest window the vendor accepts.
    const WINDOW_LIMIT: SignedDuration;

    async fn page(
        &self,
        window: (Timestamp, Timestamp),
        status: &str,
        number: u64,
        page_size: u32,
    ) -> Result<WindowPage, Error>;
}

/// A list, and how a scheme wants it read.
#[derive(Debug)]
pub struct WindowReader<'a, L> {
    pub listing: &'a L,
    /// Each is read in passes of its own.
    pub statuses: &'a [String],
    pub page_size: u32,
    pub max_passes: u32,
}

/// Why a pass over a window did not count.
enum PassEnd {
    Undisturbed,
    Disturbed,
    /// A page was over the response cap; the next pass asks for smaller ones.
    TooLarge(Error),
}

impl<L: Listing> WindowReader<'_, L> {
    /// Everything from `start` up to `end`, in windows that the vendor accepts.
    pub async fn read(
        &self,
        start: Timestamp,
        end: Timestamp,
        sink: &mut dyn PageSink,
        summary: &mut ReadSummary,
    ) -> Result<(), Error> {
        let Some((mut start, end)) = whole_seconds(start, end) else { return Ok(()) };
        while start < end {
            let part_end = start.checked_add(L::WINDOW_LIMIT).map_or(end, |limit| limit.min(end));
            self.read_window((start, part_end), sink, summary).await?;
            start = part_end;
        }
        Ok(())
    }

    async fn read_window(
        &self,
        window: (Timestamp, Timestamp),
        sink: &mut dyn PageSink,
        summary: &mut ReadSummary,
    ) -> Result<(), Error> {
        let mut page_size = self.page_size;
        for status in self.statuses {
            let mut passes = 0;
            loop {
                passes += 1;
                summary.passes = summary.passes.max(passes);
                match self.pass(window, status, page_size, passes, sink, summary).await? {
                    PassEnd::Undisturbed => break,
                    PassEnd::Disturbed if passes >= self.max_passes => return Err(Error::Disturbed { passes }),
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

    /// One pass: the first page for the count, then from the last page down to the first again.
    async fn pass(
        &self,
        window: (Timestamp, Timestamp),
        status: &str,
        page_size: u32,
        pass: u32,
        sink: &mut dyn PageSink,
        summary: &mut ReadSummary,
    ) -> Result<PassEnd, Error> {
        let first = match self.listing.page(window, status, L::FIRST_PAGE, page_size).await {
            Err(error @ Error::TooLarge { .. }) => return Ok(PassEnd::TooLarge(error)),
            other => other?,
        };
        let Some(count) = first.record_count else {
            let message = "the first page does not say how many records there are, without which a window cannot be \
                           known to be complete";
            return Err(Error::Unknown { code: "no_total".into(), message: message.into() });
        };
        let pages = count.div_ceil(u64::from(page_size)).max(first.page_count.unwrap_or(0)).max(1);
        let last = L::FIRST_PAGE + pages - 1;
        let mut tally = Tally::new(count);
        // A single page is one answer, and nothing can move within it.
        let mut first = (pages == 1).then_some(first);
        for number in (L::FIRST_PAGE..=last).rev() {
            let page = match first.take() {
                Some(page) => page,
                None => match self.listing.page(window, status, number, page_size).await {
                    Err(error @ Error::TooLarge { .. }) => return Ok(PassEnd::TooLarge(error)),
                    other => other?,
                },
            };
            tally.add(page.record_count, &page.documents);
            let position = format!("page {number}, the last is {last}, pass {pass}");
            hand_over(page.documents, Some(count), position, sink, summary).await?;
        }
        Ok(if tally.is_undisturbed() { PassEnd::Undisturbed } else { PassEnd::Disturbed })
    }
}

/// Gives a page on, and counts it.
pub async fn hand_over(
    documents: Vec<SourceDocument>,
    total: Option<u64>,
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
    Ok(sink.page(Page { documents, total, position }).await?)
}
