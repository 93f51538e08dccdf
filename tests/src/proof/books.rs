//! The books: what the source says it served, against what the target says it holds, joined to the ledger by key.
//!
//! A document is explained when its end in the ledger is the end that the field table demands of the version served
//! last, and the target holds exactly what follows from that. Whatever is not explained keeps the books from balancing,
//! and is told with its story.

use std::collections::{BTreeMap, BTreeSet};

use super::expect::{self, Expected, Fields};
use super::ledger::{Entries, Entry};
use super::schemes::{Facts, Scheme};
use super::simulator::{Bill, Create, Held, Served};
use super::table::{self, Row, count};
use super::{Failure, Result};

/// Everything the books are computed from.
#[derive(Debug, Clone)]
pub struct Evidence {
    pub served: Vec<Served>,
    pub held: Held,
    pub ledger: Entries,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    /// Documents, and the versions of them that left the source.
    pub served: usize,
    pub versions: usize,
    pub emitted: usize,
    pub written: usize,
    pub unchanged: usize,
    pub skipped: usize,
    pub rejected: usize,
    pub parked: usize,
    /// Bills that were sent again because their answer was lost, where the same bytes twice leave what they leave once.
    pub sent_again: usize,
    /// Bills whose answer was lost and whose fate was found out by asking.
    pub verified: usize,
    /// Of these, where the bill was found to be there, and where it was not and was sent again.
    pub found_present: usize,
    pub found_absent: usize,
    /// With their stories.
    pub doubled: Vec<String>,
    pub lost: Vec<String>,
    pub unexplained: Vec<String>,
}

/// After so many sendings without an answer a write waits for a person (docs/decisions/resend.md).
const SENDINGS_LIMIT: u32 = 6;

/// What is wrong with one document.
enum Wrong {
    Lost(String),
    Unexplained(String),
}

/// One document from all sides.
struct Case<'a> {
    /// Every version that left, oldest first.
    versions: &'a [&'a Served],
    expected: &'a [Expected],
    entry: &'a Entry,
    bills: Vec<&'a Bill>,
    creates: Vec<&'a Create>,
    /// Another document has a bill under this one's number.
    number_is_taken: bool,
    is_upsert: bool,
}

pub fn balance(evidence: &Evidence, scheme: &dyn Scheme, facts: &Facts) -> Books {
    let served = by_key(&evidence.served, |version| version.key.as_str());
    let bills = by_key(&evidence.held.bills, |bill| bill.number.as_str());
    let creates = by_key(&evidence.held.creates, |create| create.number.as_str());
    let mut books = Books { served: served.len(), versions: evidence.served.len(), ..Books::default() };
    for entry in evidence.ledger.values() {
        books.count(entry, scheme.is_upsert());
        if !served.contains_key(entry.key.as_str()) {
            books.unexplained.push(format!("{}: the ledger has it and the source never served it", entry.key));
        }
    }
    let mut demanded = BTreeMap::new();
    for (key, mut versions) in served {
        versions.sort_by_key(|version| version.version);
        match versions.iter().map(|version| expected(version, scheme, facts)).collect::<Result<Vec<_>>>() {
            Ok(expected) => drop(demanded.insert(key, (versions, expected))),
            Err(failure) => books.unexplained.push(format!("{key}: {failure}")),
        }
    }
    let owners = owners(&demanded);
    for (number, bills) in &bills {
        let made = creates.get(number).into_iter().flatten().filter(|create| create.made).count();
        let owners = owners.get(number).map_or(&[][..], Vec::as_slice);
        if bills.len() > 1 || made > 1 {
            let stories = owners.iter().filter_map(|key| evidence.ledger.get(*key)).map(Entry::story);
            let stories: Vec<String> = stories.collect();
            let held = bills.len();
            books.doubled.push(format!("{number}: {held} bills held, {made} made; ledger: {}", stories.join("; ")));
        }
        if owners.is_empty() {
            books.unexplained.push(format!("{number}: the target holds it and nothing that was served demands it"));
        }
    }
    for (key, (versions, expected)) in &demanded {
        let Some(entry) = evidence.ledger.get(*key) else {
            books.lost.push(format!("{key}: served {} times and not in the ledger", versions.len()));
            continue;
        };
        let numbers: BTreeSet<&str> = expected.iter().filter_map(number_of).collect();
        let others = numbers.iter().filter_map(|number| owners.get(number)).flatten().filter(|owner| *owner != key);
        let has_bill = |owner: &&&str| evidence.ledger.get(**owner).is_some_and(|entry| entry.has_bill_of(&numbers));
        let case = Case {
            versions,
            expected,
            entry,
            bills: numbers.iter().filter_map(|number| bills.get(number)).flatten().copied().collect(),
            creates: numbers.iter().filter_map(|number| creates.get(number)).flatten().copied().collect(),
            number_is_taken: others.filter(has_bill).count() > 0,
            is_upsert: scheme.is_upsert(),
        };
        match case.wrong() {
            None => {}
            Some(Wrong::Lost(why)) => books.lost.push(format!("{key}: {why}; {}", case.story())),
            Some(Wrong::Unexplained(why)) => books.unexplained.push(format!("{key}: {why}; {}", case.story())),
        }
    }
    books
}

