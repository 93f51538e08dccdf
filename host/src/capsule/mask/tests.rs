use serde_json::Value;

use super::*;

const KEY: MaskKey = MaskKey([3; 32]);

/// Masks a document as it is masked in earnest: twice, so that what is found late is hidden early.
fn masked(rules: &str, document: &str) -> String {
    let rules = Rules::parse(rules).unwrap();
    let mut masker = Masker::new(&rules, &KEY);
    masker.json(Holder::Document, document);
    masker.json(Holder::Document, document)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_personal_field_gets_another_value_and_every_other_byte_stays() {
    let text =
        "{ \"io_id\" : 166001,\n\"receiver_name\":\"张三丰\", \"qty\": 1.50,\"receiver_mobile\":\"13812345678\" }";
    let other = masked("", text);
    assert!(!other.contains("张三丰") && !other.contains("13812345678"), "{other}");
    assert!(
        other.starts_with("{ \"io_id\" : 166001,\n\"receiver_name\":\"") && other.contains("\"qty\": 1.50,"),
        "{other}"
    );
    assert_eq!(other.chars().count(), text.chars().count());
    assert!(other.contains("\"receiver_mobile\":\"1"), "{other}");
}

#[test]
fn types_stay_and_equal_values_stay_equal_as_text_and_as_number() {
    let text =
        r#"{"mobile":13812345678,"a":{"receiver_phone":"13812345678"},"receiver":{"x":[1,true,null,"李"]},"zip":0}"#;
    let other = parsed(&masked("", text));
    assert!(other["mobile"].is_number() && other["a"]["receiver_phone"].is_string(), "{other}");
    assert_eq!(other["mobile"].to_string(), other["a"]["receiver_phone"].as_str().unwrap());
    assert_ne!(other["mobile"].to_string(), "13812345678");
    assert_eq!(other["receiver"]["x"][1], Value::Bool(true));
    assert_eq!(other["receiver"]["x"][2], Value::Null);
    assert_ne!(other["receiver"]["x"][3], "李");
}

#[test]
fn what_is_hidden_in_one_place_is_hidden_wherever_it_stands() {
    let text = r#"{"title":"给张三丰的货","tag":"no zhang.san-x1 here","receiver_name":"张三丰","buyer_nick":"zhang.san-x1","sku":"zhang.san-x12"}"#;
    let other = masked("", text);
    let values = parsed(&other);
    let name = values["receiver_name"].as_str().unwrap();
    assert_eq!(values["title"], format!("给{name}的货"));
    assert_eq!(values["tag"], format!("no {} here", values["buyer_nick"].as_str().unwrap()));
    assert_eq!(values["sku"], "zhang.san-x12", "another word that only begins so");
}

#[test]
fn patterns_are_hidden_in_any_text_but_not_in_identifiers() {
    let text = r#"{"title":"请打13812345678","so_id":"13812345679","x":"{\"y\":\"zhang@example.com\",\"n\":1.50}"}"#;
    let other = masked("", text);
    let values = parsed(&other);
    assert!(!other.contains("13812345678") && !other.contains("zhang@example.com"), "{other}");
    assert_eq!(values["so_id"], "13812345679");
    assert!(values["x"].as_str().unwrap().ends_with(",\"n\":1.50}"), "{other}");
}

#[test]
fn rules_name_more_places_and_take_some_back() {
    let text = r#"{"items":[{"price":"12.50","sku":"A1"},{"price":"12.50","sku":"A2"}],"remark":"vip 7"}"#;
    let values = parsed(&masked("/items/*/price\n!remark", text));
    assert_eq!(values["remark"], "vip 7");
    assert_eq!(values["items"][0]["price"], values["items"][1]["price"]);
    assert_ne!(values["items"][0]["price"], "12.50");
    assert_eq!(values["items"][0]["sku"], "A1");
}

#[test]
fn parameters_are_masked_by_value_and_by_their_own_rules() {
    let rules = Rules::parse("parameters:/owner").unwrap();
    let mut masker = Masker::new(&rules, &KEY);
    let document = masker.json(Holder::Document, r#"{"buyer_nick":"老客户甲"}"#);
    let text =
        r#"{"receiver":{"name":"define1"},"by_buyer":{"老客户甲":"C1"},"owner":"Li Lei","hotline":"13812345678"}"#;
    let parameters = parsed(&masker.json(Holder::Parameters, text));
    assert_eq!(parameters["receiver"]["name"], "define1", "a setting is no person");
    let nick = parsed(&document)["buyer_nick"].as_str().unwrap().to_owned();
    assert_eq!(parameters["by_buyer"][&nick], "C1", "{parameters}");
    assert!(parameters["owner"] != "Li Lei" && parameters["hotline"] != "13812345678", "{parameters}");
    assert_eq!(masker.text("老客户甲"), nick);
    assert_eq!(masker.text("shop/老客户甲"), format!("shop/{nick}"));
}

#[test]
fn different_values_stay_different_while_there_is_room() {
    let names: Vec<String> = (0..400).map(|n| format!("张{}", char::from_u32(0x4e00 + n).unwrap())).collect();
    let text = serde_json::to_string(&serde_json::json!({ "receiver_name": names })).unwrap();
    let other = parsed(&masked("", &text));
    let mut seen: Vec<&str> =
        other["receiver_name"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 400);
}

#[test]
fn any_document_stays_json_of_the_same_shape() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let piece = r#"("receiver_name"|"mobile"|"a"):("张三"|1[0-9]{0,12}|-0\.[0-9]{1,3}|"[a-c\\\\\\\\]{0,4}"|\[\]|\{\}|true|"\{\\\\"phone\\\\":1\}")"#;
    let text = format!("\\{{{piece}(,{piece}){{0,4}}\\}}");
    runner
        .run(&proptest::string::string_regex(&text).unwrap(), |text| {
            if serde_json::from_str::<Value>(&text).is_ok() {
                let other = parsed(&masked("", &text));
                let shape = |value: &Value| {
                    let fields = value.as_object().unwrap();
                    fields.iter().map(|(name, v)| (name.clone(), std::mem::discriminant(v))).collect::<Vec<_>>()
                };
                assert_eq!(shape(&other), shape(&parsed(&text)));
            }
            Ok(())
        })
        .unwrap();
}
