//! 盘盈单 (stock-take gains): saving, listing, and every try to create one.
//!
//! Both generations write the same bills under different names. Nothing keeps a bill from being written twice.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::fault::FaultName;
use crate::system::Turn;
use crate::time;

use super::answer::Failure;
use super::settings::JdyOptions;
use super::tables::{Table, Tables};

const FIRST_ID: u64 = 1_740_000_000_000_000_001;
const QUANTITY_PLACES: u32 = 4;

/// Fields of a bill by generation: those that have a meaning here, then those that are only kept.
struct Names {
    date: &'static str,
    material: &'static str,
    stock: &'static str,
    unit: &'static str,
    head: &'static [&'static str],
    row: &'static [&'static str],
}

const FIRST: Names = Names {
    date: "billdate",
    material: "materialid_id",
    stock: "stockid_id",
    unit: "unit_id",
    head: &["id", "billdate", "billno", "billsource", "remark", "material_entity"],
    row: &[
        "id",
        "materialid_id",
        "stockid_id",
        "spid_id",
        "qty",
        "unit_id",
        "auxpropid_id",
        "batchno",
        "kfdate",
        "validdate",
        "kftype",
        "kfperiod",
        "proplace",
        "proregno",
        "prolicense",
        "cost",
        "unitcost",
        "comment",
        "billno",
    ],
};

const SECOND: Names = Names {
    date: "bill_date",
    material: "material_id",
    stock: "stock_id",
    unit: "unit_id",
    head: &["id", "bill_date", "remark", "operation_key", "custom_field", "material_entity"],
    row: &[
        "id",
        "material_id",
        "stock_id",
        "sp_id",
        "qty",
        "unit_id",
        "aux_prop_id",
        "aux_id1",
        "aux_id2",
        "aux_id3",
        "barcode",
        "batch_no",
        "pro_place",
        "pro_reg_no",
        "pro_license",
        "kf_date",
        "valid_date",
        "kf_type",
        "kf_period",
        "sn",
        "sn_list_id",
        "cost",
        "unit_cost",
        "comment",
        "custom_entity_field",
    ],
};

fn names(first: bool) -> &'static Names {
    if first { &FIRST } else { &SECOND }
}

#[derive(Debug)]
pub struct Bill {
    pub id: String,
    pub number: String,
    pub date: Date,
    pub remark: String,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    visible_at: Timestamp,
    accepted_saves: u64,
    ignored_fields: Vec<String>,
    /// Written by the first generation's path.
    first: bool,
    /// What was sent, whether or not it is kept.
    model: Value,
    kept: Value,
}

#[derive(Debug)]
struct Try {
    at: Timestamp,
    number: String,
    id: Option<String>,
    reason: Option<String>,
}

#[derive(Debug)]
pub struct Ledger {
    options: JdyOptions,
    quantity_limit: Decimal,
    bills: Vec<Bill>,
    tries: Vec<Try>,
}

/// What a list request asks for.
#[derive(Debug)]
pub struct Query {
    pub search: String,
    pub from: Option<Date>,
    pub to: Option<Date>,
    pub status: String,
}

