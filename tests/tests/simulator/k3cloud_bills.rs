//! What K3Cloud stores, refuses, and lets happen to a bill.

use serde_json::{Value, json};
use vendor_sim::{Fault, FaultName, Options};

use crate::client::{Sim, bill, errors, row, with, without};

#[tokio::test]
async fn takes_a_bill_in_each_of_the_five_shapes_with_its_digits() {
    let sim = Sim::empty().await;
    let model = bill("N").to_string();
    for (number, body) in [
        ("1", r#"{"formid":"SAL_OUTSTOCK","data":{"Model":MODEL}}"#.to_owned()),
        ("2", json!({"formid": "SAL_OUTSTOCK", "data": "{\"Model\":MODEL}"}).to_string()),
        ("3", json!({"parameters": ["SAL_OUTSTOCK", "{\"Model\":MODEL}"]}).to_string()),
        ("4", json!({"format": 1, "parameters": json!(["SAL_OUTSTOCK", "{\"Model\":MODEL}"]).to_string()}).to_string()),
        ("5", "formid=SAL_OUTSTOCK&data={\"Model\":MODEL}".to_owned()),
    ] {
        let model = model.replace("\"N\"", &format!("\"{number}\""));
        // As often escaped as texts are nested around it.
        let body = match number {
            "2" | "3" => body.replace("MODEL", escape(&model).as_str()),
            "4" => body.replace("MODEL", escape(&escape(&model)).as_str()),
            _ => body.replace("MODEL", &model),
        };
        let answer = sim.k3_raw("SAVE", &body).await.unwrap().json();
        assert_eq!(answer["Result"]["ResponseStatus"]["IsSuccess"], json!(true), "shape {number}: {answer}");
        assert_eq!(answer["Result"]["Number"], json!(number));
    }
    let held = sim.held().await;
    for held in held["bills"].as_array().unwrap() {
        let model = &held["model"];
        assert_eq!(model["FEntity"][1]["FRealQty"].to_string(), "1.50", "exact number text");
        assert_eq!(model["FEntity"][1]["FTaxPrice"], json!("59.90"));
        assert_eq!((&held["status"], &held["accepted_saves"]), (&json!("A"), &json!(1)));
        assert_eq!((&model["FNote"], &held["ignored_fields"]), (&json!("备注"), &json!([])));
    }
    assert_eq!(held["bills"].as_array().unwrap().len(), 5);
}

fn escape(text: &str) -> String {
    let quoted = json!(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[tokio::test]
async fn a_bill_number_serves_once() {
    let sim = Sim::empty().await;
    assert_eq!(errors(&sim.save(bill("166")).await), []);
    let again = sim.save(with(bill("166"), "/FNote", json!("other"))).await;
    let text = "违反字段唯一性要求：编码唯一。[166]在当前系统中已经被使用。";
    assert_eq!(errors(&again), [("FBillNo".to_owned(), text.to_owned())]);
    assert_eq!(again["ResponseStatus"]["MsgCode"], json!(11));
    let held = sim.held().await;
    assert_eq!(held["bills"].as_array().unwrap().len(), 1);
    assert_eq!(held["bills"][0]["model"]["FNote"], json!("备注"), "the first one stands");
    assert_eq!((&held["creates"][0]["accepted"], &held["creates"][0]["number"]), (&json!(true), &json!("166")));
    assert_eq!((&held["creates"][1]["accepted"], &held["creates"][1]["reason"]), (&json!(false), &json!(text)));
    assert_eq!(held["saves"], json!({"166": 1}));
}

#[tokio::test]
async fn refuses_what_is_missing_misspelt_or_of_the_wrong_type() {
    let sim = Sim::empty().await;
    let good = || bill("1");
    let misspelt = {
        let row = json!({"FMaterialId": {"FNumber": "M"}, "FRealQty": 1, "FStockId": {"FNumber": "S"}});
        with(good(), "/FEntity", json!([row]))
    };
    for (model, fields) in [
        (without(good(), "/FDate"), vec!["FDate"]),
        (without(good(), "/FSaleOrgId"), vec!["FSaleOrgId"]),
        (without(good(), "/FStockOrgId"), vec!["FStockOrgId"]),
        (without(good(), "/FCustomerID"), vec!["FCustomerID"]),
        (without(without(good(), "/FDate"), "/FCustomerID"), vec!["FDate", "FCustomerID"]),
        (without(good(), "/FEntity"), vec!["FEntity"]),
        (with(good(), "/FEntity", json!([])), vec!["FEntity"]),
        (without(good(), "/FEntity/0/FMaterialID"), vec!["FMaterialID"]),
        (without(good(), "/FEntity/1/FRealQty"), vec!["FRealQty"]),
        (with(good(), "/FEntity/1/FRealQty", Value::Null), vec!["FRealQty"]),
        (without(good(), "/FEntity/0/FStockID"), vec!["FStockID"]),
        (with(good(), "/FCustomerID", json!({"FNumber": ""})), vec!["FCustomerID"]),
        (with(good(), "/FCustomerID", json!({"Number": "C001"})), vec!["FCustomerID"]),
        (with(good(), "/FCustomerID", json!({"FNumber": "NOCUST01"})), vec!["FCustomerID"]),
        (misspelt, vec!["FMaterialID", "FStockID"]),
        (with(good(), "/FEntity/0/FRealQty", json!(9_999_999)), vec!["FQTY"]),
    ] {
        let result = sim.save(model.clone()).await;
        let found = errors(&result);
        assert_eq!(found.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), fields, "{model}");
        assert_eq!(result["ResponseStatus"]["MsgCode"], json!(11));
        assert!(found.iter().all(|(_, text)| text.contains("必录") || text.contains("数量大于入库上限")), "{found:?}");
    }
    for (model, field, words) in [
        (with(good(), "/FCustomerID", json!("C001")), "FCustomerID", "字典"),
        (with(good(), "/FBillTypeID", json!("XSCKD01_SYS")), "FBillTypeID", "字典"),
        (with(good(), "/FEntity/0/FMaterialID", json!("SKU001")), "FMaterialID", "字典"),
        (with(good(), "/SubHeadEntity/FSettleCurrID", json!("PRE001")), "FSettleCurrID", "字典"),
        (with(good(), "/F_KLF_Assistant", json!("LY004")), "F_KLF_Assistant", "字典"),
        (with(good(), "/FEntity/0/FRealQty", json!("two")), "FRealQty", "数字"),
        (with(good(), "/FDate", json!("20.11.2026")), "FDate", "日期"),
        (with(good(), "/FEntity/0/FIsFree", json!("maybe")), "FIsFree", "布尔"),
        (with(good(), "/FNote", json!({"a": 1})), "FNote", "文本"),
        (with(good(), "/FEntity", json!({})), "FEntity", "数组"),
    ] {
        let result = sim.save(model.clone()).await;
        let found = errors(&result);
        assert_eq!(found.len(), 1, "{model}");
        assert!(found[0].0 == field && found[0].1.contains(words), "{model}: {found:?}");
    }
    let held = sim.held().await;
    assert_eq!(held["bills"], json!([]), "nothing of all this was stored");
    assert!(held["creates"].as_array().unwrap().iter().all(|create| create["accepted"] == json!(false)));
}

#[tokio::test]
async fn fields_the_form_does_not_have_are_dropped_and_named() {
    let sim = Sim::empty().await;
    let model = with(with(bill("1"), "/FCustId", json!({"FNumber": "C"})), "/FEntity/0/FQty", json!(1));
    let model = with(model, "/SubHeadEntity/FSETTLECURRID", json!({"FNumber": "PRE001"}));
    assert_eq!(errors(&sim.save(model).await), []);
    let held = sim.held().await["bills"][0].clone();
    assert_eq!(held["ignored_fields"], json!(["FCustId", "FEntity.FQty", "SubHeadEntity.FSETTLECURRID"]));
    assert_eq!(held["model"]["FCustId"], Value::Null);
}

#[tokio::test]
async fn in_a_batch_each_packet_stands_for_itself() {
    let sim = Sim::empty().await;
    sim.save(bill("taken")).await;
    let models = json!([bill("1"), bill("taken"), without(bill("2"), "/FDate"), bill("3"), bill("1")]);
    let data = json!({"NeedReturnFields": ["FBillNo"], "IsAutoSubmitAndAudit": "true", "Model": models});
    let result = sim.k3("BatchSave", data).await["Result"].clone();
    let status = &result["ResponseStatus"];
    assert_eq!((&status["IsSuccess"], &status["ErrorCode"]), (&json!(false), &json!(500)));
    let index =
        |list: &Value| list.as_array().unwrap().iter().map(|line| line["DIndex"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(index(&status["Errors"]), [1, 2, 4]);
    assert_eq!(index(&status["SuccessEntitys"]), [0, 3]);
    assert_eq!(result["NeedReturnData"], json!([{"FBillNo": "1"}, {}, {}, {"FBillNo": "3"}, {}]));
    assert_eq!((&result["Id"], &result["Number"]), (&Value::Null, &Value::Null), "only Save has them");
    assert_eq!(
        statuses(&sim).await,
        [("taken", "A"), ("1", "C"), ("3", "C")].map(|(a, b)| (a.to_owned(), b.to_owned()))
    );

    for data in [json!({"Model": []}), json!({"Model": bill("9")}), json!({})] {
        let answer = sim.k3("BatchSave", data).await;
        assert_eq!(answer["Result"]["ResponseStatus"]["MsgCode"], json!(8));
    }
}

async fn statuses(sim: &Sim) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let held = sim.held().await;
    held["bills"].as_array().unwrap().iter().map(|bill| (text(&bill["number"]), text(&bill["status"]))).collect()
}

#[tokio::test]
async fn bills_move_between_the_states_as_the_vendor_lets_them() {
    let sim = Sim::empty().await;
    let step = async |method: &str, by: Value| {
        let status = sim.k3(method, by).await["Result"]["ResponseStatus"].clone();
        (status["IsSuccess"].as_bool().unwrap(), status["MsgCode"].as_u64().unwrap())
    };
    let by_number = || json!({"Numbers": ["1"]});
    let fid = sim.k3("Draft", json!({"Model": {"FBillNo": "1"}})).await["Result"]["Id"].as_u64().unwrap();
    let by_id = || json!({"Ids": fid.to_string()});
    let full = || with(bill("1"), "/FID", json!(fid));
    let (done, refused) = ((true, 0), (false, 12));
    let now = async || statuses(&sim).await[0].1.clone();

    assert_eq!(now().await, "Z");
    assert_eq!((step("Submit", by_number()).await, step("Audit", by_number()).await), (refused, refused));
    assert_eq!(errors(&sim.save(full()).await), []);
    assert_eq!(now().await, "A");
    assert_eq!((step("Audit", by_number()).await, step("UnAudit", by_id()).await), (refused, refused));
    assert_eq!(step("Submit", by_id()).await, done);
    assert_eq!(now().await, "B");
    assert_eq!((step("Submit", by_number()).await, step("Delete", by_number()).await), (refused, refused));
    assert_eq!(errors(&sim.save(full()).await).len(), 1, "not while it is being audited");
    assert_eq!(step("Audit", by_number()).await, done);
    assert_eq!(now().await, "C");
    assert_eq!((step("Audit", by_number()).await, step("Delete", by_id()).await), (refused, refused));
    assert_eq!(errors(&sim.save(full()).await), [(String::new(), "单据已审核，不允许修改".to_owned())]);
    assert_eq!(step("UnAudit", by_number()).await, done);
    assert_eq!(now().await, "D");
    assert_eq!((step("Audit", by_number()).await, step("UnAudit", by_number()).await), (refused, refused));
    assert_eq!(errors(&sim.save(full()).await), []);
    assert_eq!(now().await, "D");
    assert_eq!((step("Submit", by_number()).await, step("Audit", by_number()).await), (done, done));
    assert_eq!((step("UnAudit", by_number()).await, step("Delete", by_number()).await), (done, done));
    assert_eq!(statuses(&sim).await, []);
    assert_eq!(step("Submit", by_number()).await, (false, 10));
    assert_eq!(step("Submit", json!({"Numbers": []})).await, (false, 8));
}

#[tokio::test]
async fn an_update_needs_the_id_and_changes_what_it_names() {
    let sim = Sim::empty().await;
    let fid = sim.save(bill("1")).await["Id"].as_u64().unwrap();
    let entry = sim.held().await["bills"][0]["model"]["FEntity"][0]["FEntryID"].clone();
    let update = |model: Value| with(model, "/FID", json!(fid));
    let rows = async || {
        let rows = sim.held().await["bills"][0]["model"]["FEntity"].clone();
        let material = |row: &Value| format!("{} {}", row["FMaterialID"]["FNumber"].as_str().unwrap(), row["FRealQty"]);
        rows.as_array().unwrap().iter().map(material).collect::<Vec<_>>()
    };

    let kept = with(row("SKU001", "7"), "/FEntryID", entry.clone());
    let data = json!({"IsDeleteEntry": false, "Model": update(json!({"FEntity": [kept, row("SKU003", "3")]}))});
    assert_eq!(errors(&sim.k3("Save", data).await["Result"]), []);
    assert_eq!(rows().await, ["SKU001 7", "SKU002 1.50", "SKU003 3"]);

    let kept = with(row("SKU001", "8"), "/FEntryID", entry.clone());
    assert_eq!(errors(&sim.save(update(json!({"FEntity": [kept]}))).await), []);
    assert_eq!(rows().await, ["SKU001 8"], "rows the packet does not carry are deleted by default");

    let kept = with(row("SKU009", "9"), "/FEntryID", entry);
    let model = update(json!({"FNote": "new", "FDate": "2026-01-01", "FEntity": [kept]}));
    let data = json!({"NeedUpDateFields": ["FNote", "FEntity", "FEntity.FRealQty"], "Model": model});
    assert_eq!(errors(&sim.k3("Save", data).await["Result"]), []);
    assert_eq!(rows().await, ["SKU001 9"], "only the fields named change");
    let held = sim.held().await["bills"][0].clone();
    assert_eq!((&held["model"]["FNote"], &held["model"]["FDate"]), (&json!("new"), &json!("2026-11-20 10:11:12")));
    assert_eq!(held["accepted_saves"], json!(4));

    for (model, code) in [
        (with(bill("1"), "/FID", json!(4711)), 10),
        (update(json!({"FEntity": [with(row("X", "1"), "/FEntryID", json!(4711))]})), 10),
        (with(bill("1"), "/FID", json!(0)), 11),
    ] {
        assert_eq!(sim.save(model.clone()).await["ResponseStatus"]["MsgCode"], json!(code), "{model}");
    }
    sim.save(bill("2")).await;
    let renamed = sim.save(update(json!({"FBillNo": "2"}))).await;
    assert_eq!(errors(&renamed)[0].0, "FBillNo", "an update may not take another bill's number");
}

#[tokio::test]
async fn settings_make_it_stricter() {
    let options = Options {
        documents: 0,
        strict_required: true,
        batch_limit: Some(2),
        stock_is_short: true,
        ..Options::default()
    };
    let sim = Sim::start(options).await;
    let found = errors(&sim.save(without(bill("1"), "/SubHeadEntity/FSettleCurrID")).await);
    assert_eq!(
        found.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(),
        ["FSettleCurrID", "FUnitID", "FUnitID"]
    );
    let answer = sim.k3("BatchSave", json!({"Model": [bill("1"), bill("2"), bill("3")]})).await;
    assert_eq!(answer["Result"]["ResponseStatus"]["MsgCode"], json!(8));

    let unit = json!({"FNumber": "Pcs"});
    let whole =
        |number| with(with(bill(number), "/FEntity/0/FUnitID", unit.clone()), "/FEntity/1/FUnitID", unit.clone());
    let data = |number, flags| json!({"IsAutoSubmitAndAudit": true, "InterationFlags": flags, "Model": whole(number)});
    assert!(errors(&sim.k3("Save", data("1", "")).await["Result"])[0].1.contains("负库存"));
    assert_eq!(errors(&sim.k3("Save", data("2", "A;STK_InvCheckResult")).await["Result"]), []);
    assert_eq!(statuses(&sim).await, [("1", "B"), ("2", "C")].map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[tokio::test]
async fn an_identical_packet_is_refused_where_the_client_asks_for_it() {
    let sim = Sim::empty().await;
    let data = || json!({"ValidateRepeatJson": true, "Model": without(bill("1"), "/FBillNo")});
    assert_eq!(errors(&sim.k3("Save", data()).await["Result"]), []);
    assert!(errors(&sim.k3("Save", data()).await["Result"])[0].1.contains("重复"));
    assert_eq!(statuses(&sim).await.len(), 1);
}

#[tokio::test]
async fn faults_refuse_parts_leave_bills_unaudited_and_stay_silent_about_some() {
    let sim = Sim::empty().await;
    let batch = |numbers: &[&str]| {
        let models: Vec<_> = numbers.iter().map(|number| bill(number)).collect();
        json!({"IsAutoSubmitAndAudit": true, "Model": models})
    };
    let lists = async |data: Value| {
        let status = sim.k3("BatchSave", data).await["Result"]["ResponseStatus"].clone();
        let index = |list: &Value| {
            list.as_array().unwrap().iter().map(|line| line["DIndex"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        (index(&status["Errors"]), index(&status["SuccessEntitys"]))
    };
    sim.order(Fault::new(FaultName::RefuseEvery).value(2).times(1)).await;
    assert_eq!(lists(batch(&["a", "b", "c", "d"])).await, (vec![1, 3], vec![0, 2]));
    sim.order(Fault::new(FaultName::AuditFails).times(1)).await;
    assert_eq!(lists(batch(&["e"])).await, (vec![0], vec![]));
    sim.order(Fault::new(FaultName::AuditFails).value("submit").times(1)).await;
    assert_eq!(lists(batch(&["f"])).await, (vec![0], vec![]));
    sim.order(Fault::new(FaultName::Unmentioned).value(2).times(1)).await;
    assert_eq!(lists(batch(&["g", "h"])).await, (vec![], vec![0]));
    let held = [("a", "C"), ("c", "C"), ("e", "B"), ("f", "A"), ("g", "C"), ("h", "C")];
    assert_eq!(statuses(&sim).await, held.map(|(a, b)| (a.to_owned(), b.to_owned())));

    sim.order(Fault::new(FaultName::AuditFails).times(1)).await;
    assert_eq!(sim.k3("Audit", json!({"Numbers": ["e"]})).await["Result"]["ResponseStatus"]["IsSuccess"], json!(false));
    sim.order(Fault::new(FaultName::RecordLocked).times(1)).await;
    assert_eq!(sim.k3("Audit", json!({"Numbers": ["e"]})).await["Result"]["ResponseStatus"]["MsgCode"], json!(13));
    assert_eq!(sim.k3("Audit", json!({"Numbers": ["e"]})).await["Result"]["ResponseStatus"]["IsSuccess"], json!(true));
}

#[tokio::test]
async fn a_person_at_the_screen_removes_changes_and_enters_bills_without_a_request() {
    let sim = Sim::empty().await;
    for number in ["1", "2"] {
        assert_eq!(errors(&sim.save(bill(number)).await), []);
    }
    let order = |order: Value| sim.admin("POST", "held", order);
    assert_eq!(order(json!({"number": "1", "remove": true})).await, Value::Null);
    assert_eq!(order(json!({"number": "2", "set": {"FDate": "2026-01-31"}})).await["FDate"], json!("2026-01-31"));
    assert_eq!(order(json!({"number": "HAND", "copy_of": "2"})).await["FBillNo"], json!("HAND"));
    let held = sim.held().await;
    let numbers: Vec<&str> =
        held["bills"].as_array().unwrap().iter().filter_map(|bill| bill["number"].as_str()).collect();
    assert_eq!(numbers, ["2", "HAND"]);
    assert_eq!(held["creates"].as_array().unwrap().len(), 2);
}
