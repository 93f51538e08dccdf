use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};

use super::*;
use crate::connectors::http::Http;
use crate::connectors::stub::{Captured, Seen, Stub, answer};
use crate::connectors::{Answer, Error, Finding, FixedClock, Job, Saved, Step, Target};
use crate::model::TargetKey;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const SESSION: &str = "3f0a7c1e-0000-4a11-9f00-000000000001";
const APP_ID: &str = "123456_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

fn bills_with(stub: &Stub, auth: &str, options: &str) -> Bills {
    let connection = format!(
        "base_url = \"{}\"\nacct_id = \"60aa00bb00cc00\"\nuser_name = \"demo\"\nlcid = 2052\norg_num = \"100\"\n\
         app_id = \"{APP_ID}\"\napp_secret = \"{SECRET}\"\npassword = \"pass{SECRET}\"\nauth = \"{auth}\"\n\
         limits = {{ requests_per_second = 1000, burst = 1000 }}",
        stub.url("/k3cloud/")
    );
    let connection = Connection::parse(toml::from_str(&connection).unwrap()).unwrap();
    let clock = Arc::new(FixedClock(jiff::Timestamp::from_second(1_700_000_000).unwrap()));
    let http = Http::with_clock(None, clock).unwrap();
    let options = format!("form = \"SAL_OUTSTOCK\"\n{options}");
    Bills::new(&connection, &http, Options::parse(toml::from_str(&options).unwrap()).unwrap())
}

fn bills(stub: &Stub) -> Bills {
    bills_with(stub, "login_by_sign", "")
}

fn service(seen: &Seen) -> &str {
    seen.path.trim_end_matches(".common.kdsvc").rsplit('.').next().unwrap()
}

fn services(stub: &Stub) -> Vec<String> {
    stub.seen().iter().map(|seen| service(seen).to_owned()).collect()
}

fn logged_in() -> Response<Body> {
    // Without a Date header of today: the clock of these tests stands in 2023.
    dated(json!({"LoginResultType": 1, "KDSVCSessionId": SESSION, "Message": null}))
}

fn dated(value: Value) -> Response<Body> {
    let mut reply = answer(200, value.to_string());
    reply.headers_mut().insert("date", "Tue, 14 Nov 2023 22:13:20 GMT".parse().unwrap());
    reply
}

fn status(successes: Value, errors: Value, code: i64) -> Response<Body> {
    let ok = errors.as_array().unwrap().is_empty();
    dated(json!({"Result": {"ResponseStatus": {
        "IsSuccess": ok, "Errors": errors, "SuccessEntitys": successes, "MsgCode": code }}}))
}

fn lost_session() -> Response<Body> {
    status(json!([]), json!([{"FieldName": null, "Message": "会话信息已丢失，请重新登录", "DIndex": 0}]), 1)
}

fn body(number: &str) -> String {
    format!(
        r#"{{"FBillNo":"{number}","FDate":"2026-11-20 08:30:00","FCustomerID":{{"FNumber":"c001"}},"FEntity":[{{"FMaterialID":{{"FNumber":"M1"}},"FRealQty":2.50}},{{"FMaterialID":{{"FNumber":"M1"}},"FRealQty":"1"}},{{"FMaterialID":{{"FNumber":"M2"}},"FRealQty":1E+1}}]}}"#
    )
}

fn job(number: &str, id: Option<&str>) -> Job {
    Job { key: TargetKey::new(number).unwrap(), body: body(number), id: id.map(str::to_owned) }
}

fn jobs(numbers: &[&str]) -> Vec<Job> {
    numbers.iter().map(|number| job(number, None)).collect()
}

/// A site that answers saves with `save` and queries with `rows`.
async fn site(save: impl Fn() -> Response<Body> + Send + Sync + 'static, rows: Value) -> Stub {
    Stub::start(move |_, seen| match service(seen) {
        "LoginBySign" => logged_in(),
        "ExecuteBillQuery" => dated(rows.clone()),
        _ => save(),
    })
    .await
}

fn done(id: &str, next: Option<Step>) -> Answer {
    Answer::Done { id: Some(id.into()), next }
}

