//! Personal data that can be told by its form, wherever it stands.

/// Hides mobile numbers, identity numbers and e-mail addresses.
pub(super) fn mask_patterns(text: &str) -> String {
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
        if let Some((masked, after)) = spaced_mobile(rest) {
            out.push_str(&masked);
            rest = after;
            continue;
        }
        out.push_str(&mask_email(word).unwrap_or_else(|| mask_digits(word)));
        rest = after;
    }
    out
}

/// `local@domain.tld` as a whole word. What stands around it (a full stop, a dash) is kept.
pub(super) fn mask_email(word: &str) -> Option<String> {
    let trimmed = word.trim_matches(['.', '-', '+']);
    let (local, domain) = trimmed.split_once('@')?;
    let first = local.chars().next()?;
    if !domain.contains('.') || domain.contains('@') {
        return None;
    }
    Some(word.replacen(trimmed, &format!("{first}***@{domain}"), 1))
}

/// Runs of digits within one word: `13812345678`, `+86-13812345678`, `138-1234-5678`.
fn mask_digits(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
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
        if let Some((masked, after)) = grouped_mobile(rest, '-') {
            out.push_str(&masked);
            rest = after;
            continue;
        }
        let (run, after) = rest.split_at(end);
        out.push_str(&mask_run(run));
        rest = after;
    }
    out
}

/// One run of letters and digits without anything between.
fn mask_run(run: &str) -> String {
    if is_mobile(run) {
        return format!("{}****{}", &run[..3], &run[7..]);
    }
    if let Some(national) = run.strip_prefix("86").filter(|national| is_mobile(national)) {
        return format!("86{}****{}", &national[..3], &national[7..]);
    }
    if is_identity(run) {
        return format!("{}***********{}", &run[..3], &run[16..]);
    }
    run.to_owned()
}

fn spaced_mobile(text: &str) -> Option<(String, &str)> {
    grouped_mobile(text, ' ')
}

/// Three, four and four digits at the front of `text`, and what follows.
fn grouped_mobile(text: &str, separator: char) -> Option<(String, &str)> {
    let head = text.get(..13)?;
    let groups: Vec<&str> = head.split(separator).collect();
    let [a, b, c] = groups.as_slice() else { return None };
    let ends = !text[13..].starts_with(|c: char| c.is_ascii_alphanumeric());
    if [a.len(), b.len(), c.len()] != [3, 4, 4] || !ends || !is_mobile(&format!("{a}{b}{c}")) {
        return None;
    }
    Some((format!("{a}{separator}****{separator}{c}"), &text[13..]))
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
