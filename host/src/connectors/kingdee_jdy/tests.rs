use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::config::Secret;
use crate::connectors::http::Http;
use crate::connectors::stub::{Captured, Seen, Stub, answer};
use crate::connectors::{Answer, Clock, DUPLICATE_NUMBER, Error, Finding, Job, ReferenceSource, Step, Target};
use crate::model::TargetKey;

const CLIENT_SECRET: &str = "c0ffee00c0ffee00c0ffee00c0ffee00";
const APP_SECRET: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";
const TOKEN_BEGINS: &str = "eyJhbGciOiJIUzI1NiJ9";
/// What the stub's clock says in `Date`, unless a test says otherwise: the time of the tests.
const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";

#[derive(Clone)]
struct Moved(Arc<AtomicI64>);

impl Moved {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_700_000_000)))
    }
    fn by(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

fn connection(stub: &Stub, extra: &str) -> Connection {
    let text = format!(
        "base_url = \"{}\"\nclient_id = \"205000\"\nclient_secret = \"{CLIENT_SECRET}\"\n\
         outer_instance_id = \"107218833860857856\"\n{extra}\n\
         limits = {{ requests_per_second = 1000, burst = 1000 }}",
        stub.url("/")
    );
    Connection::parse(toml::from_str(&text).unwrap()).unwrap()
}

fn bills_at(stub: &Stub, clock: Moved, extra: &str, options: &str) -> Bills {
    let http = Http::with_clock(None, Arc::new(clock)).unwrap();
    Bills::new(&connection(stub, extra), &http, Options::parse(toml::from_str(options).unwrap()).unwrap())
}

fn bills(stub: &Stub) -> Bills {
    bills_at(stub, Moved::new(), "", "")
}

fn name(seen: &Seen) -> &str {
    seen.path.split('?').next().unwrap().rsplit('/').next().unwrap()
}

fn names(stub: &Stub) -> Vec<String> {
    stub.seen().iter().map(|seen| name(seen).to_owned()).collect()
}

fn query(seen: &Seen) -> BTreeMap<String, String> {
    let query = seen.path.split_once('?').map_or("", |(_, query)| query);
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn dated(status: u16, value: Value) -> Response<Body> {
    let mut reply = answer(status, value.to_string());
    reply.headers_mut().insert("date", DATE.parse().unwrap());
    reply
}

fn fine(data: Value) -> Response<Body> {
    dated(200, json!({"errcode": 0, "description": "success", "success": true, "data": data}))
}

fn gateway(code: u64) -> Response<Body> {
    dated(519, json!({"errcode": code, "description": "in English[GW]", "description_cn": "认证失败[网关]"}))
}

fn expired() -> Response<Body> {
    dated(401, json!({"errcode": 1000202001, "description": "JWT token has expired"}))
}

fn log_in(seen: &Seen, number: usize) -> Option<Response<Body>> {
    match name(seen) {
        "push_app_authorize" => Some(fine(json!([{
            "accountId": "900", "appKey": "fPB7oQ01", "appSecret": APP_SECRET, "clientId": "205000",
            "domain": "https://tf.jdy.com", "groupName": "group-1", "outerInstanceId": "107218833860857856" }]))),
        "kingdee_auth_token" => Some(fine(json!({
            "app-token": format!("{TOKEN_BEGINS}.{number}"), "access_token": format!("{TOKEN_BEGINS}.{number}.a"),
            "uid": "7", "expires": 86_400_000 }))),
        _ => None,
    }
}

/// An account that answers business calls with `business`.
async fn account(business: impl Fn(usize, &Seen) -> Response<Body> + Send + Sync + 'static) -> Stub {
    Stub::start(move |number, seen| log_in(seen, number).unwrap_or_else(|| business(number, seen))).await
}

fn body(number: &str) -> String {
    format!(
        r#"{{"billdate":"2026-11-20","billno":"{number}","remark":"{number} stock-take", "material_entity":[{{"materialid_id":"1","qty":2.5000}},{{"materialid_id":"2","qty":1E+1}}]}}"#
    )
}

fn job(number: &str) -> Job {
    Job { key: TargetKey::new(number).unwrap(), body: body(number), id: None }
}

fn shown(id: u64, number: &str, remark: &str) -> Value {
    json!({"id": id, "billno": number, "billdate": "2026-11-20 00:00:00", "remark": remark})
}

fn page(rows: &[Value]) -> Response<Body> {
    fine(json!({"rows": rows, "count": rows.len(), "total_page": 1}))
}

fn lines() -> Value {
    json!([{"qty": "10"}, {"qty": 2.5}])
}

async fn write(bills: &Bills) -> Result<Answer, Error> {
    bills.write(Step::Create, &[job("P1")]).await.map(|answers| answers.into_iter().next().unwrap())
}

#[tokio::test]
async fn a_bill_is_written_signed_routed_and_byte_for_byte() {
    let stub = account(|_, _| fine(json!({"ids": ["174"], "id_number_map": {"174": "PYD-1"}}))).await;
    let answer = write(&bills(&stub)).await.unwrap();
    assert_eq!(answer, Answer::Done { id: Some("174".into()), next: None });
    assert_eq!(names(&stub), ["push_app_authorize", "kingdee_auth_token", "inv_check_gain_bill_save"]);
    let seen = &stub.seen()[2];
    assert_eq!((seen.path.as_str(), seen.body.as_str()), ("/jdy/inv/inv_check_gain_bill_save", body("P1").as_str()));
    for (header, value) in [
        ("x-api-clientid", "205000"),
        ("x-api-auth-version", "2.0"),
        ("x-api-timestamp", "1700000000000"),
        ("x-api-signheaders", "X-Api-TimeStamp,X-Api-Nonce"),
        ("app-token", &format!("{TOKEN_BEGINS}.1")),
        ("x-gw-router-addr", "https://tf.jdy.com"),
    ] {
        assert_eq!(seen.headers[header], value, "{header}");
    }
    for seen in stub.seen() {
        let nonce: u32 = seen.headers["x-api-nonce"].parse().unwrap();
        let pairs: Vec<_> = query(&seen).into_iter().collect();
        let method = if name(&seen) == "kingdee_auth_token" { "GET" } else { "POST" };
        let path = seen.path.split('?').next().unwrap();
        let secret = Secret::new(CLIENT_SECRET);
        let expected = sign::api_signature(&secret, method, path, &pairs, nonce, 1_700_000_000_000);
        assert_eq!(seen.headers["x-api-signature"], expected, "{path}");
    }
    let asked = query(&stub.seen()[1]);
    assert_eq!(asked["app_signature"], sign::app_signature("fPB7oQ01", &Secret::new(APP_SECRET)));
    assert!(!stub.seen()[1].headers.contains_key("x-gw-router-addr"), "the log-in is not routed");
}

#[tokio::test]
async fn with_an_access_token_the_account_travels_in_headers() {
    let stub = account(|_, _| fine(json!({"id": 174, "billno": "P1"}))).await;
    let answer = write(&bills_at(&stub, Moved::new(), "auth = \"access_token\"", "")).await.unwrap();
    assert_eq!(answer, Answer::Done { id: Some("174".into()), next: None });
    let seen = &stub.seen()[2];
    assert_eq!(query(seen)["access_token"], format!("{TOKEN_BEGINS}.1.a"));
    assert_eq!((seen.headers["accountid"].as_str(), seen.headers["groupname"].as_str()), ("900", "group-1"));
    assert!(!seen.headers.contains_key("app-token"));
}

#[tokio::test]
async fn one_token_serves_everybody_and_is_renewed_before_its_day_is_over() {
    let stub = account(|_, _| page(&[])).await;
    let clock = Moved::new();
    let target = bills_at(&stub, clock.clone(), "", "");
    futures::future::join_all((0..5).map(|_| target.probe())).await.into_iter().for_each(|probe| probe.unwrap());
    let tokens = || names(&stub).iter().filter(|name| *name == "kingdee_auth_token").count();
    assert_eq!(tokens(), 1);
    clock.by(86_400 - 1_801);
    target.probe().await.unwrap();
    assert_eq!(tokens(), 1);
    clock.by(1);
    target.probe().await.unwrap();
    assert_eq!(tokens(), 2);
    assert_eq!(names(&stub).iter().filter(|name| *name == "push_app_authorize").count(), 1);
}

#[tokio::test]
async fn a_question_renews_an_ended_token_and_a_write_is_never_repeated() {
    let stub = account(|number, _| if number == 2 { expired() } else { page(&[]) }).await;
    bills(&stub).probe().await.unwrap();
    let list = "inv_check_gain_bill_list";
    assert_eq!(names(&stub), ["push_app_authorize", "kingdee_auth_token", list, "kingdee_auth_token", list]);

    let stub = account(|_, _| expired()).await;
    let error = bills(&stub).probe().await.unwrap_err();
    assert!(matches!(error, Error::CredentialsRefused { .. }), "{error:?}");

    let stub = account(|number, _| if number == 2 { expired() } else { page(&[]) }).await;
    let target = bills(&stub);
    let error = write(&target).await.unwrap_err();
    assert!(matches!(error, Error::SessionLost { sent: true, .. }) && error.may_have_written(), "{error:?}");
    assert_eq!(target.look_up(&[job("P1")]).await.unwrap(), [Finding::Absent]);
    assert_eq!(names(&stub).iter().filter(|name| *name == "inv_check_gain_bill_save").count(), 1);
}

#[tokio::test]
async fn a_rotated_secret_is_asked_for_anew_once() {
    let stub = Stub::start(|number, seen| match name(seen) {
        // The secret of the settings is yesterday's.
        "kingdee_auth_token" if number == 0 => gateway(4003),
        _ => log_in(seen, number).unwrap_or_else(|| page(&[])),
    })
    .await;
    let own = format!("app_key = \"fPB7oQ01\"\napp_secret = \"yesterdays{APP_SECRET}\"");
    bills_at(&stub, Moved::new(), &own, "").probe().await.unwrap();
    let asked = ["kingdee_auth_token", "push_app_authorize", "kingdee_auth_token", "inv_check_gain_bill_list"];
    assert_eq!(names(&stub), asked);

    let stub = Stub::start(|number, seen| match name(seen) {
        "kingdee_auth_token" => dated(200, json!({"errcode": 7, "description_cn": "签名错误"})),
        _ => log_in(seen, number).unwrap_or_else(|| page(&[])),
    })
    .await;
    let error = bills_at(&stub, Moved::new(), &own, "").probe().await.unwrap_err();
    assert!(matches!(&error, Error::CredentialsRefused { detail } if detail.contains("签名错误")), "{error:?}");
    assert_eq!(names(&stub), ["kingdee_auth_token", "push_app_authorize", "kingdee_auth_token"]);
}

#[tokio::test]
async fn the_gateways_refusals_say_whose_they_are() {
    let check = async |reply: fn() -> Response<Body>, connection: &str| {
        let stub = account(move |_, _| reply()).await;
        write(&bills_at(&stub, Moved::new(), connection, "")).await
    };
    let error = check(|| gateway(5001), "").await.unwrap_err();
    assert!(
        matches!(&error, Error::Unknown { code, message } if code == "5001" && message.contains("网关")),
        "{error}"
    );
    for reply in [|| gateway(4002), || gateway(4006), || gateway(4012)] {
        let error = check(reply, "").await.unwrap_err();
        assert!(matches!(error, Error::CredentialsRefused { .. }) && !error.may_have_written(), "{error:?}");
    }
    let eleven_minutes = || {
        let mut reply = gateway(4006);
        reply.headers_mut().insert("date", "Tue, 14 Nov 2023 22:24:20 GMT".parse().unwrap());
        reply
    };
    let error = check(eleven_minutes, "").await.unwrap_err();
    assert!(matches!(error, Error::ClockWrong { skew_seconds: -660, .. }), "{error:?}");
    let error = check(|| answer(404, "404 No Route"), "").await.unwrap_err();
    assert!(matches!(&error, Error::Unknown { message, .. } if message.contains("router")), "{error:?}");
    let error = check(|| gateway(777), "").await.unwrap_err();
    assert!(matches!(error, Error::Server { status: 519, .. }) && error.may_have_written(), "{error:?}");
    let error = check(|| gateway(777), "throttle_codes = [\"777\"]").await.unwrap_err();
    assert!(matches!(error, Error::Throttled { .. }), "{error:?}");
}

#[tokio::test]
async fn a_refusal_inside_an_answer_of_200_is_the_bills() {
    let refused = async |value: Value, generation: &str| {
        let stub = account(move |_, _| dated(200, value.clone())).await;
        write(&bills_at(&stub, Moved::new(), &format!("generation = \"{generation}\""), "")).await
    };
    for (value, generation) in [
        (json!({"errcode": 9, "description": "no", "description_cn": "期间已结账"}), "v2"),
        (json!({"success": false, "errorCode": 9, "message": "期间已结账"}), "v1"),
        (json!({"success": true, "errcode": "9", "description": "期间已结账"}), "v1"),
    ] {
        let answer = refused(value.clone(), generation).await.unwrap();
        let expected = Answer::Refused { code: "9".into(), message: "期间已结账".into(), saved: None };
        assert_eq!(answer, expected, "{value}");
    }
    let answer = refused(json!({"errcode": 9, "description": "单据编号已存在"}), "v2").await.unwrap();
    assert!(matches!(&answer, Answer::Refused { code, .. } if code == DUPLICATE_NUMBER), "{answer:?}");
    for (value, generation) in [(json!({"data": {}}), "v1"), (json!({"success": true}), "v2")] {
        let error = refused(value, generation).await.unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }) && error.may_have_written(), "{error:?}");
    }
}

