//! One element of `Model` for the form `SAL_OUTSTOCK` of K3Cloud (金蝶云星空), in the vendor's own spelling and order. The
//! order of the fields is kept, because fields come after those they depend on. Another form has other fields.

use crossdock_guest::{Date, Decimal};
use serde::Serialize;

#[derive(Serialize)]
pub struct Bill<'a> {
    #[serde(rename = "FBillTypeID")]
    pub bill_type: BillType<'a>,
    #[serde(rename = "FBillNo")]
    pub number: &'a str,
    #[serde(rename = "FDate")]
    pub date: Date,
    #[serde(rename = "FSaleOrgId")]
    pub sale_organisation: Number<'a>,
    #[serde(rename = "FStockOrgId")]
    pub stock_organisation: Number<'a>,
    #[serde(rename = "FCustomerID")]
    pub customer: Number<'a>,
    #[serde(rename = "FNote")]
    pub note: &'a str,
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
}

#[derive(Serialize)]
pub struct Row<'a> {
    #[serde(rename = "FMaterialID")]
    pub material: Number<'a>,
    #[serde(rename = "FUnitID")]
    pub unit: Number<'a>,
    #[serde(rename = "FRealQty")]
    pub quantity: Decimal,
    #[serde(rename = "FTaxPrice")]
    pub tax_price: Decimal,
    #[serde(rename = "FIsFree")]
    pub is_free: bool,
    #[serde(rename = "FStockID")]
    pub stock: Number<'a>,
}

/// Base data by its number: `{"FNumber": "101"}`.
#[derive(Serialize)]
pub struct Number<'a> {
    #[serde(rename = "FNumber")]
    pub number: &'a str,
}

/// The bill type, whose key the vendor spells in capitals: `{"FNUMBER": "XSCKD01_SYS"}`.
#[derive(Serialize)]
pub struct BillType<'a> {
    #[serde(rename = "FNUMBER")]
    pub number: &'a str,
}
