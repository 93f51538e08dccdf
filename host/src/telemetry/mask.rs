//! Hides personal data in what is shown, and leaves the rest as it is, byte for byte.
//!
//! Two ways to find it: by the names of fields, wherever they stand, and by pattern (mobile numbers, identity numbers,
//! e-mail addresses) in free text. What is hidden stays recognisable to somebody who knows it: `张*`, `138****5678`.
//!
//! It reads JSON with a scanner of its own and not with a parser: log lines hold truncated documents, JSON inside
//! strings, and form bodies, and numbers must stay as the vendor wrote them. It cannot find a Chinese name in free text
//! without a field's name beside it; nobody should rely on that.

mod pattern;

use pattern::mask_patterns;
pub use pattern::{Personal, replace_patterns};

/// JSON inside a string inside JSON: vendors do it once (`trade_list`), gateways twice. Deeper is hidden as a whole.
const NESTING_LIMIT: usize = 4;

/// Masks a JSON text, also a truncated one. Outside of strings nothing changes but numbers in personal fields.
pub fn mask_json(text: &str) -> String {
    scan(text, Bare::Json, 0)
}

/// Masks a text that a person or a vendor wrote, and JSON and `key=value` pairs in it.
pub fn mask_text(text: &str) -> String {
    scan(text, Bare::Text, 0)
}

/// What kind of personal data a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Name,
    /// A customer of a sales system is a person, that of an accounting system mostly a company. Two to four Chinese
    /// characters are a person.
    NameIfPerson,
    Phone,
    Address,
    Postcode,
    Account,
    Email,
    Identity,
}

/// The five vendors' fields, without case, `_` and `-`.
///
/// Not here on purpose: province, city and district (needed to see why an address was refused, and thousands share
/// them); U8's `receivename` (the name of a receipt type); K3Cloud's `FReceiverID` (a customer's number); free text
/// such as `remark` and `buyer_message`, where only patterns apply.
fn kind_of(field: &str) -> Option<Kind> {
    let plain: String = field.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect();
    Some(match plain.as_str() {
        "receivername" | "receiver" | "consignee" | "contact" | "contactname" | "contacts" | "linkman" | "flinkman"
        | "buyername" | "buyernick" | "fenxiaonick" | "invoicetitle" | "referrername" | "realname" | "sendername" => {
            Kind::Name
        }
        // Staff are people too.
        "personname" | "operatorname" | "handler" | "maker" | "checkername" => Kind::Name,
        "customername" => Kind::NameIfPerson,
        "receivermobile" | "receiverphone" | "receivertelno" | "mobile" | "phone" | "telno" | "telephone" | "tel"
        | "flinkphone" | "linkphone" | "buyermobile" | "buyerphone" | "contactphone" | "sendermobile"
        | "senderphone" => Kind::Phone,
        "receiveraddress" | "freceiveaddress" | "receiveaddress" | "address" | "receivertown" | "senderaddress" => {
            Kind::Address
        }
        "receiverzip" => Kind::Postcode,
        "shopbuyerid" | "buyeraccount" | "payaccount" | "openid" | "oaid" | "buyeropenuid" | "alipayno" => {
            Kind::Account
        }
        "buyeremail" | "receiveremail" | "email" => Kind::Email,
        "idcard" | "idcardno" | "idno" | "buyertaxno" => Kind::Identity,
        _ => return None,
    })
}

/// Whether a field of this name holds personal data, whatever is in it.
pub fn is_personal_field(field: &str) -> bool {
    kind_of(field).is_some()
}

/// A number of a document, where eleven digits are not a telephone.
pub fn is_identifier(field: &str) -> bool {
    let field = field.to_ascii_lowercase();
    ["id", "no", "code", "number", "key", "tid"].iter().any(|ending| field.ends_with(ending))
}

/// What is expected outside of strings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bare {
    /// Numbers, to be kept. Words are looked into: an error page may come where JSON should.
    Json,
    /// Anything.
    Text,
}

/// One open object or array.
struct Level {
    object: bool,
    /// Everything below a personal field is personal.
    inherited: Option<Kind>,
}