fn expected(version: &Served, scheme: &dyn Scheme, facts: &Facts) -> Result<Expected> {
    let document = serde_json::from_str(&version.body);
    let document = document.map_err(|error| Failure::during("reading a served document", error))?;
    Ok(scheme.expected(&document, facts).unwrap_or_else(Expected::Reject))
}

/// The documents that demand a bill, by its number. Mostly it is one.
fn owners<'a>(demanded: &'a BTreeMap<&'a str, (Vec<&Served>, Vec<Expected>)>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut owners = BTreeMap::<&str, Vec<&str>>::new();
    for (key, (_, expected)) in demanded {
        for number in expected.iter().filter_map(number_of).collect::<BTreeSet<_>>() {
            owners.entry(number).or_default().push(key);
        }
    }
    owners
}

fn number_of(expected: &Expected) -> Option<&str> {
    match expected {
        Expected::Bill { number, .. } => Some(number),
        Expected::Skip { .. } | Expected::Reject(_) => None,
    }
}

fn by_key<T>(all: &[T], key: fn(&T) -> &str) -> BTreeMap<&str, Vec<&T>> {
    let mut map = BTreeMap::<&str, Vec<&T>>::new();
    for one in all {
        map.entry(key(one)).or_default().push(one);
    }
    map
}

