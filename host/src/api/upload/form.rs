//! An upload taken apart: the component, and what came along. Works on bytes that are all there, and copies none.

use bytes::Bytes;
use memchr::memmem;

use crate::api::problem::{Answer, Problem};
use crate::model::is_unseen;

/// A component, a signature, parameters, and some dozen samples and tables.
const PARTS_LIMIT: usize = 64;
const PART_HEAD_LIMIT_BYTES: usize = 4 << 10;
const NAME_LIMIT_BYTES: usize = 160;
/// As RFC 2046 has it.
const BOUNDARY_LIMIT_BYTES: usize = 70;

/// One part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    /// What the sender calls the file. Never a path of ours.
    pub file_name: Option<String>,
    pub bytes: Bytes,
}

/// The boundary that a `Content-Type` names.
pub fn boundary(content_type: &str) -> Answer<String> {
    let unusable = || Problem::invalid("Content-Type: multipart/form-data needs a boundary of 1 to 70 characters");
    let named = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    });
    let named = named.ok_or_else(unusable)?;
    let is_usable =
        (1..=BOUNDARY_LIMIT_BYTES).contains(&named.len()) && named.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if is_usable { Ok(named) } else { Err(unusable()) }
}

/// The parts between the boundaries.
pub fn parts(body: &Bytes, boundary: &str) -> Answer<Vec<Part>> {
    let delimiter = format!("\r\n--{boundary}");
    let finder = memmem::Finder::new(delimiter.as_bytes());
    let ends_early = || Problem::invalid("the form has no end: its last boundary is missing");
    // The first boundary may stand at the very beginning, without the line break of the others.
    let first = &delimiter.as_bytes()[2..];
    let mut at = match body.starts_with(first) {
        true => first.len(),
        false => finder.find(body).ok_or_else(ends_early)? + delimiter.len(),
    };
    let mut parts = Vec::new();
    loop {
        let rest = &body[at..];
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        if parts.len() == PARTS_LIMIT {
            return Err(Problem::invalid(format!("the form has more than {PARTS_LIMIT} parts")));
        }
        let line = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(rest.len());
        if !rest[line..].starts_with(b"\r\n") {
            return Err(ends_early());
        }
        // The line break before a part's head ends the boundary, and where there is no head the head as well.
        let head_at = at + line;
        let window = &body[head_at..body.len().min(head_at + PART_HEAD_LIMIT_BYTES)];
        let Some(head) = memmem::find(window, b"\r\n\r\n") else {
            let problem = format!("a part of the form has no head of at most {PART_HEAD_LIMIT_BYTES} bytes");
            return Err(Problem::invalid(problem));
        };
        let begin = head_at + head + 4;
        let length = finder.find(&body[begin..]).ok_or_else(ends_early)?;
        parts.push(part(&window[..head], body.slice(begin..begin + length))?);
        at = begin + length + delimiter.len();
    }
}

fn part(head: &[u8], bytes: Bytes) -> Answer<Part> {
    let head = std::str::from_utf8(head).map_err(|_| Problem::invalid("a part's head is not UTF-8"))?;
    let mut disposition = None;
    for line in head.split("\r\n").filter(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else {
            return Err(Problem::invalid("a part's head has a line without a colon"));
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "content-disposition" if disposition.is_none() => disposition = Some(value),
            "content-disposition" => return Err(Problem::invalid("a part has two Content-Dispositions")),
            "content-transfer-encoding" | "content-encoding" => {
                return Err(Problem::invalid("a part is sent as it is, without an encoding"));
            }
            _ => {}
        }
    }
    let disposition = disposition.ok_or_else(|| Problem::invalid("a part has no Content-Disposition"))?;
    let name = parameter(disposition, "name").ok_or_else(|| Problem::invalid("a part has no name"))?;
    let file_name = parameter(disposition, "filename");
    for text in [Some(&name), file_name.as_ref()].into_iter().flatten() {
        if text.len() > NAME_LIMIT_BYTES || text.chars().any(is_unseen) {
            let problem = format!(
                "a part's name has control characters, others that are not seen, or more than {NAME_LIMIT_BYTES} bytes"
            );
            return Err(Problem::invalid(problem));
        }
    }
    Ok(Part { name, file_name, bytes })
}

/// A parameter of a header, as browsers and curl write it: quoted, quotes within as `%22` or with a backslash.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value;
    loop {
        rest = &rest[rest.find(';')? + 1..];
        let (name, after) = rest.split_once('=')?;
        let is_wanted = name.trim().eq_ignore_ascii_case(wanted);
        let (text, left) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if is_wanted {
            return Some(text);
        }
        rest = left;
    }
}

/// A quoted text to its closing quote, and what follows.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => text.push(letters.next()?.1),
            other => text.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: &str) -> Answer<Vec<Part>> {
        parts(&Bytes::copy_from_slice(body.as_bytes()), "x")
    }

    fn head(name: &str) -> String {
        format!("Content-Disposition: form-data; name=\"{name}\"\r\n\r\n")
    }

    #[test]
    fn a_form_comes_apart_byte_for_byte() {
        let body = format!(
            "preamble\r\n--x\r\n{}\0asm\r\n--y\r\n--x \t\r\nContent-Type: text/plain\r\ncontent-disposition: form-data; \
             filename=\"单;据\\\".json\"; name=sample\r\n\r\n\r\n--x--\r\nepilogue",
            head("module")
        );
        let found = parsed(&body).unwrap();
        let as_told: Vec<_> =
            found.iter().map(|part| (part.name.as_str(), part.file_name.as_deref(), part.bytes.as_ref())).collect();
        assert_eq!(as_told, [("module", None, &b"\0asm\r\n--y"[..]), ("sample", Some("单;据\".json"), &b""[..])]);
        assert_eq!(parsed("--x--").unwrap(), []);
    }

    #[test]
    fn what_is_wrong_with_a_form_is_said() {
        let part = |name: &str| format!("--x\r\n{}1\r\n", head(name));
        for (body, word) in [
            (String::new(), "no end"),
            ("--x\r\n".into(), "no head"),
            (format!("--x\r\n{}no end", head("module")), "no end"),
            (format!("--x\r\n{}1\r\n--xy", head("module")), "no end"),
            (part("a").repeat(10_000) + "--x--", "more than 64 parts"),
            (part(&"n".repeat(3_000)) + "--x--", "more than 160 bytes"),
            (part(&"n".repeat(9_000)) + "--x--", "no head of at most 4096"),
            (part("a\u{7}b") + "--x--", "control characters"),
            ("--x\r\n\r\n\r\n1\r\n--x--".into(), "no Content-Disposition"),
            ("--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--".into(), "no name"),
            ("--x\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--x--".into(), "no name"),
            ("--x\r\nContent-Transfer-Encoding: base64\r\n\r\n1\r\n--x--".into(), "without an encoding"),
            ("--x\r\nno colon\r\n\r\n1\r\n--x--".into(), "without a colon"),
        ] {
            let problem = parsed(&body).unwrap_err();
            assert!(problem.detail().contains(word), "{problem:?} of {:?}", &body[..body.len().min(100)]);
        }
    }

    #[test]
    fn a_boundary_is_found_and_checked() {
        assert_eq!(boundary("multipart/form-data; charset=utf-8; Boundary=\"a b\"").unwrap(), "a b");
        for bad in ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\u{7}"] {
            assert!(boundary(bad).is_err(), "{bad:?}");
        }
        assert!(boundary(&format!("multipart/form-data; boundary={}", "x".repeat(71))).is_err());
    }
}
