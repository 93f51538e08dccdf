//! 聚水潭 (Jushuitan) sale-outs become 金蝶云星空 (K3Cloud) sale-outs.

use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::super::Result;
use super::super::expect::{Expected, Fields, Want, Why, decimal, filled, text_of};
use super::super::simulator::{Bill, Create, Held, instant, read};
use super::{Facts, Scheme};

pub const SALEOUT: &dyn Scheme = &Saleout;

struct Saleout;

/// The shop with an organisation of its own.
const SPECIAL_SHOP: &str = "12948597";
/// Far above the simulator's own numbers.
const FIRST_IO_ID: usize = 7_000_000;

impl Scheme for Saleout {
    fn name(&self) -> &'static str {
        "saleout"
    }
    fn title(&self) -> &'static str {
        "sale-outs of 聚水潭 to 金蝶云星空"
    }
    fn module(&self) -> &'static str {
        "jushuitan-saleout-to-k3cloud"
    }
    fn source(&self) -> &'static str {
        "jushuitan_qimen"
    }
    fn target(&self) -> &'static str {
        "kingdee_k3cloud"
    }
    fn read_operation(&self) -> &'static str {
        "jushuitan.saleout.list.query"
    }
    fn write_operation(&self) -> &'static str {
        "batchsave"
    }

    /// Every status that the simulator knows, so that whatever it has is served and has to be accounted for.
    fn block(&self, source: &str, target: &str) -> String {
        let statuses = r#"["Confirmed", "WaitConfirm", "OuterConfirming", "Delete"]"#;
        format!(
            r#"source = {{ connection = "jst", operation = "jushuitan.saleout.list.query", status = {statuses}{source} }}
target = {{ connection = "k3", operation = "BatchSave", form = "SAL_OUTSTOCK"{target} }}"#
        )
    }

    fn expected(&self, document: &Value, facts: &Facts) -> Result<Expected, Why> {
        let status = text_of(&document["status"]).unwrap_or_default();
        if status != "Confirmed" {
            return Ok(Expected::Skip { why: format!("status {status}") });
        }
        let number = required(&document["io_id"], "io_id")?;
        Ok(Expected::Bill { fields: fields(document, &number, facts)?, number })
    }

    fn held(&self, page: &Value) -> Result<Held> {
        let bill = |bill: &Value| -> Result<Bill> {
            let mut model = bill["model"].clone();
            take_own_ids(&mut model);
            let mut wrong = ignored(bill)?;
            let status = text_of(&bill["status"]).unwrap_or_default();
            if status != "C" {
                wrong.push(format!("the bill must be audited and its status is {status}"));
            }
            Ok(Bill { number: text_of(&bill["number"]).unwrap_or_default(), model, wrong })
        };
        let bills = page["bills"].as_array().into_iter().flatten().map(bill).collect::<Result<_>>()?;
        Ok(Held { bills, creates: creates(page) })
    }

    fn document(&self, number: usize, chance: &mut ChaCha8Rng) -> Value {
        let io_id = FIRST_IO_ID + number;
        let shop = *[12_948_597, 11_690_153].choose(chance).expect("two shops");
        let cents = chance.random_range(0..10_000);
        json!({
            "io_id": io_id, "o_id": io_id + 1, "so_id": format!("SO{io_id}"), "shop_id": shop, "status": "Confirmed",
            "io_date": "2026-11-20 10:30:00", "wms_co_id": 11_053_062, "l_id": format!("SF{io_id}"),
            "remark": "", "free_amount": "0.00",
            "items": [{
                "sku_id": "SKU001", "qty": chance.random_range(1..9),
                "sale_price": format!("{}.{:02}", cents / 100, cents % 100),
            }],
        })
    }

    fn mishaps(&self) -> &'static [&'static str] {
        &[
            // The source: asks to wait, answers late, serves a page twice.
            "throttle=1,system=jushuitan_qimen,count=1,after=3",
            "late_answer=200,system=jushuitan_qimen,probability=0.1",
            "page_twice,system=jushuitan_qimen,count=1,after=7",
            // The target: every way to lose an answer, refusals within a batch, a lost session.
            "late_answer=500,operation=batchsave,probability=0.8",
            "drop_after_commit,operation=batchsave,count=2,after=4",
            "drop_before,operation=batchsave,count=1,after=6",
            "commit_after_drop=400,operation=batchsave,count=1,after=8",
            "throttle,operation=batchsave,count=1,after=9",
            "refuse_every=7,operation=batchsave,count=1,after=5",
            "session_lost,operation=batchsave,count=1,after=12",
        ]
    }
}

