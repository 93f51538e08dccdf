//! Which modules a scheme may have, and its documents be tried with, where comparisons are asked for.

use super::*;

static NAME: LazyLock<SchemeId> = LazyLock::new(|| scheme("saleout"));

fn digest(number: &str) -> Digest {
    Digest::of(number.as_bytes())
}

/// With the modules `one`, `two` and `three`, a scheme that has the first, and the policy.
async fn ruled() -> Desk {
    let desk = Desk::new().await;
    desk.scheme().await;
    desk.upload("m", "2", b"two").await.unwrap();
    desk.upload("m", "3", b"three").await.unwrap();
    desk.policy(Policy { require_clean_compare: true, ..Policy::default() }).await;
    desk
}

impl Desk {
    async fn activate(&self, module: &str) -> Result<SchemeRow, Error> {
        self.registry.activate(&admin(), &acme(), &NAME, &digest(module), None, "").await
    }

    async fn roll_back(&self) -> Result<SchemeRow, Error> {
        self.registry.rollback(&admin(), &acme(), &NAME, None, "").await
    }

    async fn compared(&self, module: &str, looked: Looked) {
        let row = self.registry.scheme(&acme(), &NAME).unwrap().unwrap();
        self.registry.note_compare(&admin(), &acme(), &row, &digest(module), looked).await.unwrap();
    }

    async fn delete(&self) {
        self.registry.delete_scheme(&admin(), &acme(), &NAME, None).await.unwrap();
    }

    fn may_try(&self, module: &str) -> bool {
        match self.registry.may_try(&acme(), &NAME, &digest(module)) {
            Ok(()) => true,
            Err(Error::Policy { policy: "require_clean_compare", .. }) => false,
            Err(error) => panic!("{error:?}"),
        }
    }
}

const CLEAN: Looked = Looked { documents: 20, undecided: 0, available: 20, clean: true };
const NOTHING: Looked = Looked { documents: 0, undecided: 0, available: 0, clean: true };

#[track_caller]
fn refused(result: Result<SchemeRow, Error>) -> String {
    match result {
        Err(Error::Policy { policy: "require_clean_compare", remedy }) => remedy,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn where_there_is_no_document_there_is_nothing_to_compare_and_the_log_says_so() {
    let desk = ruled().await;
    desk.activate("two").await.unwrap();
    let line = desk.lines(Some(&acme())).pop().unwrap();
    assert_eq!((line.action.as_str(), &line.detail["compare"]), ("scheme.activate", &json!("no documents")));
    desk.document("saleout", "SO1").await;
    refused(desk.activate("three").await);
    desk.compared("three", CLEAN).await;
    desk.activate("three").await.unwrap();
    assert_eq!(desk.lines(Some(&acme())).pop().unwrap().detail["compare"], json!("clean"));
}

#[tokio::test]
async fn a_comparison_that_found_nothing_to_compare_holds_until_something_happens_to_a_document() {
    let desk = ruled().await;
    // As erased as a document can be.
    desk.document("saleout", "SO1").await;
    desk.compared("two", NOTHING).await;
    desk.document("saleout", "SO2").await;
    refused(desk.activate("two").await);
    desk.compared("two", NOTHING).await;
    refused(desk.activate("three").await);
    desk.activate("two").await.unwrap();
    assert_eq!(desk.lines(Some(&acme())).pop().unwrap().detail["compare"], json!("no documents"));
}

#[tokio::test]
async fn a_rollback_goes_to_no_module_that_no_document_met() {
    let desk = ruled().await;
    desk.activate("two").await.unwrap();
    desk.activate("three").await.unwrap();
    assert!(matches!(desk.roll_back().await, Err(Error::State { .. })), "neither ran");
    desk.document("saleout", "SO1").await;
    desk.compared("one", CLEAN).await;
    desk.activate("one").await.unwrap();
    assert_eq!(desk.roll_back().await.unwrap().module, digest("three"), "the way back is never barred");
}

#[tokio::test]
async fn a_scheme_that_is_made_again_goes_on_with_the_module_that_its_documents_met() {
    let desk = ruled().await;
    desk.delete().await;
    desk.put_scheme("saleout", digest("two")).await.unwrap();
    assert_eq!(desk.lines(Some(&acme())).pop().unwrap().detail["compare"], json!("no documents"));
    desk.document("saleout", "SO1").await;
    desk.delete().await;
    let remedy = refused(desk.put_scheme("saleout", digest("three")).await);
    assert!(remedy.contains(&digest("two").to_string()), "{remedy}");
    refused(desk.put_scheme("saleout", digest("one")).await);
    desk.put_scheme("saleout", digest("two")).await.unwrap();
    refused(desk.activate("three").await);
    // What was cleared stays cleared.
    desk.compared("three", CLEAN).await;
    desk.delete().await;
    desk.put_scheme("saleout", digest("three")).await.unwrap();
    assert!(desk.may_try("two"), "it ran under this name");
    desk.put_scheme("other", digest("one")).await.unwrap();
}

#[tokio::test]
async fn a_scheme_that_is_forgotten_is_not_made_again_over_its_documents() {
    let desk = ruled().await;
    desk.document("saleout", "SO1").await;
    desk.delete().await;
    for number in 0..60 {
        desk.pass(SignedDuration::from_secs(2));
        let name = scheme(&format!("s{number}"));
        desk.put_scheme(name.as_str(), digest("one")).await.unwrap();
        desk.registry.delete_scheme(&admin(), &acme(), &name, None).await.unwrap();
    }
    for module in ["one", "two"] {
        let remedy = refused(desk.put_scheme("saleout", digest(module)).await);
        assert!(remedy.contains("another name"), "{remedy}");
    }
    desk.put_scheme("s0", digest("two")).await.unwrap();
    desk.policy(Policy::default()).await;
    desk.put_scheme("saleout", digest("two")).await.unwrap();
}

#[tokio::test]
async fn a_document_is_tried_with_a_module_that_runs_ran_or_was_compared_and_with_no_other() {
    let desk = ruled().await;
    // It was there, and no document met it.
    desk.activate("two").await.unwrap();
    desk.document("saleout", "SO1").await;
    assert_eq!(["one", "two", "three"].map(|module| desk.may_try(module)), [false, true, false]);
    desk.compared("three", Looked { clean: false, ..CLEAN }).await;
    assert!(!desk.may_try("three"));
    desk.compared("three", CLEAN).await;
    assert!(desk.may_try("three"));
    desk.compared("one", CLEAN).await;
    assert!(desk.may_try("one"));
    desk.activate("one").await.unwrap();
    assert_eq!(["one", "two", "three"].map(|module| desk.may_try(module)), [true, true, false]);
    desk.policy(Policy::default()).await;
    assert!(desk.may_try("three"), "nobody asks");
}
