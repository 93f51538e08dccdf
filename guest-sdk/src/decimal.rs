//! Amounts and quantities, exactly as written.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, Unexpected};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Rejection;
use crate::json::raw::Raw;

/// The largest mantissa, 2^96 − 1, which is `rust_decimal`'s: 28 digits always fit.
const MANTISSA_LIMIT: u128 = (1 << 96) - 1;
/// The most decimal places.
const SCALE_LIMIT: u32 = 28;

/// 29 digits, a sign, a point and a leading nought.
const TEXT_LIMIT_BYTES: usize = 32;
/// What of a mantissa is written at once.
const WORD: u128 = 10_u128.pow(WORD_DIGITS);
const WORD_DIGITS: u32 = 18;

pub(crate) const NOT_A_NUMBER: &str = "is not a decimal number";

/// A decimal number, held exactly: up to 28 digits, up to 28 of them behind the point.
///
/// Reads a JSON number or a JSON string that holds one (`12.50`, `"12.50"`, `1.2e3`), never by way of binary floating
/// point. What it cannot hold exactly it refuses ([`NotExact`]); it never rounds. It writes a JSON number with the
/// decimal places that it read: `1.50` stays `1.50`. Comparing is by value: `0`, `0.0` and `0.00` are equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal(rust_decimal::Decimal);

/// A number that [`Decimal`] cannot hold exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotExact;

impl NotExact {
    pub(crate) const MESSAGE: &'static str = "cannot be held exactly: more than 28 digits";
}

impl fmt::Display for NotExact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MESSAGE)
    }
}

impl std::error::Error for NotExact {}

impl Decimal {
    /// Nought, without decimal places.
    pub const ZERO: Decimal = Decimal(rust_decimal::Decimal::ZERO);

    /// True for `0`, `0.00` and `-0`.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }
    /// True for what is more than nought.
    pub fn is_positive(self) -> bool {
        self > Self::ZERO
    }
    /// True for what is less than nought.
    pub fn is_negative(self) -> bool {
        self < Self::ZERO
    }

    /// The exact sum.
    pub fn checked_add(self, other: Decimal) -> Result<Decimal, NotExact> {
        let scale = self.0.scale().max(other.0.scale());
        let sum = self.mantissa_at(scale)?.checked_add(other.mantissa_at(scale)?).ok_or(NotExact)?;
        from_parts(sum < 0, sum.unsigned_abs(), scale.into())
    }

    /// The exact difference.
    pub fn checked_sub(self, other: Decimal) -> Result<Decimal, NotExact> {
        self.checked_add(Decimal(-other.0))
    }

    /// The exact product.
    pub fn checked_mul(self, other: Decimal) -> Result<Decimal, NotExact> {
        let product = self.0.mantissa().checked_mul(other.0.mantissa()).ok_or(NotExact)?;
        from_parts(product < 0, product.unsigned_abs(), (self.0.scale() + other.0.scale()).into())
    }

    /// The same number with at most `most` decimal places, dropping only zeros: `5.00000` within four is `5.0000`.
    /// A number that needs more is a rejection `too_many_places` that names `field`, a JSON Pointer.
    pub fn within_places(self, most: u32, field: &str) -> Result<Decimal, Rejection> {
        if self.0.scale() <= most {
            return Ok(self);
        }
        self.units(most).and_then(|units| Self::from_units(units, most)).map_err(|NotExact| {
            Rejection::new("too_many_places", format!("{field} has more than {most} decimal places")).at(field)
        })
    }

    /// How many units of `places` decimal places it is: `1.50` is 150 units of two places. Refuses a number that is
    /// not a whole count of them. With [`Decimal::from_units`] the way to divide amounts without rounding unseen.
    pub fn units(self, places: u32) -> Result<i128, NotExact> {
        let surplus = self.0.scale().saturating_sub(places);
        let divisor = 10_i128.checked_pow(surplus).ok_or(NotExact)?;
        if self.0.mantissa() % divisor != 0 {
            return Err(NotExact);
        }
        let factor = 10_i128.checked_pow(places.saturating_sub(self.0.scale())).ok_or(NotExact)?;
        (self.0.mantissa() / divisor).checked_mul(factor).ok_or(NotExact)
    }

    /// The number of so many units of `places` decimal places: 150 units of two are `1.50`.
    pub fn from_units(units: i128, places: u32) -> Result<Decimal, NotExact> {
        from_parts(units < 0, units.unsigned_abs(), places.into())
    }

    /// The number as `rust_decimal` knows it, for rounding and division. Those may be inexact: say where and why.
    pub fn get(self) -> rust_decimal::Decimal {
        self.0
    }

