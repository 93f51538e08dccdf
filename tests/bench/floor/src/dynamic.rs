//! The mapping in the SDK's dynamic style: every field by its name when it is wanted, numbers exact.

use crossdock_guest::{Context, DateTime, Decimal, Document, Object, Outcome, Rejection, Text, Transform};
use serde::Deserialize;

pub struct SaleOut;

#[derive(Deserialize)]
pub struct Parameters {
    bill_type: String,
    default: Shop,
    shops: std::collections::BTreeMap<String, Shop>,
    shop_customers: std::collections::BTreeMap<String, String>,
    shipped_statuses: Vec<String>,
}

#[derive(Deserialize)]
pub struct Shop {
    organisation: String,
    department: String,
    currency: String,
    profit_centre: String,
}

fn number(object: &mut Object, name: &str, number: &str) {
    object.object(name, |object| object.put("FNumber", number));
}

impl Transform for SaleOut {
    const NAME: &'static str = "dynamic";
    const VERSION: &'static str = "1.0.0";
    const SOURCE: &'static str = "jushuitan_qimen:jushuitan.saleout.list.query";
    const TARGET: &'static str = "kingdee_k3cloud:BatchSave";
    const PARAMETERS_SCHEMA: &'static str = "{}";
    type Parameters = Parameters;

    fn transform(_: &Context, parameters: &Parameters, document: &Document) -> Result<Outcome, Rejection> {
        let saleout = document.fields()?;
        let status: Text<'_> = saleout.required("status")?;
        if !parameters.shipped_statuses.iter().any(|shipped| shipped == status.as_str()) {
            return Ok(Outcome::skip("status_not_shipped", "not shipped", Some("/status")));
        }
        let key: Text<'_> = saleout.required("io_id")?;
        let shop_id: Text<'_> = saleout.required("shop_id")?;
        let stock: Text<'_> = saleout.required("wms_co_id")?;
        let shop = parameters.shops.get(shop_id.as_str()).unwrap_or(&parameters.default);
        let distributor: Option<Text<'_>> = saleout.optional("drp_co_id_from")?;
        let customer = match &distributor {
            Some(distributor) => distributor.as_str(),
            None => parameters.shop_customers.get(shop_id.as_str()).map_or(shop_id.as_str(), String::as_str),
        };
        let text = |name| -> Result<Text<'_>, Rejection> { Ok(saleout.optional(name)?.unwrap_or_default()) };
        let mut bill = Object::new();
        bill.object("FBillTypeID", |object| object.put("FNUMBER", &parameters.bill_type));
        bill.put("FBillNo", &key);
        bill.put("FDate", &saleout.required::<DateTime>("io_date")?);
        number(&mut bill, "FSaleOrgId", &shop.organisation);
        number(&mut bill, "FStockOrgId", &shop.organisation);
        number(&mut bill, "FCustomerID", customer);
        number(&mut bill, "FSaleDeptID", &shop.department);
        bill.put("FNote", &text("remark")?);
        number(&mut bill, "F_KLF_Assistant", &shop.profit_centre);
        bill.put("F_KLF_Text", &text("so_id")?);
        bill.put("F_KLF_Text1", &text("l_id")?);
        let discount: Option<Decimal> = saleout.optional("free_amount")?;
        bill.object("SubHeadEntity", |head| {
            number(head, "FSettleCurrID", &shop.currency);
            number(head, "FSettleOrgID", &shop.organisation);
            if let Some(discount) = &discount {
                head.put("FAllDisCount", discount);
            }
        });
        bill.rows("FEntity", saleout.rows("items")?, |row, item| {
            let price: Decimal = item.required("sale_price")?;
            number(row, "FMaterialID", item.required::<Text<'_>>("sku_id")?.as_str());
            row.put("FRealQty", &item.required::<Decimal>("qty")?);
            row.put("FTaxPrice", &price);
            row.put("FIsFree", &price.is_zero());
            number(row, "FStockID", stock.as_str());
            row.put("FEntrynote", "");
            row.put("F_sms_Text2", "1");
            Ok(())
        })?;
        Outcome::emit_object(key.as_str(), bill)
    }
}
