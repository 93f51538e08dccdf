//! What people may ask, and what is kept.

use super::*;

#[test]
fn only_a_parked_version_can_be_retried_or_discarded() {
    let mut tale = Tale::new();
    assert_eq!(tale.retry(1, RetryMode::Plain), Err(Refusal::NoSuchVersion(1)));
    assert_eq!(tale.discard(1), Err(Refusal::NoSuchVersion(1)));
    tale.written("a");
    assert_eq!(tale.retry(1, RetryMode::Plain), Err(Refusal::NotParked(1)));
    assert_eq!(tale.discard(1), Err(Refusal::NotParked(1)));
}

#[test]
fn a_parked_version_with_a_newer_one_cannot_be_retried() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x"), ("B", "y")]).dispatch("A").dispatch("B").done("A", None).refused("B", "7");
    tale.received("b");
    assert_eq!(tale.retry(1, RetryMode::Plain), Err(Refusal::Outdated(2)));
}

#[test]
fn an_unaudited_version_is_not_taken_up_while_a_newer_one_is_at_work() {
    // Both were then under way under one key.
    let mut tale = Tale::on_change(OnChange::Update);
    tale.received("a").emit(&[("A", "x")]).dispatch("A").told("A", saved(Step::Audit)).received("b");
    assert_eq!(tale.retry(1, RetryMode::Plain), Err(Refusal::Outdated(2)));
    tale.emit(&[("A", "b")]);
    assert_eq!(tale.retry(1, RetryMode::IChecked), Err(Refusal::Outdated(2)));
}

#[test]
fn a_retry_waits_for_an_older_write_under_way() {
    // It began at once, beside the request of the older version.
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A");
    let fault = Some(Fault::park(Code::DocumentTooLarge, "too large"));
    tale.event(Event::Received { body: Digest::of("b"), cancelled: false, fault });
    tale.retry(2, RetryMode::Plain).unwrap();
    assert_eq!((tale.phase(2), tale.actions.len()), (&Phase::Held, 0));
    tale.done("A", None);
    assert_eq!(*tale.phase(2), Phase::Received { tries: 0 });
}

#[test]
fn a_discarded_version_is_done_and_reading_it_again_does_not_bring_it_back() {
    let mut tale = Tale::new();
    tale.received("a").verdict(1, Verdict::Reject(reason()));
    tale.discard(1).unwrap();
    assert_eq!(*tale.end(1), End::Discarded { reason: "enough".into() });
    tale.received("a");
    assert!(!tale.changed);
}

#[test]
fn pruning_never_drops_an_unfinished_version_nor_the_latest() {
    let mut tale = Tale::on_change(OnChange::Update);
    tale.received("a").emit(&[("A", "x")]).dispatch("A").told("A", saved(Step::Audit));
    for number in 2..60_u64 {
        tale.received(&format!("body {number}")).verdict(number, Verdict::Reject(reason()));
        assert_eq!(tale.latest(), number);
        assert!(matches!(tale.phase(1), Phase::Parked { .. }));
    }
    assert!(tale.subject.versions.len() < 20);
}

fn edit(tale: &mut Tale, version: u64, body: &str) -> Result<(), Refusal> {
    tale.try_event(&Event::Edited { version, body: Digest::of(body), by: Some("li".into()) })
}

fn erase(tale: &mut Tale) -> Result<(), Refusal> {
    tale.try_event(&Event::Erased { reason: "asked for".into(), by: Some("li".into()) })
}

#[test]
fn an_edit_runs_in_the_place_of_the_parked_version_and_says_where_it_comes_from() {
    let mut tale = Tale::new();
    tale.received("a").verdict(1, Verdict::Reject(reason()));
    let received_at = tale.subject.version(1).unwrap().received_at;
    tale.wait(SETTLE);
    edit(&mut tale, 1, "mended").unwrap();
    assert_eq!(*tale.end(1), End::Superseded { by: 2 });
    let edited = tale.subject.version(2).unwrap();
    let source = Edited { from: 1, source: Digest::of("a"), at: tale.now, by: Some("li".into()) };
    assert_eq!(edited.edited, Some(source));
    assert_eq!((edited.body, edited.received_at), (Digest::of("mended"), received_at));
    assert!(tale.has(|action| matches!(action, Action::Transform { version: 2, .. })));
    tale.emit(&[("A", "mended")]).dispatch("A").done("A", None);
    assert_eq!(*tale.end(2), End::Written);
}

#[test]
fn the_source_serving_what_was_edited_is_nothing_new_and_serving_something_else_is() {
    for is_written in [false, true] {
        let mut tale = Tale::on_change(OnChange::Update);
        tale.received("a").verdict(1, Verdict::Reject(reason()));
        edit(&mut tale, 1, "mended").unwrap();
        tale.received("a");
        assert!(!tale.changed, "served again, while the edit runs");
        tale.emit(&[("A", "mended")]);
        if is_written {
            tale.dispatch("A").done("A", None);
        }
        tale.received("a");
        assert!(!tale.changed, "served again, after it ran");
        // What the person wrote, from the source: it is the source's now.
        tale.received("mended");
        assert_eq!((tale.latest(), tale.subject.version(3).unwrap().edited.clone()), (3, None));
        tale.received("a");
        assert_eq!(tale.latest(), 4, "the source went back");
        if !is_written {
            assert_eq!(*tale.end(2), End::Superseded { by: 3 });
        }
    }
}

