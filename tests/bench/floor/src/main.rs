//! The mapping of `jushuitan-saleout-to-k3cloud` without any isolation, in the ways in which people write it.

mod dynamic;
mod typed;
mod value;

use crossdock_bench_measure::Input;
use crossdock_guest::{Context, Document, Outcome, run};
use jushuitan_saleout_to_k3cloud::SaleOutToK3Cloud;

fn main() {
    let mut input = Input::read();
    let context = context(&input.parameters);
    let documents: Vec<Document> =
        input.documents.iter().map(|(key, body)| Document { key: key.clone(), body: body.clone() }).collect();
    input.settle(|index| emitted(run::<SaleOutToK3Cloud>(&context, &documents[index])));
    input.measure("native, the transform's source", |index| {
        emitted(run::<SaleOutToK3Cloud>(&context, &documents[index]))
    });
    input.measure("native, the SDK's dynamic style", |index| {
        emitted(run::<dynamic::SaleOut>(&context, &documents[index]))
    });
    input.measure("native, hand-written serde", |index| typed::map(&input.parameters, &documents[index].body));
    input.measure("native, serde_json::Value", |index| value::map(&input.parameters, &documents[index].body));
}

fn context(parameters: &str) -> Context {
    Context {
        tenant: "acme".into(),
        scheme: "saleout".into(),
        source: "jushuitan_qimen:jushuitan.saleout.list.query".into(),
        target: "kingdee_k3cloud:BatchSave".into(),
        parameters: parameters.into(),
        received_at: "2026-11-01T00:00:00Z".into(),
    }
}

fn emitted(outcome: Outcome) -> String {
    match outcome {
        Outcome::Emit(mut bills) => bills.swap_remove(0).body,
        other => panic!("no bill: {other:?}"),
    }
}
