//! The fields of `SAL_OUTSTOCK`, by level, in the vendor's spelling. What is not here, the form does not have.

use jiff::civil::{Date, DateTime};
use rust_decimal::Decimal;
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A reference to base data: an object that names how to look up.
    Base,
    Text,
    Number,
    Date,
    Bool,
    /// Kept as it is.
    Raw,
}

use Kind::{Base, Bool, Date as Day, Number, Raw, Text};

pub type Table = &'static [(&'static str, Kind)];

pub const HEAD: Table = &[
    ("FBillTypeID", Base),
    ("FBillNo", Text),
    ("FDate", Day),
    ("FSaleOrgId", Base),
    ("FStockOrgId", Base),
    ("FCustomerID", Base),
    ("FDeliveryDeptID", Base),
    ("FSaleDeptID", Base),
    ("FStockerGroupID", Base),
    ("FStockerID", Base),
    ("FSalesGroupID", Base),
    ("FSalesManID", Base),
    ("FReceiverID", Base),
    ("FSettleID", Base),
    ("FPayerID", Base),
    ("FCarrierID", Base),
    ("FCarriageNO", Text),
    ("FReceiveAddress", Text),
    ("FLinkMan", Text),
    ("FLinkPhone", Text),
    ("FOwnerTypeIdHead", Text),
    ("FOwnerIdHead", Base),
    ("FNote", Text),
    // Added to the form by the customer of scheme A.
    ("F_KLF_Assistant", Base),
    ("F_KLF_Text", Text),
    ("F_KLF_Text1", Text),
];

pub const SUB_HEAD: Table = &[
    ("FSettleCurrID", Base),
    ("FSettleOrgID", Base),
    ("FSettleTypeID", Base),
    ("FReceiptConditionID", Base),
    ("FExchangeTypeID", Base),
    ("FExchangeRate", Number),
    ("FLocalCurrID", Base),
    ("FAllDisCount", Number),
    ("FSaleDeptID", Base),
];

pub const ENTRY: Table = &[
    ("FMaterialID", Base),
    ("FUnitID", Base),
    ("FRealQty", Number),
    ("FMustQty", Number),
    ("FStockID", Base),
    ("FStockLocID", Base),
    ("FStockStatusID", Base),
    ("FLot", Base),
    ("FPrice", Number),
    ("FTaxPrice", Number),
    ("FEntryTaxRate", Number),
    ("FIsFree", Bool),
    ("FOwnerTypeID", Text),
    ("FOwnerID", Base),
    ("FKeeperTypeID", Text),
    ("FKeeperID", Base),
    ("FProduceDate", Day),
    ("FExpiryDate", Day),
    ("FPriceUnitID", Base),
    ("FBaseUnitQty", Number),
    ("FSALBASEQTY", Number),
    ("FSrcType", Text),
    ("FSrcBillNo", Text),
    ("FSoorDerno", Text),
    ("FNote", Text),
    ("FEntrynote", Text),
    ("F_sms_Text2", Text),
    ("FEntity_Link", Raw),
];

/// Required at every save that checks.
pub const REQUIRED_HEAD: &[(&str, &str)] =
    &[("FDate", "日期"), ("FSaleOrgId", "销售组织"), ("FStockOrgId", "发货组织"), ("FCustomerID", "客户")];
pub const REQUIRED_ENTRY: &[(&str, &str)] =
    &[("FMaterialID", "物料编码"), ("FRealQty", "实发数量"), ("FStockID", "仓库")];
/// Required in practice by one source; checked under `strict_required`.
pub const REQUIRED_ENTRY_STRICT: &[(&str, &str)] = &[("FUnitID", "库存单位")];
pub const REQUIRED_SUB_HEAD_STRICT: &[(&str, &str)] = &[("FSettleCurrID", "结算币别"), ("FSettleOrgID", "结算组织")];

pub fn kind(table: Table, name: &str) -> Option<Kind> {
    table.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}

/// The value as the form keeps it, `None` where it says nothing; the error is the vendor's text.
pub fn accept(name: &str, kind: Kind, value: &Value) -> Result<Option<Value>, String> {
    if value.is_null() || value.as_str() == Some("") && kind != Text {
        return Ok(None);
    }
    let wrong = |what: &str| Err(format!("字段[{name}]的值不是有效的{what}"));
    match kind {
        Raw => Ok(Some(value.clone())),
        Base => match value {
            Value::Object(_) => Ok(number_of(value).is_some_and(|number| !number.is_empty()).then(|| value.clone())),
            _ => Err(format!("字段[{name}]的值必须是字典类型（Dictionary），例如{{\"FNumber\":\"\"}}")),
        },
        Text => match value {
            Value::String(_) | Value::Number(_) => Ok(Some(value.clone())),
            _ => wrong("文本"),
        },
        Number => match decimal(value) {
            Some(_) => Ok(Some(value.clone())),
            None => wrong("数字"),
        },
        Day => match value.as_str().and_then(date) {
            Some(_) => Ok(Some(value.clone())),
            None => wrong("日期"),
        },
        Bool => match boolean(value) {
            Some(_) => Ok(Some(value.clone())),
            None => wrong("布尔值"),
        },
    }
}

/// What a reference names, whatever the case of its key. A number is taken as its text.
pub fn number_of(value: &Value) -> Option<String> {
    let keys = ["FNUMBER", "FUSERID", "FNAME"];
    let known = |key: &str| keys.contains(&key.to_ascii_uppercase().as_str());
    let (_, value) = value.as_object()?.iter().find(|(key, _)| known(key))?;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Texts without their quotes, everything else as JSON; null is no text at all.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Exact: from the digits, never by way of a float.
pub fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(number) => {
            let digits = number.to_string();
            Decimal::from_str_exact(&digits).or_else(|_| Decimal::from_scientific(&digits)).ok()
        }
        Value::String(text) => Decimal::from_str_exact(text.trim()).ok(),
        _ => None,
    }
}

pub fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) if text.eq_ignore_ascii_case("true") || text == "1" => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") || text == "0" => Some(false),
        _ => None,
    }
}

/// `yyyy-MM-dd`, with or without a time, with a space or a `T` between.
pub fn date(text: &str) -> Option<DateTime> {
    match text.len() {
        10 => text.parse::<Date>().ok().map(|date| date.to_datetime(jiff::civil::Time::midnight())),
        _ => text.parse().ok(),
    }
}
