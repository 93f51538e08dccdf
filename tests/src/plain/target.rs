//! Takes every bill, and counts.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::kingdee_k3cloud::{APP_SECRET, Call, logins};

use super::Answer;

const FORM: &str = "Kingdee.BOS.WebApi.ServicesStub.DynamicFormService.";
const AUTH: &str = "Kingdee.BOS.WebApi.ServicesStub.AuthService.";
const END: &str = ".common.kdsvc";
const SESSION: &str = "00000000-0000-0000-0000-0000000plain";
const FIRST_FID: u64 = 100_001;

pub struct Target {
    keep_bills: bool,
    signed: bool,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// By number.
    bills: HashMap<Box<str>, Bill>,
    saves: u64,
    doubled: u64,
}

struct Bill {
    fid: u64,
    audited: bool,
    /// Where it is kept.
    text: Option<Box<str>>,
}

pub struct Counts {
    pub saves: u64,
    pub bills: u64,
    pub doubled: u64,
}

#[derive(Deserialize)]
struct Data<D> {
    data: D,
}

#[derive(Deserialize)]
struct Save<M> {
    #[serde(rename = "Model")]
    model: M,
    #[serde(rename = "IsAutoSubmitAndAudit", default)]
    audit: bool,
}

#[derive(Deserialize)]
struct Number<'a> {
    #[serde(rename = "FBillNo", borrow)]
    number: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Query<'a> {
    #[serde(borrow)]
    field_keys: Cow<'a, str>,
    #[serde(borrow)]
    filter_string: Cow<'a, str>,
}

impl Target {
    pub fn new(keep_bills: bool, signed: bool) -> Self {
        Self { keep_bills, signed, held: Mutex::default() }
    }

    pub fn counts(&self) -> Counts {
        let held = self.held();
        Counts { saves: held.saves, bills: held.bills.len() as u64, doubled: held.doubled }
    }

    /// Every bill by its number, as it came.
    pub fn kept(&self) -> Answer {
        if !self.keep_bills {
            return Err((404, "bills are kept with --keep-bills".to_owned()));
        }
        let held = self.held();
        let bills = held.bills.iter().filter_map(|(number, bill)| {
            let text = bill.text.as_deref()?;
            Some(format!("{}:{text}", json!(number)))
        });
        Ok(format!("{{{}}}", bills.collect::<Vec<_>>().join(",")))
    }

