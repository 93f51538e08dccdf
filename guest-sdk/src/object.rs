//! A bill that is written field by field, for who has no struct of it.

use serde::Serialize;

use crate::json::writer::Writer;
use crate::{Outcome, Rejection, TargetDocument};

/// A JSON object, written as its fields are put in and in their order. A struct says more about a bill; this is for bills
/// whose fields only the parameters know, and for those who think in fields. With [`Fields`](crate::Fields) on the other
/// side, a mapping needs no types of its own.
///
/// ```
/// use crossdock_guest::{Decimal, Document, Object, Outcome, Rejection, Text};
///
/// fn map(document: &Document) -> Result<Outcome, Rejection> {
///     let order = document.fields()?;
///     let no: Text<'_> = order.required("no")?;
///     let mut bill = Object::new();
///     bill.put("FBillNo", &no);
///     bill.object("FCustomerID", |customer| customer.put("FNumber", "C01"));
///     bill.rows("FEntity", order.rows("items")?, |row, item| {
///         row.put("FQty", &item.required::<Decimal>("qty")?);
///         Ok(())
///     })?;
///     Outcome::emit_object(no.as_str(), bill)
/// }
///
/// let document = Document { key: "7".into(), body: r#"{"no":7,"items":[{"qty":"1.50"}]}"#.into() };
/// let Ok(Outcome::Emit(bills)) = map(&document) else { panic!() };
/// assert_eq!(bills[0].body, r#"{"FBillNo":"7","FCustomerID":{"FNumber":"C01"},"FEntity":[{"FQty":1.50}]}"#);
/// ```
#[derive(Debug)]
pub struct Object {
    writer: Writer,
    is_empty: bool,
    /// What could not be written first.
    problem: Option<String>,
}

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

impl Object {
    /// Without fields yet.
    pub fn new() -> Self {
        let mut object = Self { writer: Writer::new(), is_empty: true, problem: None };
        object.writer.text("{");
        object
    }

    /// A field with a value of whatever kind. A name that is put twice stands twice.
    pub fn put<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        self.name(name);
        if let Err(why) = value.serialize(&mut self.writer) {
            self.problem.get_or_insert_with(|| why.to_string());
        }
    }

    /// A field that is an object.
    pub fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object)) {
        self.name(name);
        self.inner(fill);
    }

    /// A field that is a list of objects, one for each of `items`.
    pub fn rows<I: IntoIterator>(
        &mut self,
        name: &str,
        items: I,
        mut fill: impl FnMut(&mut Object, I::Item) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        self.name(name);
        self.writer.text("[");
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.writer.text(",");
            }
            self.inner(|row| fill(row, item))?;
        }
        self.writer.text("]");
        Ok(())
    }

    #[inline]
    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.is_empty) {
            self.writer.text(",");
        }
        self.writer.string(name);
        self.writer.text(":");
    }

    #[inline]
    fn inner<T>(&mut self, fill: impl FnOnce(&mut Object) -> T) -> T {
        // It writes on in the same text, which comes back with it.
        self.writer.text("{");
        let outer_is_empty = std::mem::replace(&mut self.is_empty, true);
        let answer = fill(self);
        self.is_empty = outer_is_empty;
        self.writer.text("}");
        answer
    }

    /// The object's text, or a rejection `body_unwritable` where a value was something that JSON cannot hold.
    pub fn into_text(mut self) -> Result<String, Rejection> {
        if let Some(problem) = self.problem {
            return Err(Rejection::new("body_unwritable", problem));
        }
        self.writer.text("}");
        Ok(self.writer.into_text())
    }
}

impl Outcome {
    /// One bill that was written field by field. See [`Outcome::emit_one`].
    pub fn emit_object(key: impl Into<String>, bill: Object) -> Result<Outcome, Rejection> {
        Ok(Outcome::Emit(vec![TargetDocument { key: key.into(), body: bill.into_text()? }]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decimal;

    #[test]
    fn writes_what_was_put_in_its_order() {
        let mut bill = Object::new();
        bill.object("none", |_| ());
        bill.put("name", "a\"\\\u{1}表");
        bill.object("outer", |outer| {
            outer.put("first", &1);
            outer.object("inner", |inner| inner.put("x", &None::<u8>));
            outer.put("last", &true);
        });
        bill.rows("rows", ["1.50", "2"], |row, amount| {
            row.put("amount", &amount.parse::<Decimal>().expect("an amount"));
            Ok(())
        })
        .expect("rows");
        bill.rows("empty", Vec::<u8>::new(), |_, _| Ok(())).expect("rows");
        assert_eq!(
            bill.into_text().expect("a bill"),
            r#"{"none":{},"name":"a\"\\\u0001表","outer":{"first":1,"inner":{"x":null},"last":true},"rows":[{"amount":1.50},{"amount":2}],"empty":[]}"#
        );
        assert_eq!(Object::new().into_text().expect("a bill"), "{}");
    }

    #[test]
    fn refuses_what_json_cannot_hold_and_a_row_that_is_refused() {
        let mut bill = Object::new();
        bill.put("x", &std::collections::BTreeMap::from([((1, 2), 3)]));
        assert_eq!(bill.into_text().expect_err("a key that is a pair").code(), "body_unwritable");
        let why = Object::new().rows("rows", [1], |_, _| Err(Rejection::missing("/x"))).expect_err("a rejection");
        assert_eq!(why.code(), "field_missing");
    }
}
