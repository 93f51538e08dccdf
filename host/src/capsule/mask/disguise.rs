//! Puts another value in a value's place, of the same form: a digit for a digit, a letter for a letter, a Chinese
//! character for a Chinese character. What a mapping asks of the form (eleven digits, a date, more than nought, two
//! places) holds of the other value as well.
//!
//! What comes out hangs on a key that stays with the engine. Without it a mask could be undone by trying all telephone
//! numbers.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::telemetry::Personal;

/// Characters that mean little and that every encoding of a target knows: they are in the first level of GB 2312.
const IDEOGRAPHS: &str = "春夏秋冬东南西北山水云雨风雪花草树木竹石江河湖海天地日月星辰金银铜铁玉珠松柏梅兰菊荷桃李杏梨枫杨柳桐青红黄绿蓝紫白黑灰明亮清静和平安宁康乐福禄寿喜吉祥瑞丰盛茂荣华光辉永长久远高大广深厚重文武智仁义礼信忠孝勇诚朴素雅正直方圆";

/// What replaces values. Equal values get equal replacements.
#[derive(Clone)]
pub struct MaskKey(pub [u8; 32]);

/// Another value of the same form; `attempt` gives others where one is taken.
pub fn disguise(text: &str, key: &MaskKey, attempt: u32) -> String {
    let mut stream = Stream::new(text, key, attempt);
    let trimmed = text.trim();
    if is_number(trimmed) && Personal::of(trimmed).is_none() {
        return number(text, &mut stream);
    }
    let mut letters: Vec<char> = text.chars().map(|c| letter(c, &mut stream)).collect();
    let start = text.chars().take_while(|c| c.is_whitespace()).count();
    keep_form(trimmed, start, &mut letters, &mut stream);
    letters.into_iter().collect()
}

/// Whether there is anything in it to be replaced.
pub fn is_maskable(text: &str) -> bool {
    let number = is_number(text.trim());
    text.chars().any(|c| c.is_alphabetic() || (c.is_ascii_digit() && (!number || c != '0')))
}

/// As JSON writes numbers.
fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && serde_json::from_str::<serde_json::Number>(text).is_ok()
}

/// The same sign, places and order of magnitude; nought stays nought, and nothing else becomes it.
fn number(text: &str, stream: &mut Stream) -> String {
    let mut leading = true;
    let mut exponent = false;
    text.chars()
        .map(|c| {
            exponent |= matches!(c, 'e' | 'E');
            match c {
                '0' if leading => c,
                '0'..='9' if exponent => c,
                '0'..='9' if leading => {
                    leading = false;
                    stream.digit(1)
                }
                '0'..='9' => stream.digit(0),
                c => c,
            }
        })
        .collect()
}

fn letter(c: char, stream: &mut Stream) -> char {
    match c {
        '0'..='9' => stream.digit(0),
        'a'..='z' => stream.within('a', 26),
        'A'..='Z' => stream.within('A', 26),
        '０'..='９' => stream.within('０', 10),
        'ａ'..='ｚ' => stream.within('ａ', 26),
        'Ａ'..='Ｚ' => stream.within('Ａ', 26),
        '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' => {
            let at = stream.below(IDEOGRAPHS.chars().count() as u32);
            IDEOGRAPHS.chars().nth(at as usize).unwrap_or(c)
        }
        // Four bytes stay four bytes.
        '\u{20000}'..='\u{2a6df}' => stream.within('\u{20000}', 0xa6d0),
        c if c.is_alphabetic() => sibling(c, stream),
        c => c,
    }
}

/// A letter of the same script, as far as the code tables keep scripts together: 32 places hold one, mostly.
fn sibling(c: char, stream: &mut Stream) -> char {
    let start = u32::from(c) & !31;
    let is_like = |other: &char| {
        other.is_alphabetic()
            && (other.is_lowercase(), other.is_uppercase(), other.len_utf8())
                == (c.is_lowercase(), c.is_uppercase(), c.len_utf8())
    };
    let like: Vec<char> = (start..start + 32).filter_map(char::from_u32).filter(is_like).collect();
    like.get(stream.below(like.len() as u32) as usize).copied().unwrap_or(c)
}

