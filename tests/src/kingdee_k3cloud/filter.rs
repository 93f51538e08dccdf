//! `FilterString`: comparisons and `in` lists, joined by `and`. Anything else is refused, not guessed at.

use serde_json::Value;

/// One comparison. `in` has several values, everything else one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub field: String,
    pub compare: Compare,
    /// As JSON texts, which is how found values are compared.
    pub values: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Literal(String),
    Compare(Compare),
    Open,
    Close,
    Comma,
}

pub fn parse(text: &str) -> Result<Vec<Condition>, String> {
    let tokens = tokens(text)?;
    let mut rest = tokens.as_slice();
    let mut conditions = Vec::new();
    while !rest.is_empty() {
        if !conditions.is_empty() {
            match rest {
                [Token::Word(word), tail @ ..] if word.eq_ignore_ascii_case("and") => rest = tail,
                _ => return Err(syntax(text)),
            }
        }
        let (condition, tail) = condition(rest).ok_or_else(|| syntax(text))?;
        conditions.push(condition);
        rest = tail;
    }
    Ok(conditions)
}

fn syntax(text: &str) -> String {
    format!("过滤条件FilterString语法错误：{text}")
}

fn condition(tokens: &[Token]) -> Option<(Condition, &[Token])> {
    // A comparison may stand in brackets of its own.
    if let [Token::Open, tail @ ..] = tokens {
        let (inner, tail) = condition(tail)?;
        let [Token::Close, tail @ ..] = tail else { return None };
        return Some((inner, tail));
    }
    let [Token::Word(field), tail @ ..] = tokens else { return None };
    match tail {
        [Token::Compare(compare), value, tail @ ..] => {
            let condition =
                Condition { field: field.clone(), compare: *compare, values: vec![Value::from(literal(value)?)] };
            Some((condition, tail))
        }
        [Token::Word(word), Token::Open, tail @ ..] if word.eq_ignore_ascii_case("in") => {
            let mut values = Vec::new();
            let mut tail = tail;
            loop {
                let [value, separator, next @ ..] = tail else { return None };
                values.push(Value::from(literal(value)?));
                tail = next;
                match separator {
                    Token::Comma => {}
                    Token::Close => break,
                    _ => return None,
                }
            }
            Some((Condition { field: field.clone(), compare: Compare::In, values }, tail))
        }
        _ => None,
    }
}

/// A quoted text or a bare number.
fn literal(token: &Token) -> Option<String> {
    match token {
        Token::Literal(text) => Some(text.clone()),
        Token::Word(word) if word.starts_with(|first: char| first.is_ascii_digit() || first == '-') => {
            Some(word.clone())
        }
        _ => None,
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '\'' => quoted(rest).ok_or_else(|| syntax(text))?,
            '<' if rest.starts_with("<>") => (Token::Compare(Compare::NotEqual), 2),
            '!' if rest.starts_with("!=") => (Token::Compare(Compare::NotEqual), 2),
            '<' if rest.starts_with("<=") => (Token::Compare(Compare::LessOrEqual), 2),
            '>' if rest.starts_with(">=") => (Token::Compare(Compare::GreaterOrEqual), 2),
            '<' => (Token::Compare(Compare::Less), 1),
            '>' => (Token::Compare(Compare::Greater), 1),
            '=' => (Token::Compare(Compare::Equal), 1),
            _ => {
                let word: String =
                    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')).collect();
                if word.is_empty() {
                    return Err(syntax(text));
                }
                let length = word.len();
                (Token::Word(word), length)
            }
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// A text in single quotes; a doubled quote stands for one. Also says how many bytes it took.
fn quoted(text: &str) -> Option<(Token, usize)> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((position, character)) = characters.next() {
        if character != '\'' {
            value.push(character);
        } else if characters.next_if(|(_, next)| *next == '\'').is_some() {
            value.push('\'');
        } else {
            return Some((Token::Literal(value), position + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, Compare, &[&str])]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(field, compare, values)| Condition {
                field: (*field).to_owned(),
                compare: *compare,
                values: values.iter().map(|value| Value::from(*value)).collect(),
            })
            .collect();
        assert_eq!(parse(text), Ok(expected), "{text}");
    }

    #[test]
    fn reads_comparisons_lists_and_doubled_quotes() {
        check("", &[]);
        check("FBillNo = 'O''Neil'", &[("FBillNo", Compare::Equal, &["O'Neil"])]);
        check(
            "FBillNo in ('1','2') AND FID>=7",
            &[("FBillNo", Compare::In, &["1", "2"]), ("FID", Compare::GreaterOrEqual, &["7"])],
        );
        check("(FDate <> '2026-11-20')", &[("FDate", Compare::NotEqual, &["2026-11-20"])]);
        check("FCustomerID.FNumber='客户'", &[("FCustomerID.FNumber", Compare::Equal, &["客户"])]);
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for text in [
            "FBillNo",
            "FBillNo = ",
            "FBillNo = 'a",
            "a = 'b' or a = 'c'",
            "a in ()",
            "a = b",
            "a = 'b' c = 'd'",
            "; drop",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