    /// `service` is the last part of the address.
    pub fn answer(&self, service: &str, session: &str, body: &[u8]) -> Answer {
        let service = service.strip_suffix(END).unwrap_or(service);
        if service.starts_with(AUTH) {
            return if !self.signed || is_signed(body) { Ok(logged_in()) } else { Err((403, "not signed".to_owned())) };
        }
        if self.signed && session != SESSION {
            return Err((403, "no session".to_owned()));
        }
        match service.strip_prefix(FORM) {
            Some("BatchSave") => self.save_batch(body),
            Some("Save") => self.save_one(body),
            Some("ExecuteBillQuery") => self.query(body),
            _ => Err((404, format!("{service} is not simulated here"))),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save_batch(&self, body: &[u8]) -> Answer {
        if !self.keep_bills {
            let Data { data } = read::<Data<Save<Vec<Number<'_>>>>>(body)?;
            let ids = self.accept(&data.model, std::iter::repeat(None), data.audit);
            return Ok(saved(&data.model, &ids, ""));
        }
        let Data { data } = read::<Data<Save<Vec<&RawValue>>>>(body)?;
        let texts = data.model.iter().map(|text| text.get());
        let numbers = texts.clone().map(|text| read(text.as_bytes())).collect::<Result<Vec<Number<'_>>, _>>()?;
        let ids = self.accept(&numbers, texts.map(Some), data.audit);
        Ok(saved(&numbers, &ids, ""))
    }

    fn save_one(&self, body: &[u8]) -> Answer {
        let Data { data } = read::<Data<Save<&RawValue>>>(body)?;
        let text = data.model.get();
        let bill = [read::<Number<'_>>(text.as_bytes())?];
        let ids = self.accept(&bill, std::iter::once(self.keep_bills.then_some(text)), data.audit);
        let own = format!("\"Id\":{},\"Number\":{},", ids[0], json!(bill[0].number));
        Ok(saved(&bill, &ids, &own))
    }

    /// Gives each its id. A bill whose number is there already is one bill more, as on a site that does not check: it counts
    /// as doubled.
    fn accept<'a>(
        &self,
        numbers: &[Number<'_>],
        texts: impl Iterator<Item = Option<&'a str>>,
        audited: bool,
    ) -> Vec<u64> {
        let mut held = self.held();
        held.saves += 1;
        let accept = |(Number { number }, text): (&Number<'_>, Option<&str>)| {
            let fid = FIRST_FID + held.bills.len() as u64 + held.doubled;
            let bill = Bill { fid, audited, text: text.map(Box::from) };
            held.doubled += u64::from(held.bills.insert(number.as_ref().into(), bill).is_some());
            fid
        };
        numbers.iter().zip(texts).map(accept).collect()
    }

    /// Bills by their numbers, and of each its number, id and state: what a client asks that confirms what it wrote.
    fn query(&self, body: &[u8]) -> Answer {
        let call: Data<Query<'_>> = read(body)?;
        let fields: Vec<&str> = call.data.field_keys.split(',').collect();
        let held = self.held();
        let mut rows = Vec::new();
        // `FBillNo in ('1','2')`: every second piece between quotes is a number.
        for number in call.data.filter_string.split('\'').skip(1).step_by(2) {
            let Some(bill) = held.bills.get(number) else { continue };
            let field = |name: &&str| match *name {
                "FBillNo" => Ok(json!(number)),
                "FID" => Ok(json!(bill.fid)),
                "FDocumentStatus" => Ok(json!(if bill.audited { "C" } else { "A" })),
                other => Err((500, format!("{other} is not kept here"))),
            };
            rows.push(Value::Array(fields.iter().map(field).collect::<Result<_, _>>()?));
        }
        Ok(Value::Array(rows).to_string())
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, (u16, String)> {
    serde_json::from_slice(body).map_err(|error| (500, format!("not the call that was expected: {error}")))
}

/// `own` are further members of `Result`.
fn saved(bills: &[Number<'_>], ids: &[u64], own: &str) -> String {
    let (mut successes, mut returned) = (String::with_capacity(bills.len() * 50), String::new());
    for (index, (Number { number }, fid)) in bills.iter().zip(ids).enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let number = json!(number);
        successes.push_str(&format!("{comma}{{\"Id\":{fid},\"Number\":{number},\"DIndex\":{index}}}"));
        returned.push_str(&format!("{comma}{{\"FBillNo\":{number}}}"));
    }
    format!(
        "{{\"Result\":{{\"ResponseStatus\":{{\"IsSuccess\":true,\"Errors\":[],\"SuccessEntitys\":[{successes}],\
         \"SuccessMessages\":[],\"MsgCode\":0}},{own}\"NeedReturnData\":[{returned}]}}}}"
    )
}

fn is_signed(body: &[u8]) -> bool {
    let Ok(call) = Call::read(body) else { return false };
    let [acct_id, user_name, app_id, timestamp, signature] =
        [(0, "acctid"), (1, "username"), (2, "appid"), (3, "timestamp"), (4, "sign")]
            .map(|(position, name)| call.argument(position, name));
    logins(&acct_id, &user_name, &app_id, APP_SECRET, &timestamp).contains(&signature)
}

fn logged_in() -> String {
    json!({
        "Message": null, "MessageCode": "CheckPasswordPolicy", "LoginResultType": 1,
        "KDSVCSessionId": SESSION, "IsSuccessByAPI": true,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(target: &Target, service: &str, call: &Value) -> Value {
        let answer = target.answer(&format!("{FORM}{service}{END}"), "", call.to_string().as_bytes());
        serde_json::from_str(&answer.expect("an answer")).expect("JSON")
    }

    fn batch(numbers: &[&str]) -> Value {
        let model: Vec<_> = numbers.iter().map(|number| json!({"FBillNo": number, "FNote": "\"x\""})).collect();
        json!({"formid": "SAL_OUTSTOCK", "data": {"Model": model, "IsAutoSubmitAndAudit": true}})
    }

    #[test]
    fn every_bill_has_its_answer_and_a_second_of_one_number_is_counted() {
        let target = Target::new(false, false);
        let answer = post(&target, "BatchSave", &batch(&["1", "2", "1"]));
        let status = &answer["Result"]["ResponseStatus"];
        assert_eq!(status["IsSuccess"], true);
        let successes = status["SuccessEntitys"].as_array().expect("a list");
        let ids: std::collections::BTreeSet<_> = successes.iter().map(|one| one["Id"].as_u64()).collect();
        assert_eq!((successes.len(), ids.len()), (3, 3));
        let Counts { saves, bills, doubled } = target.counts();
        assert_eq!((saves, bills, doubled), (1, 2, 1));
    }

    #[test]
    fn a_bill_can_be_asked_for_and_is_kept_where_that_is_wanted() {
        let target = Target::new(true, false);
        post(&target, "BatchSave", &batch(&["1"]));
        post(&target, "Save", &json!({"formid": "SAL_OUTSTOCK", "data": {"Model": {"FBillNo": "2", "FQty": 1.50}}}));
        let query =
            json!({"data": {"FieldKeys": "FBillNo,FDocumentStatus", "FilterString": "FBillNo in ('1','2','3')"}});
        assert_eq!(post(&target, "ExecuteBillQuery", &query), json!([["1", "C"], ["2", "A"]]));
        let kept: Value = serde_json::from_str(&target.kept().expect("bills")).expect("JSON");
        assert_eq!(kept["2"], json!({"FBillNo": "2", "FQty": 1.50}));
        assert!(Target::new(false, false).kept().is_err());
    }
}