    /// As it is written, digit by digit from the last.
    fn text(self, buffer: &mut [u8; TEXT_LIMIT_BYTES]) -> &str {
        let (scale, mantissa) = (self.0.scale() as usize, self.0.mantissa().unsigned_abs());
        let mut text = Backwards { buffer, at: TEXT_LIMIT_BYTES, point: TEXT_LIMIT_BYTES - scale };
        // A machine word at a time: nearly every amount is one.
        match u64::try_from(mantissa) {
            Ok(mantissa) => text.digits(mantissa, 1),
            Err(_) => {
                text.digits((mantissa % WORD) as u64, WORD_DIGITS as usize);
                text.digits((mantissa / WORD) as u64, 1);
            }
        }
        // A nought before the point, and those behind it.
        while scale > 0 && text.at + 1 >= text.point {
            text.digits(0, 1);
        }
        if self.0.is_sign_negative() {
            text.put(b'-');
        }
        let Backwards { buffer, at, .. } = text;
        std::str::from_utf8(&buffer[at..]).unwrap_or_default()
    }

    fn mantissa_at(self, scale: u32) -> Result<i128, NotExact> {
        let factor = 10_i128.checked_pow(scale - self.0.scale()).ok_or(NotExact)?;
        self.0.mantissa().checked_mul(factor).ok_or(NotExact)
    }
}

/// Digits, the last one first.
struct Backwards<'a> {
    buffer: &'a mut [u8; TEXT_LIMIT_BYTES],
    at: usize,
    /// The point goes before what is written from here on; behind the last digit there is none.
    point: usize,
}

impl Backwards<'_> {
    #[inline(always)]
    fn put(&mut self, byte: u8) {
        self.at -= 1;
        self.buffer[self.at] = byte;
    }

    /// At least so many of them.
    #[inline(always)]
    fn digits(&mut self, mut value: u64, least: usize) {
        let mut count = 0;
        while value > 0 || count < least {
            self.put(b'0' + (value % 10) as u8);
            value /= 10;
            count += 1;
            if self.at == self.point {
                self.put(b'.');
            }
        }
    }
}

/// Why a text is not a [`Decimal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Problem {
    NotANumber,
    NotExact,
}

/// Reads exactly what JSON calls a number; no sign `+`, no thousands separators, no white space.
#[inline]
fn parse(text: &str) -> Result<Decimal, Problem> {
    match parse_short(text.as_bytes()) {
        Some(decimal) => Ok(decimal),
        None => parse_any(text),
    }
}

/// Nearly every amount: at most 18 digits, which a machine word holds, and no exponent. `None` leaves it to [`parse_any`].
#[inline]
fn parse_short(text: &[u8]) -> Option<Decimal> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let (first, second) = (digits.first()?, digits.get(1));
    if digits.len() > 19 || !first.is_ascii_digit() || (*first == b'0' && second.is_some_and(u8::is_ascii_digit)) {
        return None;
    }
    let (mut mantissa, mut point) = (0_u64, None);
    for (index, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => mantissa = mantissa * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(index),
            _ => return None,
        }
    }
    let places = match point {
        Some(index) if index + 1 == digits.len() => return None,
        Some(index) => digits.len() - index - 1,
        // The nineteenth of nineteen may overflow.
        None if digits.len() > 18 => return None,
        None => 0,
    };
    let (low, middle) = (mantissa as u32, (mantissa >> 32) as u32);
    let is_negative = is_negative && mantissa != 0;
    Some(Decimal(rust_decimal::Decimal::from_parts(low, middle, 0, is_negative, places as u32)))
}

fn parse_any(text: &str) -> Result<Decimal, Problem> {
    let bytes = text.as_bytes();
    let (negative, mut rest) = match bytes.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, bytes),
    };
    let mut digits = Digits::default();
    let whole = digits.take(&mut rest)?;
    if whole == 0 || (whole > 1 && bytes[usize::from(negative)] == b'0') {
        return Err(Problem::NotANumber);
    }
    let mut places = 0_i64;
    if let Some(after) = rest.strip_prefix(b".") {
        rest = after;
        let count = digits.take(&mut rest)?;
        if count == 0 {
            return Err(Problem::NotANumber);
        }
        places = i64::try_from(count).map_err(|_| Problem::NotExact)?;
    }
    if let [b'e' | b'E', after @ ..] = rest {
        places = places.checked_sub(exponent(after)?).ok_or(Problem::NotExact)?;
    } else if !rest.is_empty() {
        return Err(Problem::NotANumber);
    }
    // More than 38 digits overflow even where they are only zeros behind the point; no vendor writes such amounts.
    let mantissa = digits.value.ok_or(Problem::NotExact)?;
    from_parts(negative, mantissa, places).map_err(|NotExact| Problem::NotExact)
}

