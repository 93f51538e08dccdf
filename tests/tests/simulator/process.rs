//! The simulator as a program.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

fn spawn(arguments: &[&str]) -> (Child, Value, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vendor-sim"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap(), out)
}

#[test]
fn prints_one_line_and_stops_on_a_signal() {
    let (mut child, ready, mut out) =
        spawn(&["--documents", "3", "--seed", "5", "--fault", "gbk,count=1", "--jdy", r#"{"envelope":"by_path"}"#]);
    assert_eq!(ready["ready"], json!(true));
    let source = &ready["systems"]["jushuitan_qimen"];
    assert_eq!(source["target_app_key"], json!("23060081"));
    assert!(source["base_url"].as_str().unwrap().ends_with("/router/qm"));
    let target = &ready["systems"]["kingdee_k3cloud"];
    assert!(target["base_url"].as_str().unwrap().ends_with("/k3cloud/"));
    assert_eq!((&target["lcid"], &target["org_num"]), (&json!(2052), &json!("100")));
    assert_eq!(target["app_id"].as_str().unwrap().split('_').nth(1).unwrap().len(), 32);
    assert_eq!(ready["systems"]["wangdiantong_qimen"]["sid"], json!("demo2"));
    assert_eq!(ready["systems"]["yonyou_u8"]["to_account"], json!("u8_demo_book"));
    assert_eq!(ready["systems"]["kingdee_jdy"]["client_id"], json!("205000"));
    assert!(ready["admin_url"].as_str().unwrap().ends_with("/admin/"));

    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "nothing but the one line");
}

#[test]
fn stops_when_its_input_closes_where_it_was_told_to() {
    let (mut child, _, _out) = spawn(&["--exit-with-stdin", "--documents", "1"]);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn refuses_an_unknown_fault_and_an_empty_window() {
    for arguments in [
        vec!["--fault", "nonsense"],
        vec!["--u8", "{\"heads\":true}"],
        vec!["--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"],
    ] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_vendor-sim")).args(&arguments).stdin(Stdio::null()).output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
}
