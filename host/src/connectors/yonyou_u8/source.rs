//! Reads sale-outs.

use std::collections::HashSet;

use async_trait::async_trait;
use jiff::civil::Date;
use jiff::{SignedDuration, Span as Days, Timestamp};

use crate::connectors::http::Http;
use crate::connectors::{Error, Page, PageSink, ReadSummary, SettingProblem, Source, SourceDocument, Span};
use crate::model::Digest;

use super::client::Client;
use super::known::{Known, mark};
use super::settings::{Connection, Entries, LastDay, OPERATION, Options};
use super::wire::{self, Row, SaleoutPage};

/// The vendor names no longest window. A week lets the cursor move on now and then while a long past is read.
const WINDOW_LIMIT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Sale-outs of one account, as one scheme wants them.
#[derive(Debug)]
pub struct Saleouts {
    client: Client,
    options: Options,
    known: Known,
    /// Documents count from this day on.
    start_day: Date,
}

/// Why a pass over a day did not count.
enum PassEnd {
    Undisturbed,
    Disturbed,
    /// A page was over the response cap; the next pass asks for smaller ones.
    TooLarge(Error),
}

/// What became of a page's rows.
#[derive(Default)]
struct Gathered {
    documents: Vec<SourceDocument>,
    marks: Vec<Digest>,
    /// A bill of the list was gone when it was asked for.
    gone: bool,
}

impl Saleouts {
    pub fn new(connection: &Connection, http: &Http, options: Options) -> Self {
        let known = Known::new(options.known_bills);
        Self { client: connection.client(http), options, known, start_day: Date::MIN }
    }

    /// Reads no day again from before that of `start_at`.
    pub fn starting_at(self, start_at: Timestamp) -> Self {
        Self { start_day: start_at.to_zoned(self.options.zone.clone()).date(), ..self }
    }

    async fn list(&self, day: Date, page_index: u64, page_size: u32) -> Result<SaleoutPage, Error> {
        let last = match self.options.last_day {
            LastDay::Inclusive => day,
            LastDay::Exclusive => day.tomorrow().unwrap_or(day),
        };
        let mut query = vec![
            ("auditdate_begin", day.to_string()),
            ("auditdate_end", last.to_string()),
            ("page_index", page_index.to_string()),
            ("rows_per_page", page_size.to_string()),
        ];
        query.extend(self.options.filters.iter().map(|(name, value)| (name.as_str(), value.clone())));
        match self.client.ask(wire::LIST, &query).await? {
            Some(answered) => wire::list(&answered, &self.options.get_by),
            None => Ok(SaleoutPage { row_count: Some(0), page_count: Some(0), rows: Vec::new() }),
        }
    }

    async fn read_day(
        &self,
        day: Date,
        page_size: &mut u32,
        sink: &mut dyn PageSink,
        summary: &mut ReadSummary,
    ) -> Result<(), Error> {
        let mut pass = 0;
        loop {
            pass += 1;
            summary.passes = summary.passes.max(pass);
            match self.pass(day, *page_size, pass, sink, summary).await? {
                PassEnd::Undisturbed => return Ok(()),
                PassEnd::Disturbed if pass >= self.options.max_passes => return Err(Error::Disturbed { passes: pass }),
                PassEnd::Disturbed => tracing::info!(%day, pass, "the source changed while it was read"),
                PassEnd::TooLarge(error) if *page_size == 1 => return Err(error),
                PassEnd::TooLarge(_) => {
                    // Nothing of the source's making: the pass did not happen.
                    pass -= 1;
                    *page_size /= 2;
                    tracing::info!(page_size, "a page was over the response cap; asking for smaller ones");
                }
            }
        }
    }

