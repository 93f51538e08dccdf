//! The mapping as an experienced person writes it by hand: serde structures that borrow, decimals that are exact, no
//! framework. What the SDK costs beyond it is the SDK's.

use std::borrow::Cow;
use std::collections::HashMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A string, or a number as it was written.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
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
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        Decimal::from_str_exact(raw.trim_matches('"')).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
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
struct Parameters<'a> {
    #[serde(borrow)]
    bill_type: &'a str,
    default: Shop<'a>,
    shops: HashMap<&'a str, Shop<'a>>,
    shop_customers: HashMap<&'a str, &'a str>,
    shipped_statuses: Vec<&'a str>,
}

#[derive(Deserialize)]
struct Shop<'a> {
    organisation: &'a str,
    department: &'a str,
    currency: &'a str,
    profit_centre: &'a str,
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

pub fn map(parameters: &str, body: &str) -> String {
    let parameters: Parameters<'_> = serde_json::from_str(parameters).expect("parameters");
    let saleout: SaleOut<'_> = serde_json::from_str(body).expect("a sale-out");
    assert!(parameters.shipped_statuses.iter().any(|shipped| *shipped == saleout.status.0));
    let shop_id: &str = &saleout.shop_id.0;
    let shop = parameters.shops.get(shop_id).unwrap_or(&parameters.default);
    let text = |text: &'_ Option<Text<'_>>| text.as_ref().map(|text| text.0.to_string()).unwrap_or_default();
    let distributor = text(&saleout.drp_co_id_from);
    let customer = match distributor.as_str() {
        "" => parameters.shop_customers.get(shop_id).copied().unwrap_or(shop_id),
        distributor => distributor,
    };
    let (note, platform_order, waybill) = (text(&saleout.remark), text(&saleout.so_id), text(&saleout.l_id));
    let bill = Bill {
        bill_type: BillType { number: parameters.bill_type },
        no: &saleout.io_id.0,
        date: saleout.io_date,
        sale_organisation: Number { number: shop.organisation },
        stock_organisation: Number { number: shop.organisation },
        customer: Number { number: customer },
        sale_department: Number { number: shop.department },
        note: &note,
        profit_centre: Number { number: shop.profit_centre },
        platform_order: &platform_order,
        waybill: &waybill,
        sub_head: SubHead {
            settle_currency: Number { number: shop.currency },
            settle_organisation: Number { number: shop.organisation },
            discount: saleout.free_amount,
        },
        rows: saleout
            .items
            .iter()
            .map(|item| Row {
                material: Number { number: &item.sku_id.0 },
                quantity: Amount(item.qty.0),
                tax_price: Amount(item.sale_price.0),
                is_free: item.sale_price.0.is_zero(),
                stock: Number { number: &saleout.wms_co_id.0 },
                note: "",
                text2: "1",
            })
            .collect(),
    };
    serde_json::to_string(&bill).expect("a bill")
}