fn code_of(answer: &Answer) -> &str {
    match answer {
        Answer::Refused { code, .. } => code,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn logs_in_once_for_all_and_travels_with_cookie_and_header() {
    let stub = site(|| status(json!([]), json!([]), 0), json!([])).await;
    let target = bills(&stub);
    let probes = futures::future::join_all((0..5).map(|_| target.probe())).await;
    probes.into_iter().for_each(|probe| probe.unwrap());
    let seen = stub.seen();
    assert_eq!(services(&stub).iter().filter(|name| *name == "LoginBySign").count(), 1, "{:?}", services(&stub));
    assert_eq!(seen[0].path, "/k3cloud/Kingdee.BOS.WebApi.ServicesStub.AuthService.LoginBySign.common.kdsvc");
    let parameters: Value = serde_json::from_str(seen[0].json()["parameters"].as_str().unwrap()).unwrap();
    let sign = "9484221a2f6c7b65368f293c7ccf7c40c6baeb4c61599c39da66f253a1fed5e1";
    assert_eq!(parameters, json!(["60aa00bb00cc00", "demo", APP_ID, "1700000000", sign, 2052]));
    assert_eq!(seen[1].headers["kdservice-sessionid"], SESSION);
    assert_eq!(seen[1].headers["cookie"], format!("kdservice-sessionid={SESSION}"));
}

#[tokio::test]
async fn signs_every_request_instead_where_told_to() {
    let stub = site(|| status(json!([]), json!([]), 0), json!([])).await;
    bills_with(&stub, "signature", "").probe().await.unwrap();
    assert_eq!(services(&stub), ["ExecuteBillQuery"]);
    let headers = &stub.seen()[0].headers;
    for (name, value) in [
        ("x-api-clientid", "123456"),
        ("x-api-timestamp", "1700000000"),
        ("x-api-nonce", "1700000000"),
        ("x-kd-appkey", APP_ID),
        ("x-kd-appdata", "NjBhYTAwYmIwMGNjMDAsZGVtbywyMDUyLDEwMA=="),
        ("x-kd-signature", "ZmM1ZjlmMWI0ODI3MDZkZjA2ZjkyNzQ1NjYzNmU1NmZkZGMzY2I0MzQyY2Y0YTIxMDE1NjI1ZjlhZDkxZGEwMg=="),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    let key = sign::AppKey::parse(APP_ID).unwrap();
    let path = "/k3cloud/Kingdee.BOS.WebApi.ServicesStub.DynamicFormService.ExecuteBillQuery.common.kdsvc";
    assert_eq!(headers["x-api-signature"], sign::api_signature(&key, path, "1700000000"));

    let stub = site(lost_session, json!([[{"Result": {"ResponseStatus": {"IsSuccess": false, "MsgCode": 1}}}]])).await;
    let error = bills_with(&stub, "signature", "").write(Step::Create, &jobs(&["A"])).await.unwrap_err();
    assert!(matches!(error, Error::CredentialsRefused { .. }), "{error}");
    let skewed = Stub::start(|_, _| {
        answer(200, json!({"Result": {"ResponseStatus": {"IsSuccess": "false", "MsgCode": "1"}}}).to_string())
    })
    .await;
    let error = bills_with(&skewed, "signature", "").probe().await.unwrap_err();
    assert!(matches!(error, Error::ClockWrong { skew_seconds, .. } if skew_seconds < -300), "{error}");
}

#[tokio::test]
async fn a_refused_log_in_is_sent_once_however_many_wait_for_it() {
    let stub =
        Stub::start(|_, _| dated(json!({"LoginResultType": 0, "Message": format!("密码 pass{SECRET} 错误")}))).await;
    let target = bills_with(&stub, "validate_user", "");
    let results = futures::future::join_all((0..4).map(|_| target.probe())).await;
    for result in results {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::CredentialsRefused { .. }), "{error}");
        assert!(!format!("{error:?} {error}").contains(SECRET), "{error}");
    }
    assert_eq!(services(&stub), ["ValidateUser"]);
}

#[tokio::test]
async fn a_lost_session_is_renewed_for_a_question_and_reported_for_a_write() {
    let stub = Stub::start(|number, seen| match (service(seen), number) {
        ("LoginBySign", _) => logged_in(),
        (_, 1) => dated(json!([[{"Result": {"ResponseStatus": {"IsSuccess": false, "MsgCode": 1}}}]])),
        _ => dated(json!([])),
    })
    .await;
    bills(&stub).probe().await.unwrap();
    assert_eq!(services(&stub), ["LoginBySign", "ExecuteBillQuery", "LoginBySign", "ExecuteBillQuery"]);

    let stub = site(lost_session, json!([])).await;
    let target = bills(&stub);
    let error = target.write(Step::Create, &jobs(&["A"])).await.unwrap_err();
    assert!(matches!(error, Error::SessionLost { sent: true, .. }) && error.may_have_written(), "{error}");
    assert_eq!(services(&stub), ["LoginBySign", "BatchSave"], "the write is not repeated");
    target.look_up(&jobs(&["A"])).await.unwrap();
    assert_eq!(services(&stub)[2..], ["LoginBySign", "ExecuteBillQuery"], "the lost session is not used again");
}

#[tokio::test]
async fn a_log_in_without_an_answer_leaves_the_write_unsent() {
    let stub = Stub::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec()).await;
    let error = bills(&stub).write(Step::Create, &jobs(&["A"])).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }) && !error.may_have_written(), "{error}");
}