    /// One pass over the pages of one day. It counts if the vendor's count never changed, as many bills came as it
    /// says, and none came twice.
    async fn pass(
        &self,
        day: Date,
        page_size: u32,
        pass: u32,
        sink: &mut dyn PageSink,
        summary: &mut ReadSummary,
    ) -> Result<PassEnd, Error> {
        let mut tally = Tally::default();
        let (mut index, mut pages) = (1, 1);
        while index <= pages {
            let page = match self.list(day, index, page_size).await {
                Err(error @ Error::TooLarge { .. }) => return Ok(PassEnd::TooLarge(error)),
                other => other?,
            };
            if index == 1 {
                tally.expected = Some(page.row_count.ok_or_else(no_count)?);
                // The vendor may cut the size of a page down, so its own count of pages is the one that holds.
                pages = page.page_count.unwrap_or_else(|| tally.expected.unwrap_or(0).div_ceil(u64::from(page_size)));
            }
            tally.add(&page);
            summary.pages += 1;
            let position = format!("{day}, page {index} of {}, pass {pass}", pages.max(1));
            let (gathered, end) = self.gather(page.rows, pass).await;
            tally.moved |= gathered.gone;
            // What was fetched before a failure is handed over: it cost calls, and they are counted.
            self.hand_over(gathered, tally.expected, position, sink, summary).await?;
            end?;
            index += 1;
        }
        Ok(if tally.is_undisturbed() { PassEnd::Undisturbed } else { PassEnd::Disturbed })
    }

    /// The rows as documents, without those that are known, and with the lines of those that are heads only.
    async fn gather(&self, rows: Vec<Row>, pass: u32) -> (Gathered, Result<(), Error>) {
        let mut gathered = Gathered::default();
        for row in rows {
            let mark = row.key.as_ref().ok().and_then(|code| mark(code.as_str(), &row.timestamp));
            if mark.as_ref().is_some_and(|mark| self.known.has(mark)) {
                continue;
            }
            let whole = match self.options.entries {
                Entries::List => true,
                Entries::Auto => row.has_lines,
                Entries::Get => false,
            };
            if whole || row.key.is_err() {
                gathered.documents.push(row.into_document());
                gathered.marks.extend(mark);
                continue;
            }
            match self.fetch(&row).await {
                Ok(Some(document)) => {
                    gathered.marks.extend(mark.filter(|_| document.key.is_ok()));
                    gathered.documents.push(document);
                }
                // Deleted in between, most likely. One that stays so is handed over: somebody has to see it.
                Ok(None) if pass < self.options.max_passes => gathered.gone = true,
                Ok(None) => {
                    let key = Err("the bill is on the list and cannot be fetched by itself".into());
                    gathered.documents.push(SourceDocument { key, ..row.into_document() });
                }
                Err(error) => return (gathered, Err(error)),
            }
        }
        (gathered, Ok(()))
    }

    async fn fetch(&self, head: &Row) -> Result<Option<SourceDocument>, Error> {
        let Some(id) = &head.id else {
            let key = Err(format!("the head has no {}, by which its lines are asked for", self.options.get_by));
            return Ok(Some(SourceDocument { key, body: head.body.clone(), cancelled: false }));
        };
        let Some(answered) = self.client.ask(wire::SINGLE, &[("id", id.clone())]).await? else { return Ok(None) };
        let mut bill = wire::single(&answered, &self.options.get_by)?;
        if let (Ok(asked), Ok(got)) = (&head.key, &bill.key)
            && asked != got
        {
            bill.key = Err(format!("asked for bill {asked} by {} and got {got}", self.options.get_by));
        }
        Ok(Some(bill.into_document()))
    }

    async fn hand_over(
        &self,
        gathered: Gathered,
        total: Option<u64>,
        position: String,
        sink: &mut dyn PageSink,
        summary: &mut ReadSummary,
    ) -> Result<(), Error> {
        // Nothing to make durable: an idle poll should not cost a disk its sync.
        if gathered.documents.is_empty() {
            return Ok(());
        }
        summary.documents += gathered.documents.len() as u64;
        sink.page(Page { documents: gathered.documents, total, position }).await?;
        sink.durable().await?;
        // Only now: a bill that is known and was not made durable would never be read again.
        self.known.add(gathered.marks);
        Ok(())
    }

