//! Lists, a page at a time, and answers that say which revision they are.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{ETAG, HeaderValue};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{Answer, Problem};
use crate::model::PageRoom;

/// Some of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Hand this over as `after` for what follows; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// From one entry more than a page has, where there are so many; and fewer where they are large.
    pub fn of(mut items: Vec<T>, limit: usize, id: impl Fn(&T) -> String) -> Json<Self>
    where
        T: Serialize,
    {
        let mut room = PageRoom::default();
        let fits = items.iter().take(limit).take_while(|item| room.takes_entry(item)).count();
        let more = items.len() > fits;
        items.truncate(fits);
        let next = items.last().filter(|_| more).map(|last| mark(&id(last)));
        Json(Self { items, next })
    }

    /// Of a list that ends early where its rows are large: what follows the last one is asked for as well.
    pub fn read(
        after: u64,
        limit: usize,
        number: impl Fn(&T) -> u64,
        rows: impl Fn(u64, usize) -> Answer<Vec<T>>,
    ) -> Answer<Self> {
        let items = rows(after, limit)?;
        let Some(last) = items.last().map(number) else { return Ok(Self { items, next: None }) };
        let next = (!rows(last, 1)?.is_empty()).then(|| mark(&last.to_string()));
        Ok(Self { items, next })
    }
}

/// Where a page ended. Not to be read by whoever gets it, who would come to rely on it.
pub fn mark(id: &str) -> String {
    BASE64.encode(id)
}

/// The entry that a page begins after.
pub fn after(mark: Option<&str>) -> Answer<Option<String>> {
    let Some(mark) = mark else { return Ok(None) };
    let text = BASE64.decode(mark).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let usage = || Problem::invalid("the query after is what the page before had as next");
    text.filter(|text| !text.is_empty() && !text.contains('\0')).map(Some).ok_or_else(usage)
}

/// The same, of a list that is ordered by numbers.
pub fn after_number(mark: Option<&str>) -> Answer<u64> {
    let Some(text) = after(mark)? else { return Ok(0) };
    text.parse().map_err(|_| Problem::invalid("the query after is what the page before had as next"))
}

/// The same, of a list that is ordered by ids.
pub fn after_id<T: std::str::FromStr>(mark: Option<&str>) -> Answer<Option<T>> {
    let usage = || Problem::invalid("the query after is what the page before had as next");
    after(mark)?.map(|text| text.parse().map_err(|_| usage())).transpose()
}

/// An answer with the revision in its `ETag`.
#[derive(Debug)]
pub struct Tagged<T>(pub u64, pub T);

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let tag = HeaderValue::from_str(&format!("\"{}\"", self.0)).expect("a number makes a header");
        ([(ETAG, tag)], Json(self.1)).into_response()
    }
}

/// 201 for what was not there before, 200 for what was.
pub fn made<T: IntoResponse>(created: bool, answer: T) -> Response {
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = answer.into_response();
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_where_it_is_full_of_entries_or_of_bytes() {
        let page = |sizes: &[usize], limit| {
            let items: Vec<String> = sizes.iter().map(|size| "x".repeat(*size)).collect();
            let Json(page) = Page::of(items, limit, |item| item.len().to_string());
            (page.items.len(), page.next)
        };
        assert_eq!(page(&[1, 2, 3], 3), (3, None));
        assert_eq!(page(&[1, 2, 3, 4], 3), (3, Some(mark("3"))));
        assert_eq!(page(&[400_000, 400_001, 400_002], 3), (2, Some(mark("400001"))));
        assert_eq!(page(&[2_000_000, 1], 3), (1, Some(mark("2000000"))), "the list goes on all the same");
        assert_eq!(page(&[], 3), (0, None));
    }
}