/// A text or a number, as text.
pub fn text(object: &Value, name: &str) -> String {
    match &object[name] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

impl Ledger {
    pub fn new(options: &JdyOptions, quantity_limit: u64) -> Self {
        Self {
            options: options.clone(),
            quantity_limit: Decimal::from(quantity_limit),
            bills: Vec::new(),
            tries: Vec::new(),
        }
    }

    /// The saved bill's id and number.
    pub fn save(
        &mut self,
        model: &Value,
        first: bool,
        tables: &Tables,
        turn: &Turn<'_>,
    ) -> Result<(String, String), Failure> {
        let every = turn.faults.number(FaultName::RefuseEvery, 1);
        let saved = if every == Some(1) {
            Err("单据保存失败，请检查数据".to_owned())
        } else {
            self.check(model, first, tables).and_then(|date| self.keep(model, first, date, turn))
        };
        let number = [text(model, "billno"), text(model, "remark")].into_iter().find(|text| !text.is_empty());
        let id = saved.as_ref().ok().map(|(id, _)| id.clone());
        let reason = saved.as_ref().err().cloned();
        self.tries.push(Try { at: turn.now, number: number.unwrap_or_default(), id, reason });
        saved.map_err(|text| Failure::business(self.options.business_code, &text))
    }

    fn check(&self, model: &Value, first: bool, tables: &Tables) -> Result<Date, String> {
        let names = names(first);
        let date = model[names.date].as_str().and_then(time::parse_date);
        let date = date.ok_or_else(|| format!("{}不能为空且格式应为yyyy-MM-dd", names.date))?;
        let rows = model["material_entity"].as_array().filter(|rows| !rows.is_empty());
        for (position, row) in rows.ok_or("商品分录不能为空")?.iter().enumerate() {
            let refuse = |text: String| format!("第{}行：{text}", position + 1);
            for (name, table) in
                [(names.material, Table::Material), (names.stock, Table::Stock), (names.unit, Table::Unit)]
            {
                let id = match &row[name] {
                    Value::String(id) => id.clone(),
                    Value::Number(id) if self.options.ids_as_numbers => id.to_string(),
                    _ => return Err(refuse(format!("{name}不能为空"))),
                };
                if !tables.has(table, &id) {
                    return Err(refuse(format!("{name}（{id}）对应的基础资料不存在")));
                }
            }
            self.check_quantity(&row["qty"]).map_err(refuse)?;
        }
        if self.options.unique_billno && self.bills.iter().any(|bill| bill.number == text(model, "billno")) {
            return Err("单据编号已存在".to_owned());
        }
        Ok(date)
    }

    fn check_quantity(&self, quantity: &Value) -> Result<(), String> {
        let digits = match quantity {
            Value::Number(number) => number.to_string(),
            Value::String(digits) if self.options.quantity_as_text => digits.clone(),
            _ => return Err("qty不能为空且应为数字".to_owned()),
        };
        // Exact: no exponent, no digit more than the vendor keeps.
        let quantity = Decimal::from_str(&digits).map_err(|_| format!("qty不合法：{digits}"))?;
        if quantity.normalize().scale() > QUANTITY_PLACES {
            return Err(format!("qty最多{QUANTITY_PLACES}位小数：{digits}"));
        }
        if quantity <= Decimal::ZERO || quantity > self.quantity_limit {
            return Err(format!("qty超出范围：{digits}"));
        }
        Ok(())
    }

    fn keep(&mut self, model: &Value, first: bool, date: Date, turn: &Turn<'_>) -> Result<(String, String), String> {
        let late_ms = turn.faults.number(FaultName::ShowLate, 1000).unwrap_or(0);
        let visible_at = turn.now.checked_add(SignedDuration::from_millis(late_ms)).unwrap_or(turn.now);
        let (kept, ignored_fields) = self.kept(model, first);
        let remark = text(&kept, "remark");
        let wanted = text(model, "id");
        if !wanted.is_empty() {
            let bill = self.bills.iter_mut().find(|bill| bill.id == wanted).ok_or("单据不存在")?;
            bill.accepted_saves += 1;
            bill.modified_at = turn.now;
            (bill.date, bill.remark, bill.model, bill.kept) = (date, remark, model.clone(), kept);
            return Ok((bill.id.clone(), bill.number.clone()));
        }
        let id = (FIRST_ID + self.bills.len() as u64).to_string();
        let own = format!("PYD-{}-{:05}", date.strftime("%Y%m%d"), self.bills.len() + 1);
        let number = Some(text(&kept, "billno")).filter(|number| !number.is_empty()).unwrap_or(own);
        self.bills.push(Bill {
            id: id.clone(),
            number: number.clone(),
            date,
            remark,
            created_at: turn.now,
            modified_at: turn.now,
            visible_at,
            accepted_saves: 1,
            ignored_fields,
            first,
            model: model.clone(),
            kept,
        });
        Ok((id, number))
    }

    /// Somebody else saves a bill by hand, on the day of the newest one.
    pub fn add_foreign(&mut self, now: Timestamp) {
        let date = self.bills.last().map_or_else(|| time::date(now), |bill| bill.date);
        let count = self.bills.len();
        self.bills.push(Bill {
            id: (FIRST_ID + count as u64).to_string(),
            number: format!("HAND-{count:05}"),
            date,
            remark: String::new(),
            created_at: now,
            modified_at: now,
            visible_at: now,
            accepted_saves: 0,
            ignored_fields: Vec::new(),
            first: true,
            model: Value::Null,
            kept: json!({"material_entity": []}),
        });
    }

    /// The fields that the form has and keeps, and the names of the others.
    fn kept(&self, model: &Value, first: bool) -> (Value, Vec<String>) {
        let names = names(first);
        let mut ignored = Vec::new();
        let mut pick = |object: &Value, known: &[&str], above: &str| {
            let mut picked = Map::new();
            for (name, value) in object.as_object().into_iter().flatten() {
                if known.contains(&name.as_str()) {
                    picked.insert(name.clone(), value.clone());
                } else {
                    ignored.push(format!("{above}{name}"));
                }
            }
            picked
        };
        let mut head = pick(model, names.head, "");
        let rows = model["material_entity"].as_array().map_or(&[][..], Vec::as_slice);
        let mut rows: Vec<_> = rows.iter().map(|row| pick(row, names.row, "material_entity.")).collect();
        for (keep, name) in [(self.options.keep_head_billno, "billno"), (self.options.keep_remark, "remark")] {
            if !keep {
                head.shift_remove(name);
            }
        }
        if !self.options.keep_row_billno {
            rows.iter_mut().for_each(|row| drop(row.shift_remove("billno")));
        }
        ignored.sort();
        ignored.dedup();
        head.insert("material_entity".to_owned(), Value::Array(rows.into_iter().map(Value::Object).collect()));
        (Value::Object(head), ignored)
    }

    /// Newest first, as lists on a screen are.
    pub fn find(&self, query: &Query, now: Timestamp) -> Vec<&Bill> {
        let found = self.bills.iter().rev().filter(|bill| {
            let searched = bill.number.contains(&query.search)
                || (self.options.search_remark && bill.remark.contains(&query.search));
            bill.visible_at <= now
                && (query.search.is_empty() || searched)
                && query.from.is_none_or(|from| bill.date >= from)
                && query.to.is_none_or(|to| bill.date <= to)
                && matches!(query.status.as_str(), "" | "Z" | "-1")
        });
        found.collect()
    }

    pub fn one(&self, id: &str, number: &str, now: Timestamp) -> Option<&Bill> {
        let mut visible = self.bills.iter().filter(|bill| bill.visible_at <= now);
        visible.find(|bill| if id.is_empty() { bill.number == number } else { bill.id == id })
    }

    pub fn held(&self) -> Value {
        let bills: Vec<_> = self
            .bills
            .iter()
            .map(|bill| {
                json!({
                    "id": bill.id, "number": bill.number, "accepted_saves": bill.accepted_saves, "first_generation": bill.first,
                    "at": bill.created_at.to_string(), "visible_at": bill.visible_at.to_string(),
                    "ignored_fields": bill.ignored_fields, "model": bill.model, "kept": bill.kept,
                })
            })
            .collect();
        let mut saves: BTreeMap<&str, u64> = BTreeMap::new();
        let tries: Vec<_> = self
            .tries
            .iter()
            .enumerate()
            .map(|(index, tried)| {
                *saves.entry(&tried.number).or_default() += u64::from(tried.reason.is_none());
                json!({
                    "n": index + 1, "at": tried.at.to_string(), "number": tried.number,
                    "accepted": tried.reason.is_none(), "id": tried.id, "reason": tried.reason,
                })
            })
            .collect();
        saves.retain(|_, count| *count > 0);
        json!({"bills": bills, "creates": tries, "saves": saves})
    }
}

impl Bill {
    /// A row of a list, in the names of a generation.
    pub fn row(&self, first: bool) -> Value {
        let (created, modified) = (time::format(self.created_at), time::format(self.modified_at));
        let date = self.date.strftime("%Y-%m-%d").to_string();
        if first {
            return json!({
                "id": self.id, "billno": self.number, "billdate": date, "billstatus": "Z", "createtime": created,
                "modifytime": modified, "audittime": "", "remark": self.remark,
            });
        }
        json!({
            "id": self.id, "bill_no": self.number, "bill_date": date, "bill_status": "Z", "create_time": created,
            "modify_time": modified, "audit_time": "", "remark": self.remark,
        })
    }

    /// The row and the lines as they were kept.
    pub fn detail(&self, first: bool) -> Value {
        let mut detail = self.row(first);
        detail["material_entity"] = self.kept["material_entity"].clone();
        detail
    }
}
