//! A page of sale-outs becomes one save: serde structures that borrow, decimals that are exact, no framework.

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::Result;
use crate::settings::Parameters;

/// A string, or a number as it was written.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        match raw.as_bytes()[0] {
            b'"' if raw.contains('\\') => serde_json::from_str(raw).map(|text: String| Self(text.into())),
            b'"' => Ok(Self(raw[1..raw.len() - 1].into())),
            b'-' | b'0'..=b'9' => Ok(Self(raw.into())),
            _ => serde_json::from_str::<&str>(raw).map(|text| Self(text.into())),
        }
        .map_err(serde::de::Error::custom)
    }
}

struct Amount(Decimal);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        Decimal::from_str_exact(raw.trim_matches('"')).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let raw = RawValue::from_string(self.0.to_string()).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

#[derive(Deserialize)]
struct SaleOut<'a> {
    #[serde(borrow)]
    io_id: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    shop_id: Text<'a>,
    io_date: &'a str,
    #[serde(borrow)]
    wms_co_id: Text<'a>,
    #[serde(borrow)]
    drp_co_id_from: Option<Text<'a>>,
    #[serde(borrow)]
    remark: Option<Text<'a>>,
    #[serde(borrow)]
    so_id: Option<Text<'a>>,
    #[serde(borrow)]
    l_id: Option<Text<'a>>,
    free_amount: Option<Amount>,
    #[serde(borrow)]
    items: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    sku_id: Text<'a>,
    qty: Amount,
    sale_price: Amount,
}

#[derive(Deserialize)]
pub struct Page<'a> {
    #[serde(borrow)]
    datas: Vec<SaleOut<'a>>,
}

#[derive(Serialize)]
struct Call<'a> {
    formid: &'a str,
    data: Save<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Save<'a> {
    is_delete_entry: bool,
    is_auto_submit_and_audit: bool,
    interation_flags: &'a str,
    model: Vec<Bill<'a>>,
}

#[derive(Serialize)]
struct Number<'a> {
    #[serde(rename = "FNumber")]
    number: &'a str,
}

#[derive(Serialize)]
struct BillType<'a> {
    #[serde(rename = "FNUMBER")]
    number: &'a str,
}

#[derive(Serialize)]
struct Bill<'a> {
    #[serde(rename = "FBillTypeID")]
    bill_type: BillType<'a>,
    #[serde(rename = "FBillNo")]
    no: &'a str,
    #[serde(rename = "FDate")]
    date: &'a str,
    #[serde(rename = "FSaleOrgId")]
    sale_organisation: Number<'a>,
    #[serde(rename = "FStockOrgId")]
    stock_organisation: Number<'a>,
    #[serde(rename = "FCustomerID")]
    customer: Number<'a>,
    #[serde(rename = "FSaleDeptID")]
    sale_department: Number<'a>,
    #[serde(rename = "FNote")]
    note: &'a str,
    #[serde(rename = "F_KLF_Assistant")]
    profit_centre: Number<'a>,
    #[serde(rename = "F_KLF_Text")]
    platform_order: &'a str,
    #[serde(rename = "F_KLF_Text1")]
    waybill: &'a str,
    #[serde(rename = "SubHeadEntity")]
    sub_head: SubHead<'a>,
    #[serde(rename = "FEntity")]
    rows: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct SubHead<'a> {
    #[serde(rename = "FSettleCurrID")]
    settle_currency: Number<'a>,
    #[serde(rename = "FSettleOrgID")]
    settle_organisation: Number<'a>,
    #[serde(rename = "FAllDisCount", skip_serializing_if = "Option::is_none")]
    discount: Option<Amount>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(rename = "FMaterialID")]
    material: Number<'a>,
    #[serde(rename = "FRealQty")]
    quantity: Amount,
    #[serde(rename = "FTaxPrice")]
    tax_price: Amount,
    #[serde(rename = "FIsFree")]
    is_free: bool,
    #[serde(rename = "FStockID")]
    stock: Number<'a>,
    #[serde(rename = "FEntrynote")]
    note: &'a str,
    #[serde(rename = "F_sms_Text2")]
    text2: &'a str,
}

pub fn save(parameters: &Parameters, page: &Page<'_>) -> Result<Vec<u8>> {
    let model = page.datas.iter().map(|saleout| bill(parameters, saleout)).collect::<Result<_>>()?;
    let data =
        Save { is_delete_entry: true, is_auto_submit_and_audit: true, interation_flags: "STK_InvCheckResult", model };
    Ok(serde_json::to_vec(&Call { formid: "SAL_OUTSTOCK", data })?)
}

fn bill<'a>(parameters: &'a Parameters, saleout: &'a SaleOut<'_>) -> Result<Bill<'a>> {
    if !parameters.shipped_statuses.iter().any(|shipped| *shipped == saleout.status.0) {
        return Err(format!("{} is {}", saleout.io_id.0, saleout.status.0).into());
    }
    let shop_id: &str = &saleout.shop_id.0;
    let shop = parameters.shops.get(shop_id).unwrap_or(&parameters.default);
    let customer = match text(&saleout.drp_co_id_from) {
        "" => parameters.shop_customers.get(shop_id).map_or(shop_id, String::as_str),
        distributor => distributor,
    };
    let row = |item: &'a Item<'_>| Row {
        material: Number { number: &item.sku_id.0 },
        quantity: Amount(item.qty.0),
        tax_price: Amount(item.sale_price.0),
        is_free: item.sale_price.0.is_zero(),
        stock: Number { number: &saleout.wms_co_id.0 },
        note: "",
        text2: "1",
    };
    Ok(Bill {
        bill_type: BillType { number: &parameters.bill_type },
        no: &saleout.io_id.0,
        date: saleout.io_date,
        sale_organisation: Number { number: &shop.organisation },
        stock_organisation: Number { number: &shop.organisation },
        customer: Number { number: customer },
        sale_department: Number { number: &shop.department },
        note: text(&saleout.remark),
        profit_centre: Number { number: &shop.profit_centre },
        platform_order: text(&saleout.so_id),
        waybill: text(&saleout.l_id),
        sub_head: SubHead {
            settle_currency: Number { number: &shop.currency },
            settle_organisation: Number { number: &shop.organisation },
            discount: saleout.free_amount.as_ref().map(|amount| Amount(amount.0)),
        },
        rows: saleout.items.iter().map(row).collect(),
    })
}

fn text<'a>(text: &'a Option<Text<'_>>) -> &'a str {
    text.as_ref().map_or("", |text| &text.0)
}