/// Every try to make a bill; each that was accepted made one.
pub fn creates(page: &Value) -> Vec<Create> {
    let create = |tried: &Value| {
        let accepted = tried["accepted"] == true;
        let number = text_of(&tried["number"]).unwrap_or_default();
        Create { number, accepted, made: accepted, reason: text_of(&tried["reason"]), at: instant(&tried["at"]) }
    };
    page["creates"].as_array().into_iter().flatten().map(create).collect()
}

/// Names that the form does not know. What is written under them is lost.
pub fn ignored(bill: &Value) -> Result<Vec<String>> {
    let names: Vec<String> = read("held", &bill["ignored_fields"])?;
    Ok(names.into_iter().map(|name| format!("the form has no field {name}")).collect())
}

fn take_own_ids(model: &mut Value) {
    if let Some(head) = model.as_object_mut() {
        head.shift_remove("FID");
    }
    let rows = model["FEntity"].as_array_mut().into_iter().flatten();
    for row in rows.filter_map(Value::as_object_mut) {
        row.shift_remove("FEntryID");
    }
}

fn required(value: &Value, name: &str) -> Result<String, Why> {
    filled(value).ok_or_else(|| Why::missing(name))
}

fn fields(source: &Value, number: &str, facts: &Facts) -> Result<Fields, Why> {
    let shop = required(&source["shop_id"], "shop_id")?;
    let special = shop == SPECIAL_SHOP;
    let choose = |ours: &str, others: &str| Want::code(if special { ours } else { others });
    let by_shop = filled(&facts.parameters["shop_customers"][shop.as_str()]);
    let customer = filled(&source["drp_co_id_from"]).or(by_shop).unwrap_or_else(|| shop.clone());
    let text = |value: &Value| Want::Text(text_of(value).unwrap_or_default());
    let warehouse = required(&source["wms_co_id"], "wms_co_id")?;

    let mut fields = Fields::new();
    let mut put = |path: &str, want: Want| drop(fields.insert(path.to_owned(), want));
    put("FBillTypeID.FNUMBER", Want::code("XSCKD01_SYS"));
    put("FBillNo", Want::code(number));
    put("FSaleOrgId.FNumber", choose("102", "101"));
    put("FStockOrgId.FNumber", choose("102", "101"));
    put("FDate", Want::Time(required(&source["io_date"], "io_date")?));
    put("FCustomerID.FNumber", Want::Code(customer));
    put("FNote", text(&source["remark"]));
    put("F_KLF_Assistant.FNumber", choose("LY003", "LY004"));
    put("F_KLF_Text", text(&source["so_id"]));
    put("F_KLF_Text1", text(&source["l_id"]));
    // The users' table has the department below the sub-head; the vendor's form has it in the head.
    put("FSaleDeptID.FNumber", choose("00003", "00006"));
    put("SubHeadEntity.FSettleOrgID.FNumber", choose("102", "101"));
    put("SubHeadEntity.FSettleCurrID.FNumber", choose("PRE007", "PRE001"));
    if let Some(discount) = filled(&source["free_amount"]) {
        let discount = decimal(&discount).ok_or_else(|| Why::missing("free_amount"))?;
        put("SubHeadEntity.FAllDisCount", Want::Amount(discount));
    }
    let items = source["items"].as_array().filter(|items| !items.is_empty()).ok_or_else(|| Why::missing("items"))?;
    for (row, item) in items.iter().enumerate() {
        let amount = |name: &str| {
            let amount = filled(&item[name]).as_deref().and_then(decimal);
            amount.ok_or_else(|| Why::missing(&format!("items[{row}].{name}")))
        };
        let (quantity, price) = (amount("qty")?, amount("sale_price")?);
        let mut put = |name: &str, want: Want| put(&format!("FEntity[{row}].{name}"), want);
        put("FMaterialID.FNumber", Want::Code(required(&item["sku_id"], "sku_id")?));
        put("FRealQty", Want::Amount(quantity));
        put("FTaxPrice", Want::Amount(price));
        put("FIsFree", Want::Flag(price.is_zero()));
        put("FStockID.FNumber", Want::code(&warehouse));
        put("FEntrynote", Want::Text(String::new()));
        put("F_sms_Text2", Want::code("1"));
    }
    Ok(fields)
}
