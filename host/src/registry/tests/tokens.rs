use super::*;

fn new(role: Role) -> NewToken {
    let expires_at = "2026-11-23T08:00:00Z".parse().unwrap();
    NewToken { name: "a machine".into(), role, rights: Rights { unmask: true }, expires_at }
}

async fn token(desk: &Desk) -> (Token, TokenText) {
    desk.registry.create_token(&admin(), Some(&acme()), new(Role::TenantDeveloper)).await.unwrap()
}

#[tokio::test]
async fn a_token_lets_in_whom_it_was_made_for() {
    let desk = Desk::new().await;
    let (made, text) = token(&desk).await;
    assert!(text.expose().starts_with("cd1~acme~"), "the tenant can be told from a leaked token");
    let found = desk.registry.authenticate(text.expose()).unwrap();
    assert_eq!(found, made);
    assert_eq!((found.tenant, found.role, found.rights.unmask), (Some(acme()), Role::TenantDeveloper, true));
    assert_eq!((found.created_at, found.created_by.as_str()), (desk.now(), "t-admin"));

    let operator = desk.registry.create_token(&Actor::console(), None, new(Role::Operator)).await.unwrap();
    assert!(operator.1.expose().starts_with("cd1~~"));
    assert_eq!(desk.registry.authenticate(operator.1.expose()).unwrap().tenant, None);
    assert_eq!(desk.registry.tokens(None, None, 10).unwrap(), [operator.0]);
    assert_eq!(desk.registry.tokens(Some(&acme()), None, 10).unwrap(), [made]);
}

#[tokio::test]
async fn expired_revoked_and_unknown_tokens_are_told_apart_for_the_log_alone() {
    let desk = Desk::new().await;
    let (made, text) = token(&desk).await;
    let refused = |text: &str| desk.registry.authenticate(text).unwrap_err();

    let wrong_secret = format!("{}{}", &text.expose()[..text.expose().len() - 43], "A".repeat(43));
    assert_eq!(refused(&wrong_secret), Unauthenticated::Unknown);
    let other_tenant = text.expose().replacen("acme", "ace", 1);
    assert_eq!(refused(&other_tenant), Unauthenticated::Unknown);
    assert_eq!(refused(&text.expose().replacen("acme", "", 1)), Unauthenticated::Unknown, "nor the operator's");
    let long = format!("cd1~acme~{}", "x".repeat(1 << 20));
    let malformed =
        ["", "~", "~~~", "cd1", "cd1~acme", "Bearer x", "cd1~../x~a~b", "cd1~a\0b~a~b", "cd2~acme~a~b", &long];
    for text in malformed {
        assert_eq!(refused(text), Unauthenticated::Malformed, "{:?}", &text[..text.len().min(40)]);
    }
    assert_eq!(refused(&format!("{}~", text.expose())), Unauthenticated::Malformed);
    assert_eq!(refused(&text.expose().to_uppercase()), Unauthenticated::Malformed);

    desk.pass(SignedDuration::from_hours(24));
    assert_eq!(refused(text.expose()), Unauthenticated::Expired, "at the very instant");
    desk.pass(-SignedDuration::from_secs(1));
    assert!(desk.registry.authenticate(text.expose()).is_ok());
    desk.registry.revoke_token(&admin(), Some(&acme()), &made.id).await.unwrap();
    assert_eq!(refused(text.expose()), Unauthenticated::Revoked);
    desk.pass(SignedDuration::from_hours(24));
    assert_eq!(refused(&wrong_secret), Unauthenticated::Unknown, "who has not the secret learns not even that");
}

#[tokio::test]
async fn the_text_of_a_token_is_nowhere_but_in_its_answer() {
    let desk = Desk::new().await;
    let (made, text) = token(&desk).await;
    let secret = text.expose().rsplit('~').next().unwrap();
    for (table, _, bytes) in desk.everything() {
        let row = String::from_utf8_lossy(&bytes);
        assert!(!row.contains(secret), "{table:?}: {row}");
    }
    let shown = format!("{made:?} {text:?} {}", serde_json::to_string(&made).unwrap());
    assert!(!shown.contains(secret) && !shown.contains("hash"), "{shown}");
}

