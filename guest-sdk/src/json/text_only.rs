//! Where only a text can stand: a field's name, and what is written as it is.

use serde::ser::{Error as _, Impossible, Serialize, Serializer};

use super::writer::{Unwritable, Writer};

pub(super) enum TextOnly<'a> {
    /// In quotes. A number or a truth value becomes one, as serde_json does it.
    Name(&'a mut Writer),
    /// JSON already.
    AsItIs(&'a mut Writer),
}

type Done = Result<(), Unwritable>;
type Never = Impossible<(), Unwritable>;

impl TextOnly<'_> {
    #[cold]
    fn plain(self, value: &impl ToString) -> Done {
        match self {
            TextOnly::Name(_) => self.serialize_str(&value.to_string()),
            TextOnly::AsItIs(_) => refused(),
        }
    }
}

#[cold]
fn refused<T>() -> Result<T, Unwritable> {
    Err(Unwritable::custom("key must be a string"))
}

macro_rules! plain {
    ($($method:ident $kind:ty)*) => {
        $(fn $method(self, value: $kind) -> Done {
            self.plain(&value)
        })*
    };
}

macro_rules! refuse {
    ($($method:ident($($kind:ty),*) -> $answer:ty;)*) => {
        $(fn $method(self, $(_: $kind),*) -> Result<$answer, Unwritable> {
            refused()
        })*
    };
}

impl Serializer for TextOnly<'_> {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    #[inline]
    fn serialize_str(self, text: &str) -> Done {
        match self {
            TextOnly::Name(writer) => writer.string(text),
            TextOnly::AsItIs(writer) => writer.text(text),
        }
        Ok(())
    }

    plain! {
        serialize_bool bool serialize_char char
        serialize_i8 i8 serialize_i16 i16 serialize_i32 i32 serialize_i64 i64 serialize_i128 i128
        serialize_u8 u8 serialize_u16 u16 serialize_u32 u32 serialize_u64 u64 serialize_u128 u128
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Done {
        self.serialize_str(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Done {
        refused()
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(self, _: &'static str, _: u32, _: &'static str, _: &T) -> Done {
        refused()
    }

    // Floating point as a name is nothing that a bill has, and nothing that two machines need agree on.
    refuse! {
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_seq(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_struct(&'static str, usize) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }
}
