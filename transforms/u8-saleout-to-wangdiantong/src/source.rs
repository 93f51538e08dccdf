//! A sale-out as U8 serves it, reduced to the fields whose names are U8's own. Every number comes as a string. The
//! user-defined fields (`define1` …), and the price, have the names that the parameters give them: `trade.rs` is handed
//! those through [`Fields`], each row's beside the row.

use crossdock_guest::{Date, Decimal, Document, Fields, Rejection, Text, day};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct SaleOut<'a> {
    #[serde(borrow)]
    pub code: Text<'a>,
    /// The day of the document, without a time.
    #[serde(deserialize_with = "day")]
    pub date: Date,
    #[serde(borrow)]
    pub warehousecode: Text<'a>,
    #[serde(borrow)]
    pub customercode: Option<Text<'a>>,
    #[serde(borrow)]
    pub customername: Option<Text<'a>>,
    /// One client's model of the list says `tentry`; the vendor's pages say `entry`.
    #[serde(borrow, alias = "tentry")]
    pub entry: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
pub struct Entry<'a> {
    #[serde(borrow)]
    pub rowno: Text<'a>,
    #[serde(borrow)]
    pub inventorycode: Text<'a>,
    pub quantity: Decimal,
}

/// A row, and the same row by the names that only the parameters know.
pub struct Row<'a, 'b> {
    pub entry: &'b Entry<'a>,
    pub fields: Fields<'a>,
}

impl<'a> SaleOut<'a> {
    pub fn rows<'b>(&'b self, fields: &Fields<'a>) -> Result<Vec<Row<'a, 'b>>, Rejection> {
        let name = if fields.contains("entry") { "entry" } else { "tentry" };
        let rows = self.entry.iter().zip(fields.rows(name)?);
        Ok(rows.map(|(entry, fields)| Row { entry, fields }).collect())
    }

    /// Who bought: the customer's name, or its code where it has none.
    pub fn buyer(&self) -> Option<&str> {
        let names = [self.customername.as_ref(), self.customercode.as_ref()];
        names.into_iter().flatten().find(|name| !name.is_blank()).map(|name| name.as_str())
    }
}

/// The document twice: by U8's own names, and by those that only the parameters know.
pub fn read(document: &Document) -> Result<(SaleOut<'_>, Fields<'_>), Rejection> {
    Ok((document.parse()?, document.fields()?))
}