#[tokio::test]
async fn a_lost_answer_may_have_written_and_the_look_up_tells() {
    let stub = Stub::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"errcode\":".to_vec()).await;
    let error = write(&bills(&stub)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "a lost log-in means that no bill left: {error:?}");

    let stub = account(|_, seen| match name(seen) {
        "inv_check_gain_bill_save" => {
            let broken = futures::stream::iter([Ok(bytes::Bytes::from("{\"err")), Err(std::io::Error::other("cut"))]);
            Response::new(Body::from_stream(broken))
        }
        "inv_check_gain_bill_detail" => fine(json!({"id": 174, "material_entity": lines()})),
        _ => page(&[shown(174, "P1", "")]),
    })
    .await;
    let target = bills(&stub);
    let error = write(&target).await.unwrap_err();
    assert!(matches!(error, Error::AnswerLost { .. }) && error.may_have_written(), "{error:?}");
    assert_eq!(target.look_up(&[job("P1")]).await.unwrap(), [Finding::Ours { id: "174".into(), next: None }]);
    let seen = stub.seen();
    let list = seen.iter().find(|seen| name(seen) == "inv_check_gain_bill_list").unwrap();
    assert_eq!(list.json(), json!({"page": 1, "pagesize": 100, "search": "P1"}));
    assert_eq!(seen.last().unwrap().json(), json!({"id": "174"}));
}

