//! One element of `Model` for the form `SAL_OUTSTOCK`, in the vendor's own spelling and order. The order of the fields
//! is kept, because fields come after those they depend on.
//!
//! `FSaleDeptID` is a field of the head; some users' tables show it below `SubHeadEntity`. `FNote` is written even where
//! it is empty, so that every bill has the same shape.

use crossdock_guest::{DateTime, Decimal};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

#[derive(Serialize)]
pub struct Bill<'a> {
    #[serde(rename = "FBillTypeID")]
    pub bill_type: BillType<'a>,
    #[serde(rename = "FBillNo")]
    pub no: &'a str,
    #[serde(rename = "FDate")]
    pub date: DateTime,
    #[serde(rename = "FSaleOrgId")]
    pub sale_organisation: Number<'a>,
    #[serde(rename = "FStockOrgId")]
    pub stock_organisation: Number<'a>,
    #[serde(rename = "FCustomerID")]
    pub customer: Number<'a>,
    #[serde(rename = "FSaleDeptID")]
    pub sale_department: Number<'a>,
    #[serde(rename = "FNote")]
    pub note: &'a str,
    #[serde(rename = "F_KLF_Assistant")]
    pub profit_centre: Number<'a>,
    #[serde(rename = "F_KLF_Text")]
    pub platform_order: &'a str,
    #[serde(rename = "F_KLF_Text1")]
    pub waybill: &'a str,
    #[serde(rename = "SubHeadEntity")]
    pub sub_head: SubHead<'a>,
    #[serde(rename = "FEntity")]
    pub rows: Vec<Row<'a>>,
}

#[derive(Serialize)]
pub struct SubHead<'a> {
    #[serde(rename = "FSettleCurrID")]
    pub settle_currency: Number<'a>,
    #[serde(rename = "FSettleOrgID")]
    pub settle_organisation: Number<'a>,
    #[serde(rename = "FAllDisCount", skip_serializing_if = "Option::is_none")]
    pub discount: Option<Decimal>,
}

#[derive(Serialize)]
pub struct Row<'a> {
    #[serde(rename = "FMaterialID")]
    pub material: Number<'a>,
    #[serde(rename = "FUnitID", skip_serializing_if = "Option::is_none")]
    pub unit: Option<Number<'a>>,
    #[serde(rename = "FRealQty")]
    pub quantity: Decimal,
    #[serde(rename = "FTaxPrice")]
    pub tax_price: Decimal,
    #[serde(rename = "FIsFree")]
    pub is_free: bool,
    #[serde(rename = "FStockID")]
    pub stock: Number<'a>,
    #[serde(rename = "FEntrynote")]
    pub note: &'a str,
    #[serde(rename = "F_sms_Text2")]
    pub text2: &'a str,
}

/// Base data by its number: `{"FNumber": "101"}`.
pub struct Number<'a>(pub &'a str);

impl Serialize for Number<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        wrapped("FNumber", self.0, serializer)
    }
}

/// The bill type, whose key the vendor spells in capitals: `{"FNUMBER": "XSCKD01_SYS"}`.
pub struct BillType<'a>(pub &'a str);

impl Serialize for BillType<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        wrapped("FNUMBER", self.0, serializer)
    }
}

fn wrapped<S: Serializer>(key: &'static str, number: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_map(Some(1))?;
    object.serialize_entry(key, number)?;
    object.end()
}
