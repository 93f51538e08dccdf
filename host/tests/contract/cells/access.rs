//! Sessions, secrets and clocks.

use crossdock::connectors::{Error, Finding};
use crossdock::fault::Disposition;
use vendor_sim::{Fault, FaultName};

use crate::matrix::{Cell, Subject, runs};
use crate::rig::{Bench, PAGE_SIZE, fault, told, wrong_clock as clock};
use crate::sources::read;
use crate::targets::{create, create_well, find, look_up, trouble};

const NO_SESSION: &str = "the gateway knows no session: every request is signed";

pub fn session_ends(subject: Subject) -> Cell {
    match subject {
        Subject::U8Saleouts => runs!(token_ends_while_reading),
        Subject::K3cloudBills | Subject::JdyBills => runs!(session_ends_around_a_write),
        Subject::JdyLists => runs!(token_ends_while_listing),
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::WangdiantongTrades => {
            Cell::NotApplicable(NO_SESSION)
        }
    }
}

pub fn secret_rotated(subject: Subject) -> Cell {
    match subject {
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::U8Saleouts => runs!(source_is_locked_out),
        Subject::WangdiantongTrades | Subject::K3cloudBills => runs!(target_is_locked_out),
        Subject::JdyBills => runs!(authorisation_is_renewed),
        Subject::JdyLists => runs!(authorisation_is_renewed_for_lists),
    }
}

pub fn wrong_clock(subject: Subject) -> Cell {
    match subject {
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins => runs!(source_is_out_of_time),
        Subject::WangdiantongTrades | Subject::K3cloudBills | Subject::JdyBills => runs!(target_is_out_of_time),
        Subject::JdyLists => runs!(list_is_out_of_time),
        Subject::U8Saleouts => Cell::NotApplicable("no request carries a time, so the vendor has nothing to refuse"),
    }
}

async fn token_ends_while_reading(bench: &Bench) {
    let world = bench.with_documents(2 * PAGE_SIZE).await;
    for operation in ["saleoutlist/batch_get", "saleout/get"] {
        world.order(fault(bench.subject, FaultName::ExpireSession).operation(operation).times(1).after(1));
    }
    let read = read(&*world.source("")).await;
    world.check_read_once(&read);
    assert_eq!(world.requests("system/token"), 3, "one token, and one for each that ended");
}

async fn token_ends_while_listing(bench: &Bench) {
    let world = bench.with_documents(0).await;
    world.once(FaultName::ExpireSession, 1);
    assert!(world.lists("").fetch("kingdee_jdy.material").await.unwrap().len() > 100);
    assert_eq!(world.requests("kingdee_auth_token"), 2);
}

/// A question is asked again. A write is not: that a vendor which says "no session" did nothing is not proven.
async fn session_ends_around_a_write(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let target = world.target();
    create_well(&*target, &world.job("A1")).await;
    world.order(fault(bench.subject, FaultName::ExpireSession).operation(bench.subject.question()).times(1));
    assert!(matches!(find(&*target, &world.job("A1")).await, Finding::Ours { .. }));

    let written = world.requests(bench.subject.operation());
    world.once(FaultName::ExpireSession, 0);
    let error = trouble(create(&*target, &world.jobs(&["A2"])).await);
    assert!(matches!(error, Error::SessionLost { sent: true, .. }) && error.may_have_written(), "{error}");
    assert_eq!(error.fault().disposition, Disposition::Verify);
    assert_eq!(world.requests(bench.subject.operation()), written + 1, "and it was not sent again");
    assert_eq!(find(&*target, &world.job("A2")).await, Finding::Absent);
    create_well(&*target, &world.job("A2")).await;
}

#[track_caller]
fn check_locked_out(error: &Error) {
    assert!(matches!(error, Error::CredentialsRefused { .. }), "{error:?}");
    assert_eq!(error.fault().disposition, Disposition::PauseConnection);
    assert!(!error.may_have_written());
}

/// The secret, and with it the session, where there is one.
fn rotate(subject: Subject, operation: &str) -> [Fault; 2] {
    [FaultName::RotateSecret, FaultName::ExpireSession]
        .map(|name| fault(subject, name).operation(operation).times(1).after(1))
}

async fn source_is_locked_out(bench: &Bench) {
    let world = bench.with_documents(3 * PAGE_SIZE).await;
    let source = world.source("");
    rotate(bench.subject, bench.subject.operation()).into_iter().for_each(|fault| world.order(fault));
    let read = read(&*source).await;
    check_locked_out(read.error());
    world.check_nothing_invented(&read);
    let tries = world.requests("system/token");
    assert!(tries <= 2, "a wrong secret is sent once, not {} times", tries - 1);
}