fn scan(text: &str, bare: Bare, depth: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut levels: Vec<Level> = Vec::new();
    // The field whose value is next.
    let mut field: Option<String> = None;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let inherited = levels.last().and_then(|level| level.inherited);
        let kind = field.as_deref().and_then(kind_of).or(inherited);
        match first {
            '"' => {
                let (token, after) = split_string(rest);
                rest = after;
                if let Some(stripped) = after.trim_start().strip_prefix(':') {
                    field = Some(unescape(token));
                    let colon = after.len() - stripped.len();
                    out.push_str(token);
                    out.push_str(&after[..colon]);
                    rest = stripped;
                } else {
                    out.push_str(&mask_string(token, kind, field.as_deref(), depth));
                    field = None;
                }
            }
            '{' | '[' => {
                levels.push(Level { object: first == '{', inherited: kind });
                field = None;
                out.push(first);
                rest = &rest[1..];
            }
            '}' | ']' => {
                levels.pop();
                field = None;
                out.push(first);
                rest = &rest[1..];
            }
            ',' => {
                if levels.last().is_none_or(|level| level.object) {
                    field = None;
                }
                out.push(first);
                rest = &rest[1..];
            }
            _ => {
                // Outside of any bracket a comma is punctuation, and may stand in the middle of an address.
                let sentence = bare == Bare::Text && levels.is_empty();
                let ends = |c: char| matches!(c, '"' | '{' | '[' | '}' | ']') || (c == ',' && !sentence);
                let end = find_unescaped(rest, ends);
                let (plain, after) = rest.split_at(end);
                rest = after;
                out.push_str(&mask_bare(plain, kind, bare));
            }
        }
    }
    out
}

/// Where the first such character stands that no backslash hides: quotes in a text may be escaped.
fn find_unescaped(text: &str, wanted: impl Fn(char) -> bool) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if wanted(c) => return at,
            _ => {}
        }
    }
    text.len()
}

/// What stands between strings and brackets: numbers, literals, white space; in a text, words.
fn mask_bare(plain: &str, kind: Option<Kind>, bare: Bare) -> String {
    let value = plain.trim();
    let is_number = value.bytes().any(|b| b.is_ascii_digit()) && value.parse::<f64>().is_ok();
    match kind {
        // The mask is no number, so it becomes a string.
        Some(kind) if is_number => plain.replace(value, &format!("\"{}\"", mask_value(value, kind))),
        _ if bare == Bare::Json && is_number => plain.to_owned(),
        _ => mask_pairs(plain),
    }
}

/// `key=value`, `key: value` and `<key>value` in a text, and patterns in the rest of it.
fn mask_pairs(text: &str) -> String {
    // Quotes of all kinds, also escaped ones, may stand around both.
    let is_quote = |c: char| matches!(c, ' ' | '\'' | '"' | '\\');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['=', ':', '：', '>']) {
        let separator_bytes = rest[at..].chars().next().map_or(1, char::len_utf8);
        let (before, after) = (&rest[..at], &rest[at + separator_bytes..]);
        let name = before.trim_end_matches(is_quote);
        let name = &name[name.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').len()..];
        let is_closing_tag = before.ends_with(&format!("/{name}"));
        let Some(kind) = kind_of(name).filter(|_| !is_closing_tag) else {
            out.push_str(&mask_patterns(before));
            out.push_str(&rest[at..at + separator_bytes]);
            rest = after;
            continue;
        };
        let value = after.trim_start_matches(is_quote);
        let value = &value[..value.find(|c| ends_value(c, kind)).unwrap_or(value.len())];
        let value_start = after.len() - after.trim_start_matches(is_quote).len();
        out.push_str(&mask_patterns(before));
        out.push_str(&rest[at..at + separator_bytes + value_start]);
        out.push_str(&mask_value(value, kind));
        rest = &after[value_start + value.len()..];
    }
    out.push_str(&mask_patterns(rest));
    out
}

/// Where a value in a text is over. Names and addresses hold spaces, addresses commas: there it is better to hide the
/// next words as well than to show half of where somebody lives.
fn ends_value(c: char, kind: Kind) -> bool {
    match c {
        '&' | ';' | '；' | '。' | '<' | '"' | '\'' | '\\' | '\n' | '\r' => true,
        ',' | '，' | ')' | '）' => kind != Kind::Address,
        c if c.is_whitespace() => !matches!(kind, Kind::Address | Kind::Name | Kind::NameIfPerson),
        _ => false,
    }
}

