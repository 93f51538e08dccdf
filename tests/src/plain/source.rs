//! Sale-outs of three lines and about 2.2 kB, made when they are asked for: copies of a few dozen of the strict
//! simulator's, each under a number and a time of its own.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::jushuitan_qimen::one_document;
use crate::qimen::{APP_SECRET, expected_signature};
use crate::{Money, time};

use super::Answer;

/// So many different documents; enough that a client cannot live on one page in its cache.
const VARIANTS: usize = 256;
/// Bytes of a document, give or take a letter.
const SIZE: usize = 2_200;
/// What makes a shorter one as long as that: a field that no mapping here reads.
const ADDRESS: &str = "示例路一百二十八号示例大厦三单元一千二百零一室，送货前请先联系收件人；";
/// The number that stands in a ready-made document where its own goes.
const NUMBER: u64 = 90_817_263;
const FIRST_NUMBER: u64 = 20_000_000;
/// Documents that are modified in one second.
const A_SECOND: u64 = 50;

pub struct Source {
    variants: Vec<Variant>,
    documents: u64,
    signed: bool,
    from: Timestamp,
    pages: AtomicU64,
    rows: AtomicU64,
}

struct Variant {
    text: String,
    /// Where the number stands.
    numbers: Vec<usize>,
    /// Where the time of modification stands.
    modified: usize,
}

pub struct Counts {
    pub pages: u64,
    pub rows: u64,
}

impl Source {
    pub fn new(documents: u64, to: Timestamp, signed: bool) -> Self {
        let to = to.round(jiff::Unit::Second).unwrap_or(to);
        let seconds = i64::try_from(documents.div_ceil(A_SECOND)).unwrap_or(i64::MAX);
        let from = to.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN);
        let (pages, rows) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { variants: variants(to), documents, signed, from, pages, rows }
    }

    /// The shortest window that holds everything, in the vendor's local time.
    pub fn window(&self) -> Value {
        let last = self.documents.saturating_sub(1) / A_SECOND;
        json!({"start": time::format(self.from), "end": time::format(self.modified(last))})
    }

    pub fn counts(&self) -> Counts {
        Counts { pages: self.pages.load(Ordering::Relaxed), rows: self.rows.load(Ordering::Relaxed) }
    }

    pub fn answer(&self, query: &str, body: &[u8]) -> Answer {
        let query = url::form_urlencoded::parse(query.as_bytes()).chain(url::form_urlencoded::parse(body));
        if self.signed && !is_signed(query.clone()) {
            return Err((403, "Invalid signature".to_owned()));
        }
        let (mut index, mut size, mut start, mut end, mut others) = (1, 30, None, None, false);
        for (name, value) in query {
            match name.as_ref() {
                "page_index" => index = value.parse::<u64>().unwrap_or(1).max(1),
                "page_size" => size = value.parse::<u64>().unwrap_or(30).clamp(1, 1_000),
                "start_time" => start = time::parse(&value),
                "end_time" => end = time::parse(&value),
                "status" => others = !matches!(value.as_ref(), "" | "Confirmed"),
                _ => {}
            }
        }
        let (Some(start), Some(end)) = (start, end) else {
            return Err((400, "only windows are served here: start_time and end_time".to_owned()));
        };
        let (first, after) = if others { (0, 0) } else { (self.before(start), self.before(end + SECOND)) };
        Ok(self.page(first, after.max(first), index, size))
    }

    /// How many documents are older.
    fn before(&self, at: Timestamp) -> u64 {
        let seconds = at.duration_since(self.from).as_secs();
        u64::try_from(seconds).unwrap_or(0).saturating_mul(A_SECOND).min(self.documents)
    }

    fn modified(&self, second: u64) -> Timestamp {
        let second = SignedDuration::from_secs(i64::try_from(second).unwrap_or(i64::MAX));
        self.from.checked_add(second).unwrap_or(Timestamp::MAX)
    }

    /// A page of the documents from `first` up to `after`.
    fn page(&self, first: u64, after: u64, index: u64, size: u64) -> String {
        let total = after - first;
        let start = first + (index - 1).saturating_mul(size).min(total);
        let end = (start + size).min(after);
        let mut page = String::with_capacity(usize::try_from(end - start).unwrap_or(0) * (SIZE + 8) + 256);
        let (pages, has_next) = (total.div_ceil(size), end < after);
        page.push_str(&format!(
            "{{\"response\":{{\"page_size\":{size},\"page_index\":{index},\"data_count\":{total},\"page_count\":{pages},\
             \"has_next\":{has_next},\"request_id\":\"16plain000000\",\"datas\":["
        ));
        let (mut second, mut modified) = (u64::MAX, String::new());
        for document in start..end {
            if document / A_SECOND != second {
                second = document / A_SECOND;
                modified = time::format(self.modified(second));
            }
            if document > start {
                page.push(',');
            }
            let number = format!("{:08}", FIRST_NUMBER + document);
            let variant = usize::try_from(document).unwrap_or(usize::MAX) % VARIANTS;
            self.variants[variant].write(&number, &modified, &mut page);
        }
        page.push_str("]}}");
        self.pages.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(end - start, Ordering::Relaxed);
        page
    }
}