impl Case<'_> {
    fn wrong(&self) -> Option<Wrong> {
        // Every served document has a version, and every version an expectation.
        let (version, expected) = (self.versions.last()?, self.expected.last()?);
        let unexplained = |why: String| Some(Wrong::Unexplained(why));
        let code = self.entry.code.as_deref().unwrap_or_default();
        match (self.entry.state.as_str(), expected) {
            ("written" | "unchanged", Expected::Bill { fields, .. }) => self.holds(fields),
            ("written" | "unchanged", other) => unexplained(format!("written, and the table says {other:?}")),
            ("skipped", Expected::Skip { .. }) => self.holds_nothing(),
            ("skipped", other) => unexplained(format!("skipped, and the table says {}", named(other))),
            ("parked", Expected::Reject(why)) if code == "rejected" => self.names(&why.names).or(self.holds_nothing()),
            ("parked", other) if code == "rejected" => {
                unexplained(format!("rejected, and the table says {}", named(other)))
            }
            ("parked", Expected::Bill { .. }) if code == "target_refused" => self.was_refused(),
            ("parked", Expected::Bill { fields, .. }) if code == "write_unknown" && self.is_upsert => {
                // Refused only when it was sent once more, for the first answer was lost; or given up.
                self.was_refused().and_then(|wrong| self.was_given_up(fields, wrong))
            }
            ("parked", Expected::Bill { .. }) if code == "target_key_taken" && self.number_is_taken => None,
            ("parked", _) if code == "source_cancelled" && version.cancelled => self.holds_an_earlier_version(),
            ("parked", Expected::Bill { .. }) if code == "changed_after_write" => self.holds_an_earlier_version(),
            ("parked", _) => unexplained("parked, and nothing the source or the target did explains it".to_owned()),
            (state, _) if self.entry.is_under_way() => unexplained(format!("still under way: {state}")),
            (state, _) => unexplained(format!("nobody asked for it to be {state}")),
        }
    }

    fn holds(&self, fields: &Fields) -> Option<Wrong> {
        let Some(held) = self.bills.first() else {
            return Some(Wrong::Lost("the ledger says written, and the target does not hold it".to_owned()));
        };
        let mut differences = differences(fields, held);
        // Where a second sending leaves no trace, the number of sendings must be the one that was recorded beforehand.
        let (sent, recorded) = (self.creates.len(), self.entry.targets.iter().map(|bill| bill.attempts).sum::<u32>());
        if self.is_upsert && self.versions.len() == 1 && sent > recorded as usize {
            differences.push(format!("sent {sent} times, and the ledger knows of {recorded}"));
        }
        if differences.is_empty() { None } else { Some(Wrong::Unexplained(differences.join("; "))) }
    }

    fn names(&self, names: &[String]) -> Option<Wrong> {
        let message = self.entry.message.as_deref().unwrap_or_default();
        let unnamed = names.iter().find(|name| !message.contains(name.as_str()))?;
        Some(Wrong::Unexplained(format!("rejected, and the reason does not name {unnamed}")))
    }

    fn holds_nothing(&self) -> Option<Wrong> {
        if self.bills.is_empty() {
            return None;
        }
        Some(Wrong::Unexplained("nothing must be written for it, and the target holds a bill".to_owned()))
    }

    /// Explained by the target's own memory of having said no, in the words that a person now reads.
    fn was_refused(&self) -> Option<Wrong> {
        if !self.bills.is_empty() {
            return Some(Wrong::Unexplained("parked as refused, and the target holds it".to_owned()));
        }
        let message = self.entry.message.as_deref().unwrap_or_default();
        let said = |create: &&&Create| create.reason.as_deref().is_some_and(|reason| message.contains(reason));
        match self.creates.iter().filter(|create| !create.accepted).find(said) {
            Some(_) => None,
            None => Some(Wrong::Unexplained("parked as refused, in words that the target never said".to_owned())),
        }
    }

    /// Sent as often as anything is, and never answered. The target may hold what was sent, and nothing else.
    fn was_given_up(&self, fields: &Fields, wrong: Wrong) -> Option<Wrong> {
        let attempts = self.entry.targets.iter().map(|bill| bill.attempts).max().unwrap_or(0);
        let as_sent = self.bills.iter().all(|held| differences(fields, held).is_empty());
        if attempts >= SENDINGS_LIMIT && as_sent { None } else { Some(wrong) }
    }

    fn holds_an_earlier_version(&self) -> Option<Wrong> {
        let [held] = self.bills.as_slice() else {
            let count = self.bills.len();
            return Some(Wrong::Unexplained(format!("changed after its write, and the target holds {count} bills")));
        };
        let earlier = &self.expected[..self.expected.len() - 1];
        let is_one = earlier.iter().any(|expected| match expected {
            Expected::Bill { fields, .. } => differences(fields, held).is_empty(),
            Expected::Skip { .. } | Expected::Reject(_) => false,
        });
        if is_one {
            return None;
        }
        Some(Wrong::Unexplained("changed after its write, and the bill held is of none of its versions".to_owned()))
    }

    fn story(&self) -> String {
        let versions: Vec<String> = self
            .versions
            .iter()
            .zip(self.expected)
            .map(|(version, expected)| {
                let Served { version, purpose, detail, .. } = version;
                format!("version {version} ({purpose} {detail}) served, to {}", named(expected))
            })
            .collect();
        let creates: Vec<String> = self
            .creates
            .iter()
            .map(|create| match &create.reason {
                Some(reason) => format!("refused ({reason})"),
                None => "accepted".to_owned(),
            })
            .collect();
        let (entry, held) = (self.entry.story(), self.bills.len());
        format!("{}; creates: [{}]; {held} bills held; ledger: {entry}", versions.join(", "), creates.join(", "))
    }
}

