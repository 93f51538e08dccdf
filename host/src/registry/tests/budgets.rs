use std::time::Duration;

use super::*;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

async fn spend(desk: &Desk, seconds: u64) {
    desk.registry.compile_spend(&acme(), Duration::from_secs(seconds)).await.unwrap();
}

fn used(desk: &Desk) -> u64 {
    match desk.registry.compile_left(&acme()) {
        Ok(budget) => budget.used_seconds,
        Err(Error::Quota { quota: "compile_seconds_per_hour", used, .. }) => used,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_was_spent_counts_for_an_hour_and_no_longer() {
    let desk = Desk::new().await;
    desk.quotas(Quotas { compile_seconds_per_hour: 100, ..Quotas::default() }).await;
    desk.registry.compile_spend(&acme(), Duration::from_millis(1)).await.unwrap();
    assert_eq!(used(&desk), 1, "rounded up");
    spend(&desk, 39).await;
    desk.pass(MINUTE * 30);
    spend(&desk, 60).await;
    match desk.registry.compile_left(&acme()) {
        Err(Error::Quota { limit: 100, used: 100, resets_at: Some(at), .. }) => {
            assert_eq!(at.to_string(), "2026-11-22T09:01:00Z", "the first minute and an hour");
        }
        other => panic!("{other:?}"),
    }
    desk.pass(MINUTE * 30);
    assert_eq!(used(&desk), 100, "an hour is not over before its last minute is");
    desk.pass(MINUTE);
    assert_eq!(used(&desk), 60, "what was spent half an hour later still counts");
    desk.pass(MINUTE * 30);
    assert_eq!(used(&desk), 0);
    assert_eq!(desk.registry.compile_left(&acme()).unwrap().resets_at, None);
}

#[tokio::test]
async fn a_clock_that_is_set_back_locks_nobody_out() {
    let desk = Desk::new().await;
    spend(&desk, 600).await;
    assert_eq!(used(&desk), 600);
    desk.pass(-(HOUR * 24 * 365));
    assert_eq!(used(&desk), 0);
}

#[tokio::test]
async fn a_budget_of_nothing_lets_nothing_in() {
    let desk = Desk::new().await;
    desk.quotas(Quotas { compile_seconds_per_hour: 0, ..Quotas::default() }).await;
    assert!(matches!(desk.registry.compile_left(&acme()), Err(Error::Quota { limit: 0, used: 0, .. })));
}

#[tokio::test]
async fn refusals_are_remembered_and_bounded() {
    let desk = Desk::new().await;
    let digest = |number: usize| Digest::of(number.to_string());
    let refuse = |number: usize| {
        let registry = desk.registry.clone();
        async move {
            registry
                .put_refusal(&acme(), &digest(number), "standard", "s1", "module_refused", "too many types")
                .await
                .unwrap();
        }
    };
    for number in 0..REFUSALS_LIMIT {
        refuse(number).await;
        desk.pass(SignedDuration::from_secs(1));
    }
    refuse(0).await;
    desk.pass(SignedDuration::from_secs(1));
    for number in 0..5 {
        refuse(REFUSALS_LIMIT + number).await;
    }
    let known = |number: usize| desk.registry.refusal(&acme(), &digest(number), "standard", "s1").unwrap();
    assert_eq!(known(0).unwrap().code, "module_refused", "refused again, so it is not the oldest");
    let forgotten: Vec<usize> = (0..REFUSALS_LIMIT + 5).filter(|number| known(*number).is_none()).collect();
    assert_eq!(forgotten, [1, 2, 3, 4, 5], "the oldest went");
    assert_eq!(
        desk.registry.refusal(&acme(), &digest(0), "interpreter", "s1").unwrap(),
        None,
        "another class may take it"
    );
    assert_eq!(desk.registry.refusal(&acme(), &digest(0), "standard", "s2").unwrap(), None, "other limits may take it");
    assert_eq!(desk.registry.refusal(&TenantId::new("b").unwrap(), &digest(0), "standard", "s1").unwrap(), None);
}