#[tokio::test]
async fn sends_the_bills_as_they_are_with_the_schemes_options() {
    let stub =
        site(|| status(json!([{"Id": 7, "Number": "A", "DIndex": 0}]), json!([]), 0), json!([["A", 7, "C"]])).await;
    let answers = bills(&stub).write(Step::Create, &jobs(&["A"])).await.unwrap();
    assert_eq!(answers, [done("7", None)]);
    let sent = stub.seen().into_iter().find(|seen| service(seen) == "BatchSave").unwrap();
    assert!(sent.body.contains(&format!("\"Model\":[{}]", body("A"))), "{}", sent.body);
    let sent = sent.json();
    assert_eq!(sent["formid"], "SAL_OUTSTOCK");
    for (name, value) in [
        ("IsAutoSubmitAndAudit", json!(true)),
        ("IsVerifyBaseDataField", json!(false)),
        ("InterationFlags", json!("STK_InvCheckResult")),
        ("ValidateRepeatJson", json!(false)),
        ("IsDeleteEntry", json!(true)),
    ] {
        assert_eq!(sent["data"][name], value, "{name}");
    }
}

#[tokio::test]
async fn a_part_of_a_batch_can_succeed_fail_or_go_unmentioned() {
    let stub = site(
        || {
            status(
                json!([{"Id": 1, "Number": "A", "DIndex": 0}, {"Id": 5, "Number": "E", "DIndex": 4}]),
                json!([
                    {"FieldName": "FBillNo", "Message": "违反字段唯一性要求：编码唯一。[B]在当前系统中已经被使用。", "DIndex": 1},
                    {"FieldName": "FCustomerID", "Message": "字段[客户]是必录字段", "DIndex": 2},
                    {"FieldName": null, "Message": "库存不足", "DIndex": 4},
                ]),
                11,
            )
        },
        json!([["A", 1, "C"], ["B", 99, "C"], ["E", 5, "B"]]),
    )
    .await;
    let answers = bills(&stub).write(Step::Create, &jobs(&["A", "B", "C", "D", "E"])).await.unwrap();
    assert_eq!(answers[0], done("1", None));
    assert_eq!(code_of(&answers[1]), "duplicate_number");
    assert_eq!(
        answers[2],
        Answer::Refused {
            code: "11".into(), message: "FCustomerID: 字段[客户]是必录字段".into(), saved: None
        }
    );
    assert_eq!(answers[3], Answer::Unmentioned);
    let saved = Some(Saved { id: "5".into(), next: Step::Audit });
    assert_eq!(answers[4], Answer::Refused { code: "11".into(), message: "库存不足".into(), saved });
}