#[tokio::test]
async fn nothing_found_by_search_is_looked_for_on_the_list_of_the_days() {
    let stub = account(|_, seen| match (name(seen), seen.json().get("search")) {
        (_, Some(_)) => page(&[]),
        _ => {
            let mut row = shown(174, "PYD-1", "P1 stock-take");
            row["material_entity"] = lines();
            page(&[shown(173, "PYD-0", "P10 another"), row])
        }
    })
    .await;
    let target = bills_at(&stub, Moved::new(), "", "search_days = 2");
    assert_eq!(target.look_up(&[job("P1")]).await.unwrap(), [Finding::Ours { id: "174".into(), next: None }]);
    let asked = stub.seen().last().unwrap().json();
    assert_eq!((&asked["startbilldate"], &asked["endbilldate"]), (&json!("2026-11-18"), &json!("2026-11-22")));
    assert_eq!(target.look_up(&[job("P2")]).await.unwrap(), [Finding::Absent]);
    let only_billno = bills_at(&stub, Moved::new(), "", "number_in = [\"billno\"]");
    assert_eq!(only_billno.look_up(&[job("P1")]).await.unwrap(), [Finding::Absent]);
}

#[tokio::test]
async fn another_date_number_of_lines_or_sum_is_another_bill() {
    for (row, fields) in [
        (json!({"billdate": "2026-11-21"}), vec!["billdate"]),
        (json!({"material_entity": [{"qty": 12.5}]}), vec!["material_entity"]),
        (json!({"material_entity": [{"qty": 10}, {"qty": 2.5001}]}), vec!["qty"]),
        (json!({"material_entity": null}), vec!["material_entity"]),
    ] {
        let mut bill = shown(174, "P1", "");
        bill["material_entity"] = lines();
        bill.as_object_mut().unwrap().extend(row.as_object().unwrap().clone());
        let stub = account(move |_, seen| match name(seen) {
            "inv_check_gain_bill_detail" => fine(bill.clone()),
            _ => page(&[bill.clone()]),
        })
        .await;
        let findings = bills(&stub).look_up(&[job("P1")]).await.unwrap();
        let Finding::Differs { id, next: None, differences } = &findings[0] else { panic!("{findings:?}") };
        assert_eq!(id, "174");
        assert_eq!(differences.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), fields);
    }
    let stub = account(|_, _| {
        let rows = [1, 2].map(|id| {
            let mut bill = shown(id, "P1", "");
            bill["material_entity"] = lines();
            bill
        });
        page(&rows)
    })
    .await;
    let findings = bills(&stub).look_up(&[job("P1")]).await.unwrap();
    assert!(matches!(&findings[0], Finding::Differs { differences, .. } if differences[0].field == "billno"));
}