async fn target_is_locked_out(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let target = world.target();
    create_well(&*target, &world.job("A1")).await;
    if target.capabilities().askable {
        let [secret, session] = rotate(bench.subject, bench.subject.question()).map(|fault| fault.after(0));
        world.order(secret);
        world.order(session);
        check_locked_out(&look_up(&*target, &world.jobs(&["A1"])).await.unwrap_err());
    } else {
        world.once(FaultName::RotateSecret, 0);
    }
    check_locked_out(&trouble(create(&*target, &world.jobs(&["A2"])).await));
    assert_eq!(world.held("A2"), (0, 0));
}

/// Here the vendor changes the secret about daily, and gives the new one away on request.
async fn authorisation_is_renewed(bench: &Bench) {
    let world = bench.with_documents(0).await;
    let target = world.target();
    create_well(&*target, &world.job("A1")).await;
    let [secret, session] = rotate(bench.subject, bench.subject.question()).map(|fault| fault.after(0));
    world.order(secret);
    world.order(session);
    assert!(matches!(find(&*target, &world.job("A1")).await, Finding::Ours { .. }));
    create_well(&*target, &world.job("A2")).await;
    assert_eq!(world.requests("push_app_authorize"), 2);
}

async fn authorisation_is_renewed_for_lists(bench: &Bench) {
    let world = bench.with_documents(0).await;
    rotate(bench.subject, bench.subject.operation()).into_iter().for_each(|fault| world.order(fault));
    assert!(world.lists("").fetch("kingdee_jdy.material").await.unwrap().len() > 100);
    assert_eq!(world.requests("push_app_authorize"), 2);
}

const ELEVEN_MINUTES: i64 = 11 * 60;
/// Within every vendor's tolerance.
const FOUR_MINUTES: i64 = 4 * 60;

#[track_caller]
fn check_names_the_clock(error: &Error, ahead: i64) {
    let Error::ClockWrong { skew_seconds, .. } = error else { panic!("{error:?}") };
    assert!((skew_seconds - ahead).abs() <= 5, "{skew_seconds} s and not {ahead} s");
    assert!(
        error.to_string().contains("clocks differ") && error.to_string().contains(&skew_seconds.to_string()),
        "{error}"
    );
    assert_eq!(error.fault().disposition, Disposition::PauseConnection);
    assert!(!error.may_have_written());
}

async fn source_is_out_of_time(bench: &Bench) {
    let world = bench.with_documents(PAGE_SIZE).await;
    for ahead in [ELEVEN_MINUTES, -ELEVEN_MINUTES] {
        let source = world.source_of(&world.connection(""), &clock(ahead));
        check_names_the_clock(read(&*source).await.error(), ahead);
    }
    let source = world.source_of(&world.connection(""), &clock(FOUR_MINUTES));
    world.check_read_once(&read(&*source).await);
    // The same from the other side: the vendor's clock goes wrong.
    world.order(fault(bench.subject, FaultName::ClockSkew).value(ELEVEN_MINUTES));
    check_names_the_clock(read(&*world.source("")).await.error(), -ELEVEN_MINUTES);
}

async fn target_is_out_of_time(bench: &Bench) {
    // A log-in by password carries no time.
    let ways: &[&str] = match bench.subject {
        Subject::K3cloudBills => &["auth = \"login_by_sign\"", "auth = \"signature\""],
        _ => &[""],
    };
    for way in ways {
        let world = bench.with_documents(0).await;
        for ahead in [ELEVEN_MINUTES, -ELEVEN_MINUTES] {
            let target = world.target_of(&world.connection(way), &clock(ahead), "");
            check_names_the_clock(&trouble(create(&*target, &world.jobs(&["A1"])).await), ahead);
            check_names_the_clock(&target.probe().await.unwrap_err(), ahead);
            assert_eq!(world.held("A1"), (0, 0));
        }
        let target = world.target_of(&world.connection(way), &clock(FOUR_MINUTES), "");
        create_well(&*target, &world.job("A1")).await;
    }
}

async fn list_is_out_of_time(bench: &Bench) {
    let world = bench.with_documents(0).await;
    for ahead in [ELEVEN_MINUTES, -ELEVEN_MINUTES] {
        let lists = world.connection("").references(&clock(ahead)).unwrap();
        let error = lists.fetch("kingdee_jdy.stock").await.unwrap_err();
        told(&error);
        check_names_the_clock(&error, ahead);
    }
}