fn differences(fields: &Fields, held: &Bill) -> Vec<String> {
    [expect::differences(fields, &held.model), held.wrong.clone()].concat()
}

fn named(expected: &Expected) -> String {
    match expected {
        Expected::Skip { why } => format!("skip ({why})"),
        Expected::Reject(why) => format!("reject (no usable {})", why.missing),
        Expected::Bill { number, .. } => format!("write {number}"),
    }
}

impl Books {
    fn count(&mut self, entry: &Entry, is_upsert: bool) {
        if !entry.targets.is_empty() {
            self.emitted += 1;
        }
        match entry.state.as_str() {
            "written" => self.written += 1,
            "unchanged" => self.unchanged += 1,
            "skipped" => self.skipped += 1,
            "parked" if entry.code.as_deref() == Some("rejected") => self.rejected += 1,
            "parked" => self.parked += 1,
            _ => {}
        }
        if is_upsert {
            // How often is not told apart from why: a bad neighbour in the request is a reason as well.
            self.sent_again += entry.targets.iter().filter(|bill| bill.attempts > 1).count();
        }
        for bill in entry.targets.iter().filter(|bill| bill.verified) {
            self.verified += 1;
            match bill.attempts {
                1 => self.found_present += 1,
                _ => self.found_absent += 1,
            }
        }
    }

    pub fn balance(&self) -> bool {
        let explained = self.written + self.unchanged + self.skipped + self.rejected + self.parked;
        self.doubled.is_empty() && self.lost.is_empty() && self.unexplained.is_empty() && explained == self.served
    }

    pub fn rows(&self) -> Vec<Row> {
        vec![
            ("served", count(self.served), format!("documents, in {} versions", count(self.versions))),
            ("emitted", count(self.emitted), "the module made a bill of it".to_owned()),
            ("written", count(self.written), "held by the target, every field as the field table demands".to_owned()),
            ("unchanged", count(self.unchanged), "a later version whose bill is the one already held".to_owned()),
            ("skipped", count(self.skipped), "nothing is to be written of it".to_owned()),
            ("rejected", count(self.rejected), "something it needs is missing; waits for a person".to_owned()),
            (
                "parked",
                count(self.parked),
                "refused, changed or cancelled after its write, or its number taken".to_owned(),
            ),
            ("sent again", count(self.sent_again), "the same bytes, which leave what they leave once".to_owned()),
            ("verified", count(self.verified), "answer lost: the target was asked before anything else".to_owned()),
            ("doubled", count(self.doubled.len()), "at the target".to_owned()),
            ("lost", count(self.lost.len()), "served, and nowhere".to_owned()),
            ("unexplained", count(self.unexplained.len()), String::new()),
        ]
    }

    /// Every document that keeps the books from balancing, with its story; at most so many.
    pub fn stories(&self, limit: usize) -> String {
        let lost = self.lost.iter().map(|story| format!("LOST {story}\n"));
        let doubled = self.doubled.iter().map(|story| format!("DOUBLED {story}\n"));
        let unexplained = self.unexplained.iter().map(|story| format!("UNEXPLAINED {story}\n"));
        lost.chain(doubled).chain(unexplained).take(limit).collect()
    }

