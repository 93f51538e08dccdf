//! Takes personal data out of what a module is given, so that the mapping still works: documents, parameters and the
//! answers of look-ups keep their form, and a value that stands in two places is the same other value in both.
//!
//! Three things find it: the names of fields and places ([`Rules`]); the form of mobile numbers, identity numbers and
//! e-mail addresses, wherever they stand; and what was found in one place is replaced wherever else it stands. It cannot
//! find a name in a field that nothing says anything of.

mod disguise;
mod rules;
mod scan;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::telemetry::{is_identifier, replace_patterns};

pub use disguise::MaskKey;
pub use rules::{Holder, RuleError, Rules};

use disguise::{disguise, is_maskable};
use scan::Leaf;

/// JSON within a string within JSON; deeper is replaced as a text.
const NESTING_LIMIT: usize = 4;
/// Replacements that are tried until one is new. With so many a document's one-digit fields run out of digits first.
const ATTEMPTS: u32 = 16;
/// A value that is found in the middle of other texts, and not only as a whole, has so many characters: two Chinese ones
/// are a name.
const PIECE_IDEOGRAPHS: usize = 2;
const PIECE_CHARACTERS: usize = 6;

/// Replaces values, and remembers by what.
pub struct Masker<'a> {
    rules: &'a Rules,
    key: &'a MaskKey,
    known: BTreeMap<String, String>,
    used: HashSet<String>,
    /// Long enough to be looked for within texts, by their first character, longest first.
    pieces: HashMap<char, Vec<String>>,
}

impl<'a> Masker<'a> {
    pub fn new(rules: &'a Rules, key: &'a MaskKey) -> Self {
        Self { rules, key, known: BTreeMap::new(), used: HashSet::new(), pieces: HashMap::new() }
    }

    /// Values that were replaced.
    pub fn values(&self) -> usize {
        self.known.len()
    }

    /// A JSON text without personal data. What this finds in a later text is not replaced in an earlier one, so everything
    /// goes through here twice.
    pub fn json(&mut self, holder: Holder<'_>, text: &str) -> String {
        self.nested(holder, text, &mut Vec::new(), 0)
    }

    /// A text that is derived of a document's values: a key that something is looked up by.
    pub fn text(&self, text: &str) -> String {
        match self.known.get(text) {
            Some(other) => other.clone(),
            None => self.pieces_of(text),
        }
    }

    fn nested(&mut self, holder: Holder<'_>, text: &str, path: &mut Vec<String>, depth: usize) -> String {
        scan::rewrite(text, path, &mut |path, leaf| match leaf {
            // What a parameter is found by may be somebody's name; a document's fields have names of their own.
            Leaf::Field if holder == Holder::Parameters => path.last().and_then(|name| changed(name, self.text(name))),
            Leaf::Field => None,
            Leaf::Number(number) if self.rules.hides(holder, path) => Some(self.replace(number)),
            Leaf::Number(number) => {
                (number.len() > PIECE_CHARACTERS).then(|| self.known.get(number).cloned()).flatten()
            }
            Leaf::Text(text) => changed(&text, self.string(holder, path, &text, depth)),
        })
    }

    fn string(&mut self, holder: Holder<'_>, path: &[String], text: &str, depth: usize) -> String {
        let holds_json =
            || text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        if depth < NESTING_LIMIT && holds_json() {
            return self.nested(holder, text, &mut path.to_vec(), depth + 1);
        }
        if self.rules.hides(holder, path) {
            return self.replace(text);
        }
        // Eleven digits in a field of numbers are an order's, not a telephone's.
        let field = path.iter().rev().find(|step| !step.bytes().all(|b| b.is_ascii_digit()));
        if field.is_some_and(|field| is_identifier(field)) && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return self.text(text);
        }
        if self.known.contains_key(text) {
            return self.text(text);
        }
        let without = replace_patterns(text, &mut |_, found| self.replace(found));
        self.pieces_of(&without)
    }

    /// The other value of this one, always the same.
    fn replace(&mut self, text: &str) -> String {
        if let Some(other) = self.known.get(text) {
            return other.clone();
        }
        if !is_maskable(text) {
            return text.to_owned();
        }
        let attempts = (0..ATTEMPTS).map(|attempt| disguise(text, self.key, attempt));
        let new = |other: &String| other != text && !self.used.contains(other) && !self.known.contains_key(other);
        let other = attempts.into_iter().find(new).unwrap_or_else(|| disguise(text, self.key, 0));
        self.used.insert(other.clone());
        self.known.insert(text.to_owned(), other.clone());
        if is_piece(text) {
            let pieces = self.pieces.entry(text.chars().next().unwrap_or_default()).or_default();
            pieces.push(text.to_owned());
            pieces.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
        }
        other
    }

    /// The text with every known value in it replaced.
    fn pieces_of(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let before = out.chars().next_back();
            let found = self.pieces.get(&first).into_iter().flatten().find(|piece| {
                let after = rest.strip_prefix(piece.as_str()).map(|after| after.chars().next());
                after.is_some_and(|after| {
                    !(continues(before, Some(first)) || continues(piece.chars().next_back(), after))
                })
            });
            match found.and_then(|piece| Some((piece, self.known.get(piece)?))) {
                Some((piece, other)) => {
                    out.push_str(other);
                    rest = &rest[piece.len()..];
                }
                None => {
                    out.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        out
    }
}

/// Whether two characters belong to one word of Latin letters and digits, of which only the whole may be replaced.
fn continues(left: Option<char>, right: Option<char>) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    is_part(left) && is_part(right)
}

fn is_piece(text: &str) -> bool {
    let ideographs = text.chars().filter(|c| ('\u{3400}'..='\u{9fff}').contains(c)).count();
    ideographs >= PIECE_IDEOGRAPHS || text.chars().count() >= PIECE_CHARACTERS
}

/// As JSON, where it is another.
fn changed(before: &str, after: String) -> Option<String> {
    (after != before).then(|| serde_json::Value::String(after).to_string())
}

#[cfg(test)]
mod tests;