fn is_signed<'a>(query: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> bool {
    let parameters: BTreeMap<String, String> =
        query.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    let of = |name: &str| parameters.get(name).map_or("", String::as_str);
    let expected = expected_signature(&parameters, of("sign_method"), APP_SECRET);
    expected.is_some_and(|expected| expected == of("sign"))
}

const SECOND: SignedDuration = SignedDuration::from_secs(1);

fn variants(modified: Timestamp) -> Vec<Variant> {
    let options = crate::Options {
        lines: 3..=3,
        money: Money::Text,
        skip_percent: 0,
        reject_percent: 0,
        refuse_percent: 0,
        ..crate::Options::default()
    };
    let mut chance = ChaCha8Rng::seed_from_u64(options.seed);
    let drawn = std::iter::repeat_with(|| one_document(&mut chance, &options, NUMBER, modified));
    drawn.filter_map(lengthened).take(VARIANTS).map(Variant::new).collect()
}

/// `None` where it is too long already, as with a remark of two thousand letters.
fn lengthened(mut text: String) -> Option<String> {
    text.pop();
    text.push_str(",\"receiver_address\":\"");
    if text.len() > SIZE {
        return None;
    }
    let mut address = ADDRESS.chars().cycle();
    while text.len() < SIZE - 2 {
        text.extend(address.next());
    }
    text.push_str("\"}");
    Some(text)
}

impl Variant {
    fn new(text: String) -> Self {
        let numbers = text.match_indices(&NUMBER.to_string()).map(|(at, _)| at).collect();
        let name = "\"modified\":\"";
        let modified = text.find(name).expect("every sale-out has a time of modification") + name.len();
        Self { text, numbers, modified }
    }

    /// The document with its number and time, which are as long as those they replace.
    fn write(&self, number: &str, modified: &str, page: &mut String) {
        let mut written = 0;
        let times = [(self.modified, modified)];
        let earlier = self.numbers.iter().filter(|at| **at < self.modified).map(|at| (*at, number));
        let later = self.numbers.iter().filter(|at| **at > self.modified).map(|at| (*at, number));
        for (at, value) in earlier.chain(times).chain(later) {
            page.push_str(&self.text[written..at]);
            page.push_str(value);
            written = at + value.len();
        }
        page.push_str(&self.text[written..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn source(documents: u64) -> Source {
        Source::new(documents, "2026-11-01T00:00:00Z".parse().expect("an instant"), false)
    }

    fn ask(source: &Source, index: u64, start: &str, end: &str) -> Value {
        let query = format!("page_index={index}&page_size=50&status=Confirmed&start_time={start}&end_time={end}");
        let page = source.answer("", query.replace(' ', "+").as_bytes()).expect("a page");
        serde_json::from_str::<Value>(&page).expect("JSON")["response"].take()
    }

    #[test]
    fn every_document_comes_once_and_is_like_a_real_one() {
        let source = source(1_234);
        let window = source.window();
        let (start, end) = (window["start"].as_str().expect("text"), window["end"].as_str().expect("text"));
        let mut numbers = BTreeSet::new();
        let mut bytes = 0;
        for index in 1..=25 {
            let page = ask(&source, index, start, end);
            assert_eq!((&page["data_count"], &page["page_count"]), (&json!(1_234), &json!(25)));
            assert_eq!(page["has_next"], json!(index < 25));
            for document in page["datas"].as_array().expect("rows") {
                assert_eq!(document["items"].as_array().map(Vec::len), Some(3));
                assert_eq!(document["status"], "Confirmed");
                let modified = document["modified"].as_str().expect("text");
                assert!(start <= modified && modified <= end, "{modified}");
                bytes += document.to_string().len();
                assert!(numbers.insert(document["io_id"].as_u64().expect("a number")), "twice: {document}");
            }
        }
        assert_eq!(numbers.len(), 1_234);
        assert!(bytes.div_ceil(1_234).abs_diff(SIZE) < 8, "{} bytes each", bytes / 1_234);
    }

    #[test]
    fn an_unsigned_page_is_refused_where_signatures_count() {
        let source = Source { signed: true, ..source(1) };
        let query = |sign: &str| {
            format!("app_key=1&sign_method=md5&sign={sign}&start_time=2026-11-01+00:00:00&end_time=2026-11-01+08:00:00")
        };
        assert!(source.answer("", query("").as_bytes()).is_err());
        let signed = "app_key1end_time2026-11-01 08:00:00sign_methodmd5start_time2026-11-01 00:00:00";
        let digest = <md5::Md5 as md5::Digest>::digest(format!("{APP_SECRET}{signed}{APP_SECRET}"));
        assert!(source.answer("", query(&hex::encode_upper(digest)).as_bytes()).is_ok());
    }

    #[test]
    fn a_part_of_the_window_holds_its_part_of_the_documents() {
        let source = source(500);
        // Ten seconds up to midnight GMT, fifty in each; the vendor's windows hold both their ends.
        let page = ask(&source, 1, "2026-11-01 07:59:52", "2026-11-01 07:59:53");
        assert_eq!(page["data_count"], json!(100));
        assert_eq!(page["datas"][0]["modified"], json!("2026-11-01 07:59:52"));
        assert_eq!(ask(&source, 1, "2026-11-01 08:00:00", "2026-11-02 08:00:00")["data_count"], json!(0));
        assert_eq!(ask(&source, 1, "2026-10-31 08:00:00", "2026-11-01 07:59:49")["data_count"], json!(0));
    }
}