    pub fn verdict(&self) -> String {
        let Books { served, written, unchanged, skipped, rejected, parked, .. } = self;
        let (doubled, lost, unexplained) = (self.doubled.len(), self.lost.len(), self.unexplained.len());
        let n = |number: usize| count(number);
        if self.balance() {
            return format!(
                "The books balance: {} served = {} written + {} unchanged + {} skipped + {} rejected + {} parked; \
                 0 doubled, 0 lost.",
                n(*served),
                n(*written),
                n(*unchanged),
                n(*skipped),
                n(*rejected),
                n(*parked)
            );
        }
        let accounted = written + unchanged + skipped + rejected + parked;
        format!(
            "THE BOOKS DO NOT BALANCE: {} of {} served accounted for; {doubled} doubled, {lost} lost, {unexplained} \
             unexplained.",
            n(accounted),
            n(*served)
        )
    }

    pub fn render(&self) -> String {
        table::render(&self.rows())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::schemes::SALEOUT;
    use super::*;

    const BODY: &str = r#"{"io_id":7,"status":"Confirmed","shop_id":12948597,"io_date":"2026-01-15 10:30:00",
        "wms_co_id":11,"so_id":"S1","l_id":"L1","remark":null,"free_amount":"1.50",
        "items":[{"sku_id":"A","qty":"2","sale_price":0.00}]}"#;

    fn base(number: &str) -> Value {
        json!({"FNumber": number})
    }

    fn model() -> Value {
        json!({
            "FID": 1, "FBillTypeID": {"FNUMBER": "XSCKD01_SYS"}, "FBillNo": "7", "FSaleOrgId": base("102"),
            "FStockOrgId": base("102"), "FDate": "2026-01-15T10:30:00", "FCustomerID": base("K1"), "FNote": "",
            "F_KLF_Assistant": base("LY003"), "F_KLF_Text": "S1", "F_KLF_Text1": "L1", "FSaleDeptID": base("00003"),
            "SubHeadEntity": {
                "FSettleOrgID": base("102"), "FSettleCurrID": base("PRE007"), "FAllDisCount": 1.5,
            },
            "FEntity": [{
                "FEntryID": 5, "FMaterialID": base("A"), "FRealQty": 2, "FTaxPrice": 0, "FIsFree": true,
                "FStockID": base("11"), "FEntrynote": "", "F_sms_Text2": "1",
            }],
        })
    }

    fn entry(state: &str, code: Option<&str>, message: &str) -> Entry {
        let line = json!({
            "scheme": "s", "key": "7", "version": 1, "state": state, "code": code, "message": message, "targets": [],
        });
        serde_json::from_value(line).expect("an entry")
    }

    fn evidence(bodies: &[&str], entry: Option<Entry>, models: &[Value]) -> Evidence {
        let served = bodies.iter().enumerate().map(|(at, body)| {
            let version = at + 1;
            let line = json!({
                "key": "7", "version": version, "cancelled": body.contains("Cancelled"), "purpose": "good",
                "detail": "", "body": body,
            });
            serde_json::from_value(line).expect("a version")
        });
        let bills =
            models.iter().map(|model| json!({"number": "7", "status": "C", "ignored_fields": [], "model": model}));
        let creates: Vec<_> = models.iter().map(|_| json!({"number": "7", "accepted": true, "reason": null})).collect();
        let held = json!({"bills": bills.collect::<Vec<_>>(), "creates": creates});
        Evidence {
            served: served.collect(),
            held: SALEOUT.held(&held).expect("held"),
            ledger: entry.into_iter().map(|entry| (entry.key.clone(), entry)).collect(),
        }
    }

    fn balanced(evidence: &Evidence) -> Books {
        let facts = Facts { parameters: json!({"shop_customers": {"12948597": "K1"}}), tables: Value::Null };
        balance(evidence, SALEOUT, &facts)
    }

    fn with(mut model: Value, pointer: &str, value: Value) -> Value {
        *model.pointer_mut(pointer).expect("the field is there") = value;
        model
    }

    #[test]
    fn a_bill_that_is_right_in_every_field_balances() {
        let books = balanced(&evidence(&[BODY], Some(entry("written", None, "")), &[model()]));
        assert!(books.balance(), "{}", books.stories(9));
        assert!(books.verdict().starts_with("The books balance: 1 served"), "{}", books.verdict());
    }

