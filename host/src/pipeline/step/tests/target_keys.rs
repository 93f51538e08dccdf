//! Rule 6: target keys.

use super::*;

#[test]
fn other_fewer_or_more_target_keys_after_a_write_park() {
    for bills in [&[("B", "y")][..], &[("A", "y"), ("B", "y")][..], &[("B", "y"), ("C", "y")][..]] {
        let mut tale = Tale::on_change(OnChange::Update);
        tale.written("a").received("b").emit(bills);
        assert_eq!(tale.parked(2), Code::TargetKeysChanged, "{bills:?}");
        assert!(!tale.has(|action| matches!(action, Action::Enqueue { .. } | Action::Ask { .. })));
    }
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x"), ("B", "x")]).dispatch("A").dispatch("B").done("A", None).done("B", None);
    tale.received("b").emit(&[("A", "x")]);
    assert_eq!(tale.parked(2), Code::TargetKeysChanged);
}

#[test]
fn target_keys_whose_write_was_refused_may_change() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").refused("A", "7").received("b").emit(&[("B", "y")]);
    assert_eq!(tale.bill("B").fate, Fate::Ready);
}

#[test]
fn a_target_key_that_another_document_owns_parks() {
    let mut tale = Tale::new();
    let taken_by = Some(DocumentKey::new("other").unwrap());
    let emitted = vec![Emitted { key: key("A"), body: Digest::of("x"), taken_by, frozen: None }];
    tale.received("a").verdict(1, Verdict::Emit(emitted));
    assert_eq!(tale.parked(1), Code::TargetKeyTaken);
    assert!(tale.subject.targets.is_empty());
}

#[test]
fn a_module_that_now_skips_what_was_written_parks() {
    let mut tale = Tale::on_change(OnChange::Update);
    tale.written("a").received("b").verdict(2, Verdict::Skip(reason()));
    assert_eq!(tale.parked(2), Code::TargetKeysChanged);
}