#[tokio::test]
async fn a_success_that_was_not_audited_is_not_done() {
    let success = || status(json!([{"Id": 1, "Number": "A", "DIndex": 0}]), json!([]), 0);
    for (rows, expected) in [
        (json!([["A", 1, "C"]]), done("1", None)),
        (json!([["A", 1, "A"]]), done("1", Some(Step::Submit))),
        (json!([["A", 1, "B"]]), done("1", Some(Step::Audit))),
        (json!([]), Answer::Unmentioned),
        (json!({"Result": {"ResponseStatus": {"IsSuccess": false, "MsgCode": 6}}}), Answer::Unmentioned),
    ] {
        let stub = site(success, rows.clone()).await;
        assert_eq!(bills(&stub).write(Step::Create, &jobs(&["A"])).await.unwrap(), [expected], "{rows}");
    }
    let stub = site(success, json!([])).await;
    let trusting = bills_with(&stub, "login_by_sign", "confirm_audit = false");
    assert_eq!(trusting.write(Step::Create, &jobs(&["A"])).await.unwrap(), [done("1", None)]);
    let saving = bills_with(&stub, "login_by_sign", "submit_and_audit = false");
    assert_eq!(saving.write(Step::Create, &jobs(&["A"])).await.unwrap(), [done("1", None)]);
    assert!(!services(&stub).contains(&"ExecuteBillQuery".to_owned()));
}

#[tokio::test]
async fn an_error_beside_a_bill_that_is_there_is_left_to_a_comparison() {
    let stub = site(
        || status(json!([]), json!([{"FieldName": null, "Message": "审核失败", "DIndex": 0}]), 4),
        json!([["A", 1, "A"]]),
    )
    .await;
    assert_eq!(bills(&stub).write(Step::Create, &jobs(&["A"])).await.unwrap(), [Answer::Unmentioned]);
}

#[tokio::test]
async fn a_batch_refused_as_a_whole_blames_no_single_bill() {
    let refused = || status(json!([]), json!([{"FieldName": null, "Message": "数据包格式错误", "DIndex": 0}]), 8);
    let stub = site(refused, json!([])).await;
    let error = bills(&stub).write(Step::Create, &jobs(&["A", "B"])).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { code, .. } if code == "8"), "{error}");
    let stub = site(refused, json!([["B", 2, "A"]])).await;
    let answers = bills(&stub).write(Step::Create, &jobs(&["A", "B"])).await.unwrap();
    assert_eq!(answers, [Answer::Unmentioned, Answer::Unmentioned], "one was written all the same");
    let stub = site(refused, json!([])).await;
    let answers = bills(&stub).write(Step::Create, &jobs(&["A"])).await.unwrap();
    assert_eq!(code_of(&answers[0]), "8");
}

