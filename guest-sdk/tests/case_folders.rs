//! The case runner over folders, with a transform that looks a unit up.

use crossdock_guest::testing::Cases;
use crossdock_guest::{Context, Decimal, Document, Outcome, Rejection, Text, Transform, reference};
use serde::{Deserialize, Serialize};

struct Units;

#[derive(Deserialize)]
struct Parameters {
    prefix: String,
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow)]
    code: Text<'a>,
    #[serde(borrow)]
    unit: Text<'a>,
    qty: Decimal,
}

#[derive(Serialize)]
struct Bill {
    billno: String,
    unit: String,
    qty: Decimal,
}

impl Transform for Units {
    const NAME: &'static str = "units";
    const VERSION: &'static str = "1.0.0";
    const SOURCE: &'static str = "yonyou_u8:saleoutlist/batch_get";
    const TARGET: &'static str = "kingdee_jdy:jdy/inv/inv_check_gain_bill_save";
    const PARAMETERS_SCHEMA: &'static str = "{}";
    type Parameters = Parameters;

    fn transform(_: &Context, parameters: &Parameters, document: &Document) -> Result<Outcome, Rejection> {
        let source: Source<'_> = document.parse()?;
        crossdock_guest::log::info(format_args!("unit {}", source.unit));
        let billno = format!("{}{}", parameters.prefix, source.code);
        let unit = reference::required("unit", source.unit.as_str(), "/unit")?;
        Outcome::emit_one(billno.clone(), &Bill { billno, unit, qty: source.qty })
    }
}

fn cases(folder: &str) -> Cases {
    Cases::of(format!("{}/tests/{folder}", env!("CARGO_MANIFEST_DIR"))).key_field("code")
}

#[test]
fn a_case_brings_its_own_tables_and_parameters() {
    assert_eq!(cases("right").run::<Units>(), 3);
}

#[test]
fn a_wrong_case_tells_its_name_the_difference_the_outcome_and_the_log() {
    let failure = std::panic::catch_unwind(|| cases("wrong").run::<Units>()).expect_err("a wrong case");
    let story = failure.downcast_ref::<String>().expect("a sentence");
    for part in ["says-another-unit", "/emit/0/body/qty", "/emit/0/body/unit", "\"box\"", "\"pcs\"", "unit 件"] {
        assert!(story.contains(part), "{part:?} is not in: {story}");
    }
}

#[test]
#[should_panic(expected = "cases: ")]
fn a_folder_without_cases_is_not_a_success() {
    cases("none").run::<Units>();
}