#[tokio::test]
async fn nobody_makes_a_token_above_his_own_role_or_for_another_scope() {
    let desk = Desk::new().await;
    let refused = |actor: Actor, tenant: Option<TenantId>, new: NewToken| {
        let registry = desk.registry.clone();
        async move {
            match registry.create_token(&actor, tenant.as_ref(), new).await {
                Err(Error::Invalid { field, .. }) => field,
                other => panic!("{other:?}"),
            }
        }
    };
    let developer = Actor { role: Role::TenantDeveloper, ..admin() };
    assert_eq!(refused(developer, Some(acme()), new(Role::TenantAdmin)).await, "/role");
    assert_eq!(refused(admin(), Some(acme()), new(Role::Operator)).await, "/role");
    assert_eq!(refused(admin(), None, new(Role::Operator)).await, "/role", "an admin is no operator");
    assert_eq!(refused(Actor::console(), None, new(Role::TenantAdmin)).await, "/role");
    for expires_at in ["2026-11-22T08:00:00Z", "2026-11-01T00:00:00Z", "2036-01-01T00:00:00Z"] {
        let new = NewToken { expires_at: expires_at.parse().unwrap(), ..new(Role::TenantViewer) };
        assert_eq!(refused(admin(), Some(acme()), new).await, "/expires_at");
    }
    for name in ["", "  ", "a\nb", &"x".repeat(101)] {
        let new = NewToken { name: name.into(), ..new(Role::TenantViewer) };
        assert_eq!(refused(admin(), Some(acme()), new).await, "/name");
    }
    let nope = TenantId::new("nope").unwrap();
    let nobodys = desk.registry.create_token(&CONSOLE, Some(&nope), new(Role::TenantAdmin));
    assert!(matches!(nobodys.await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn when_a_token_was_used_is_noted_now_and_then() {
    let desk = Desk::new().await;
    let (made, text) = token(&desk).await;
    desk.registry.note_use(&made).await.unwrap();
    let noted = desk.registry.authenticate(text.expose()).unwrap();
    assert_eq!(noted.last_used_at, Some(desk.now()));
    desk.pass(SignedDuration::from_mins(14));
    desk.registry.note_use(&noted).await.unwrap();
    assert_eq!(desk.registry.authenticate(text.expose()).unwrap(), noted, "not with every request");
    desk.pass(SignedDuration::from_mins(1));
    desk.registry.note_use(&noted).await.unwrap();
    assert_eq!(desk.registry.authenticate(text.expose()).unwrap().last_used_at, Some(desk.now()));
    desk.registry.revoke_token(&admin(), Some(&acme()), &made.id).await.unwrap();
    desk.registry.note_use(&made).await.unwrap();
    assert_eq!(desk.registry.authenticate(text.expose()), Err(Unauthenticated::Revoked), "a note revives nothing");
}

#[tokio::test]
async fn signing_keys_tell_whose_signature_it_is() {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use ed25519_dalek::{Signer, SigningKey as Private};

    let desk = Desk::new().await;
    desk.found("other").await;
    let private = Private::from_bytes(&[7; 32]);
    let public = BASE64_STANDARD.encode(private.verifying_key().as_bytes());
    let message = signed_message(&Digest::of(b"one"));
    assert_eq!(message.len(), "crossdock-module-v1:".len() + 64);
    let signature = private.sign(message.as_bytes()).to_bytes();
    let verify = |tenant: &TenantId, signature| desk.registry.verify(tenant, message.as_bytes(), signature).unwrap();
    assert_eq!(verify(&acme(), &signature), None, "before the key is registered");

    let key = desk.registry.add_signing_key(&admin(), &acme(), "build", &public).await.unwrap();
    assert_eq!(verify(&acme(), &signature), Some(key.id.clone()));
    assert_eq!(verify(&TenantId::new("other").unwrap(), &signature), None, "another tenant's key");
    let mut forged = signature;
    forged[3] ^= 1;
    assert_eq!(verify(&acme(), &forged), None);
    let other_module = signed_message(&Digest::of(b"two"));
    assert_eq!(desk.registry.verify(&acme(), other_module.as_bytes(), &signature).unwrap(), None);

    let again = desk.registry.add_signing_key(&admin(), &acme(), "again", &public).await;
    assert!(matches!(again, Err(Error::Exists { .. })));
    let zero = BASE64_STANDARD.encode([0; 32]);
    let small_order = BASE64_STANDARD.encode([&[1][..], &[0; 31]].concat());
    for bad in ["", "x", &BASE64_STANDARD.encode([1; 31]), &zero, &small_order] {
        let added = desk.registry.add_signing_key(&admin(), &acme(), "bad", bad).await;
        assert!(matches!(added, Err(Error::Invalid { .. })), "{bad}");
    }
    desk.registry.remove_signing_key(&admin(), &acme(), &key.id).await.unwrap();
    assert_eq!(verify(&acme(), &signature), None);
}

#[tokio::test]
async fn tokens_that_open_nothing_take_nobodys_place() {
    let desk = Desk::new().await;
    desk.quotas(Quotas { changes_per_minute: 2_000, ..Quotas::default() }).await;
    let mut first = None;
    for _ in 0..501 {
        let (made, _) = token(&desk).await;
        desk.registry.revoke_token(&admin(), Some(&acme()), &made.id).await.unwrap();
        first.get_or_insert(made);
        desk.pass(SignedDuration::from_millis(1));
    }
    let (made, text) = token(&desk).await;
    assert_eq!(desk.registry.authenticate(text.expose()).unwrap(), made);
    // Nor do they fill the store: the oldest is forgotten.
    assert_eq!(desk.registry.tokens(Some(&acme()), None, usize::MAX).unwrap().len(), 501);
    assert_eq!(desk.registry.token(Some(&acme()), &first.unwrap().id).unwrap(), None);
}

/// A token that leaked is revoked now, whatever else was changed within the minute.
#[tokio::test]
async fn a_token_is_revoked_also_when_no_changes_are_left() {
    let desk = Desk::new().await;
    let (made, text) = token(&desk).await;
    desk.quotas(Quotas { changes_per_minute: 1, ..Quotas::default() }).await;
    let another = desk.registry.create_token(&admin(), Some(&acme()), new(Role::TenantViewer)).await;
    assert!(matches!(another, Err(Error::Quota { quota: "changes_per_minute", .. })));
    let revoked = desk.registry.revoke_token(&admin(), Some(&acme()), &made.id).await.unwrap();
    assert_eq!(revoked.revoked_at, Some(desk.now()));
    assert_eq!(desk.registry.authenticate(text.expose()).unwrap_err(), Unauthenticated::Revoked);
    assert_eq!(desk.lines(Some(&acme())).last().unwrap().action, "token.revoke");
}
