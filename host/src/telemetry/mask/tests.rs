use super::*;

#[track_caller]
fn check_json(text: &str, masked: &str) {
    assert_eq!(mask_json(text), masked);
}

#[track_caller]
fn check_text(text: &str, masked: &str) {
    assert_eq!(mask_text(text), masked);
}

#[test]
fn masks_every_listed_field_and_keeps_it_recognisable() {
    for (field, value, masked) in [
        ("receiver_name", "张三", "张*"),
        ("receiver_name", "欧阳修文", "欧***"),
        ("receiver_mobile", "13812345678", "138****5678"),
        ("receiver_phone", "010-12345678", "010****5678"),
        ("receiver_telno", "8812345", "****345"),
        ("receiver_address", "浙江省杭州市余杭区文一西路969号", "浙江省***"),
        ("receiver_address", "中关村大街1号", "中***"),
        ("receiver_zip", "310000", "31****"),
        ("buyer_nick", "tb12345678", "t***"),
        ("shop_buyer_id", "buyer-00017", "bu***17"),
        ("buyer_account", "a@b", "***"),
        ("buyer_email", "zhang.san@example.com", "z***@example.com"),
        ("id_card", "11010519491231002X", "110***********2X"),
        ("open_id", "AAEexampleopenid", "AA***id"),
        ("oaid", "1ABCDEFGH2", "1A***H2"),
        ("invoice_title", "李四", "李*"),
        ("FLinkMan", "王五", "王*"),
        ("FLinkPhone", "13900001111", "139****1111"),
        ("FReceiveAddress", "上海市徐汇区某某路100弄", "上海市***"),
        ("customername", "张三", "张*"),
        ("personname", "赵六", "赵*"),
    ] {
        check_json(&format!(r#"{{"{field}":"{value}"}}"#), &format!(r#"{{"{field}":"{masked}"}}"#));
    }
}

#[test]
fn leaves_everything_else_byte_for_byte() {
    for text in [
        r#"{ "io_id" : 10000000000000000001, "price": 1.10e1,  "qty":-0.0000, "ok":true, "x":null }"#,
        r#"{"so_id":"13812345678","l_id":"YT13812345678","tid":"110105194912310021"}"#,
        r#"{"customername":"某某商贸有限公司","receiver_city":"杭州市","receivename":"销售出库"}"#,
        r#"{"receiver_name":null,"receiver_mobile":"","receiver_phone":[]}"#,
        "{\"remark\":\"\\u5feb\\u70b9 \\/ please\"}",
        r#"[1,2,[{"a":"b"}], 13812345678]"#,
        "",
        "not json at all",
    ] {
        check_json(text, text);
    }
}

#[test]
fn masks_at_any_depth_and_everything_below_a_personal_field() {
    check_json(r#"{"a":[{"b":{"receiver_name":"张三","qty":1}}]}"#, r#"{"a":[{"b":{"receiver_name":"张*","qty":1}}]}"#);
    check_json(
        r#"{"receiver_mobile":["13812345678","13912345678"],"n":"13812345678 "}"#,
        r#"{"receiver_mobile":["138****5678","139****5678"],"n":"138****5678 "}"#,
    );
    check_json(
        r#"{"receiver":{"given":"张三","x":["李四"]},"a":"b"}"#,
        r#"{"receiver":{"given":"张*","x":["李*"]},"a":"b"}"#,
    );
}

#[test]
fn a_telephone_written_as_a_number_is_hidden_and_becomes_a_string() {
    check_json(r#"{"receiver_mobile": 13812345678, "qty": 2}"#, r#"{"receiver_mobile": "138****5678", "qty": 2}"#);
}

#[test]
fn looks_into_json_inside_a_string() {
    check_json(
        r#"{"trade_list":"[{\"receiver_name\":\"张三\",\"num\":1.50}]"}"#,
        r#"{"trade_list":"[{\"receiver_name\":\"张*\",\"num\":1.50}]"}"#,
    );
    let deep = (0..8)
        .fold(r#"{"receiver_name":"张三"}"#.to_owned(), |inner, _| serde_json::json!({ "x": inner }).to_string());
    assert!(!mask_json(&deep).contains("张三"), "{}", mask_json(&deep));
}

#[test]
fn an_escaped_value_is_understood_before_it_is_masked() {
    check_json("{\"receiver_name\":\"\\u5f20\\u4e09\"}", r#"{"receiver_name":"张*"}"#);
    check_json("{\"receiver\\u005fname\":\"张三\"}", "{\"receiver\\u005fname\":\"张*\"}");
}

#[test]
fn a_document_that_was_cut_off_is_masked_as_far_as_it_goes() {
    check_json(r#"{"a":1,"receiver_name":"张三"#, r#"{"a":1,"receiver_name":"张*"#);
    check_json(
        r#"{"receiver_mobile":"13812345678","receiver_add"#,
        r#"{"receiver_mobile":"138****5678","receiver_add"#,
    );
    assert!(!mask_json(r#"{"x":"{\"receiver_name\":\"张三\",\"b\":\"\u5f"#).contains("张三"));
}

#[test]
fn masks_patterns_in_what_people_write() {
    check_text("请打13812345678，谢谢", "请打138****5678，谢谢");
    check_text("+86 138 1234 5678 or 138-1234-5678.", "+86 138 **** 5678 or 138-****-5678.");
    check_text("8613812345678", "86138****5678");
    check_text("身份证 11010519491231002X。", "身份证 110***********2X。");
    check_text("write to zhang.san@example.com.", "write to z***@example.com.");
    check_json(r#"{"remark":"电话 13812345678"}"#, r#"{"remark":"电话 138****5678"}"#);
}

#[test]
fn numbers_that_are_not_a_persons_stay() {
    for text in [
        "12345678901",
        "order 123456789012345678 refused",
        "1381234567",
        "138123456789",
        "110105199913310021",
        "2026-11-21 10:00:00.123456",
        "a@b",
        "10.0.0.1:8787",
    ] {
        check_text(text, text);
    }
}

#[test]
fn masks_pairs_and_quoted_json_in_a_message() {
    check_text("receiver_name=张三&qty=2&receiver_mobile=0571-88", "receiver_name=张*&qty=2&receiver_mobile=****-88");
    check_text("refused: receiver_name: 张三, qty: 2", "refused: receiver_name: 张*, qty: 2");
    check_text(r#"refused {"receiver_name":"张三"} (13812345678)"#, r#"refused {"receiver_name":"张*"} (138****5678)"#);
}

#[test]
fn an_address_in_a_text_is_hidden_to_its_end() {
    check_text("receiver_address: 浙江省 杭州市 余杭区, 文一西路969号", "receiver_address: 浙江省***");
    check_text("receiver_name: Zhang San\nqty 2", "receiver_name: Z***\nqty 2");
}

#[test]
fn understands_other_quotes_and_tags() {
    check_text("{'receiver_name': '张三', 'qty': 2}", "{'receiver_name': '张*', 'qty': 2}");
    check_text("body={\\\"receiver_name\\\":\\\"张三\\\"", "body={\\\"receiver_name\\\":\\\"张*\\\"");
    check_text("<receiver_name>张三</receiver_name> refused", "<receiver_name>张*</receiver_name> refused");
}

#[test]
fn a_page_that_is_no_json_is_masked_as_a_text() {
    check_json("<html>call 13812345678</html>", "<html>call 138****5678</html>");
}

#[test]
fn numbers_in_nested_json_stay_numbers() {
    let text = r#"{"content":"{\"io_id\":13812345678,\"price\":1.10}"}"#;
    check_json(text, text);
}

#[test]
fn survives_any_mixture_of_quotes_brackets_and_separators() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let text = r#"(["\\{}\[\],:=<>/@ 张：]|maker|1381234|5678|address|\\u5f|é){0,24}"#;
    runner
        .run(&proptest::string::string_regex(text).unwrap(), |text| {
            // Only a mask may lengthen a text, and there are less than thirty pieces.
            for masked in [mask_text(&text), mask_json(&text)] {
                assert!(masked.len() <= text.len() * 2 + 300, "{text} became {masked}");
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn never_panics_and_never_lengthens_without_bound() {
    for text in ["\"", "\"\\", "{\"a", "}}]]", "\"receiver_name\":", "：", "receiver_name：张三", "=", "é=\"", "张:三"]
    {
        let masked = mask_text(text);
        assert!(masked.len() <= text.len() * 3 + 20, "{text} became {masked}");
        mask_json(text);
    }
}
