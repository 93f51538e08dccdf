//! Reads one table of the file, key by key, and complains about all that is wrong instead of stopping at the first.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};

use jiff::SignedDuration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::duration;
use super::problem::{Objection, Report, closest};

/// A table and what it is called in messages: `[engine]`, `scheme "saleout"`.
///
/// Every getter answers `None` for a key that is absent or wrong, and has complained in the second case. A key that was
/// asked for is known; [`Section::finish`] complains about the others.
pub(super) struct Section<'a> {
    pub(super) name: String,
    pub(super) table: &'a DeTable<'a>,
    pub(super) span: Range<usize>,
    pub(super) report: &'a Report<'a>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    pub(super) fn new(
        name: impl Into<String>,
        table: &'a DeTable<'a>,
        span: Range<usize>,
        report: &'a Report<'a>,
    ) -> Self {
        Self { name: name.into(), table, span, report, known: RefCell::default() }
    }

    /// The same table under the name that its user gave it.
    pub(super) fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    pub(super) fn get(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.borrow_mut().push(key);
        self.table.get(key)
    }

    /// Complains that `key` is not there.
    pub(super) fn missing(&self, key: &str, remedy: &str) {
        self.report.add(self.span.clone(), format!("{} has no `{key}`", self.name), remedy);
    }

    pub(super) fn wrong(&self, value: &Spanned<DeValue<'_>>, key: &str, wanted: &str, remedy: &str) {
        let found = kind(value.get_ref());
        self.report.add(value.span(), format!("`{key}` of {} must be {wanted}, not {found}", self.name), remedy);
    }

    pub(super) fn text(&self, key: &'static str, remedy: &str) -> Option<(&'a str, Range<usize>)> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some((text, value.span())),
            _ => {
                self.wrong(value, key, "a text", remedy);
                None
            }
        }
    }

    /// A text that some type can be read from.
    pub(super) fn parse<T>(
        &self,
        key: &'static str,
        remedy: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (text, span) = self.text(key, remedy)?;
        match read(text) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.report.add(span, format!("`{key}` of {}: {problem}", self.name), remedy);
                None
            }
        }
    }

    /// As [`Section::parse`]; complains where the key is absent, too.
    pub(super) fn require<T>(
        &self,
        key: &'static str,
        remedy: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        if !self.table.contains_key(key) {
            self.missing(key, remedy);
        }
        self.parse(key, remedy, read)
    }

    pub(super) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let remedy = format!("write {}", one_of(&names));
        self.parse(key, &remedy, |text| {
            let found = choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice);
            found.ok_or_else(|| match closest(text, &names) {
                Some(meant) => format!("{text:?} is not known, did you mean {meant:?}?"),
                None => format!("{text:?} is not known"),
            })
        })
    }

    pub(super) fn number(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let remedy = format!("write a whole number from {} to {}", range.start(), range.end());
        let value = self.get(key)?;
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong(value, key, "a whole number", &remedy);
            return None;
        };
        match u64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                let message = format!("`{key}` of {} is {number}, which is out of range", self.name);
                self.report.add(value.span(), message, remedy);
                None
            }
        }
    }

    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => {
                self.wrong(value, key, "true or false", "write true or false, without quotes");
                None
            }
        }
    }

    pub(super) fn duration(&self, key: &'static str, range: RangeInclusive<SignedDuration>) -> Option<SignedDuration> {
        let (least, most) = (duration::print(*range.start()), duration::print(*range.end()));
        let remedy = format!("write a number and a unit, such as \"30s\", \"5m\" or \"3d\", from {least} to {most}");
        self.parse(key, &remedy, |text| {
            let duration = duration::parse(text)?;
            if !range.contains(&duration) {
                return Err(format!("{text:?} is out of range"));
            }
            Ok(duration)
        })
    }

    /// A table inside this one.
    pub(super) fn section(&self, key: &'static str, remedy: &str) -> Option<Section<'a>> {
        let value = self.get(key)?;
        let name = format!("`{key}` of {}", self.name);
        match value.get_ref() {
            DeValue::Table(table) => Some(Section::new(name, table, value.span(), self.report)),
            _ => {
                self.wrong(value, key, "a table", remedy);
                None
            }
        }
    }

    /// What is left after the keys that were asked for: a vendor's own settings, as plain TOML. Datetimes and the like
    /// stay what they are; each value is for a layer above to judge.
    pub(super) fn rest(&self) -> toml::Table {
        let known = self.known.borrow();
        let rest = self.table.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref()));
        rest.filter_map(|(key, value)| Some((key.get_ref().to_string(), plain(value, self.report)?))).collect()
    }

    /// Complains about keys that nobody asked for.
    pub(super) fn finish(self) {
        let known = self.known.borrow();
        for key in self.table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let word = key.get_ref();
            let remedy = match closest(word, &known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => {
                    let mut known = known.clone();
                    known.sort_unstable();
                    known.dedup();
                    format!("take it out; {} knows {}", self.name, known.join(", "))
                }
            };
            self.report.add(key.span(), format!("{} has an unknown key `{word}`", self.name), remedy);
        }
    }

    /// Passes on what a layer above has against this table.
    pub(super) fn object(&self, objections: Vec<Objection>) {
        for objection in objections {
            let message = match objection.path.as_slice() {
                [] => format!("{}: {}", self.name, objection.message),
                // A key that is missing has no place of its own, so the message has to name it.
                path => format!("`{}` of {}: {}", path.join("."), self.name, objection.message),
            };
            self.report.object(self.locate(&objection.path), objection.severity, message, objection.remedy);
        }
    }

    fn locate(&self, path: &[String]) -> Range<usize> {
        let mut span = self.span.clone();
        let mut table = Some(self.table);
        let mut array: Option<&[Spanned<DeValue<'_>>]> = None;
        for part in path {
            let found = match (table, array) {
                (Some(table), _) => table.get_key_value(part.as_str()).map(|(key, value)| (key.span(), value)),
                (None, Some(array)) => {
                    let value = part.parse::<usize>().ok().and_then(|index| array.get(index));
                    value.map(|value| (value.span(), value))
                }
                (None, None) => None,
            };
            let Some((place, value)) = found else { break };
            // A table's own span is its header; any other value stands at itself.
            span = if value.get_ref().is_table() { place } else { value.span() };
            table = value.get_ref().as_table();
            array = value.get_ref().as_array().map(|array| array.as_ref());
        }
        span
    }
}

/// What a value is, in words.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

pub(super) fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// The value without its places.
pub(super) fn plain(value: &Spanned<DeValue<'_>>, report: &Report<'_>) -> Option<toml::Value> {
    Some(match value.get_ref() {
        DeValue::String(text) => toml::Value::String(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => toml::Value::Integer(number),
            Err(_) => {
                report.add(value.span(), format!("{number} is too large"), "write it as a text, in quotes");
                return None;
            }
        },
        // TOML has no infinite precision here; `1e999` is the only text that does not fit.
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(number) => toml::Value::Float(number),
            Err(_) => {
                report.add(value.span(), format!("{number} is not a number"), "write it as a text, in quotes");
                return None;
            }
        },
        DeValue::Boolean(flag) => toml::Value::Boolean(*flag),
        DeValue::Datetime(datetime) => toml::Value::Datetime(*datetime),
        DeValue::Array(array) => toml::Value::Array(array.iter().filter_map(|value| plain(value, report)).collect()),
        DeValue::Table(table) => {
            let entries = table.iter();
            let entries = entries.filter_map(|(key, value)| Some((key.get_ref().to_string(), plain(value, report)?)));
            toml::Value::Table(entries.collect())
        }
    })
}
