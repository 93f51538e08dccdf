//! What a guest may answer, and what counts as no answer.

use super::guests::{ECHO, guest};
use super::*;

fn check_invalid(component: &[u8], says: &str) {
    let run = run(component, &limits());
    assert_eq!(fault(&run).0, "guest_output_invalid");
    let message = run.verdict.unwrap_err().to_string();
    assert!(message.contains(says), "{message}");
}

#[test]
fn an_empty_emit_is_a_fault_and_not_nothing_to_do() {
    assert_eq!(fault(&run(&guest("(call $emit_list (i32.const 0) (i32.const 0))"), &limits())).0, "empty_emit");
}

#[test]
fn skip_and_reject_carry_their_reason() {
    for (how, is_skip) in [(1, true), (2, false)] {
        let run = run(&guest(&format!("(call $say (i32.const {how}) (i32.const 100) (i32.const 4))")), &limits());
        let (skipped, reason) = match run.verdict.unwrap() {
            Outcome::Skip(reason) => (true, reason),
            Outcome::Reject(reason) => (false, reason),
            Outcome::Emit(_) => panic!("emitted"),
        };
        assert_eq!((skipped, reason.code.as_str(), reason.field), (is_skip, "echo", None));
    }
}

#[test]
fn a_reason_without_a_usable_code_is_a_fault() {
    check_invalid(&guest("(call $say (i32.const 1) (i32.const 100) (i32.const 0))"), "snake_case");
}

#[test]
fn an_unusable_key_is_a_fault() {
    check_invalid(
        &guest("(call $emit (i32.const 0) (i32.const 0) (local.get $body) (local.get $body_len))"),
        "is empty",
    );
    let long = "(call $emit (i32.const 65536) (i32.const 513) (local.get $body) (local.get $body_len))";
    check_invalid(
        &guest(&format!("(memory.fill (i32.const 65536) (i32.const 65) (i32.const 513)) {long}")).clone(),
        "",
    );
}

#[test]
fn a_body_that_is_not_json_is_a_fault() {
    check_invalid(
        &guest("(call $emit (local.get $key) (local.get $key_len) (local.get $key) (local.get $key_len))"),
        "is not JSON",
    );
}

#[test]
fn a_body_nested_too_deep_is_a_fault_and_one_level_less_passes() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let run = |depth| run_document(&guest(ECHO), &limits(), &document("k", &nested(depth)));
    assert!(run(127).verdict.is_ok());
    assert_eq!(fault(&run(128)).0, "guest_output_invalid");
}

#[test]
fn two_bills_with_one_key_are_a_fault() {
    let twice = guest(
        r#"(i32.store (i32.const 1040) (local.get $key)) (i32.store (i32.const 1044) (local.get $key_len))
        (i32.store (i32.const 1048) (local.get $body)) (i32.store (i32.const 1052) (local.get $body_len))
        (memory.copy (i32.const 1056) (i32.const 1040) (i32.const 16))
        (call $emit_list (i32.const 1040) (i32.const 2))"#,
    );
    check_invalid(&twice, "two bills with the key k1");
}

#[test]
fn a_trap_is_the_guests_and_names_the_function() {
    let run = run(&guest("(call $emit (unreachable) (unreachable) (unreachable) (unreachable))"), &limits());
    assert_eq!(fault(&run).0, "guest_trap");
    assert!(run.verdict.unwrap_err().to_string().contains("unreachable"));
}

#[test]
fn pointers_out_of_bounds_and_broken_utf8_are_the_guests() {
    for body in [
        "(i32.const -4)",
        "(call $emit (local.get $key) (i32.const -1) (local.get $body) (local.get $body_len))",
        "(i32.store8 (local.get $key) (i32.const 255)) (call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))",
        "(call $say (i32.const 9) (i32.const 100) (i32.const 4))",
    ] {
        assert_eq!(fault(&run(&guest(body), &limits())).0, "guest_trap", "{body}");
    }
}