/// Puts back what makes a mobile number, an identity number or a date one of those.
fn keep_form(text: &str, start: usize, letters: &mut [char], stream: &mut Stream) {
    let mut put = |at: usize, piece: &str| {
        for (offset, c) in piece.chars().enumerate() {
            if let Some(place) = letters.get_mut(start + at + offset) {
                *place = c;
            }
        }
    };
    let two = |stream: &mut Stream, from: u32, count: u32| format!("{:02}", from + stream.below(count));
    match Personal::of(text) {
        Some(Personal::Mobile) => {
            // With `86` before it, or groups within: the number itself begins at its first 1 with eleven digits to come.
            let digits: Vec<usize> =
                text.bytes().enumerate().filter(|(_, b)| b.is_ascii_digit()).map(|(at, _)| at).collect();
            let Some(own) = digits.len().checked_sub(11) else { return };
            text[..digits[own]].char_indices().for_each(|(at, c)| put(at, &c.to_string()));
            put(digits[own], "1");
            let second = 3 + stream.below(7);
            put(digits[own + 1], &second.to_string());
        }
        Some(Personal::Identity) => {
            put(0, &(1 + stream.below(6)).to_string());
            put(6, &(1950 + stream.below(50)).to_string());
            put(10, &two(stream, 1, 12));
            put(12, &two(stream, 1, 28));
            // The check digit's place keeps its kind; X is one of eleven.
            if let Some(x) = text.get(17..).filter(|last| !last.bytes().all(|b| b.is_ascii_digit())) {
                put(17, x);
            }
        }
        Some(Personal::Email) | None => {
            let Some(time) = date(text) else { return };
            put(0, &text[..4]);
            put(5, &two(stream, 1, 12));
            put(8, &two(stream, 1, 28));
            if let Some(at) = time {
                put(at, &two(stream, 0, 24));
                put(at + 3, &two(stream, 0, 60));
                if text[at..].len() >= 8 {
                    put(at + 6, &two(stream, 0, 60));
                }
                // A zone or a fraction says nothing of anybody.
                let rest = (at + 8).min(text.len());
                put(rest, &text[rest..]);
                put(10, &text[10..11]);
            }
        }
    }
}

/// `2026-11-20`, `2026/11/20 10:30:00`: and where its time begins.
fn date(text: &str) -> Option<Option<usize>> {
    let fits = |text: &[u8], form: &[u8]| {
        text.len() >= form.len()
            && text.iter().zip(form).all(|(byte, form)| match form {
                b'd' => byte.is_ascii_digit(),
                b'-' => matches!(byte, b'-' | b'/'),
                b'T' => matches!(byte, b'T' | b' '),
                other => byte == other,
            })
    };
    let bytes = text.as_bytes();
    let century = bytes.get(..2).is_some_and(|century| century == b"19" || century == b"20");
    if !text.is_ascii() || !century || !fits(bytes, b"dddd-dd-dd") {
        return None;
    }
    if bytes.len() == 10 {
        return Some(None);
    }
    fits(bytes, b"dddd-dd-ddTdd:dd").then_some(Some(11))
}

/// Numbers that look random, and are the same for the same value and key.
struct Stream {
    mac: Hmac<Sha256>,
    block: Vec<u8>,
    counter: u32,
}

