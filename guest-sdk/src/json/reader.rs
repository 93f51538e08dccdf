//! Reads JSON text into typed values, borrowing what can be borrowed.
//!
//! It accepts nothing that serde_json refuses, and gives the same values. What is rare it leaves to serde_json, value by value
//! (numbers as machine numbers, enums, escapes) or as a whole: where it fails for any reason, serde_json reads the
//! text again and has the last word. So it needs no messages, and a good document is read in one pass.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::raw;
use super::scan::{Cursor, DEPTH_LIMIT, Unreadable};

/// Reads a whole text, or says that serde_json must.
pub(super) fn read<'de, T: de::Deserialize<'de>>(text: &'de str) -> Option<T> {
    let mut reader = Reader { cursor: Cursor { text, at: 0 }, depth: 0 };
    let value = T::deserialize(&mut reader).ok()?;
    reader.cursor.end().ok()?;
    Some(value)
}

impl std::error::Error for Unreadable {}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is left to serde_json")
    }
}

impl de::Error for Unreadable {
    #[cold]
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
    #[cold]
    fn invalid_type(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self
    }
    #[cold]
    fn invalid_value(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self
    }
    #[cold]
    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }
    #[cold]
    fn missing_field(_: &'static str) -> Self {
        Self
    }
    #[cold]
    fn duplicate_field(_: &'static str) -> Self {
        Self
    }
}

struct Reader<'de> {
    cursor: Cursor<'de>,
    depth: u32,
}

impl<'de> Reader<'de> {
    #[inline]
    fn nested<T>(&mut self, open: u8, read: impl FnOnce(&mut Self) -> Result<T, Unreadable>) -> Result<T, Unreadable> {
        self.cursor.take(open)?;
        self.depth += 1;
        if self.depth == DEPTH_LIMIT {
            return Err(Unreadable);
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    #[inline]
    fn map<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Unreadable> {
        self.nested(b'{', |reader| {
            let value = visitor.visit_map(Items { reader, is_first: true })?;
            reader.cursor.take(b'}')?;
            Ok(value)
        })
    }

    #[inline]
    fn list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Unreadable> {
        self.nested(b'[', |reader| {
            let value = visitor.visit_seq(Items { reader, is_first: true })?;
            reader.cursor.take(b']')?;
            Ok(value)
        })
    }

    #[inline(always)]
    fn string<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Unreadable> {
        if self.cursor.peek()? != b'"' {
            return Err(Unreadable);
        }
        let (text, escaped) = self.cursor.string()?;
        if escaped {
            return visitor.visit_string(unescaped(text)?);
        }
        visitor.visit_borrowed_str(raw::unquoted(text))
    }

    /// What serde_json makes of the value that comes next.
    fn delegated(&mut self) -> Result<serde_json::Deserializer<serde_json::de::StrRead<'de>>, Unreadable> {
        self.cursor.value().map(serde_json::Deserializer::from_str)
    }
}

#[cold]
fn unescaped(text: &str) -> Result<String, Unreadable> {
    serde_json::from_str(text).map_err(|_| Unreadable)
}

macro_rules! delegate {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
            de::Deserializer::$method(&mut self.delegated()?, visitor).map_err(|_| Unreadable)
        })*
    };
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.cursor.peek()? {
            b'"' => self.string(visitor),
            b'{' => self.map(visitor),
            b'[' => self.list(visitor),
            _ => de::Deserializer::deserialize_any(&mut self.delegated()?, visitor).map_err(|_| Unreadable),
        }
    }

    delegate! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_bytes deserialize_byte_buf
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        if self.cursor.peek()? == b't' {
            self.cursor.word(b"true")?;
            return visitor.visit_bool(true);
        }
        self.cursor.word(b"false")?;
        visitor.visit_bool(false)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.string(visitor)
    }
    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.string(visitor)
    }
    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.string(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        if self.cursor.peek()? == b'n' {
            self.cursor.word(b"null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.cursor.peek()?;
        self.cursor.word(b"null")?;
        visitor.visit_unit()
    }
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_unit(visitor)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        if name == raw::NAME {
            return visitor.visit_borrowed_str(self.cursor.value()?);
        }
        if name.starts_with('$') {
            // serde_json's own `RawValue`, which only serde_json can hand out.
            let mut reader = self.delegated()?;
            return de::Deserializer::deserialize_newtype_struct(&mut reader, name, visitor).map_err(|_| Unreadable);
        }
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.list(visitor)
    }
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unreadable> {
        self.list(visitor)
    }
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.list(visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.map(visitor)
    }
    /// From an object only; a list of the fields' values in their order is for serde_json.
    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        let mut reader = self.delegated()?;
        de::Deserializer::deserialize_enum(&mut reader, name, variants, visitor).map_err(|_| Unreadable)
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.cursor.value()?;
        visitor.visit_unit()
    }
}

/// The fields of an object or the elements of an array, its opening bracket taken and its closing one left.
struct Items<'a, 'de> {
    reader: &'a mut Reader<'de>,
    is_first: bool,
}

impl Items<'_, '_> {
    /// Whether there is another one, with its comma taken.
    #[inline(always)]
    fn next(&mut self, close: u8) -> Result<bool, Unreadable> {
        if self.reader.cursor.peek()? == close {
            return Ok(false);
        }
        if self.is_first {
            self.is_first = false;
        } else {
            self.reader.cursor.take(b',')?;
        }
        Ok(true)
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Unreadable;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unreadable> {
        if !self.next(b'}')? {
            return Ok(None);
        }
        let cursor = &mut self.reader.cursor;
        if cursor.peek()? != b'"' {
            return Err(Unreadable);
        }
        let (text, escaped) = cursor.string()?;
        let key = seed.deserialize(Name { text, escaped })?;
        Ok(Some(key))
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unreadable> {
        self.reader.cursor.take(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Unreadable;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unreadable> {
        if !self.next(b']')? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

/// A field's name, from quote to quote. Keys that are no texts are for serde_json.
struct Name<'de> {
    text: &'de str,
    escaped: bool,
}

impl<'de> de::Deserializer<'de> for Name<'de> {
    type Error = Unreadable;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        if self.escaped {
            return visitor.visit_string(unescaped(self.text)?);
        }
        visitor.visit_borrowed_str(raw::unquoted(self.text))
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        if name == raw::NAME {
            return visitor.visit_borrowed_str(self.text);
        }
        if name.starts_with('$') {
            return Err(Unreadable);
        }
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple
        tuple_struct map struct enum identifier
    }
}