/// The string token at the front, quotes included, and what follows. An unclosed one reaches to the end.
fn split_string(text: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return text.split_at(at + 1),
            _ => {}
        }
    }
    (text, "")
}

/// The text of a string token; of one that is cut off or wrong, as much as can be understood.
fn unescape(token: &str) -> String {
    if let Ok(text) = serde_json::from_str(token) {
        return text;
    }
    let inner = token.strip_prefix('"').unwrap_or(token);
    let inner = if token.len() > 1 { inner.strip_suffix('"').unwrap_or(inner) } else { inner };
    // A cut can leave half an escape at the end.
    for cut in inner.char_indices().rev().map(|(at, _)| at).take(6) {
        if let Ok(text) = serde_json::from_str::<String>(&format!("\"{}\"", &inner[..cut])) {
            return text + &inner[cut..];
        }
        if let Ok(text) = serde_json::from_str::<String>(&format!("\"{inner}\"")) {
            return text;
        }
    }
    inner.replace("\\\"", "\"").replace("\\\\", "\\")
}

fn mask_string(token: &str, kind: Option<Kind>, field: Option<&str>, depth: usize) -> String {
    let text = unescape(token);
    let masked = match kind {
        Some(kind) => mask_value(&text, kind),
        None if text.trim_start().starts_with(['{', '[']) => {
            if depth < NESTING_LIMIT {
                let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
                scan(&text, if is_json { Bare::Json } else { Bare::Text }, depth + 1)
            } else {
                "***".into()
            }
        }
        // An identifier that is all one number is not looked into; a sentence in such a field is.
        None if field.is_some_and(is_identifier) && text.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            return token.into();
        }
        // JSON may be quoted in the middle of a message.
        None if text.contains('"') && depth < NESTING_LIMIT => scan(&text, Bare::Text, depth + 1),
        None => mask_pairs(&text),
    };
    if masked == text {
        return token.to_owned();
    }
    let mut quoted = serde_json::Value::String(masked).to_string();
    let closed = token.len() > 1
        && split_string(token).1.is_empty()
        && token.ends_with('"')
        && serde_json::from_str::<String>(token).is_ok();
    if !closed {
        // What was cut off stays visibly cut off.
        quoted.pop();
    }
    quoted
}

/// One value of a personal field.
fn mask_value(text: &str, kind: Kind) -> String {
    let characters: Vec<char> = text.trim().chars().collect();
    if characters.is_empty() {
        return text.to_owned();
    }
    let first = |count: usize| characters[..count.min(characters.len())].iter().collect::<String>();
    let last = |count: usize| characters[characters.len().saturating_sub(count)..].iter().collect::<String>();
    match kind {
        Kind::NameIfPerson if !looks_like_a_person(&characters) => mask_patterns(text),
        Kind::Name | Kind::NameIfPerson => {
            // No more than three: the length of a nickname is a hint of its own.
            let stars = "*".repeat((characters.len() - 1).clamp(1, 3));
            if characters.len() == 1 { stars } else { first(1) + &stars }
        }
        Kind::Phone if characters.len() >= 11 => format!("{}****{}", first(3), last(4)),
        Kind::Phone if characters.len() >= 7 => format!("****{}", last(3)),
        Kind::Phone => "****".into(),
        // A quarter at most: three characters of a long address are its province.
        Kind::Address => format!("{}***", first((characters.len() / 4).min(3))),
        Kind::Postcode => format!("{}****", first(characters.len().saturating_sub(4).min(2))),
        Kind::Account if characters.len() >= 8 => format!("{}***{}", first(2), last(2)),
        Kind::Account => "***".into(),
        Kind::Email => pattern::mask_email(text.trim()).unwrap_or_else(|| "***".into()),
        Kind::Identity if characters.len() >= 15 => format!("{}***********{}", first(3), last(2)),
        Kind::Identity => "***".into(),
    }
}

fn looks_like_a_person(characters: &[char]) -> bool {
    (2..=4).contains(&characters.len()) && characters.iter().all(|c| ('\u{4e00}'..='\u{9fff}').contains(c) || *c == '·')
}

#[cfg(test)]
mod tests;
