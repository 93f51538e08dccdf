//! From a vendor's bytes to text that a JSON parser takes.

use std::borrow::Cow;

use bytes::Bytes;
use rust_decimal::Decimal;
use serde_json::Value;

use super::Error;
use crate::config::Secret;

/// The answer as text: strictly UTF-8, with what is known of vendors' slips repaired (see [`repair`]).
pub fn decode(bytes: &Bytes) -> Result<Cow<'_, str>, Error> {
    // Servers written for .NET like to begin with a byte order mark, which JSON parsers refuse.
    let body = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(body) {
        Ok(text) => Ok(repair(text)),
        Err(error) => {
            let (_, _, gbk_failed) = encoding_rs::GBK.decode(body);
            let guess = if gbk_failed { "" } else { "; it looks like GBK" };
            let detail = format!("not UTF-8 from byte {}{guess}", error.valid_up_to());
            Err(Error::Unreadable { detail, bytes: bytes.clone() })
        }
    }
}

/// Takes out the control characters that JSON does not allow and that vendors let through from their users' remarks,
/// and escapes raw tabs and line breaks inside strings. A text without them is handed back untouched.
fn repair(text: &str) -> Cow<'_, str> {
    // Nearly every answer. Without a way out in the middle this is a few bytes a nanosecond.
    if text.bytes().fold(u8::MAX, u8::min) >= 0x20 {
        return Cow::Borrowed(text);
    }
    let is_stray = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
    let mut repaired = String::new();
    let (mut copied, mut in_string, mut escaped) = (0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        let instead = match byte {
            byte if is_stray(byte) => "",
            b'\t' if in_string => "\\t",
            b'\n' if in_string => "\\n",
            b'\r' if in_string => "\\r",
            _ => {
                in_string ^= byte == b'"' && !escaped;
                escaped = in_string && byte == b'\\' && !escaped;
                continue;
            }
        };
        repaired.push_str(&text[copied..at]);
        repaired.push_str(instead);
        copied = at + 1;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    repaired.push_str(&text[copied..]);
    Cow::Owned(repaired)
}

/// The answer with every secret in it blanked: error pages like to quote the request that they are the answer to.
pub fn without(bytes: Bytes, secrets: &[Secret]) -> Bytes {
    // Shorter than every signature and token, and longer than a word of a record, whose bytes must stay as they are.
    const SHORTEST_BYTES: usize = 16;
    secrets.iter().map(|secret| secret.expose().as_bytes()).filter(|secret| secret.len() >= SHORTEST_BYTES).fold(
        bytes,
        |bytes, secret| {
            let mut blanked = Vec::new();
            let mut rest = &bytes[..];
            while let Some(at) = find(rest, secret) {
                blanked.extend_from_slice(&rest[..at]);
                blanked.extend_from_slice(b"***");
                rest = &rest[at + secret.len()..];
            }
            if rest.len() == bytes.len() {
                return bytes;
            }
            blanked.extend_from_slice(rest);
            blanked.into()
        },
    )
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    match (std::str::from_utf8(bytes), std::str::from_utf8(wanted)) {
        (Ok(text), Ok(wanted)) => text.find(wanted),
        _ => bytes.windows(wanted.len()).position(|window| window == wanted),
    }
}

/// A number that a vendor or a module wrote, exactly, as a number or as a text.
pub fn decimal(value: &Value) -> Option<Decimal> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    text.parse().ok().or_else(|| Decimal::from_scientific(&text).ok())
}

/// The beginning of a vendor's words, short enough for a log line and a fault, on one line.
pub fn excerpt(text: &str) -> String {
    // Two hundred characters hold every error text seen; an HTML error page is recognisable long before that.
    const EXCERPT_CHARS: usize = 200;
    let mut words: String =
        text.chars().take(EXCERPT_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    if text.chars().nth(EXCERPT_CHARS).is_some() {
        words.push('…');
    }
    words.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &'static [u8]) -> String {
        decode(&Bytes::from_static(bytes)).unwrap().into_owned()
    }

    #[test]
    fn leaves_good_text_untouched_and_unallocated() {
        let bytes = Bytes::from_static("{\n\t\"a\": \"张\\\"三\\\\\"\r\n}".as_bytes());
        assert!(matches!(decode(&bytes).unwrap(), Cow::Borrowed(text) if text.as_bytes() == bytes));
    }

    #[test]
    fn repairs_control_characters_that_json_refuses() {
        assert_eq!(read(b"{\"a\":\"x\x00\x0b\x1fy\"}"), "{\"a\":\"xy\"}");
        assert_eq!(read(b"{\"a\":\"line\nbreak\ttab\"}"), "{\"a\":\"line\\nbreak\\ttab\"}");
        assert_eq!(read(b"{\"a\":\"q\\\"\n\"}\n"), "{\"a\":\"q\\\"\\n\"}\n");
        assert_eq!(read(b"\xef\xbb\xbf{}"), "{}");
    }

    #[test]
    fn says_that_a_page_looks_like_gbk() {
        let gbk = Bytes::from_static(b"{\"name\":\"\xd5\xc5\xc8\xfd\"}");
        let error = decode(&gbk).unwrap_err();
        assert!(error.to_string().contains("looks like GBK"), "{error}");
        assert!(matches!(error, Error::Unreadable { bytes, .. } if bytes == gbk));
        let neither = decode(&Bytes::from_static(b"{\"a\":\"\xff\xff\"}")).unwrap_err();
        assert!(!neither.to_string().contains("GBK"), "{neither}");
    }

    #[test]
    fn a_quoted_secret_is_blanked_in_text_and_in_bytes_that_are_none() {
        let secrets = [Secret::new("0123456789abcdef"), Secret::new("张三")];
        for (page, blanked) in [
            (&b"sign=0123456789abcdef&again=0123456789abcdef"[..], &b"sign=***&again=***"[..]),
            (b"\xd5\xc5 0123456789abcdef", b"\xd5\xc5 ***"),
            ("{\"name\":\"张三\"}".as_bytes(), "{\"name\":\"张三\"}".as_bytes()),
            (b"", b""),
        ] {
            assert_eq!(without(Bytes::copy_from_slice(page), &secrets), blanked);
        }
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt("a\nb"), "a b");
        assert_eq!(excerpt(&"字".repeat(300)).chars().count(), 201);
    }
}
