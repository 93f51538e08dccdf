//! Personal data that can be told by its form, wherever it stands.

/// What a piece of text is by its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Personal {
    Mobile,
    Identity,
    Email,
}

impl Personal {
    /// Of a text that is one of these as a whole.
    pub fn of(text: &str) -> Option<Self> {
        let mut found = None;
        replace_patterns(text, &mut |kind, piece| {
            found = Some((kind, piece.len()));
            String::new()
        });
        // `+86-` may stand before a number.
        let rest = |kind, length: usize| match kind {
            Personal::Mobile => text.is_ascii() && text.len() - length <= 4 && !text.starts_with(char::is_alphabetic),
            Personal::Identity | Personal::Email => text.len() == length,
        };
        found.filter(|(kind, length)| rest(*kind, *length)).map(|(kind, _)| kind)
    }
}

/// Hides mobile numbers, identity numbers and e-mail addresses.
pub(super) fn mask_patterns(text: &str) -> String {
    replace_patterns(text, &mut stars)
}

/// Calls `with` for each of them, and puts what it gives in its place.
pub fn replace_patterns(text: &str, with: &mut dyn FnMut(Personal, &str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        // Letters, digits and what joins them in addresses and grouped numbers; all else ends a word.
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '-' | '_' | '+' | '%');
        let start = rest.find(is_part).unwrap_or(rest.len());
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        // `138 1234 5678`: the groups are words of their own.
        if let Some((found, after)) = grouped_mobile(rest, ' ') {
            out.push_str(&with(Personal::Mobile, found));
            rest = after;
            continue;
        }
        match email(word) {
            Some(email) => out.push_str(&word.replacen(email, &with(Personal::Email, email), 1)),
            None => replace_digits(word, with, &mut out),
        }
        rest = after;
    }
    out
}

/// What is shown instead.
fn stars(kind: Personal, found: &str) -> String {
    match kind {
        Personal::Mobile if found.len() == 13 && !found.starts_with("86") => {
            format!("{}****{}", &found[..4], &found[8..])
        }
        Personal::Mobile => format!("{}****{}", &found[..found.len() - 8], &found[found.len() - 4..]),
        Personal::Identity => format!("{}***********{}", &found[..3], &found[16..]),
        Personal::Email => mask_email(found).unwrap_or_else(|| "***".into()),
    }
}

/// `local@domain.tld` as a whole word. What stands around it (a full stop, a dash) is kept.
pub(super) fn mask_email(word: &str) -> Option<String> {
    let email = email(word)?;
    let (local, domain) = email.split_once('@')?;
    let first = local.chars().next()?;
    Some(word.replacen(email, &format!("{first}***@{domain}"), 1))
}

fn email(word: &str) -> Option<&str> {
    let trimmed = word.trim_matches(['.', '-', '+']);
    let (local, domain) = trimmed.split_once('@')?;
    (!local.is_empty() && domain.contains('.') && !domain.contains('@')).then_some(trimmed)
}

/// Runs of digits within one word: `13812345678`, `+86-13812345678`, `138-1234-5678`.
fn replace_digits(word: &str, with: &mut dyn FnMut(Personal, &str) -> String, out: &mut String) {
    let mut rest = word;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if end == 0 {
            if let Some(separator) = rest.chars().next() {
                out.push(separator);
                rest = &rest[separator.len_utf8()..];
            }
            continue;
        }
        if let Some((found, after)) = grouped_mobile(rest, '-') {
            out.push_str(&with(Personal::Mobile, found));
            rest = after;
            continue;
        }
        let (run, after) = rest.split_at(end);
        match of_run(run) {
            Some(kind) => out.push_str(&with(kind, run)),
            None => out.push_str(run),
        }
        rest = after;
    }
}

/// One run of letters and digits without anything between.
fn of_run(run: &str) -> Option<Personal> {
    let is_national = run.strip_prefix("86").is_some_and(is_mobile);
    if is_mobile(run) || is_national {
        return Some(Personal::Mobile);
    }
    is_identity(run).then_some(Personal::Identity)
}

/// Three, four and four digits at the front of `text`, and what follows.
fn grouped_mobile(text: &str, separator: char) -> Option<(&str, &str)> {
    let head = text.get(..13)?;
    let groups: Vec<&str> = head.split(separator).collect();
    let [a, b, c] = groups.as_slice() else { return None };
    let ends = !text[13..].starts_with(|c: char| c.is_ascii_alphanumeric());
    if [a.len(), b.len(), c.len()] != [3, 4, 4] || !ends || !is_mobile(&format!("{a}{b}{c}")) {
        return None;
    }
    Some((head, &text[13..]))
}

fn is_mobile(run: &str) -> bool {
    run.len() == 11
        && run.bytes().all(|b| b.is_ascii_digit())
        && run.starts_with('1')
        && matches!(run.as_bytes()[1], b'3'..=b'9')
}

/// Eighteen places with a birthday in the middle. The check digit is not asked for: one that is mistyped belongs to
/// somebody all the same. An order number that looks so by chance is hidden; that is the cheaper mistake.
fn is_identity(run: &str) -> bool {
    let bytes = run.as_bytes();
    if bytes.len() != 18 || !bytes[..17].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let number = |range: std::ops::Range<usize>| run[range].parse::<u32>().unwrap_or(0);
    let last_fits = bytes[17].is_ascii_digit() || matches!(bytes[17], b'X' | b'x');
    last_fits
        && bytes[0] != b'0'
        && (1900..=2099).contains(&number(6..10))
        && (1..=12).contains(&number(10..12))
        && (1..=31).contains(&number(12..14))
}
