//! CSV as spreadsheets write it: fields between commas, quoted where they hold a comma, a quote or a line's end.

/// One record and the line that it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) line: usize,
    pub(super) fields: Vec<String>,
}

/// What is wrong, and on which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) line: usize,
    pub(super) problem: &'static str,
}

/// The records of a text; empty lines are passed over. Stops at the first quote that nobody can make sense of, for what
/// follows it would be guessed.
pub(super) fn records(text: &str) -> Result<Vec<Record>, Broken> {
    let mut records = Vec::new();
    let mut rest = text.chars().peekable();
    let mut line = 1;
    while rest.peek().is_some() {
        let mut record = Record { line, fields: Vec::new() };
        loop {
            let begin = line;
            let mut field = String::new();
            let quoted = rest.next_if_eq(&'"').is_some();
            if quoted {
                loop {
                    match rest.next() {
                        Some('"') if rest.next_if_eq(&'"').is_some() => field.push('"'),
                        Some('"') => break,
                        Some(other) => {
                            line += usize::from(other == '\n');
                            field.push(other);
                        }
                        None => return Err(Broken { line: begin, problem: "a quoted field does not end" }),
                    }
                }
            }
            let mut ended = true;
            while let Some(next) = rest.next() {
                match next {
                    ',' => {
                        ended = false;
                        break;
                    }
                    '\n' => break,
                    '\r' if rest.peek().is_none_or(|next| *next == '\n') => {}
                    _ if quoted => return Err(Broken { line, problem: "text follows the end of a quoted field" }),
                    '"' => return Err(Broken { line, problem: "a quote stands within a field that is not quoted" }),
                    other => field.push(other),
                }
            }
            record.fields.push(field);
            if ended {
                break;
            }
        }
        line += 1;
        if record.fields.iter().any(|field| !field.is_empty()) {
            records.push(record);
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(usize, &[&str])]) {
        let found = records(text).unwrap();
        let found: Vec<(usize, Vec<&str>)> =
            found.iter().map(|one| (one.line, one.fields.iter().map(String::as_str).collect())).collect();
        let expected: Vec<(usize, Vec<&str>)> =
            expected.iter().map(|(line, fields)| (*line, fields.to_vec())).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn reads_what_spreadsheets_write() {
        check(
            "code,warehouse\r\nA,W1\r\n\r\nB,\"W,2\"\r\n",
            &[(1, &["code", "warehouse"]), (2, &["A", "W1"]), (4, &["B", "W,2"])],
        );
        check("a,b", &[(1, &["a", "b"])]);
        check("a,\n,,\nb", &[(1, &["a", ""]), (3, &["b"])]);
        check(
            "\"two\nlines\",\"a \"\"quote\"\"\"\nnext,x\n",
            &[(1, &["two\nlines", "a \"quote\""]), (3, &["next", "x"])],
        );
        check("\"\",x", &[(1, &["", "x"])]);
        check("", &[]);
    }

    #[test]
    fn says_on_which_line_a_quote_makes_no_sense() {
        for (text, line) in [("a\n\"b", 2), ("a\n\n\"b\" c", 3), ("a\nb\"c", 2), ("\"a\nb\nc", 1)] {
            assert_eq!(records(text).unwrap_err().line, line, "{text:?}");
        }
    }
}