#[tokio::test]
async fn the_second_generation_asks_with_get_and_its_own_names() {
    let stub = account(|_, seen| match name(seen) {
        "inv_check_gail_bill_detail" => fine(json!({"id": "174", "material_entity": lines()})),
        _ => page(&[json!({"id": "174", "bill_no": "P1", "bill_date": "2026-11-20", "remark": ""})]),
    })
    .await;
    let target = bills_at(&stub, Moved::new(), "generation = \"v2\"", "search = false");
    assert_eq!(target.look_up(&[job("P1")]).await.unwrap(), [Finding::Ours { id: "174".into(), next: None }]);
    let seen = stub.seen();
    assert!(seen[2].path.starts_with("/jdy/v2/scm/inv_check_gail_bill?"), "{}", seen[2].path);
    let asked = query(&seen[2]);
    assert_eq!((asked["start_bill_date"].as_str(), asked["page_size"].as_str()), ("2026-11-17", "100"));
    assert!(seen[3].path.ends_with("/inv_check_gail_bill_detail?id=174"), "{}", seen[3].path);
}

#[tokio::test]
async fn an_account_that_gives_no_number_back_cannot_be_asked() {
    let stub = account(|_, _| page(&[])).await;
    let target = bills_at(&stub, Moved::new(), "", "recognise = \"none\"");
    let can = target.capabilities();
    assert_eq!((can.batch_limit, can.updatable, can.askable), (1, false, false));
    assert!(target.look_up(&[job("P1")]).await.is_err());
    assert!(bills(&stub).capabilities().askable);
    let answers = target.write(Step::Update, &[job("P1")]).await.unwrap();
    assert!(matches!(&answers[0], Answer::Refused { code, .. } if code == "not_changeable"), "{answers:?}");
    let other = Job { key: TargetKey::new("P2").unwrap(), ..job("P1") };
    let answers = target.write(Step::Create, &[other]).await.unwrap();
    assert!(matches!(&answers[0], Answer::Refused { code, .. } if code == "invalid_body"), "{answers:?}");
    assert!(stub.seen().is_empty(), "nothing of this needs the account");
}

