//! The simulators against client packages by other hands. The formulas in `src` were written from tables; here programs
//! that shops use agree with them: what they sign is accepted, and refused as soon as the secret is another.
//!
//! Needs Python and a package index (see `environment.rs`), and fails where it has none.

#![allow(clippy::unwrap_used)]

mod environment;
mod fuzz;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use vendor_sim::proof::http;

/// The simulator as a process; it ends with this one, or when dropped.
struct Simulator {
    child: Child,
    ready: Value,
}

impl Simulator {
    fn start() -> Self {
        // The window that the scripts ask for.
        let window = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-01-03T00:00:00Z"];
        let mut child = Command::new(env!("CARGO_BIN_EXE_vendor-sim"))
            .args(["--exit-with-stdin", "--documents", "7"])
            .args(window)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
    }

    fn page(&self, page: &str) -> Value {
        http::json("GET", &format!("{}{page}", self.ready["admin_url"].as_str().unwrap()), b"").unwrap()
    }

    /// Operation and outcome of every request after the first `skip`.
    fn outcomes(&self, skip: usize) -> Vec<(String, String)> {
        let log = self.page("log");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let requests = log["requests"].as_array().unwrap().iter().skip(skip);
        requests.map(|request| (text(&request["operation"]), text(&request["outcome"]))).collect()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets a package speak to the simulator: what it printed, and the story should it have failed.
fn speak(script: &str, account: &Value) -> Result<Value, String> {
    let mut child = Command::new(&*environment::PYTHON)
        .args(["-I", "-X", "utf8"])
        .arg(Path::new(environment::SCRIPTS).join(script))
        // Some packages send their own local time and mean the vendors'.
        .env("TZ", "CST-8")
        .env("NO_PROXY", "*")
        .env("no_proxy", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(account.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&said).map_err(|_| format!("{said}{}", String::from_utf8_lossy(&output.stderr)))
}

/// The package is heard with the account's credentials and refused with another secret, request by request.
fn check(script: &str, system: &str, operations: &[&str], refusal: &str, accepted: impl FnOnce(&Simulator, &Value)) {
    let simulator = Simulator::start();
    let account = &simulator.ready["systems"][system];
    let all = |outcome: &str| -> Vec<_> {
        operations.iter().map(|&operation| (operation.to_owned(), outcome.to_owned())).collect()
    };

    let answer = speak(script, account);
    assert_eq!(simulator.outcomes(0), all("ok"), "{script} with the right secret: {answer:#?}");
    accepted(&simulator, &answer.unwrap());

    let mut wrong = account.clone();
    wrong["app_secret"] = json!("fedcba9876543210fedcba9876543210");
    let answer = speak(script, &wrong);
    assert_eq!(simulator.outcomes(operations.len()), all(refusal), "{script} with a wrong secret: {answer:#?}");
}

#[test]
fn kingdees_own_sdk_signs_headers_that_k3cloud_accepts() {
    let script = "k3cloud_by_vendor_sdk.py";
    check(script, "kingdee_k3cloud", &["batchsave", "executebillquery"], "refused:1", |_, answer| {
        assert_eq!(answer["saved"]["Result"]["ResponseStatus"]["IsSuccess"], json!(true), "{answer}");
        assert_eq!(answer["found"], json!([["VERIFIED-1", "备注"]]));
    });
}

#[test]
fn taobaopy_signs_with_hmac_and_reads_sale_outs() {
    check("jushuitan_by_taobaopy.py", "jushuitan_qimen", &["jushuitan.saleout.list.query"], "refused:25", has_rows);
}

#[test]
fn topsdk_signs_with_md5_in_milliseconds_and_reads_sale_outs() {
    check("jushuitan_by_topsdk.py", "jushuitan_qimen", &["jushuitan.saleout.list.query"], "refused:25", has_rows);
}

fn has_rows(_: &Simulator, answer: &Value) {
    assert_eq!(answer["response"]["datas"].as_array().map(Vec::len), Some(7), "{answer}");
}

#[test]
fn wdtqm_signs_with_md5_reads_stock_ins_and_pushes_a_trade() {
    let operations = ["wdt.stockin.order.query", "wdt.trade.push"];
    check("wangdiantong_by_wdtqm.py", "wangdiantong_qimen", &operations, "refused:25", |simulator, answer| {
        assert!(answer["asked"]["response"]["total_count"].to_string().contains('7'), "{answer}");
        assert_eq!(answer["pushed"]["response"]["new_count"], json!(1), "{answer}");
        let trade = &simulator.page("held")["wangdiantong_qimen"]["trades"][0]["trade"];
        assert_eq!((&trade["tid"], &trade["receiver_name"]), (&json!("VERIFIED-1"), &json!("张三")));
    });
}