#[test]
fn an_edit_of_an_edit_still_knows_what_the_source_serves() {
    let mut tale = Tale::new();
    tale.received("a").verdict(1, Verdict::Reject(reason()));
    edit(&mut tale, 1, "one").unwrap();
    tale.verdict(2, Verdict::Reject(reason()));
    edit(&mut tale, 2, "two").unwrap();
    tale.received("a");
    assert!(!tale.changed);
    // Also where the row has forgotten the source's own version.
    for number in 3..40_u64 {
        tale.verdict(number, Verdict::Reject(reason()));
        edit(&mut tale, number, &format!("edit {number}")).unwrap();
    }
    assert_eq!(tale.subject.version(1), None);
    tale.received("a");
    assert!(!tale.changed);
}

#[test]
fn what_may_have_been_written_cannot_be_edited() {
    let park = |answer: fn(&mut Tale)| {
        let mut tale = Tale::unaskable();
        tale.received("a").emit(&[("A", "x"), ("B", "y")]).dispatch("A").dispatch("B");
        answer(&mut tale);
        tale
    };
    let lost = |tale: &mut Tale| {
        tale.refused("A", "7").lost("B");
    };
    let half = |tale: &mut Tale| {
        tale.done("A", None).refused("B", "7");
    };
    let unaudited = |tale: &mut Tale| {
        tale.refused("A", "7").told("B", saved(Step::Audit));
    };
    for answer in [lost, half, unaudited] {
        let mut tale = park(answer);
        assert_eq!(edit(&mut tale, 1, "mended"), Err(Refusal::MayBeWritten(1)), "{:#?}", tale.subject);
        assert_eq!(tale.latest(), 1);
    }
    // Of a version that was overtaken, the newer one is the reason.
    let mut overtaken = park(half);
    overtaken.received("b");
    assert_eq!(edit(&mut overtaken, 1, "mended"), Err(Refusal::Outdated(2)));
    let mut refused = park(|tale| {
        tale.refused("A", "7").refused("B", "7");
    });
    edit(&mut refused, 1, "mended").unwrap();
}

#[test]
fn an_edit_is_refused_where_there_is_nothing_to_edit() {
    let mut tale = Tale::new();
    assert_eq!(edit(&mut tale, 1, "mended"), Err(Refusal::NoSuchVersion(1)));
    tale.received("a");
    assert_eq!(edit(&mut tale, 1, "mended"), Err(Refusal::NotParked(1)));
    tale.verdict(1, Verdict::Reject(reason()));
    assert_eq!(edit(&mut tale, 1, "a"), Err(Refusal::SameBody(1)));
    let fault = Some(Fault::park(Code::KeyMissing, "no key"));
    tale.event(Event::Received { body: Digest::of("b"), cancelled: false, fault });
    assert_eq!(edit(&mut tale, 2, "mended"), Err(Refusal::NoKey(2)));
    assert_eq!(edit(&mut tale, 1, "mended"), Err(Refusal::NotParked(1)));
}

#[test]
fn an_edit_of_a_changed_document_may_change_what_is_written_as_a_retry_may() {
    let mut tale = Tale::new();
    tale.written("a").received("b").emit(&[("A", "b")]);
    assert_eq!(tale.parked(2), Code::ChangedAfterWrite);
    edit(&mut tale, 2, "mended").unwrap();
    tale.emit(&[("A", "mended")]);
    assert!(matches!(tale.phase(3), Phase::Writing { .. }), "{:#?}", tale.subject);
}

#[test]
fn an_edit_waits_for_an_older_write_under_way() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A");
    let fault = Some(Fault::park(Code::DocumentTooLarge, "too large"));
    tale.event(Event::Received { body: Digest::of("b"), cancelled: false, fault });
    edit(&mut tale, 2, "mended").unwrap();
    assert_eq!((tale.phase(3), tale.end(2)), (&Phase::Held, &End::Superseded { by: 3 }));
    tale.done("A", None);
    assert_eq!(*tale.phase(3), Phase::Received { tries: 0 });
}

#[test]
fn a_retry_keeps_the_module_it_names_until_the_next_retry() {
    let mut tale = Tale::new();
    tale.received("a").verdict(1, Verdict::Reject(reason()));
    let retry = |module| Event::Retry { version: 1, mode: RetryMode::Plain, module, by: None };
    let chosen = |tale: &Tale| tale.subject.version(1).unwrap().chosen_module;
    tale.event(retry(Some(Digest::of("older"))));
    assert_eq!(chosen(&tale), Some(Digest::of("older")));
    tale.verdict(1, Verdict::Reject(reason()));
    assert_eq!(chosen(&tale), Some(Digest::of("older")));
    tale.event(retry(None));
    assert_eq!(chosen(&tale), None);
}

