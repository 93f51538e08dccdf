use super::*;

async fn edit(rig: &Rig, key: &str, body: &str) -> Result<u64, OfficeError> {
    rig.office.command(Some(&tenant(ACME)), &wish(key, Wish::Edit { body: body.into() })).await
}

#[tokio::test]
async fn an_edit_is_shown_with_the_original_and_with_who_made_it() {
    let rig = Rig::new();
    rig.parked(ACME, "d", "no customer").await;
    let original = "{\"of\":\"acme d\"}";
    assert_eq!(edit(&rig, "d", "{\"of\": \"somebody else\"}").await.unwrap(), 2);
    let view = rig.office.show(None, None, "d", true);
    let Err(OfficeError::Ambiguous(_)) = view else {
        let view = view.unwrap();
        let bodies: Vec<_> = view.versions.iter().map(|version| version.body.clone().unwrap()).collect();
        assert_eq!(bodies, [original, "{\"of\": \"somebody else\"}"], "byte for byte");
        let edited = view.versions[1].edited.clone().unwrap();
        assert_eq!((edited.from, edited.by.as_deref()), (1, Some("li")));
        let last = view.history.last().unwrap().event.get();
        assert!(last.contains("\"edited\"") && last.contains("\"by\":\"li\""), "{last}");
        return;
    };
    panic!("one scheme knows it");
}

#[tokio::test]
async fn a_body_that_no_source_could_have_served_is_refused() {
    let rig = Rig::new();
    rig.parked(ACME, "d", "no customer").await;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(1_000), "]".repeat(1_000));
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(100));
    let cases = [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[{}]", "no object"),
        ("\"text\"", "no object"),
        ("{} {}", "not JSON"),
        (long.as_str(), "takes 100"),
        (deep.as_str(), "takes 100"),
    ];
    for (body, why) in cases {
        let refused = edit(&rig, "d", body).await.unwrap_err();
        assert!(refused.to_string().contains(why), "{body}: {refused}");
    }
    assert_eq!(rig.subject(ACME, "d").versions.len(), 1);
}

#[tokio::test]
async fn who_asks_for_an_unknown_document_hears_where_it_was_looked_for() {
    let rig = Rig::new();
    let refused = edit(&rig, "nobodys", "{}").await.unwrap_err().to_string();
    assert!(refused.contains("looked in: saleout") && refused.contains("document list"), "{refused}");
}

#[tokio::test]
async fn an_erased_document_says_so_and_shows_nothing_else() {
    let rig = Rig::new();
    rig.parked(ACME, "d", "zhang san has no customer").await;
    let erase = Wish::Erase { reason: "asked for".into() };
    assert_eq!(rig.office.command(None, &wish("d", erase)).await.unwrap(), 1);
    let view = rig.office.show(None, None, "d", true).unwrap();
    let version = &view.versions[0];
    assert!(version.erased && version.removed_at.is_some() && version.body.is_none());
    assert_eq!((version.summary.state, version.summary.message.as_deref()), (DocumentState::Discarded, Some("erased")));
    assert_eq!(view.history.len(), 1);
    let line = view.history[0].event.get();
    assert!(line.contains("asked for") && line.contains("li"), "{line}");
}

#[tokio::test]
async fn nothing_is_lost_of_a_long_history_where_the_erasure_is_refused() {
    let rig = Rig::new();
    // Longer than what goes in one commit.
    for number in 0..600 {
        rig.received(ACME, "d", &format!("{{\"number\":{number}}}")).await;
    }
    let bill = crate::pipeline::step::Emitted {
        key: crate::model::TargetKey::new("T").unwrap(),
        body: Digest::of("bill"),
        taken_by: None,
        frozen: None,
    };
    rig.verdict(ACME, "d", Verdict::Emit(vec![bill])).await;
    let refused = rig.office.command(None, &wish("d", Wish::Erase { reason: "asked for".into() })).await;
    assert!(refused.unwrap_err().to_string().contains("a write of version 600 is under way"));
    let lines = rig.ledger(ACME).lines_after(&DocumentKey::new("d").unwrap(), None, 10_000).unwrap();
    assert_eq!(lines.len(), 601);
    assert_eq!(rig.ledger(ACME).bodies(None, 10_000).unwrap().len(), 600);
}
