//! Writing to a target, and looking at what the vendor holds then.

use crossdock::connectors::{Answer, Error, Finding, Job, Step, Target};
use crossdock::model::TargetKey;
use serde_json::{Value, json};

use crate::matrix::Subject;
use crate::rig::{World, told};
use crate::said;

impl World {
    /// A bill of this number that the vendor takes.
    pub fn job(&self, number: &str) -> Job {
        let body = match self.subject {
            Subject::K3cloudBills => k3cloud_bill(number),
            Subject::WangdiantongTrades => trade(number),
            _ => self.gain_bill(number),
        };
        Job { key: TargetKey::new(number).unwrap(), body: body.to_string(), id: None }
    }

    pub fn jobs(&self, numbers: &[&str]) -> Vec<Job> {
        numbers.iter().map(|number| self.job(number)).collect()
    }

    fn gain_bill(&self, number: &str) -> Value {
        let tables = self.page("documents");
        let id = |table: &str| tables[table][0]["id"].clone();
        json!({"billdate": "2026-11-20", "billno": number, "remark": number, "material_entity": [
            {"materialid_id": id("material"), "stockid_id": id("stock"), "unit_id": id("unit"), "qty": 5},
            {"materialid_id": id("material"), "stockid_id": id("stock"), "unit_id": id("unit"), "qty": 0.25},
        ]})
    }

    /// How often the vendor accepted a bill of this number, and how many of it there are.
    pub fn held(&self, number: &str) -> (u64, usize) {
        let page = self.page("held");
        let (list, name, count) = match self.subject {
            Subject::K3cloudBills => ("bills", "number", "accepted_saves"),
            Subject::WangdiantongTrades => ("trades", "tid", "accepted_pushes"),
            _ => ("bills", "number", "accepted_saves"),
        };
        let mine: Vec<_> = page[list].as_array().unwrap().iter().filter(|bill| bill[name] == number).collect();
        (mine.iter().map(|bill| bill[count].as_u64().unwrap()).sum(), mine.len())
    }
}

pub async fn create(target: &dyn Target, jobs: &[Job]) -> Result<Vec<Answer>, Error> {
    let result = target.write(Step::Create, jobs).await;
    match &result {
        Ok(answers) => {
            assert_eq!(answers.len(), jobs.len(), "one answer for each job");
            said::say(&format!("{answers:?}"));
        }
        Err(error) => told(error),
    }
    result
}

pub async fn look_up(target: &dyn Target, jobs: &[Job]) -> Result<Vec<Finding>, Error> {
    let result = target.look_up(jobs).await;
    match &result {
        Ok(findings) => {
            assert_eq!(findings.len(), jobs.len(), "one finding for each job");
            said::say(&format!("{findings:?}"));
        }
        Err(error) => told(error),
    }
    result
}

/// Writes one bill and insists that it went well.
pub async fn create_well(target: &dyn Target, job: &Job) {
    let answers = create(target, std::slice::from_ref(job)).await.unwrap();
    assert!(matches!(answers[..], [Answer::Done { next: None, .. }]), "{answers:?}");
}

pub async fn find(target: &dyn Target, job: &Job) -> Finding {
    look_up(target, std::slice::from_ref(job)).await.unwrap().remove(0)
}

/// How a call that concerns one job failed: as a whole, or as this job's answer.
pub fn trouble(result: Result<Vec<Answer>, Error>) -> Error {
    match result {
        Err(error) => error,
        Ok(answers) => panic!("the write was answered: {answers:?}"),
    }
}

/// The vendor's code and words for the one job.
#[track_caller]
pub fn refusal(result: Result<Vec<Answer>, Error>) -> (String, String) {
    match result {
        Ok(mut answers) => match answers.remove(0) {
            Answer::Refused { code, message, saved: None } => (code, message),
            other => panic!("not refused: {other:?}"),
        },
        Err(error) => panic!("not refused: {error}"),
    }
}

fn k3cloud_bill(number: &str) -> Value {
    let row = |material: &str, quantity: f64| json!({"FMaterialID": {"FNumber": material}, "FRealQty": quantity, "FTaxPrice": "59.90", "FStockID": {"FNumber": "CK001"}});
    json!({
        "FBillTypeID": {"FNUMBER": "XSCKD01_SYS"}, "FBillNo": number, "FDate": "2026-11-20 10:11:12",
        "FSaleOrgId": {"FNumber": "101"}, "FStockOrgId": {"FNumber": "101"}, "FCustomerID": {"FNumber": "C001"},
        "FNote": "备注", "SubHeadEntity": {"FSettleCurrID": {"FNumber": "PRE001"}, "FSettleOrgID": {"FNumber": "101"}},
        "FEntity": [row("SKU001", 2.0), row("SKU002", 1.5)],
    })
}

fn trade(number: &str) -> Value {
    json!({"shop_no": "SHOP01", "trade": {
        "tid": number, "trade_status": 30, "pay_status": 2, "delivery_term": 1, "trade_time": "2026-11-20 09:00:00",
        "pay_time": "2026-11-20 09:01:00", "buyer_nick": format!("买家{number}"), "receiver_name": "张三",
        "receiver_province": "北京", "receiver_city": "北京市", "receiver_district": "海淀区",
        "receiver_address": "中关村大街1号", "receiver_mobile": "13800000000", "post_amount": 0, "cod_amount": 0,
        "ext_cod_fee": 0, "other_amount": 0, "paid": 100, "order_list": [{
            "oid": format!("{number}-1"), "num": 2, "price": 50, "status": 30, "refund_status": 0, "goods_id": "G1",
            "spec_id": "S1", "goods_no": "G1", "spec_no": "SKU001", "goods_name": "测试商品", "adjust_amount": 0,
            "discount": 0, "share_discount": 0}]}})
}
