//! Fields whose names a transform learns only from its parameters, such as a vendor's user-defined ones.

use std::fmt;
use std::rc::Rc;

use serde::de::MapAccess;
use serde::{Deserialize, Deserializer};

use crate::json::raw::Raw;
use crate::{Document, Rejection, Text, json};

/// What a row of a document has; its head, which has more, grows once or twice.
const USUAL_FIELDS: usize = 16;

/// The fields of one JSON object by name, each read as what the caller asks for when it asks. Where a name is known
/// beforehand a struct says more; this is for the others, and stands beside the struct.
///
/// It knows where it lies in the document, so every rejection names its field.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    at: Place,
    fields: Object<'a>,
}

/// Where an object lies in the document; put into words only where a field cannot be read.
#[derive(Debug, Clone)]
enum Place {
    Root,
    Row { list: Rc<str>, index: usize },
}

impl Place {
    fn pointer(&self) -> String {
        match self {
            Place::Root => String::new(),
            Place::Row { list, index } => format!("{list}/{index}"),
        }
    }
}

/// Names and values in the document's order. A list, not a map: a document has some dozens of fields and a transform asks
/// for a few, so that building a map costs several times what it saves. Of two fields of one name the later counts.
#[derive(Debug, Clone)]
struct Object<'a>(Vec<(Text<'a>, Raw<'a>)>);

impl<'a> Object<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(found, _)| found.as_str() == name).map(|(_, value)| value.get())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Object<'de>, A::Error> {
                let mut object = Vec::with_capacity(USUAL_FIELDS);
                while let Some(field) = fields.next_entry()? {
                    object.push(field);
                }
                Ok(Object(object))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

impl Document {
    /// The body's fields by name. Rejects a body that is not an object.
    pub fn fields(&self) -> Result<Fields<'_>, Rejection> {
        Ok(Fields { at: Place::Root, fields: self.parse()? })
    }
}

impl<'a> Fields<'a> {
    /// True where there is a field of this name, whatever its value.
    pub fn contains(&self, name: &str) -> bool {
        self.fields.get(name).is_some()
    }

    /// The JSON Pointer of a field of this name, whether there is one or not.
    pub fn pointer(&self, name: &str) -> String {
        json::pointer(&self.at.pointer(), &[name])
    }

    /// The value of the field, or `None` where it is missing, null or `""`.
    pub fn optional<T: Deserialize<'a>>(&self, name: &str) -> Result<Option<T>, Rejection> {
        match self.fields.get(name) {
            None | Some("null" | "\"\"") => Ok(None),
            Some(text) => self.read(name, text).map(Some),
        }
    }

    /// The value of the field, or a rejection `field_missing`, `field_null` or, for `""`, `field_blank`.
    pub fn required<T: Deserialize<'a>>(&self, name: &str) -> Result<T, Rejection> {
        match self.fields.get(name) {
            None => Err(Rejection::missing(self.pointer(name))),
            Some("null") => Err(Rejection::null(self.pointer(name))),
            Some("\"\"") => Err(Rejection::blank(self.pointer(name))),
            Some(text) => self.read(name, text),
        }
    }

    /// The rows of a field that is a list of objects, each with its fields by name.
    pub fn rows(&self, name: &str) -> Result<Vec<Fields<'a>>, Rejection> {
        let list: Rc<str> = self.pointer(name).into();
        let rows: Vec<Object<'a>> = self.required(name)?;
        let row = |(index, fields)| Fields { at: Place::Row { list: list.clone(), index }, fields };
        Ok(rows.into_iter().enumerate().map(row).collect())
    }

    fn read<T: Deserialize<'a>>(&self, name: &str, text: &'a str) -> Result<T, Rejection> {
        json::from_str_at(text, || self.pointer(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decimal;

    fn document(body: &str) -> Document {
        Document { key: "1".into(), body: body.into() }
    }

    #[test]
    fn reads_a_field_by_a_name_known_late_as_the_type_asked_for() {
        let document = document(
            r#"{"define1":"王","define7":12.50,"define\u0038":null,"define10":"","rows":[{"a":1},{"a":"0.10"}]}"#,
        );
        let fields = document.fields().expect("an object");
        assert_eq!(fields.required::<Text<'_>>("define1").expect("a text"), "王");
        assert_eq!(fields.required::<Decimal>("define7").expect("an amount").to_string(), "12.50");
        for none in ["define8", "define9", "define10"] {
            assert_eq!(fields.optional::<Decimal>(none).expect(none), None);
        }
        assert!(fields.contains("define8") && !fields.contains("define9"));
        let rows = fields.rows("rows").expect("rows");
        assert_eq!(rows[1].required::<Decimal>("a").expect("an amount").to_string(), "0.10");
        assert_eq!(rows[1].pointer("x/y"), "/rows/1/x~1y");
    }

    #[test]
    fn names_the_field_that_cannot_be_read_and_never_its_value() {
        let document =
            document(r#"{"rows":[{"blank":"","null":null,"word":"王小明","list":[{"a":1},{"a":[]}]}],"n":1}"#);
        let fields = document.fields().expect("an object");
        let row = &fields.rows("rows").expect("rows")[0];
        let check = |why: Rejection, code: &str, field: &str| {
            assert_eq!((why.code(), why.field()), (code, Some(field)), "{why}");
            assert!(why.message().starts_with(field) && !why.message().contains("王小明"), "{why}");
        };
        check(row.required::<Decimal>("none").expect_err("missing"), "field_missing", "/rows/0/none");
        check(row.required::<Decimal>("null").expect_err("null"), "field_null", "/rows/0/null");
        check(row.required::<Decimal>("blank").expect_err("blank"), "field_blank", "/rows/0/blank");
        check(row.required::<Decimal>("word").expect_err("a word"), "not_a_number", "/rows/0/word");
        check(row.optional::<Decimal>("list").expect_err("a list"), "field_type", "/rows/0/list");
        check(fields.rows("n").expect_err("no list"), "field_type", "/n");
        let list = row.rows("list").expect("rows");
        check(list[1].required::<Text<'_>>("a").expect_err("a list"), "field_type", "/rows/0/list/1/a");
    }

    #[test]
    fn of_two_fields_of_one_name_the_later_counts() {
        let document = document(r#"{"a":1,"a":2}"#);
        assert_eq!(document.fields().expect("an object").required::<Text<'_>>("a").expect("a text"), "2");
    }

    #[test]
    fn a_body_that_is_not_an_object_is_rejected() {
        assert_eq!(document("[1]").fields().expect_err("a list").code(), "field_type");
        assert_eq!(document("{").fields().expect_err("half").code(), "malformed_json");
    }
}
