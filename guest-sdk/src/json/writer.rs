//! Writes values as compact JSON, byte for byte as serde_json does.
//!
//! What is rare, such as floating point, is left to serde_json.

use std::fmt::{self, Write as _};

use serde::ser::{self, Serialize};

use super::scan::{CHUNK, copy_few, padded, plain_end, special};
use super::text_only::TextOnly;

/// What a bill usually takes, so that it is written without growing.
const USUAL_BYTES: usize = 2 << 10;

/// The value as JSON text, or what is wrong with it.
pub(super) fn write<T: Serialize + ?Sized>(value: &T) -> Result<String, Unwritable> {
    let mut writer = Writer::new();
    value.serialize(&mut writer)?;
    Ok(writer.into_text())
}

#[derive(Debug)]
pub(crate) struct Unwritable(String);

impl std::error::Error for Unwritable {}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ser::Error for Unwritable {
    #[cold]
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self(why.to_string())
    }
}

impl From<serde_json::Error> for Unwritable {
    #[cold]
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

type Done = Result<(), Unwritable>;

/// JSON text that is being written. Only whole texts and ASCII are put into it.
#[derive(Debug)]
pub(crate) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub fn new() -> Self {
        Self { out: Vec::with_capacity(USUAL_BYTES) }
    }

    pub fn into_text(self) -> String {
        debug_assert!(std::str::from_utf8(&self.out).is_ok());
        // SAFETY: everything that is put in is a `str`, or ASCII.
        unsafe { String::from_utf8_unchecked(self.out) }
    }

    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    /// Text as it is: punctuation, numbers, JSON.
    #[inline(always)]
    pub fn text(&mut self, text: &str) {
        append(&mut self.out, text.as_bytes());
    }

    /// Text as a JSON string.
    #[inline]
    pub fn string(&mut self, text: &str) {
        let bytes = text.as_bytes();
        self.out.reserve(bytes.len() + 2 + CHUNK);
        self.byte(b'"');
        let plain = append_plain(&mut self.out, bytes);
        if plain < bytes.len() {
            self.escaped(&bytes[plain..]);
        }
        self.byte(b'"');
    }

    /// Text whose first byte needs an escape.
    #[cold]
    fn escaped(&mut self, mut rest: &[u8]) {
        while let Some((byte, after)) = rest.split_first() {
            match byte {
                b'"' => self.text("\\\""),
                b'\\' => self.text("\\\\"),
                0x08 => self.text("\\b"),
                0x0c => self.text("\\f"),
                b'\n' => self.text("\\n"),
                b'\r' => self.text("\\r"),
                b'\t' => self.text("\\t"),
                control => {
                    const DIGITS: [u8; 16] = *b"0123456789abcdef";
                    self.text("\\u00");
                    self.byte(DIGITS[usize::from(control >> 4)]);
                    self.byte(DIGITS[usize::from(control & 15)]);
                }
            }
            let plain = plain_end(after, 0);
            self.out.extend_from_slice(&after[..plain]);
            rest = &after[plain..];
        }
    }

    fn by_serde_json<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        Ok(serde_json::to_writer(&mut self.out, value)?)
    }

    fn digits(&mut self, mut value: u64) {
        let mut buffer = [0; 20];
        let mut at = buffer.len();
        loop {
            at -= 1;
            buffer[at] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        append(&mut self.out, &buffer[at..]);
    }
}

/// Appends a few bytes without a call: in a component the usual copy is a call of the host's, which costs more than a name
/// of ten letters is worth.
#[inline(always)]
fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = bytes.len();
    if len > 2 * CHUNK {
        out.extend_from_slice(bytes);
        return;
    }
    out.reserve(len);
    // SAFETY: there is room for `len` bytes, which `copy_few` reads and writes, and it takes at most two chunks.
    unsafe {
        copy_few(bytes.as_ptr(), out.as_mut_ptr().add(out.len()), len);
        out.set_len(out.len() + len);
    }
}

/// Appends what needs no escape, up to the first byte that does, and says how much that was. There must be room for all
/// of it and a chunk.
#[inline(always)]
fn append_plain(out: &mut Vec<u8>, bytes: &[u8]) -> usize {
    debug_assert!(out.capacity() - out.len() >= bytes.len() + CHUNK);
    let (start, mut at) = (out.len(), 0);
    while let Some(chunk) = bytes[at..].first_chunk::<CHUNK>() {
        // SAFETY: there is room for a chunk behind what has been written. Only what is then counted is text.
        unsafe { out.as_mut_ptr().add(start + at).cast::<[u8; CHUNK]>().write_unaligned(*chunk) };
        let found = special(chunk);
        if found != 0 {
            at += found.trailing_zeros() as usize;
            // SAFETY: so many have been written.
            unsafe { out.set_len(start + at) };
            return at;
        }
        at += CHUNK;
    }
    let rest = &bytes[at..];
    let chunk = padded(rest);
    // SAFETY: there is room for a chunk.
    unsafe { out.as_mut_ptr().add(start + at).cast::<[u8; CHUNK]>().write_unaligned(chunk) };
    at += rest.len().min(special(&chunk).trailing_zeros() as usize);
    // SAFETY: so many have been written.
    unsafe { out.set_len(start + at) };
    at
}

macro_rules! unsigned {
    ($($method:ident $kind:ty)*) => {
        $(#[inline]
        fn $method(self, value: $kind) -> Done {
            self.digits(value.into());
            Ok(())
        })*
    };
}

macro_rules! signed {
    ($($method:ident $kind:ty)*) => {
        $(#[inline]
        fn $method(self, value: $kind) -> Done {
            if value < 0 {
                self.byte(b'-');
            }
            self.digits(value.unsigned_abs().into());
            Ok(())
        })*
    };
}

