//! What is logged and reported while everything goes wrong that can. The search itself is done after every cell.

use serde_json::Value;
use vendor_sim::{Fault, FaultName};

use crate::matrix::{Cell, Subject, runs};
use crate::rig::{Bench, PAGE_SIZE, World, told};
use crate::said;
use crate::sources::read;
use crate::targets::{create, look_up};

pub fn unsaid(subject: Subject) -> Cell {
    match subject {
        Subject::JushuitanSaleouts
        | Subject::WangdiantongStockins
        | Subject::U8Saleouts
        | Subject::WangdiantongTrades
        | Subject::K3cloudBills
        | Subject::JdyBills
        | Subject::JdyLists => runs!(nothing_is_said),
    }
}

async fn nothing_is_said(bench: &Bench) {
    for way in bench.subject.ways() {
        let world = bench.with_documents(PAGE_SIZE + 1).await;
        exchange(&world, way, "A0").await;
        for (number, (name, value)) in troubles().into_iter().enumerate() {
            world.order(Fault::new(name).value(value).system(bench.subject.system().as_str()));
            exchange(&world, way, &format!("A{}", number + 1)).await;
            world.clear_faults();
        }
        for name in [FaultName::Echo, FaultName::Html, FaultName::ExpireSession, FaultName::RotateSecret] {
            for operation in [bench.subject.operation(), bench.subject.question()] {
                world.order(Fault::new(name).operation(operation).times(2));
            }
            exchange(&world, way, "Z1").await;
            world.clear_faults();
        }
        world.order(Fault::new(FaultName::Echo).value(200).operation(bench.subject.operation()));
        exchange(&world, way, "Z2").await;
        world.clear_faults();
    }
    assert!(said::all().contains("Server Error in '/' Application"), "the vendor did quote requests");
}

fn troubles() -> Vec<(FaultName, Value)> {
    let plain = [
        FaultName::DropBefore,
        FaultName::DropAfterCommit,
        FaultName::SessionLost,
        FaultName::ExpireSession,
        FaultName::Gbk,
        FaultName::ControlCharacters,
        FaultName::Truncate,
        FaultName::Http500,
        FaultName::Http502,
        FaultName::Html,
        FaultName::ResponseError,
        FaultName::Firewall,
        FaultName::Refuse,
        FaultName::Throttle,
        FaultName::Echo,
    ];
    let mut troubles: Vec<_> = plain.into_iter().map(|name| (name, Value::Null)).collect();
    troubles.extend([
        (FaultName::Echo, Value::from(200)),
        (FaultName::Echo, Value::from(401)),
        (FaultName::ClockSkew, Value::from(660)),
        (FaultName::Huge, Value::from(17)),
    ]);
    troubles
}

/// All that the connector can do, with a new log-in; how it ends does not matter here.
async fn exchange(world: &World, way: &str, number: &str) {
    match world.subject {
        Subject::JushuitanSaleouts | Subject::WangdiantongStockins | Subject::U8Saleouts => {
            let source = world.source(&format!("{way}\n{}", patience(world.subject)));
            if let Err(error) = source.probe().await {
                told(&error);
            }
            said::say(&format!("{:?}", read(&*source).await.result));
        }
        Subject::WangdiantongTrades | Subject::K3cloudBills | Subject::JdyBills => {
            let target = world.target_with(way, "");
            let jobs = world.jobs(&[number]);
            if let Err(error) = target.probe().await {
                told(&error);
            }
            // Both tell by themselves.
            let _ = create(&*target, &jobs).await;
            let _ = look_up(&*target, &jobs).await;
        }
        Subject::JdyLists => match world.lists(way).fetch("kingdee_jdy.material").await {
            Ok(entries) => said::say(&format!("{entries:?}")),
            Err(error) => told(&error),
        },
    }
}

/// A platform that is busy is asked again after a pause; here it is not worth waiting for.
fn patience(subject: Subject) -> &'static str {
    if subject == Subject::U8Saleouts { "busy_tries = 1" } else { "" }
}
