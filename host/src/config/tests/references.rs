//! Reference tables: from files, and from connections.

use super::*;

/// The good file with this `reference`.
fn with_reference(tables: &str) -> String {
    GOOD.replace("schedule", &format!("reference = {tables}\nschedule"))
}

#[track_caller]
fn entries(folder: &Folder, tables: &str) -> Vec<(String, String)> {
    let config = folder.load(&with_reference(tables), &LoadOptions::new(&env));
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    match &config.schemes[0].reference[0].from {
        ReferenceFrom::File { entries, .. } => {
            entries.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
        }
        other => panic!("not from a file: {other:?}"),
    }
}

#[track_caller]
fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_reference_table_is_a_json_object_in_a_file() {
    let folder = Folder::new().with("t.json", b"{\"B\": 0.10, \"A\": {\"id\": 1}}");
    assert_eq!(entries(&folder, r#"{ "t" = { file = "t.json" } }"#), pairs(&[("A", "{\"id\": 1}"), ("B", "0.10")]));
}

#[test]
fn a_reference_table_is_a_csv_file_with_a_header() {
    let csv = "\u{feff}code,warehouse,name\r\nA, W1 ,\"one, two\"\r\n\u{540d},W2,\r\n";
    let folder = Folder::new().with("t.csv", csv.as_bytes());
    let one_column = r#"{ "t" = { file = "t.csv", key = "code", value = "warehouse" } }"#;
    assert_eq!(entries(&folder, one_column), pairs(&[("A", "\"W1\""), ("\u{540d}", "\"W2\"")]));
    let whole_row = r#"{ "t" = { file = "t.csv", key = "warehouse" } }"#;
    let first: serde_json::Value = serde_json::from_str(&entries(&folder, whole_row)[0].1).unwrap();
    assert_eq!(first, serde_json::json!({"code": "A", "warehouse": "W1", "name": "one, two"}));
}

#[track_caller]
fn check_reference(file: &str, content: &[u8], table: &str, expected: &[&str]) {
    let folder = Folder::new().with(file, content);
    let tables = format!("{{ \"t\" = {table} }}");
    assert_eq!(folder.problems(&with_reference(&tables), &LoadOptions::new(&env)), expected);
}

#[test]
fn every_mistake_of_a_tables_file_is_told_with_its_line() {
    let csv = r#"{ file = "t.csv", key = "code", value = "name" }"#;
    check_reference(
        "t.csv",
        b"code,name\nA,1\nB\n,3\nA,4\n A ,5\n",
        csv,
        &[
            "t.csv:3:1 this row has 1 fields, the header has 2",
            "t.csv:4:1 this row has no key",
            "t.csv:5:1 the key \"A\" stands on line 2 already",
            "t.csv:6:1 the key \"A\" stands on line 5 already",
        ],
    );
    check_reference(
        "t.csv",
        b"cod,name,name\n",
        csv,
        &["t.csv:1:1 this file has no column \"code\"", "t.csv:1:1 two columns are called \"name\""],
    );
    check_reference("t.csv", b"code,name\nA,\xC8\xCB\n", csv, &["t.csv:2:1 this is not UTF-8"]);
    check_reference("t.csv", b"", csv, &["t.csv:1:1 this file is empty"]);
    check_reference("t.csv", b"code,name\n\"A,1\n", csv, &["t.csv:2:1 a quoted field does not end"]);
    let json = r#"{ file = "t.json" }"#;
    check_reference(
        "t.json",
        b"{\"A\": 1,\n\"B\": 2,\n\"A\": 3}",
        json,
        &["t.json:3:1 the key \"A\" stands on line 1 already"],
    );
    check_reference("t.json", b"{\n", json, &["t.json:2:1 this is not a table in JSON: EOF while parsing an object"]);
    let list =
        "t.json:1:1 this is not a table in JSON: invalid type: sequence, expected one object, { \"key\": value, … }";
    check_reference("t.json", b"[]", json, &[list]);
}

#[test]
fn a_table_comes_from_one_place_that_is_known_and_within_the_folder() {
    let whose = "`t` of `reference` of scheme \"saleout\"";
    check_reference(
        "t.csv",
        b"",
        r#"{ file = "t.csv" }"#,
        &[&format!("18:21 {whose} has no `key`"), "t.csv:1:1 this file is empty"],
    );
    check_reference(
        "t.json",
        b"{}",
        r#"{ file = "t.json", key = "code" }"#,
        &[&format!("18:40 {whose} has an unknown key `key`")],
    );
    check_reference(
        "t.json",
        b"{}",
        r#"{ file = "t.json", connection = "k3" }"#,
        &[&format!("18:21 {whose} has both `file` and `connection`")],
    );
    check_reference(
        "t.json",
        b"{}",
        "{ refresh = \"1h\" }",
        &[&format!("18:21 {whose} has neither `file` nor `connection`")],
    );
    check_reference(
        "t.json",
        b"{}",
        "3",
        &["18:21 `t` of `reference` of scheme \"saleout\" must be a table, not a number"],
    );
    check_reference(
        "t.json",
        b"{}",
        r#"{ connection = "jdy" }"#,
        &[&format!("18:36 {whose} names the connection \"jdy\", which does not exist")],
    );
    let outside = Folder::new().with("t.json", b"{}");
    for name in [outside.path("t.json").display().to_string(), "../t.json".into()] {
        let folder = Folder::new();
        let problems =
            folder.problems(&with_reference(&format!("{{ t = {{ file = {name:?} }} }}")), &LoadOptions::new(&env));
        assert!(problems.len() == 1 && problems[0].contains("outside"), "{problems:?}");
    }
}

#[test]
fn a_table_from_a_connection_has_its_rhythm_and_is_judged_by_those_who_know_the_vendor() {
    let tables = r#"{ m = { connection = "k3", refresh = "90m", miss_interval = "30s" }, n = { connection = "k3" } }"#;
    let config = Folder::new().load(&with_reference(tables), &LoadOptions::new(&env)).unwrap();
    let from = |refresh, miss_interval| ReferenceFrom::Connection {
        connection: ConnectionName::new("k3").unwrap(),
        refresh: SignedDuration::from_secs(refresh),
        miss_interval: SignedDuration::from_secs(miss_interval),
    };
    let found: Vec<_> = config.schemes[0].reference.iter().map(|one| (one.table.as_str(), one.from.clone())).collect();
    assert_eq!(found, [("m", from(5_400, 30)), ("n", from(21_600, 60))]);

    let check_reference = |connection: &Connection, table: &str| {
        assert_eq!(connection.name.as_str(), "k3");
        if table == "m" {
            vec![Objection::new("connection", "it serves no table \"m\"", "it serves n")]
        } else {
            Vec::new()
        }
    };
    let options = LoadOptions { check_reference: &check_reference, ..LoadOptions::new(&env) };
    let expected = "18:34 `connection` of `m` of `reference` of scheme \"saleout\": it serves no table \"m\"";
    assert_eq!(Folder::new().problems(&with_reference(tables), &options), [expected]);
}
