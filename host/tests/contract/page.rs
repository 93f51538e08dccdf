//! The pages in the documentation that show the matrix and the vendors' codes.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::matrix::{Behaviour, Cell, Subject};

const BEGIN: &str = "<!-- the matrix begins: written by the contract's tests -->\n";
const END: &str = "<!-- the matrix ends -->\n";

/// One row for each behaviour; a cell that does not run refers to its reason below.
fn matrix() -> String {
    let mut table = String::from("| |");
    for subject in Subject::ALL {
        write!(table, " {subject} |").unwrap();
    }
    table.push_str("\n|---|");
    table.push_str(&"---|".repeat(Subject::ALL.len()));
    table.push('\n');
    let mut reasons: Vec<&str> = Vec::new();
    for behaviour in Behaviour::ALL {
        write!(table, "| {behaviour} |").unwrap();
        for subject in Subject::ALL {
            match behaviour.cell(*subject) {
                Cell::Runs(_) => table.push_str(" kept |"),
                Cell::NotApplicable(reason) => {
                    let number = reasons.iter().position(|known| *known == reason).unwrap_or_else(|| {
                        reasons.push(reason);
                        reasons.len() - 1
                    });
                    write!(table, " – ({}) |", number + 1).unwrap();
                }
            }
        }
        table.push('\n');
    }
    table.push('\n');
    for (number, reason) in reasons.iter().enumerate() {
        writeln!(table, "{}. {reason}", number + 1).unwrap();
    }
    table
}

#[test]
fn the_page_shows_the_matrix_as_it_is() {
    let page = file("../docs/systems/contract.md");
    let shown = page.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).map(|(shown, _)| shown);
    let expected = matrix();
    assert_eq!(
        shown,
        Some(expected.as_str()),
        "put this between the two marks of docs/systems/contract.md:\n{expected}"
    );
}

/// A code that a connector reads something out of and its page does not name would be known to us alone.
#[test]
fn every_code_that_a_connector_knows_is_on_its_page() {
    for (source, page) in [
        ("qimen/envelope.rs", "jushuitan_qimen"),
        ("jushuitan_qimen/errors.rs", "jushuitan_qimen"),
        ("wangdiantong_qimen/errors.rs", "wangdiantong_qimen"),
        ("yonyou_u8/errors.rs", "yonyou_u8"),
        ("kingdee_k3cloud/errors.rs", "kingdee_k3cloud"),
        ("kingdee_jdy/errors.rs", "kingdee_jdy"),
    ] {
        let code = codes_in_arms(&file(&format!("src/connectors/{source}")));
        let page_text = file(&format!("../docs/systems/{page}.md"));
        let section = page_text.split_once("\n## Errors").map_or("", |(_, rest)| rest);
        let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
        let shown = numbers(&section.replace(" to ", "..="));
        assert!(!code.is_empty(), "{source} knows no code, which cannot be");
        let missing: Vec<_> = code.difference(&shown).collect();
        assert!(missing.is_empty(), "docs/systems/{page}.md does not name {missing:?}, which {source} knows");
    }
}

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The numbers to the left of an arrow, and those that a `matches!` looks for, outside tests and comments.
fn codes_in_arms(source: &str) -> BTreeSet<u64> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let patterns = lines.filter_map(|line| {
        let asked = line.split_once("matches!(").map(|(_, rest)| rest);
        asked.or_else(|| line.split_once("=>").map(|(pattern, _)| pattern))
    });
    // That an answer is a success is no code of a vendor's.
    patterns.flat_map(|pattern| numbers(&pattern.replace("(200..300)", ""))).collect()
}

/// All whole numbers of a text, ranges spelt out; 0, which is everybody's success, is left out.
fn numbers(text: &str) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    let mut rest = text;
    let mut last: Option<u64> = None;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from_here) = rest.split_at(start);
        let digits: String = from_here.chars().take_while(char::is_ascii_digit).collect();
        rest = &from_here[digits.len()..];
        // A name's own digit, as in `V1`.
        if before.ends_with(char::is_alphabetic) {
            continue;
        }
        let is_range = before == "..=";
        let Ok(number) = digits.parse() else { continue };
        let from = last.filter(|_| is_range).unwrap_or(number);
        found.extend(from..=number);
        last = Some(number);
    }
    found.remove(&0);
    found
}