    #[test]
    fn any_single_wrong_field_keeps_the_books_from_balancing() {
        for (pointer, value) in [
            ("/FDate", json!("2026-01-15T10:30:01")),
            ("/FCustomerID", base("12948597")),
            ("/FBillTypeID", json!({"FNumber": "XSCKD01_SYS"})),
            ("/FNote", json!("null")),
            ("/SubHeadEntity/FAllDisCount", json!(1.51)),
            ("/FEntity/0/FRealQty", json!(2.0001)),
            ("/FEntity/0/FIsFree", json!(false)),
            ("/FEntity/0/FEntrynote", json!("x")),
            ("/FEntity", json!([])),
        ] {
            let wrong = with(model(), pointer, value);
            let books = balanced(&evidence(&[BODY], Some(entry("written", None, "")), &[wrong]));
            assert!(!books.balance(), "{pointer} was wrong and nobody noticed");
            assert!(books.verdict().starts_with("THE BOOKS DO NOT BALANCE"), "{}", books.verdict());
        }
    }

    #[test]
    fn what_was_served_and_is_nowhere_is_lost() {
        for gone in [evidence(&[BODY], None, &[]), evidence(&[BODY], Some(entry("written", None, "")), &[])] {
            let books = balanced(&gone);
            assert_eq!((books.lost.len(), books.balance()), (1, false), "{}", books.stories(9));
        }
    }

    #[test]
    fn two_bills_of_one_number_are_doubled() {
        let books = balanced(&evidence(&[BODY], Some(entry("written", None, "")), &[model(), model()]));
        assert_eq!((books.doubled.len(), books.balance()), (1, false), "{}", books.stories(9));
    }

    #[test]
    fn an_end_that_the_table_does_not_demand_is_unexplained() {
        let waiting = BODY.replace("Confirmed", "WaitConfirm");
        let priceless = BODY.replace("0.00", "null");
        for (body, state, code, good) in [
            (BODY, "skipped", None, false),
            (waiting.as_str(), "skipped", None, true),
            (BODY, "parked", Some("rejected"), false),
            (priceless.as_str(), "parked", Some("rejected"), true),
            (priceless.as_str(), "skipped", None, false),
            (BODY, "parked", Some("guest_trap"), false),
            (BODY, "parked", Some("target_refused"), false),
            (BODY, "received", None, false),
        ] {
            let books = balanced(&evidence(&[body], Some(entry(state, code, "")), &[]));
            assert_eq!(books.balance(), good, "{state} {code:?}: {}", books.stories(9));
        }
    }

    #[test]
    fn a_refusal_is_explained_by_the_targets_own_words_only() {
        let mut evidence =
            evidence(&[BODY], Some(entry("parked", Some("target_refused"), "says: no such customer")), &[]);
        let reason = Some("no such customer".to_owned());
        evidence.held.creates.push(Create { number: "7".to_owned(), accepted: false, made: false, reason, at: None });
        assert!(balanced(&evidence).balance());
        evidence.held.creates[0].reason = Some("closed period".to_owned());
        assert!(!balanced(&evidence).balance());
    }

    #[test]
    fn a_change_after_the_write_leaves_the_earlier_bill_standing() {
        let changed = BODY.replace("\"L1\"", "\"L2\"");
        let parked = entry("parked", Some("changed_after_write"), "");
        assert!(balanced(&evidence(&[BODY, &changed], Some(parked.clone()), &[model()])).balance());
        assert!(!balanced(&evidence(&[&changed], Some(parked.clone()), &[model()])).balance(), "there was one version");
        assert!(!balanced(&evidence(&[BODY, &changed], Some(parked), &[])).balance(), "nothing is held");
        let cancelled = BODY.replace("Confirmed", "Cancelled");
        let parked = entry("parked", Some("source_cancelled"), "");
        assert!(balanced(&evidence(&[BODY, &cancelled], Some(parked.clone()), &[model()])).balance());
        assert!(!balanced(&evidence(&[BODY, BODY], Some(parked), &[model()])).balance(), "nobody cancelled it");
    }
}