/// Digits gathered so far; `None` once they no longer fit.
struct Digits {
    value: Option<u128>,
}

impl Default for Digits {
    fn default() -> Self {
        Self { value: Some(0) }
    }
}

impl Digits {
    /// Takes the digits at the head of `rest` and says how many there were.
    fn take(&mut self, rest: &mut &[u8]) -> Result<usize, Problem> {
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, after) = rest.split_at(count);
        *rest = after;
        // Chunks of 18 digits stay in a machine word, which is what nearly every amount needs.
        for chunk in digits.chunks(18) {
            let word = chunk.iter().fold(0_u64, |word, digit| word * 10 + u64::from(digit - b'0'));
            let shift = 10_u64.pow(u32::try_from(chunk.len()).unwrap_or(u32::MAX));
            self.value = match self.value {
                Some(0) => Some(word.into()),
                Some(value) => value.checked_mul(shift.into()).and_then(|value| value.checked_add(word.into())),
                None => None,
            };
        }
        Ok(count)
    }
}

fn exponent(text: &[u8]) -> Result<i64, Problem> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Problem::NotANumber);
    }
    // Cut at a value that no exact amount reaches, so that the sum cannot overflow.
    let value = digits.iter().fold(0_i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(1_000_000));
    Ok(if negative { -value } else { value })
}

fn from_parts(negative: bool, mut mantissa: u128, mut places: i64) -> Result<Decimal, NotExact> {
    if mantissa == 0 {
        places = places.clamp(0, SCALE_LIMIT.into());
    }
    while places < 0 {
        mantissa = mantissa.checked_mul(10).ok_or(NotExact)?;
        places += 1;
    }
    while (places > SCALE_LIMIT.into() || mantissa > MANTISSA_LIMIT) && places > 0 && mantissa.is_multiple_of(10) {
        mantissa /= 10;
        places -= 1;
    }
    if mantissa > MANTISSA_LIMIT {
        return Err(NotExact);
    }
    let scale = u32::try_from(places).map_err(|_| NotExact)?;
    let mantissa = i128::try_from(mantissa).map_err(|_| NotExact)?;
    let signed = if negative { -mantissa } else { mantissa };
    rust_decimal::Decimal::try_from_i128_with_scale(signed, scale).map(Decimal).map_err(|_| NotExact)
}

impl FromStr for Decimal {
    type Err = NotExact;
    /// Reads a JSON number's text; what is no number at all is refused like what is not exact.
    fn from_str(text: &str) -> Result<Self, NotExact> {
        parse(text).map_err(|_| NotExact)
    }
}