#[test]
fn no_module_can_be_chosen_for_bills_that_were_sent() {
    let mut tale = Tale::new();
    tale.received("a").emit(&[("A", "x")]).dispatch("A").told("A", saved(Step::Audit));
    let event = Event::Retry { version: 1, mode: RetryMode::Plain, module: Some(Digest::of("older")), by: None };
    assert_eq!(tale.try_event(&event), Err(Refusal::NothingToRun(1)));
}

#[test]
fn an_erased_document_has_ended_and_nothing_that_anybody_wrote_is_left_in_its_row() {
    let secret = || Reason { code: "for 张三".into(), message: "张三".into(), field: Some("/张三".into()) };
    let mut skipped = Tale::new();
    skipped.received("a").verdict(1, Verdict::Skip(secret()));
    let mut parked = Tale::new();
    parked.received("a").verdict(1, Verdict::Reject(secret()));
    let mut refused = Tale::new();
    refused.received("a").emit(&[("A", "x")]).dispatch("A");
    refused.told("A", Told::Refused { code: "7".into(), message: "张三".into(), saved: None });
    let mut discarded = refused.clone();
    discarded.event(Event::Discard { version: 1, reason: "张三".into(), by: None });
    let mut waiting = Tale::new();
    waiting.received("a").verdict(1, missed("张三"));
    let mut received = Tale::new();
    received.received("a");
    let mut superseded = waiting.clone();
    superseded.received("b");
    for mut tale in [skipped, parked, refused, discarded, waiting, received, superseded] {
        erase(&mut tale).unwrap();
        assert!(!tale.subject.is_open(), "{:#?}", tale.subject);
        let row = serde_json::to_string(&tale.subject).unwrap();
        assert!(!row.contains("张三"), "{row}");
        let latest = tale.latest();
        assert!(tale.subject.is_erased(latest));
        let body = if latest == 1 { "a" } else { "b" };
        tale.received(body);
        assert!(!tale.changed, "read again, it is known");
        erase(&mut tale).unwrap();
        assert!(!tale.changed, "erased once is erased");
        assert!(matches!(tale.retry(latest, RetryMode::Plain), Err(Refusal::Removed { .. })));
        // A verdict that was on its way comes too late.
        tale.verdict(latest, emit(&[("A", "x")]));
        assert!(!tale.changed);
        tale.received("new");
        assert_eq!(*tale.phase(latest + 1), Phase::Received { tries: 0 });
    }
}

#[test]
fn nothing_is_erased_while_a_write_is_under_way_or_its_fate_unknown() {
    let mut tale = Tale::unaskable();
    tale.received("a").emit(&[("A", "x")]);
    assert_eq!(erase(&mut tale), Err(Refusal::BeingWritten(1)));
    tale.dispatch("A").received("b");
    assert_eq!(erase(&mut tale), Err(Refusal::BeingWritten(1)));
    tale.lost("A");
    assert_eq!(erase(&mut tale), Err(Refusal::FateUnknown(1)));
    tale.discard(1).unwrap();
    erase(&mut tale).unwrap();
}

#[test]
fn an_erased_bill_is_still_known_to_stand() {
    let mut tale = Tale::on_change(OnChange::Update);
    tale.written("a");
    erase(&mut tale).unwrap();
    tale.received("b").emit(&[("A", "a")]);
    assert_eq!(*tale.end(2), End::Unchanged);
}

#[test]
fn lines_and_rows_of_an_earlier_crossdock_are_read() {
    let retry: Event = serde_json::from_str(r#"{"retry":{"version":1,"mode":"after_verify"}}"#).unwrap();
    assert_eq!(retry, Event::Retry { version: 1, mode: RetryMode::AfterVerify, module: None, by: None });
    let discard: Event = serde_json::from_str(r#"{"discard":{"version":2,"reason":"enough"}}"#).unwrap();
    assert_eq!(discard, Event::Discard { version: 2, reason: "enough".into(), by: None });
    assert_eq!(serde_json::to_string(&discard).unwrap(), r#"{"discard":{"version":2,"reason":"enough"}}"#);
    let digest = Digest::of("a").to_string();
    let row = format!(
        r#"{{"versions":[{{"number":1,"body":"{digest}","received_at":"2026-11-01T00:00:00Z","cancelled":false,"module":null,
        "fuel":0,"approved":false,"phase":{{"received":{{"tries":0}}}}}}],"targets":{{}},"events":1,
        "reduced":{{"at":"2026-11-01T00:00:00Z","through":0}}}}"#
    );
    let subject: Subject = serde_json::from_str(&row).unwrap();
    let version = subject.latest().unwrap();
    assert_eq!((version.edited.as_ref(), version.chosen_module, version.served()), (None, None, Digest::of("a")));
    assert!(!subject.reduced.unwrap().erased);
}