fn material(at: usize) -> Value {
    json!({"id": 1_203_311_870_000_000_000_u64 + at as u64, "number": format!("M{at}"), "name": format!("name {at}")})
}

#[tokio::test]
async fn a_reference_list_is_read_page_by_page_to_its_end() {
    let stub = account(|_, seen| {
        let index = usize::try_from(seen.json()["page"].as_u64().unwrap()).unwrap();
        let rows: Vec<_> = (0..250).skip((index - 1) * 100).take(100).map(material).collect();
        fine(json!({"rows": rows, "count": "250"}))
    })
    .await;
    let lists = connection(&stub, "").references(&Http::with_clock(None, Arc::new(Moved::new())).unwrap());
    assert_eq!(lists.tables(), ["kingdee_jdy.material", "kingdee_jdy.stock", "kingdee_jdy.unit"]);
    let entries = lists.fetch("kingdee_jdy.material").await.unwrap();
    assert_eq!(entries.len(), 250);
    assert_eq!(entries[249], ("M249".into(), r#"{"id":"1203311870000000249","name":"name 249"}"#.into()));
    let seen = stub.seen();
    assert_eq!(seen[2].path, "/jdy/basedata/material_list");
    assert_eq!(seen[4].json(), json!({"page": 3, "pagesize": 100, "enable": -1, "starttime": -1, "endtime": -1}));
    assert_eq!(seen.len(), 5);
    let error = lists.fetch("kingdee_jdy.colour").await.unwrap_err();
    assert!(matches!(error, Error::Unknown { .. }), "{error:?}");
}

#[tokio::test]
async fn units_are_known_by_name_and_one_that_is_there_twice_is_left_out() {
    let stub = account(|_, _| {
        let unit = |id: u64, number: &str, name: &str| json!({"id": id, "number": number, "name": name});
        page(&[unit(1, "01", "个"), unit(2, "02", "箱"), unit(3, "03", "箱")])
    })
    .await;
    let http = Http::with_clock(None, Arc::new(Moved::new())).unwrap();
    let fetch = async |extra: &str| connection(&stub, extra).references(&http).fetch("kingdee_jdy.unit").await.unwrap();
    assert_eq!(fetch("").await, [("个".to_owned(), r#"{"id":"1","name":"个"}"#.to_owned())]);
    assert_eq!(fetch("unit_key = \"number\"").await.len(), 3);
}

#[tokio::test]
async fn a_list_that_changes_while_it_is_read_is_read_again() {
    let asked = AtomicUsize::new(0);
    let stub = account(move |_, seen| {
        let count = if asked.fetch_add(1, Ordering::SeqCst) == 0 { 101 } else { 102 };
        let from = if seen.json()["page"] == 1 { 0 } else { 100 };
        let rows: Vec<_> = (from..count).take(100).map(material).collect();
        fine(json!({"rows": rows, "count": count}))
    })
    .await;
    let lists = connection(&stub, "").references(&Http::with_clock(None, Arc::new(Moved::new())).unwrap());
    assert_eq!(lists.fetch("kingdee_jdy.stock").await.unwrap().len(), 102);
    assert_eq!(stub.seen().len(), 2 + 4);
}

#[tokio::test]
async fn gbk_and_overlarge_answers_are_told_apart() {
    let gbk = b"{\"errcode\":0,\"data\":\"\xd5\xc5\xc8\xfd\"}".to_vec();
    let stub = account(move |_, _| answer(200, gbk.clone())).await;
    let error = write(&bills(&stub)).await.unwrap_err();
    assert!(error.to_string().contains("looks like GBK") && error.may_have_written(), "{error}");

    let huge = bytes::Bytes::from(vec![b'x'; 40 << 20]);
    let stub = account(move |_, _| answer(200, huge.clone())).await;
    let error = write(&bills(&stub)).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }) && error.may_have_written(), "{error}");
}

#[tokio::test]
async fn secrets_tokens_and_signatures_appear_nowhere() {
    let captured = Captured::start();
    for auth in ["app_token", "access_token"] {
        let stub = account(|_, seen| {
            // An error page that quotes all that it was sent.
            answer(500, format!("{} {:?} {CLIENT_SECRET}{APP_SECRET}", seen.path, seen.headers.get("app-token")))
        })
        .await;
        let target = bills_at(&stub, Moved::new(), &format!("auth = \"{auth}\""), "");
        let error = write(&target).await.unwrap_err();
        assert!(error.to_string().contains("***"), "{error}");
        let connection = connection(&stub, "app_key = \"k\"\napp_secret = \"topsecret\"");
        let log = captured.text();
        assert!(log.contains("vendor_request"), "nothing was captured");
        let signature = sign::app_signature("fPB7oQ01", &Secret::new(APP_SECRET));
        for shown in [format!("{error} {error:?}"), format!("{target:?} {connection:?}"), log] {
            for secret in [&CLIENT_SECRET[..8], &APP_SECRET[..8], TOKEN_BEGINS, &signature[..12], "topsecret"] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }
}

#[test]
fn every_wrong_setting_is_named() {
    let paths = |text: &str| -> Vec<String> {
        let text = format!("base_url = \"https://h.example/\"\nclient_id = \"1\"\nclient_secret = \"s\"\n{text}");
        let problems = Connection::parse(toml::from_str(&text).unwrap()).unwrap_err();
        problems.into_iter().map(|problem| problem.path).collect()
    };
    assert_eq!(paths(""), ["connection.outer_instance_id"]);
    assert_eq!(paths("app_key = \"k\""), ["connection.app_secret"]);
    assert_eq!(paths("outer_instance_id = \"1\"\nrouter_addr = \"a\\nb\""), ["connection.router_addr"]);
    let options = "number_in = []\nsearch_days = 400\npage_size = 101\nduplicate_words = [\" \"]";
    let problems = Options::parse(toml::from_str(options).unwrap()).unwrap_err();
    assert_eq!(problems.len(), 4, "{problems:?}");
}

#[tokio::test]
async fn the_bills_of_a_day_are_listed_with_every_number_that_may_be_ours() {
    let rows = [shown(173, "P1", "P1 stock-take"), shown(174, "PYD-7", "P2 stock-take"), shown(175, "PYD-8", "")];
    let stub = account(move |_, _| page(&rows)).await;
    let day = jiff::civil::date(2026, 10, 31);
    let listed = bills(&stub).bills_of(day).await.unwrap().unwrap();
    let numbers: Vec<(&str, Vec<&str>)> =
        listed.iter().map(|bill| (bill.number.as_str(), bill.keys.iter().map(TargetKey::as_str).collect())).collect();
    assert_eq!(numbers, [("P1", vec!["P1", "P1"]), ("PYD-7", vec!["PYD-7", "P2"]), ("PYD-8", vec!["PYD-8"])]);
    let asked = stub.seen().last().unwrap().json();
    assert_eq!((&asked["startbilldate"], &asked["endbilldate"]), (&json!("2026-10-31"), &json!("2026-10-31")));
    assert_eq!(asked.get("search"), None);
    let deaf = bills_at(&stub, Moved::new(), "", "recognise = \"none\"");
    assert_eq!(deaf.bills_of(day).await.unwrap(), None);
}
