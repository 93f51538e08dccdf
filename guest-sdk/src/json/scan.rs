//! Walks over JSON text: where a string ends, where a value ends, and that what lies between is JSON.
//!
//! Most of a vendor's document is fields that nobody asks for, so passing over a value is what reading costs most. Strings
//! are looked at sixteen bytes at once, here and in a component alike.

/// What is not JSON, or is it in a way that this walk leaves to serde_json: nested deeper than [`DEPTH_LIMIT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

type Result<T> = std::result::Result<T, Unreadable>;

/// As many levels as serde_json reads into typed values, and as there are bits to remember them in.
pub(super) const DEPTH_LIMIT: u32 = 128;

/// What is looked at at once.
pub(super) const CHUNK: usize = 16;

/// Whether the text is one JSON value, nested at most 127 deep.
pub fn is_json(text: &str) -> bool {
    let mut cursor = Cursor { text, at: 0 };
    cursor.value().and_then(|_| cursor.end()).is_ok()
}

/// A place in a JSON text.
pub(super) struct Cursor<'a> {
    pub text: &'a str,
    pub at: usize,
}

impl<'a> Cursor<'a> {
    #[inline(always)]
    pub fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// From one place that the walk has been at to another.
    #[inline(always)]
    fn slice(&self, start: usize, end: usize) -> &'a str {
        debug_assert!(self.text.get(start..end).is_some());
        // SAFETY: the walk begins and ends at bytes of ASCII that it has seen, so both are within the text and between two
        // characters, and it only goes on.
        unsafe { self.text.get_unchecked(start..end) }
    }

    /// The byte that comes next, white space passed over. It stays next.
    #[inline(always)]
    pub fn peek(&mut self) -> Result<u8> {
        let bytes = self.bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Unreadable),
            }
        }
    }

    /// Takes `wanted`, or nothing.
    #[inline(always)]
    pub fn take(&mut self, wanted: u8) -> Result<()> {
        if self.peek()? != wanted {
            return Err(Unreadable);
        }
        self.at += 1;
        Ok(())
    }

    /// Nothing but white space may be left.
    #[inline]
    pub fn end(&mut self) -> Result<()> {
        if self.peek().is_ok() { Err(Unreadable) } else { Ok(()) }
    }

    /// Takes a string, its opening quote being next: from quote to quote, and whether there is an escape in it.
    #[inline(always)]
    pub fn string(&mut self) -> Result<(&'a str, bool)> {
        let start = self.at;
        let bytes = self.bytes();
        let mut at = plain_end(bytes, start + 1);
        let mut escaped = false;
        loop {
            match bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok((self.slice(start, at + 1), escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    at = plain_end(bytes, escape_end(bytes, at)?);
                }
                _ => return Err(Unreadable),
            }
        }
    }

    /// Takes a value of any kind, and gives its text.
    #[inline]
    pub fn value(&mut self) -> Result<&'a str> {
        match self.peek()? {
            b'"' => self.string().map(|(text, _)| text),
            b'{' | b'[' => {
                let start = self.at;
                self.container()?;
                Ok(self.slice(start, self.at))
            }
            _ => self.scalar(),
        }
    }

    /// Takes a number, `true`, `false` or `null`.
    #[inline(always)]
    pub fn scalar(&mut self) -> Result<&'a str> {
        let start = self.at;
        match self.bytes().get(start) {
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word(b"true")?,
            Some(b'f') => self.word(b"false")?,
            Some(b'n') => self.word(b"null")?,
            _ => return Err(Unreadable),
        }
        Ok(self.slice(start, self.at))
    }

    #[inline(always)]
    pub fn word(&mut self, word: &[u8]) -> Result<()> {
        if !self.bytes()[self.at..].starts_with(word) {
            return Err(Unreadable);
        }
        self.at += word.len();
        Ok(())
    }

    #[inline(always)]
    fn number(&mut self) -> Result<()> {
        let bytes = self.bytes();
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
        let digits = |mut at: usize| {
            while byte(at).is_ascii_digit() {
                at += 1;
            }
            at
        };
        let mut at = self.at + usize::from(byte(self.at) == b'-');
        let whole = at;
        at = digits(at);
        if at == whole || (byte(whole) == b'0' && at > whole + 1) {
            return Err(Unreadable);
        }
        if byte(at) == b'.' {
            let places = at + 1;
            at = digits(places);
            if at == places {
                return Err(Unreadable);
            }
        }
        if matches!(byte(at), b'e' | b'E') {
            let exponent = at + 1 + usize::from(matches!(byte(at + 1), b'+' | b'-'));
            at = digits(exponent);
            if at == exponent {
                return Err(Unreadable);
            }
        }
        self.at = at;
        Ok(())
    }

    /// Takes an object or an array, its bracket being next.
    fn container(&mut self) -> Result<()> {
        // One bit a level, the innermost lowest: set where it is an object.
        let (mut levels, mut depth) = (0_u128, 0_u32);
        loop {
            // A value begins here.
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                open @ (b'{' | b'[') => {
                    if depth + 1 == DEPTH_LIMIT {
                        return Err(Unreadable);
                    }
                    self.at += 1;
                    let close = if open == b'{' { b'}' } else { b']' };
                    if self.peek()? == close {
                        self.at += 1;
                        if depth == 0 {
                            return Ok(());
                        }
                    } else {
                        depth += 1;
                        levels = levels << 1 | u128::from(open == b'{');
                        if open == b'{' {
                            self.name()?;
                        }
                        continue;
                    }
                }
                _ => {
                    self.scalar()?;
                }
            }
            // A value has ended here.
            loop {
                let in_object = levels & 1 == 1;
                match self.peek()? {
                    b',' => {
                        self.at += 1;
                        if in_object {
                            self.name()?;
                        }
                        break;
                    }
                    b'}' if in_object => self.at += 1,
                    b']' if !in_object => self.at += 1,
                    _ => return Err(Unreadable),
                }
                levels >>= 1;
                depth -= 1;
                if depth == 0 {
                    return Ok(());
                }
            }
        }
    }

    /// Takes a field's name and its colon.
    #[inline(always)]
    fn name(&mut self) -> Result<()> {
        if self.peek()? != b'"' {
            return Err(Unreadable);
        }
        self.string()?;
        self.take(b':')
    }
}