#[test]
fn a_look_up_has_three_answers_and_a_fourth_that_the_guest_never_sees() {
    let module = sandbox().load(&looks_up_its_key(), ModuleClass::Standard).unwrap();
    let tables = Tables(BTreeMap::from([
        (("a:b", "found"), Lookup::Found("{\"a\":1}".into())),
        (("a:b", "missing"), Lookup::KnownMissing),
        (("a:b", "pending"), Lookup::Pending),
    ]));
    let documents = ["found", "missing", "unknown", "pending", "found"].map(|key| document(key, "{}"));
    for isolation in [Isolation::Document, Isolation::Batch] {
        let runs = run_with(sandbox(), &module, &documents, isolation, &limits(), &tables);
        assert_eq!(emitted(&runs[0])[0].1, "{\"a\":1}");
        assert_eq!(runs[0].lookups, [("a:b".to_owned(), "found".to_owned(), Lookup::Found("{\"a\":1}".into()))]);
        assert!(matches!(runs[1].verdict, Ok(Outcome::Skip(_))), "known not to exist");
        assert!(matches!(runs[2].verdict, Ok(Outcome::Reject(_))), "no such table");
        assert_eq!(runs[3].verdict, Err(Error::ReferencePending { table: "a:b".into(), key: "pending".into() }));
        assert_eq!(runs[3].verdict.as_ref().unwrap_err().fault().code.as_str(), "reference_pending");
        assert!(runs[4].verdict.is_ok());
    }
}

#[test]
fn one_call_sees_one_answer_for_a_key() {
    struct Changing(std::sync::atomic::AtomicU32);
    impl References for Changing {
        fn lookup(&self, _: &str, _: &str) -> Lookup {
            Lookup::Found(self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst).to_string())
        }
    }
    let twice = guest(
        "(call $lookup (local.get $source) (local.get $source_len) (local.get $key) (local.get $key_len) (i32.const 4096))
         (call $lookup (local.get $source) (local.get $source_len) (local.get $key) (local.get $key_len) (i32.const 4096))
         (call $emit (local.get $key) (local.get $key_len) (i32.load (i32.const 4104)) (i32.load (i32.const 4108)))",
    );
    let module = sandbox().load(&twice, ModuleClass::Standard).unwrap();
    let changing = Changing(0.into());
    let documents = [document("k", "{}"), document("k", "{}")];
    let runs = run_with(sandbox(), &module, &documents, Isolation::Batch, &limits(), &changing);
    assert_eq!((emitted(&runs[0])[0].1.as_str(), emitted(&runs[1])[0].1.as_str()), ("0", "1"));
}

#[test]
fn every_error_has_a_fault_with_words_and_names_its_limit_in_the_settings_spelling() {
    let settings = serde_json::to_value(Settings::default()).unwrap();
    let errors = [
        Error::FuelExhausted { limit: 1 },
        Error::DeadlinePassed { limit_ms: 1, elapsed_ms: 2, fuel_left: 3 },
        Error::MemoryExhausted { limit: 1, wanted: 2, trap: "t".into() },
        Error::TableExhausted { limit: 1, wanted: 2, trap: "t".into() },
        Error::StackOverflow { limit: 1 },
        Error::CrossingTooLarge { limit: 1 },
        Error::OutputTooLarge { limit: 1, used: 2 },
        Error::TooManyTargetDocuments { limit: 1, used: 2 },
        Error::HostCallsExhausted { limit: 1 },
        Error::LookupBytesExhausted { limit: 1, used: 2 },
        Error::DocumentTooLarge { limit: 1, used: 2 },
        Error::ParametersTooLarge { limit: 1, used: 2 },
        Error::CompileLimit { limit_name: "locals", limit: 1, used: 2 },
    ];
    for error in errors {
        let fault = error.fault();
        let limit = fault.limit.unwrap_or_else(|| panic!("{error:?} names no limit"));
        assert!(
            settings.get(&limit.name).is_some() || settings["standard"].get(&limit.name).is_some(),
            "{} is not a setting",
            limit.name
        );
        assert!(!fault.message.is_empty());
    }
}
