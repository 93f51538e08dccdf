//! What `crossdock new` writes: every source's and every target's files, compiled and run.

use crate::guide::project;
use crate::{crossdock, ends, report};

/// Each source and each target once: a source's files do not know the target's.
const PAIRS: [&[&str]; 4] = [
    &["--from", "jushuitan.saleout.list.query", "--to", "wdt.trade.push"],
    &["--from", "wdt.stockin.order.query", "--to", "jdy/inv/inv_check_gain_bill_save"],
    &["--from", "yonyou_u8:saleoutlist/batch_get", "--to", "kingdee_k3cloud:BatchSave"],
    &[],
];

#[test]
fn every_skeleton_passes_its_first_tests_unchanged_and_a_mapping_that_became_slow_is_caught() {
    let dir = tempfile::tempdir().unwrap();
    for (number, pair) in PAIRS.iter().enumerate() {
        let folder = dir.path().join(number.to_string());
        std::fs::create_dir(&folder).unwrap();
        let project = project(&folder, pair);
        let report = report(&ends(crossdock(&project, &["test", "--format", "json"]), 0));
        assert_eq!((&report["failed"], report["cases"].as_array().map(Vec::len)), (&0.into(), Some(3)), "{pair:?}");
    }
    slow_is_caught(&dir.path().join("3/my-transform"));
}

fn slow_is_caught(project: &std::path::Path) {
    let baseline = ["test", "--fuel-baseline", "fuel.json"];
    let missing = ends(crossdock(project, &baseline), 2);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("--update-fuel-baseline"));
    ends(crossdock(project, &[&baseline[..], &["--update-fuel-baseline"]].concat()), 0);
    ends(crossdock(project, &baseline), 0);

    let mapping = project.join("src/mapping.rs");
    let text = std::fs::read_to_string(&mapping).unwrap();
    let slow = text.replace(
        "    Ok(Bill {",
        "    for turn in 0..100_000 {\n        std::hint::black_box(turn);\n    }\n    Ok(Bill {",
    );
    assert_ne!(slow, text);
    std::fs::write(&mapping, slow).unwrap();
    let caught = ends(crossdock(project, &[&baseline[..], &["--format", "json"]].concat()), 1);
    let report = report(&caught);
    let case = report["cases"].as_array().unwrap().iter().find(|case| case["name"] == "first").unwrap();
    assert_eq!(
        (&case["verdict"], &case["passed"]),
        (&"passed".into(), &false.into()),
        "the mapping is right, and slow"
    );
    assert!(case["above_baseline"]["fuel"].as_u64() > case["above_baseline"]["recorded"].as_u64(), "{case}");
    ends(crossdock(project, &["test"]), 0);
}