/// Behind the escape that begins at `at`.
#[cold]
fn escape_end(bytes: &[u8], at: usize) -> Result<usize> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match bytes.get(at + 2..at + 6) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(at + 6),
            _ => Err(Unreadable),
        },
        _ => Err(Unreadable),
    }
}

/// Where, from `at` on, the first byte is that is not plain within a string: a quote, a backslash or a control character.
/// The text's length where there is none.
#[inline(always)]
pub(super) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<CHUNK>()) {
        let found = special(chunk);
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += CHUNK;
    }
    while bytes.get(at).is_some_and(|byte| !is_special(*byte)) {
        at += 1;
    }
    at
}

/// Whether a string's text, from behind its opening quote to before its closing one, says what it looks like.
#[inline(always)]
pub(super) fn is_plain(mut text: &[u8]) -> bool {
    while let Some((chunk, rest)) = text.split_first_chunk::<CHUNK>() {
        if special(chunk) != 0 {
            return false;
        }
        text = rest;
    }
    special(&padded(text)) == 0
}

/// Less than a chunk, filled up with what is plain.
#[inline(always)]
pub(super) fn padded(few: &[u8]) -> [u8; CHUNK] {
    let mut chunk = [b' '; CHUNK];
    if few.len() < CHUNK {
        // SAFETY: so many bytes are there, and fit.
        unsafe { copy_few(few.as_ptr(), chunk.as_mut_ptr(), few.len()) };
    }
    chunk
}

/// Copies up to two chunks in two pieces that overlap.
///
/// # Safety
/// `from` can be read and `to` written for `len` bytes, at most 32, and they are apart.
#[inline(always)]
pub(super) unsafe fn copy_few(from: *const u8, to: *mut u8, len: usize) {
    /// The first and the last `N` bytes.
    #[inline(always)]
    unsafe fn ends<const N: usize>(from: *const u8, to: *mut u8, len: usize) {
        // SAFETY: `N` is at most `len`, for which the caller answers.
        unsafe {
            let first = from.cast::<[u8; N]>().read_unaligned();
            let last = from.add(len - N).cast::<[u8; N]>().read_unaligned();
            to.cast::<[u8; N]>().write_unaligned(first);
            to.add(len - N).cast::<[u8; N]>().write_unaligned(last);
        }
    }
    // SAFETY: as above; each piece is at most as long as the whole.
    unsafe {
        match len {
            0 => {}
            1 => *to = *from,
            2..=3 => ends::<2>(from, to, len),
            4..=7 => ends::<4>(from, to, len),
            8..=15 => ends::<8>(from, to, len),
            _ => ends::<16>(from, to, len),
        }
    }
}