impl From<rust_decimal::Decimal> for Decimal {
    fn from(value: rust_decimal::Decimal) -> Self {
        Self(value)
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Self(value.into())
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?.get();
        let number = match raw.as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => parse(raw),
            // An escape in a number's string is nothing a vendor writes; it simply is not a number.
            Some(b'"') => parse(&raw[1..raw.len() - 1]),
            Some(b'{') => return Err(D::Error::invalid_type(Unexpected::Map, &"a decimal number")),
            Some(b'[') => return Err(D::Error::invalid_type(Unexpected::Seq, &"a decimal number")),
            Some(b'n') => return Err(D::Error::invalid_type(Unexpected::Unit, &"a decimal number")),
            _ => return Err(D::Error::invalid_type(Unexpected::Bool(raw == "true"), &"a decimal number")),
        };
        number.map_err(|problem| match problem {
            Problem::NotANumber => D::Error::custom(NOT_A_NUMBER),
            Problem::NotExact => D::Error::custom(NotExact::MESSAGE),
        })
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = [0; TEXT_LIMIT_BYTES];
        // What serde_json takes for a text that is to stand as it is; a test below notices if it ever does not.
        const AS_IT_IS: &str = "$serde_json::private::RawValue";
        let mut raw = serializer.serialize_struct(AS_IT_IS, 1)?;
        raw.serialize_field(AS_IT_IS, self.text(&mut buffer))?;
        raw.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, written: &str) {
        let read: Decimal = serde_json::from_str(json).expect(json);
        assert_eq!(serde_json::to_string(&read).expect("a number"), written, "{json}");
    }

    #[test]
    fn keeps_every_digit_and_place_as_written() {
        for text in ["0", "0.00", "1.50", "-1.50", "12345678901.123456", "0.1", "9007199254740993", "100", "0.000001"] {
            check(text, text);
            assert_eq!(parse(text), parse_any(text), "{text}");
            check(&format!("\"{text}\""), text);
        }
        check("79228162514264337593543950335", "79228162514264337593543950335");
        check("0.1234567890123456789012345678", "0.1234567890123456789012345678");
        check("-0.0000000000000000000000000001", "-0.0000000000000000000000000001");
    }

    #[test]
    fn an_exponent_becomes_plain_digits() {
        check("1e3", "1000");
        check("1.25E+1", "12.5");
        check("125e-2", "1.25");
        check("0e99", "0");
        check("-0.00", "0.00");
        check("1.0000000000000000000000000000000", "1.0000000000000000000000000000");
    }

    #[test]
    fn refuses_what_it_cannot_hold_exactly() {
        for text in [
            "79228162514264337593543950336",
            "0.12345678901234567890123456789",
            "1e29",
            "1e-29",
            "1e999999999999999999999",
            "123456789012345678901234567890123456789012345678901234567890",
        ] {
            assert_eq!(parse(text), Err(Problem::NotExact), "{text}");
        }
    }

    #[test]
    fn refuses_what_json_does_not_call_a_number() {
        for text in
            ["", " 1", "1 ", "+1", "01", "-01", "1.", ".5", "1,000", "1_000", "0x1", "1e", "1e+", "--1", "NaN", "１"]
        {
            assert_eq!(parse(text), Err(Problem::NotANumber), "{text}");
            assert_eq!(parse_short(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn refuses_to_be_read_by_way_of_floating_point() {
        #[derive(Debug, Deserialize)]
        struct Outer {
            #[serde(flatten)]
            _inner: Inner,
        }
        #[derive(Debug, Deserialize)]
        struct Inner {
            _price: Decimal,
        }
        serde_json::from_str::<Inner>(r#"{"_price":0.1}"#).expect("a field of its own struct");
        serde_json::from_str::<Outer>(r#"{"_price":0.1}"#).expect_err("flatten reads a floating-point number first");
    }

    #[test]
    fn compares_by_value() {
        let read = |text: &str| parse(text).expect(text);
        assert_eq!(read("0.00"), Decimal::ZERO);
        assert!(read("0.0").is_zero() && read("-0.0").is_zero() && !read("0.01").is_zero());
        assert_eq!(read("1.50"), read("1.5"));
        assert!(read("2") < read("10"));
    }

    #[test]
    fn calculates_exactly_or_not_at_all() {
        let read = |text: &str| parse(text).expect(text);
        assert_eq!(read("0.1").checked_add(read("0.2")).map(|sum| sum.to_string()), Ok("0.3".into()));
        assert_eq!(read("1").checked_sub(read("1.25")).map(|sum| sum.to_string()), Ok("-0.25".into()));
        assert_eq!(read("1.25").checked_mul(read("-0.5")).map(|product| product.to_string()), Ok("-0.625".into()));
        assert_eq!(read("79228162514264337593543950335").checked_add(read("0.1")), Err(NotExact));
        assert_eq!(read("0.00000000000001").checked_mul(read("0.000000000000001")), Err(NotExact));
    }

    #[test]
    fn counts_units_exactly_or_not_at_all() {
        let read = |text: &str| parse(text).expect(text);
        for (text, places, units) in
            [("1.50", 2, 150), ("1.5", 2, 150), ("1.5000", 2, 150), ("-0.01", 2, -1), ("3", 0, 3), ("0.000", 2, 0)]
        {
            assert_eq!(read(text).units(places), Ok(units), "{text}");
            assert_eq!(Decimal::from_units(units, places), Ok(read(text)), "{text}");
        }
        assert_eq!(Decimal::from_units(150, 2).map(|number| number.to_string()), Ok("1.50".into()));
        assert_eq!(read("1.505").units(2), Err(NotExact));
        assert_eq!(read("79228162514264337593543950335").units(28), Err(NotExact));
    }

    #[test]
    fn drops_zeros_beyond_the_places_and_nothing_else() {
        let read = |text: &str| parse(text).expect(text).within_places(4, "/qty");
        for (text, written) in [("5.00000", "5.0000"), ("5.0", "5.0"), ("0.1234", "0.1234"), ("-1.230000", "-1.2300")] {
            assert_eq!(read(text).map(|number| number.to_string()), Ok(written.into()), "{text}");
        }
        let why = read("0.12345").expect_err("five places");
        assert_eq!((why.code(), why.field()), ("too_many_places", Some("/qty")));
        assert_eq!(why.message(), "/qty has more than 4 decimal places");
    }
}