    /// The days of a window in the source's zone, with the days before it that are read once more.
    fn days(&self, start: Timestamp, end: Timestamp) -> Option<(Date, Date)> {
        let day = |at: Timestamp| at.to_zoned(self.options.zone.clone()).date();
        // A window that ends at midnight has nothing of the day that begins there.
        let last = day(end.checked_sub(SignedDuration::from_nanos(1)).ok()?);
        let first = day(start).checked_sub(Days::new().days(self.options.reread_days)).ok()?;
        // What is read once more never reaches behind the scheme's beginning; a window that somebody wants from before it
        // is read all the same.
        let first = first.max(self.start_day.min(day(start)));
        let first = self.options.first_day.map_or(first, |floor| floor.max(first));
        (start < end && first <= last).then_some((first, last))
    }
}

fn no_count() -> Error {
    let message = "the vendor gave no row_count, without which a day cannot be known to be complete";
    Error::Unknown { code: "no_total".into(), message: message.into() }
}

/// What shows that a pass missed nothing.
#[derive(Default)]
struct Tally {
    expected: Option<u64>,
    rows: u64,
    keys: HashSet<Digest>,
    moved: bool,
}

impl Tally {
    fn add(&mut self, page: &SaleoutPage) {
        self.moved |= page.row_count.is_some_and(|count| Some(count) != self.expected);
        for row in &page.rows {
            self.rows += 1;
            let identity = row.key.as_ref().map_or(row.body.as_str(), |key| key.as_str());
            self.moved |= !self.keys.insert(Digest::of(identity));
        }
    }
    fn is_undisturbed(&self) -> bool {
        !self.moved && Some(self.rows) == self.expected
    }
}

#[async_trait]
impl Source for Saleouts {
    fn window_limit(&self) -> Option<SignedDuration> {
        Some(WINDOW_LIMIT)
    }

    async fn read(&self, span: &Span, sink: &mut dyn PageSink) -> Result<ReadSummary, Error> {
        let mut summary = ReadSummary::default();
        let (start, end) = match span {
            Span::Window { start, end } => (*start, *end),
            Span::After { .. } => {
                let message = format!("{OPERATION} cannot be read by row version");
                return Err(Error::Unknown { code: "no_row_version".into(), message });
            }
        };
        let Some((mut day, last)) = self.days(start, end) else { return Ok(summary) };
        let mut page_size = self.options.page_size;
        while day <= last {
            self.read_day(day, &mut page_size, sink, &mut summary).await?;
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        Ok(summary)
    }

    /// A bill tells the day of its audit and no more: it lies in every window that has something of that day.
    fn lies_within(&self, body: &str, start: Timestamp, end: Timestamp) -> Option<bool> {
        let day = wire::audit_date(body)?;
        let begin = day.to_zoned(self.options.zone.clone()).ok()?.timestamp();
        let over = day.tomorrow().ok()?.to_zoned(self.options.zone.clone()).ok()?.timestamp();
        Some(begin < end && over > start)
    }

    fn warnings(&self) -> Vec<SettingProblem> {
        let late = self.options.first_day.filter(|day| self.start_day > Date::MIN && *day > self.start_day);
        let warning = |day| {
            let message = format!(
                "is later than {}, the day of start_at: what was audited between is never read",
                self.start_day
            );
            let remedy = format!("take it out, for the scheme reads nothing from before start_at, or start at {day}");
            SettingProblem::new("source.first_day", message, remedy)
        };
        late.map(warning).into_iter().collect()
    }

    async fn probe(&self) -> Result<(), Error> {
        let today = self.client.now().to_zoned(self.options.zone.clone()).date();
        self.list(today, 1, 1).await.map(drop)
    }
}
