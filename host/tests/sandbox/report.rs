//! The table of `docs/limits.md` that says which hostile module meets which limit is made of the corpus itself.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use super::corpus::{End, Hostile, all, default_of};

const BEGIN: &str = "<!-- made of the corpus: begin -->\n";
const END: &str = "<!-- made of the corpus: end -->\n";

fn table() -> String {
    let mut corpus = all();
    corpus.sort_by(|one, other| (&one.end, &one.name).cmp(&(&other.end, &other.name)));
    let mut text = String::from("\n| limit | default | what trips it | ends | module |\n|---|---|---|---|---|\n");
    for hostile in &corpus {
        let Hostile { name, does, .. } = hostile;
        let (how, code, limit) = match &hostile.end {
            End::Refused { code, limit } => ("refused", Some(code), limit.as_deref()),
            End::Parked { code, limit } => ("parked", Some(code), limit.as_deref()),
            End::Retried { code, limit } => ("retried", Some(code), limit.as_deref()),
            End::Harmless => ("in vain", None, None),
        };
        let default = limit.and_then(|limit| default_of(limit, hostile.class)).map(|value| value.to_string());
        let code = code.map(|code| format!(", `{code}`")).unwrap_or_default();
        let limit = limit.map(|limit| format!("`{limit}`")).unwrap_or_default();
        let default = default.unwrap_or_default();
        let _ = writeln!(text, "| {limit} | {default} | {does} | {how}{code} | `{name}` |");
    }
    text.push('\n');
    text
}

#[test]
fn the_documented_table_is_the_corpus() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/limits.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (table_there, tail) = rest.split_once(END).unwrap();
    let table = table();
    if table_there != table && std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
        return;
    }
    assert_eq!(table_there, table, "docs/limits.md is behind the corpus: run this test with UPDATE_DOCS=1");
}
