//! What the target must hold for a sale-out, written from the field table of Jushuitan sale-outs to K3Cloud and from
//! nothing else. It works on plain JSON and shares no line with the mapping that it judges.

use std::collections::BTreeMap;
use std::path::Path;

use rust_decimal::Decimal;
use serde_json::Value;

use super::{Failure, Result};

/// The shop with an organisation of its own.
const SPECIAL_SHOP: &str = "12948597";

/// What the table leaves to each user: which customer stands for a shop.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    pub shop_customers: BTreeMap<String, String>,
}

impl Parameters {
    pub fn read(file: &Path) -> Result<Self> {
        let doing = format!("reading {}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| Failure::during(&doing, error))?;
        let all: Value = serde_json::from_str(&text).map_err(|error| Failure::during(&doing, error))?;
        let table = all["shop_customers"].as_object().cloned().unwrap_or_default();
        let customers = table.into_iter().map(|(shop, customer)| (shop, text_of(&customer).unwrap_or_default()));
        Ok(Self { shop_customers: customers.collect() })
    }
}

/// What must become of a sale-out.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// Not shipped: nothing is written.
    Skip {
        status: String,
    },
    /// This must be there and is not.
    Reject {
        missing: String,
    },
    Bill(Bill),
}

/// Field by field, by path: `FDate`, `SubHeadEntity.FSettleCurrID`, `FEntity[0].FRealQty`.
pub type Bill = BTreeMap<String, Want>;

#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    /// Exactly this text; an empty one may be left out.
    Text(String),
    /// Base data: an object with one member of exactly this name.
    Base(&'static str, String),
    Amount(Decimal),
    Flag(bool),
    /// A local time, `2026-01-15 10:30:00`.
    Time(String),
}

impl Expected {
    pub fn of(body: &str, parameters: &Parameters) -> Result<Self> {
        let source: Value =
            serde_json::from_str(body).map_err(|error| Failure::during("reading a served document", error))?;
        let status = text_of(&source["status"]).unwrap_or_default();
        if status != "Confirmed" {
            return Ok(Self::Skip { status });
        }
        Ok(match bill(&source, parameters) {
            Ok(bill) => Self::Bill(bill),
            Err(missing) => Self::Reject { missing },
        })
    }
}

fn bill(source: &Value, parameters: &Parameters) -> Result<Bill, String> {
    let required = |value: &Value, name: &str| filled(value).ok_or_else(|| name.to_owned());
    let shop = required(&source["shop_id"], "shop_id")?;
    let special = shop == SPECIAL_SHOP;
    let choose = |ours: &str, others: &str| if special { ours.to_owned() } else { others.to_owned() };
    let customer = filled(&source["drp_co_id_from"])
        .unwrap_or_else(|| parameters.shop_customers.get(&shop).cloned().unwrap_or_else(|| shop.clone()));
    let base = |number: String| Want::Base("FNumber", number);
    let text = |value: &Value| Want::Text(text_of(value).unwrap_or_default());
    let warehouse = required(&source["wms_co_id"], "wms_co_id")?;

    let mut bill = Bill::new();
    let mut put = |path: &str, want: Want| drop(bill.insert(path.to_owned(), want));
    put("FBillTypeID", Want::Base("FNUMBER", "XSCKD01_SYS".to_owned()));
    put("FBillNo", Want::Text(required(&source["io_id"], "io_id")?));
    put("FSaleOrgId", base(choose("102", "101")));
    put("FStockOrgId", base(choose("102", "101")));
    put("FDate", Want::Time(required(&source["io_date"], "io_date")?));
    put("FCustomerID", base(customer));
    put("FNote", text(&source["remark"]));
    put("F_KLF_Assistant", base(choose("LY003", "LY004")));
    put("F_KLF_Text", text(&source["so_id"]));
    put("F_KLF_Text1", text(&source["l_id"]));
    // The users' table has the department below the sub-head; the vendor's form has it in the head.
    put("FSaleDeptID", base(choose("00003", "00006")));
    put("SubHeadEntity.FSettleOrgID", base(choose("102", "101")));
    put("SubHeadEntity.FSettleCurrID", base(choose("PRE007", "PRE001")));
    if let Some(discount) = filled(&source["free_amount"]) {
        put("SubHeadEntity.FAllDisCount", Want::Amount(decimal(&discount).ok_or("free_amount")?));
    }
    let items = source["items"].as_array().filter(|items| !items.is_empty()).ok_or("items")?;
    for (row, item) in items.iter().enumerate() {
        let amount =
            |name: &str| filled(&item[name]).as_deref().and_then(decimal).ok_or(format!("items[{row}].{name}"));
        let (quantity, price) = (amount("qty")?, amount("sale_price")?);
        let mut put = |name: &str, want: Want| put(&format!("FEntity[{row}].{name}"), want);
        put("FMaterialID", base(required(&item["sku_id"], "sku_id")?));
        put("FRealQty", Want::Amount(quantity));
        put("FTaxPrice", Want::Amount(price));
        put("FIsFree", Want::Flag(price.is_zero()));
        put("FStockID", base(warehouse.clone()));
        put("FEntrynote", Want::Text(String::new()));
        put("F_sms_Text2", Want::Text("1".to_owned()));
    }
    Ok(bill)
}

/// Every field in which a bill at the target is not what it must be: one line each.
pub fn differences(expected: &Bill, held: &Value) -> Vec<String> {
    let mut found = BTreeMap::new();
    flatten("", held, &mut found);
    let mut lines = Vec::new();
    for (path, want) in expected {
        let ours = found.remove(path.as_str());
        if !matches(want, ours.as_ref()) {
            let shown = ours.map_or("nothing".to_owned(), |value| value.to_string());
            lines.push(format!("{path} must be {want:?} and is {shown}"));
        }
    }
    // The target's own ids.
    found.retain(|path, _| path != "FID" && !path.ends_with(".FEntryID"));
    lines.extend(found.into_iter().map(|(path, value)| format!("{path} must not be there and is {value}")));
    lines
}

fn matches(want: &Want, found: Option<&Value>) -> bool {
    match (want, found) {
        (Want::Text(text), None) => text.is_empty(),
        (_, None) => false,
        (Want::Text(text), Some(found)) => text_of(found).as_ref() == Some(text),
        (Want::Base(key, number), Some(found)) => {
            let members = found.as_object();
            members
                .is_some_and(|members| members.len() == 1 && members.get(*key) == Some(&Value::from(number.as_str())))
        }
        (Want::Amount(amount), Some(found)) => text_of(found).as_deref().and_then(decimal) == Some(*amount),
        (Want::Flag(flag), Some(found)) => *found == Value::Bool(*flag),
        (Want::Time(time), Some(found)) => text_of(found).map(|text| text.replace('T', " ")).as_ref() == Some(time),
    }
}

/// Down to values and to base data, which is an object too.
fn flatten(path: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let is_level = path.is_empty() || path == "SubHeadEntity" || path.ends_with(']');
    match value {
        Value::Object(members) if is_level => {
            members.iter().for_each(|(name, value)| flatten(&join(name), value, found));
        }
        Value::Array(rows) if path == "FEntity" => {
            rows.iter().enumerate().for_each(|(row, value)| flatten(&format!("{path}[{row}]"), value, found));
        }
        other => drop(found.insert(path.to_owned(), other.clone())),
    }
}

/// Exact: from the digits.
fn decimal(text: &str) -> Option<Decimal> {
    let text = text.trim();
    Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok()
}

/// A text, or a number's digits. `None` for what is neither.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn filled(value: &Value) -> Option<String> {
    text_of(value).filter(|text| !text.trim().is_empty())
}