#[tokio::test]
async fn what_is_wrong_with_the_call_is_told_from_what_is_wrong_with_a_bill() {
    type Case = (fn() -> Response<Body>, fn(&Error) -> bool);
    let cases: [Case; 8] = [
        (
            || status(json!([]), json!([{"Message": "标识为“X”的业务对象不存在，或者被删除。", "DIndex": 0}]), 4),
            |error| matches!(error, Error::Unknown { code, .. } if code == "4"),
        ),
        (
            || status(json!([]), json!([{"Message": "元数据中标识为FNo的字段不存在", "DIndex": 0}]), 9),
            |error| matches!(error, Error::Unknown { .. }),
        ),
        (
            || status(json!([]), json!([{"Message": "调用超限", "DIndex": 0}]), 14),
            |error| matches!(error, Error::Throttled { .. }),
        ),
        (|| answer(500, "Fail to verify thirty passport"), |error| matches!(error, Error::CredentialsRefused { .. })),
        (|| answer(503, "busy"), |error| matches!(error, Error::Server { status: 503, .. })),
        (|| answer(200, "response_error: x"), |error| matches!(error, Error::Server { status: 200, .. })),
        (|| answer(200, "<html>log in</html>"), |error| matches!(error, Error::Unreadable { .. })),
        (|| answer(200, r#"[{"actionname":"showConfirm"}]"#), |error| matches!(error, Error::Server { .. })),
    ];
    for (number, (reply, expected)) in cases.into_iter().enumerate() {
        let stub = site(reply, json!([])).await;
        let error = bills(&stub).write(Step::Create, &jobs(&["A"])).await.unwrap_err();
        assert!(expected(&error), "case {number}: {error:?}");
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_write_may_have_been_carried_out() {
    let stub = Stub::start(|_, seen| match service(seen) {
        "LoginBySign" => logged_in(),
        _ => {
            let cut = futures::stream::iter([Ok("{\"Result\":"), Err(std::io::Error::other("cut"))]);
            Response::new(Body::from_stream(cut))
        }
    })
    .await;
    let error = bills(&stub).write(Step::Create, &jobs(&["A"])).await.unwrap_err();
    assert!(matches!(error, Error::AnswerLost { .. }) && error.may_have_written(), "{error}");
}

#[tokio::test]
async fn a_body_that_names_another_bill_never_leaves() {
    let stub = site(|| status(json!([]), json!([]), 0), json!([])).await;
    let mut stolen = job("A", None);
    stolen.body = r#"{"FBillNo":"A","FID":12}"#.into();
    let mut renamed = job("B", None);
    renamed.body = body("Z");
    let answers = bills(&stub).write(Step::Create, &[stolen, renamed]).await.unwrap();
    assert!(answers.iter().all(|answer| code_of(answer) == "invalid_body"), "{answers:?}");
    assert!(stub.seen().is_empty());
}

#[tokio::test]
async fn an_update_carries_the_bills_id_and_an_audited_bill_is_never_written_over() {
    let stub = site(
        || status(json!([{"Id": 2, "Number": "B", "DIndex": 0}]), json!([]), 0),
        json!([["A", 1, "C"], ["B", 2, "D"], ["C", 33, "A"]]),
    )
    .await;
    let all = [job("A", Some("1")), job("B", Some("2")), job("C", Some("3")), job("D", None)];
    let answers = bills(&stub).write(Step::Update, &all).await.unwrap();
    assert_eq!(code_of(&answers[0]), "not_changeable");
    assert_eq!(answers[1], done("2", Some(Step::Submit)));
    assert_eq!(code_of(&answers[2]), "bill_moved");
    assert_eq!(code_of(&answers[3]), "id_missing");
    let sent = stub.seen().into_iter().find(|seen| service(seen) == "BatchSave").unwrap();
    let expected = format!("\"Model\":[{{\"FID\":2,{}]", &body("B")[1..]);
    assert!(sent.body.contains(&expected), "{}", sent.body);
    assert_eq!(sent.json()["data"]["IsAutoSubmitAndAudit"], false);
}

#[tokio::test]
async fn steps_go_by_what_the_bill_became() {
    let nothing = || status(json!([]), json!([{"Message": "单据状态不允许", "DIndex": 0}]), 12);
    let success = || status(json!([{"Id": 1, "Number": "A", "DIndex": 0}]), json!([]), 0);
    let refused_at = |answer: &Answer| match answer {
        Answer::Refused { saved, .. } => saved.as_ref().map(|saved| saved.next),
        other => panic!("{other:?}"),
    };
    let one = [job("A", Some("1"))];
    for (step, state, next) in [
        (Step::Submit, "B", Some(Step::Audit)),
        (Step::Submit, "C", None),
        (Step::Audit, "C", None),
        (Step::Unaudit, "D", Some(Step::Update)),
    ] {
        let stub = site(nothing, json!([["A", 1, state]])).await;
        assert_eq!(bills(&stub).write(step, &one).await.unwrap(), [done("1", next)], "{step:?} {state}");
    }
    for (step, state, next) in
        [(Step::Submit, "A", Step::Submit), (Step::Audit, "B", Step::Audit), (Step::Unaudit, "C", Step::Unaudit)]
    {
        for reply in [nothing, success] {
            let stub = site(reply, json!([["A", 1, state]])).await;
            let answers = bills(&stub).write(step, &one).await.unwrap();
            assert_eq!(refused_at(&answers[0]), Some(next), "{step:?} {state}");
        }
    }
    let stub = site(success, json!([["A", 1, "C"]])).await;
    bills(&stub).write(Step::Audit, &one).await.unwrap();
    assert_eq!(services(&stub), ["LoginBySign", "Audit", "ExecuteBillQuery"]);
    assert_eq!(stub.seen()[1].json()["data"]["Ids"], "1");
}

fn line(number: &str, id: u32, state: &str, entry: u32, material: &str, quantity: Value) -> Value {
    json!([number, id, state, "2026-11-20T00:00:00", "C001", entry, quantity, material])
}

fn whole(number: &str, id: u32, state: &str) -> Vec<Value> {
    vec![
        line(number, id, state, id * 10, "M1", json!(3.5)),
        line(number, id, state, id * 10 + 1, "M2", json!(9)),
        line(number, id, state, id * 10 + 2, "m2", json!("1.0000000000")),
    ]
}

#[tokio::test]
async fn a_look_up_tells_ours_from_incomplete_foreign_and_absent() {
    let mut rows = [whole("A", 1, "C"), whole("B", 2, "B"), whole("C'", 3, "C"), whole("E", 5, "D")].concat();
    rows[6][4] = json!("C999");
    rows.pop();
    let stub = site(lost_session, Value::Array(rows)).await;
    let found = bills(&stub).look_up(&jobs(&["A", "B", "C'", "D", "E"])).await.unwrap();
    assert_eq!(found[0], Finding::Ours { id: "1".into(), next: None });
    assert_eq!(found[1], Finding::Ours { id: "2".into(), next: Some(Step::Audit) });
    let Finding::Differs { id, next, differences } = &found[2] else { panic!("{found:?}") };
    assert_eq!((id.as_str(), *next), ("3", Some(Step::Unaudit)));
    let named: Vec<_> = differences.iter().map(|d| (d.field.as_str(), d.intended.as_str(), d.found.as_str())).collect();
    assert_eq!(named, [("FCustomerID.FNumber", "c001", "C999")]);
    assert_eq!(found[3], Finding::Absent);
    let Finding::Differs { next, differences, .. } = &found[4] else { panic!("{found:?}") };
    assert_eq!(*next, Some(Step::Update));
    let fields: Vec<_> = differences.iter().map(|d| (d.field.as_str(), d.found.as_str())).collect();
    assert_eq!(fields, [("FEntity", "2 lines"), ("FRealQty of m2", "9")]);
    let asked = stub.seen().into_iter().find(|seen| service(seen) == "ExecuteBillQuery").unwrap().json();
    assert_eq!(asked["data"]["FilterString"], "FBillNo in ('A','B','C''','D','E')");
    assert_eq!(
        asked["data"]["FieldKeys"],
        "FBillNo,FID,FDocumentStatus,FDate,FCustomerID.FNumber,FEntity_FEntryId,FRealQty,FMaterialID.FNumber"
    );
}

#[tokio::test]
async fn another_day_another_quantity_or_a_second_bill_is_not_ours() {
    type Spoil = fn(&mut Vec<Value>);
    let spoils: [(Spoil, &str); 4] = [
        (|rows| rows[0][3] = json!("2026-11-21T00:00:00"), "FDate"),
        (|rows| rows[0][6] = json!(3.50001), "FRealQty of m1"),
        (|rows| rows.extend(whole("A", 9, "C")), "FBillNo"),
        (|rows| rows.iter_mut().for_each(|row| row[0] = json!("a")), "FBillNo"),
    ];
    for (spoil, field) in spoils {
        let mut rows = whole("A", 1, "C");
        spoil(&mut rows);
        let stub = site(lost_session, Value::Array(rows)).await;
        let found = bills(&stub).look_up(&jobs(&["A"])).await.unwrap();
        let Finding::Differs { differences, .. } = &found[0] else { panic!("{field}: {found:?}") };
        assert!(differences.iter().any(|difference| difference.field == field), "{field}: {differences:?}");
    }
}

#[tokio::test]
async fn a_saved_bill_is_finished_where_nothing_is_to_be_audited() {
    let stub = site(lost_session, Value::Array(whole("A", 1, "A"))).await;
    let target = bills_with(&stub, "login_by_sign", "submit_and_audit = false");
    let found = target.look_up(&jobs(&["A"])).await.unwrap();
    assert_eq!(found, [Finding::Ours { id: "1".into(), next: None }]);
    let found = bills(&stub).look_up(&jobs(&["A"])).await.unwrap();
    assert_eq!(found, [Finding::Ours { id: "1".into(), next: Some(Step::Submit) }]);
}

#[tokio::test]
async fn a_look_up_reads_every_page_of_its_rows() {
    let stub = Stub::start(|_, seen| match service(seen) {
        "LoginBySign" => logged_in(),
        _ => {
            let start = seen.json()["data"]["StartRow"].as_u64().unwrap();
            let count = if start == 0 { 100 } else { 50 };
            let rows = (start..start + count).map(|at| line("A", 1, "C", at as u32 + 1, "M", json!(1)));
            dated(Value::Array(rows.collect()))
        }
    })
    .await;
    let mut job = job("A", None);
    let lines = vec![r#"{"FMaterialID":{"FNumber":"M"},"FRealQty":1}"#; 150].join(",");
    job.body = format!(r#"{{"FBillNo":"A","FEntity":[{lines}]}}"#);
    let target = bills_with(&stub, "login_by_sign", "query_limit = 100");
    assert_eq!(target.look_up(&[job]).await.unwrap(), [Finding::Ours { id: "1".into(), next: None }]);
    let starts: Vec<_> = stub.seen()[1..].iter().map(|seen| seen.json()["data"]["StartRow"].clone()).collect();
    assert_eq!(starts, [json!(0), json!(100)]);
    assert!(stub.seen()[1..].iter().all(|seen| seen.json()["data"]["TopRowCount"] == 0));
}

#[tokio::test]
async fn secrets_and_sessions_appear_nowhere() {
    let captured = Captured::start();
    let stub = Stub::start(|number, seen| match number {
        0 => logged_in(),
        // An error page that quotes what it was sent.
        _ => answer(500, format!("error at {:?}: {}{SECRET}", seen.headers, "x".repeat(10))),
    })
    .await;
    let target = bills_with(&stub, "login_by_app_secret", "");
    let error = target.write(Step::Create, &jobs(&["A"])).await.unwrap_err();
    let log = captured.text();
    assert!(log.contains("vendor_request"), "nothing was captured");
    assert!(error.to_string().contains("***"), "{error}");
    for shown in [format!("{error} {error:?}"), format!("{target:?}"), log] {
        assert!(!shown.contains(&SECRET[..8]) && !shown.contains(&SESSION[..8]), "{shown}");
    }
}

#[tokio::test]
async fn a_secret_that_a_shortened_message_would_cut_in_two_is_blanked_whole() {
    let stub = Stub::start(|number, _| match number {
        0 => logged_in(),
        _ => answer(500, format!("{}{SECRET}", "x".repeat(190))),
    })
    .await;
    let error = bills(&stub).probe().await.unwrap_err();
    assert!(matches!(error, Error::Server { status: 500, .. }) && !error.to_string().contains(&SECRET[..4]), "{error}");
}

#[tokio::test]
async fn the_bills_of_a_day_are_listed_by_their_date_and_each_once() {
    let rows = json!([["A-1", 7], ["A-2", 8], ["A-2", 8], [12, 9], ["A-2", 10]]);
    let stub = site(lost_session, rows).await;
    let day = jiff::civil::date(2026, 10, 31);
    let listed = bills(&stub).bills_of(day).await.unwrap().unwrap();
    let numbers: Vec<_> = listed.iter().map(|bill| (bill.number.as_str(), bill.keys[0].as_str())).collect();
    assert_eq!(numbers, [("A-1", "A-1"), ("A-2", "A-2"), ("12", "12"), ("A-2", "A-2")]);
    let by_approval = bills_with(&stub, "login_by_sign", "date_field = \"FApproveDate\"");
    by_approval.bills_of(day).await.unwrap();
    let filters: Vec<_> = stub.seen().iter().map(|seen| seen.json()["data"]["FilterString"].clone()).collect();
    assert_eq!(filters[1], "FDate>='2026-10-31' and FDate<'2026-11-01'");
    assert_eq!(filters[3], "FApproveDate>='2026-10-31' and FApproveDate<'2026-11-01'");
}