macro_rules! left {
    ($($method:ident $kind:ty)*) => {
        $(fn $method(self, value: $kind) -> Done {
            self.by_serde_json(&value)
        })*
    };
}

impl<'a> ser::Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Items<'a>;
    type SerializeStruct = Items<'a>;
    type SerializeStructVariant = Items<'a>;

    unsigned! { serialize_u8 u8 serialize_u16 u16 serialize_u32 u32 serialize_u64 u64 }
    signed! { serialize_i8 i8 serialize_i16 i16 serialize_i32 i32 serialize_i64 i64 }
    left! { serialize_i128 i128 serialize_u128 u128 serialize_f32 f32 serialize_f64 f64 serialize_char char }

    #[inline]
    fn serialize_bool(self, value: bool) -> Done {
        self.text(if value { "true" } else { "false" });
        Ok(())
    }
    #[inline]
    fn serialize_str(self, value: &str) -> Done {
        self.string(value);
        Ok(())
    }
    fn serialize_bytes(self, value: &[u8]) -> Done {
        self.by_serde_json(value)
    }
    #[inline]
    fn serialize_none(self) -> Done {
        self.serialize_unit()
    }
    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }
    #[inline]
    fn serialize_unit(self) -> Done {
        self.text("null");
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Done {
        self.serialize_unit()
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Done {
        self.serialize_str(variant)
    }
    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        self.byte(b'{');
        self.string(variant);
        self.byte(b':');
        value.serialize(&mut *self)?;
        self.byte(b'}');
        Ok(())
    }
    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, Unwritable> {
        Ok(Items::begin(self, Form::List))
    }
    fn serialize_tuple(self, _: usize) -> Result<Items<'a>, Unwritable> {
        Ok(Items::begin(self, Form::List))
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, Unwritable> {
        Ok(Items::begin(self, Form::List))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, Unwritable> {
        self.byte(b'{');
        self.string(variant);
        self.byte(b':');
        Ok(Items::begin(self, Form::ListOfVariant))
    }
    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Items<'a>, Unwritable> {
        Ok(Items::begin(self, Form::Object))
    }
    #[inline]
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Items<'a>, Unwritable> {
        // By these names serde_json is told that a text is to stand as it is: `RawValue`, and numbers of any precision.
        let form = if name.starts_with("$serde_json::private::") { Form::AsItIs } else { Form::Object };
        Ok(Items::begin(self, form))
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, Unwritable> {
        self.byte(b'{');
        self.string(variant);
        self.byte(b':');
        Ok(Items::begin(self, Form::ObjectOfVariant))
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Done {
        struct Escaping<'a>(&'a mut Writer);
        impl fmt::Write for Escaping<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                let bytes = text.as_bytes();
                self.0.out.reserve(bytes.len() + CHUNK);
                let plain = append_plain(&mut self.0.out, bytes);
                if plain < bytes.len() {
                    self.0.escaped(&bytes[plain..]);
                }
                Ok(())
            }
        }
        self.byte(b'"');
        write!(Escaping(self), "{value}").map_err(<Unwritable as ser::Error>::custom)?;
        self.byte(b'"');
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    List,
    ListOfVariant,
    Object,
    ObjectOfVariant,
    AsItIs,
}

/// The fields of an object or the elements of an array, as far as they are written.
pub(crate) struct Items<'a> {
    writer: &'a mut Writer,
    form: Form,
    is_first: bool,
}

impl<'a> Items<'a> {
    #[inline(always)]
    fn begin(writer: &'a mut Writer, form: Form) -> Self {
        match form {
            Form::List | Form::ListOfVariant => writer.byte(b'['),
            Form::Object | Form::ObjectOfVariant => writer.byte(b'{'),
            Form::AsItIs => {}
        }
        Self { writer, form, is_first: true }
    }

    #[inline(always)]
    fn next(&mut self) {
        if self.is_first {
            self.is_first = false;
        } else {
            self.writer.byte(b',');
        }
    }

    #[inline(always)]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.next();
        value.serialize(&mut *self.writer)
    }

    #[inline(always)]
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Done {
        if self.form == Form::AsItIs {
            return value.serialize(TextOnly::AsItIs(self.writer));
        }
        self.next();
        self.writer.string(name);
        self.writer.byte(b':');
        value.serialize(&mut *self.writer)
    }

    #[inline(always)]
    fn finish(self) -> Done {
        match self.form {
            Form::List => self.writer.byte(b']'),
            Form::ListOfVariant => self.writer.text("]}"),
            Form::Object => self.writer.byte(b'}'),
            Form::ObjectOfVariant => self.writer.text("}}"),
            Form::AsItIs => {}
        }
        Ok(())
    }
}

macro_rules! compound {
    ($($kind:ident $method:ident)*) => {
        $(impl ser::$kind for Items<'_> {
            type Ok = ();
            type Error = Unwritable;
            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
                self.element(value)
            }
            #[inline]
            fn end(self) -> Done {
                self.finish()
            }
        })*
    };
    (fields $($kind:ident)*) => {
        $(impl ser::$kind for Items<'_> {
            type Ok = ();
            type Error = Unwritable;
            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Done {
                self.field(name, value)
            }
            #[inline]
            fn end(self) -> Done {
                self.finish()
            }
        })*
    };
}

compound! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}
compound! { fields SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Items<'_> {
    type Ok = ();
    type Error = Unwritable;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.next();
        key.serialize(TextOnly::Name(self.writer))
    }
    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.writer.byte(b':');
        value.serialize(&mut *self.writer)
    }
    #[inline]
    fn end(self) -> Done {
        self.finish()
    }
}