impl Stream {
    fn new(text: &str, key: &MaskKey, attempt: u32) -> Self {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&key.0).expect("an HMAC takes a key of any length");
        mac.update(b"crossdock mask 1\0");
        mac.update(&attempt.to_le_bytes());
        mac.update(text.as_bytes());
        Self { mac, block: Vec::new(), counter: 0 }
    }

    fn below(&mut self, count: u32) -> u32 {
        if self.block.len() < 4 {
            let mut mac = self.mac.clone();
            mac.update(&self.counter.to_le_bytes());
            self.counter += 1;
            self.block = mac.finalize().into_bytes().to_vec();
        }
        let rest = self.block.split_off(4);
        let bytes = std::mem::replace(&mut self.block, rest);
        let number = bytes.iter().fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
        number % count.max(1)
    }

    fn digit(&mut self, lowest: u32) -> char {
        char::from_digit(lowest + self.below(10 - lowest), 10).unwrap_or('0')
    }

    fn within(&mut self, first: char, count: u32) -> char {
        char::from_u32(u32::from(first) + self.below(count)).unwrap_or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: MaskKey = MaskKey([7; 32]);

    fn class(c: char) -> char {
        match c {
            '0'..='9' => '0',
            '０'..='９' => '０',
            'a'..='z' => 'a',
            'A'..='Z' => 'A',
            '\u{4e00}'..='\u{9fff}' => '中',
            c if c.is_alphabetic() => 'é',
            c => c,
        }
    }

    #[test]
    fn every_character_becomes_another_of_its_kind() {
        for text in [
            "张三丰",
            "￥13812345678",
            "Zhang San",
            "浙江省杭州市文一西路969号",
            "tb_1234-X",
            "é東Ж",
            "０１Ａ",
            "𠮷野家",
            "a\"\\\n",
        ] {
            let other = disguise(text, &KEY, 0);
            assert_ne!(other, text);
            let forms = |text: &str| text.chars().map(|c| (class(c), c.len_utf8())).collect::<Vec<_>>();
            assert_eq!(forms(&other), forms(text), "{text} became {other}");
            assert_eq!(disguise(text, &KEY, 0), other);
            assert_ne!(disguise(text, &KEY, 1), other);
            assert_ne!(disguise(text, &MaskKey([8; 32]), 0), other);
        }
    }

    #[test]
    fn a_number_keeps_sign_places_and_magnitude_and_only_nought_is_nought() {
        for text in ["1", "-12.50", "0.0501", "1000000", "3.00e-2", "12345678901234567890.10"] {
            for attempt in 0..200 {
                let other = disguise(text, &KEY, attempt);
                let zeros = |text: &str| text.chars().take_while(|c| matches!(c, '0' | '.' | '-')).collect::<String>();
                assert_eq!(zeros(&other), zeros(text), "{text} became {other}");
                assert_eq!(other.find('.'), text.find('.'), "{text} became {other}");
                assert_eq!(other.len(), text.len(), "{text} became {other}");
                assert!(other.chars().any(|c| ('1'..='9').contains(&c)), "{text} became {other}");
                assert_eq!(other.split_once('e').map(|(_, e)| e), text.split_once('e').map(|(_, e)| e));
            }
        }
        assert_eq!(disguise("0.00", &KEY, 0), "0.00");
    }

    #[test]
    fn a_mobile_an_identity_and_a_date_stay_one() {
        for attempt in 0..200 {
            for mobile in ["13812345678", "138-1234-5678", "8613812345678", "+86-13812345678"] {
                let other = disguise(mobile, &KEY, attempt);
                assert_eq!(Personal::of(&other), Some(Personal::Mobile), "{mobile} became {other}");
            }
            for identity in ["11010519491231002X", "110105194912310021"] {
                let other = disguise(identity, &KEY, attempt);
                assert_eq!(Personal::of(&other), Some(Personal::Identity), "{identity} became {other}");
                assert_eq!(other.ends_with('X'), identity.ends_with('X'));
            }
            let other = disguise("2026-11-20T10:30:00Z", &KEY, attempt);
            assert!(other.parse::<jiff::Timestamp>().is_ok() && other.starts_with("2026-"), "{other}");
            let other = disguise("2026-11-20", &KEY, attempt);
            assert!(other.parse::<jiff::civil::Date>().is_ok(), "{other}");
            let other = disguise("2026-11-20 10:30:00", &KEY, attempt);
            assert!(other.parse::<jiff::civil::DateTime>().is_ok(), "{other}");
        }
    }

    #[test]
    fn what_has_nothing_to_hide_is_known() {
        for (text, maskable) in
            [("", false), ("--", false), ("0.00", false), ("0", false), ("00-0", true), ("是", true)]
        {
            assert_eq!(is_maskable(text), maskable, "{text}");
        }
    }
}