#[inline(always)]
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// A bit for each byte that is not plain, the first byte's lowest.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline(always)]
pub(super) fn special(chunk: &[u8; CHUNK]) -> u32 {
    use std::arch::wasm32::{i8x16_bitmask, i8x16_eq, u8x16_lt, u8x16_splat, v128, v128_load, v128_or};
    // SAFETY: sixteen bytes are there to be read, and the instruction wants no alignment.
    let bytes = unsafe { v128_load(chunk.as_ptr().cast::<v128>()) };
    let quotes = i8x16_eq(bytes, u8x16_splat(b'"'));
    let escapes = i8x16_eq(bytes, u8x16_splat(b'\\'));
    i8x16_bitmask(v128_or(v128_or(quotes, escapes), u8x16_lt(bytes, u8x16_splat(0x20)))).into()
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn special(chunk: &[u8; CHUNK]) -> u32 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    // SAFETY: every processor of this architecture has these instructions; sixteen bytes are there to be read, unaligned.
    let mask = unsafe {
        let bytes = _mm_loadu_si128(chunk.as_ptr().cast::<__m128i>());
        let quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
        let escapes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
        let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
        _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, escapes), control))
    };
    mask.cast_unsigned()
}

#[cfg(not(any(all(target_arch = "wasm32", target_feature = "simd128"), target_arch = "x86_64")))]
#[inline(always)]
pub(super) fn special(chunk: &[u8; CHUNK]) -> u32 {
    chunk.iter().enumerate().fold(0, |found, (index, byte)| found | u32::from(is_special(*byte)) << index)
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn takes_exactly_what_serde_json_takes() {
        let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        for text in [
            "{}",
            " [ ] ",
            "{\"a\" : [1, 2.5e-3 ,\"x\"] , \"b\":{\"c\":null}}",
            "-0",
            "0.10",
            "1E+2",
            "true",
            "\"\\u00e9\\n\"",
            "\"\\ud83d\"",
            "\"一二三四五六七八九十\"",
            "[[],{},[{}]]",
            &deep(127),
            "",
            " ",
            "{",
            "[",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":1 \"b\":2}",
            "[1}",
            "{\"a\":1]",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "nul",
            "truex",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u12",
            "\"a\nb\"",
            "1 2",
            "[1] ]",
            "\"0123456789abcdef\u{1}\"",
            "\"0123456789abcdef\"",
            "\"0123456789abcde\"",
            "{\"a\":1}}",
            "[\"a\" \"b\"]",
            "[1 2]",
        ] {
            assert_eq!(is_json(text), serde_json::from_str::<&RawValue>(text).is_ok(), "{text}");
        }
        assert!(!is_json(&deep(128)), "left to serde_json");
        // The innermost counts where it is empty, too.
        assert!(is_json(&deep(127).replace('1', "")) && !is_json(&deep(128).replace('1', "")));
    }

    #[test]
    fn finds_the_end_of_plain_text_at_every_distance() {
        for special in ['"', '\\', '\u{0}', '\u{1f}', '\n'] {
            for before in 0..40 {
                for after in 0..20 {
                    let text = format!("{}{special}{}", "~".repeat(before), "\u{7f}".repeat(after));
                    assert_eq!(plain_end(text.as_bytes(), 0), before, "{text:?}");
                    assert!(!is_plain(text.as_bytes()), "{text:?}");
                    assert!(
                        is_plain(&text.as_bytes()[..before]) && is_plain(&text.as_bytes()[before + 1..]),
                        "{text:?}"
                    );
                }
            }
        }
        assert_eq!(plain_end("表é \u{7f}!#[]".as_bytes(), 0), "表é \u{7f}!#[]".len());
    }
}
