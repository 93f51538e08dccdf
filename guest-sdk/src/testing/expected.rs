//! What should become of a document, and where that differs from what did.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Difference, differences};
use crate::{Outcome, Reason, Rejection, from_str, to_string};

/// An expectation, as it stands in a case.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Expected {
    /// These bills, in this order.
    Emit(Vec<Bill>),
    /// Nothing to write, for this reason.
    Skip(Why),
    /// Set aside, for this reason.
    Reject(Why),
}

/// One bill that is expected.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bill {
    /// Its key in the target system.
    pub key: String,
    /// Compared by value: `1.50` is `1.5`, and the order of an object's fields does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Box<RawValue>>,
    /// Instead of `body`, the very bytes. For a target that cares for the order of fields, or for captured production.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A reason that is expected: by code and field, and by message where one is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// What programs group by.
    pub code: String,
    /// A JSON Pointer; `None` where no field is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What a person reads, where it is worth pinning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Expected {
    /// Reads an expectation. The rejection says what is wrong with it, and where.
    pub fn read(text: &str) -> Result<Self, Rejection> {
        let expected: Expected = from_str(text)?;
        if let Expected::Emit(bills) = &expected
            && let Some(index) = bills.iter().position(|bill| bill.body.is_some() == bill.text.is_some())
        {
            let field = format!("/emit/{index}");
            return Err(Rejection::new("field_invalid", format!("{field} needs either body or text")).at(field));
        }
        Ok(expected)
    }

    /// What an outcome would be expected as, pinned like `like`: its messages and its exact texts.
    pub fn of(outcome: &Outcome, like: Option<&Expected>, exact: bool) -> Self {
        let pins_message = matches!(like, Some(Expected::Skip(why) | Expected::Reject(why)) if why.message.is_some());
        let why = |reason: &Reason| Why {
            code: reason.code.clone(),
            field: reason.field.clone(),
            message: pins_message.then(|| reason.message.clone()),
        };
        let pinned: &[Bill] = if let Some(Expected::Emit(bills)) = like { bills } else { &[] };
        match outcome {
            Outcome::Emit(bills) => Expected::Emit(
                bills
                    .iter()
                    .enumerate()
                    .map(|(index, bill)| {
                        let by_text = exact || pinned.get(index).is_some_and(|bill| bill.text.is_some());
                        // What is no JSON is shown as the text that it is, and equals no body.
                        let body = RawValue::from_string(bill.body.clone()).ok().filter(|_| !by_text);
                        let text = body.is_none().then(|| bill.body.clone());
                        Bill { key: bill.key.clone(), body, text }
                    })
                    .collect(),
            ),
            Outcome::Skip(reason) => Expected::Skip(why(reason)),
            Outcome::Reject(reason) => Expected::Reject(why(reason)),
        }
    }

    /// Every place where an outcome is not what is expected, field by field.
    pub fn differences(&self, outcome: &Outcome) -> Vec<Difference> {
        differences(&self.to_json(), &Self::of(outcome, Some(self), false).to_json())
    }

    /// As it stands in a case, on one line.
    pub fn to_json(&self) -> String {
        to_string(self).expect("an expectation has only texts and JSON, and its keys are texts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emits(body: &str) -> Outcome {
        Outcome::Emit(vec![crate::TargetDocument { key: "1".into(), body: body.into() }])
    }

    #[track_caller]
    fn check(expected: &str, outcome: Outcome, places: &[&str]) {
        let differences = Expected::read(expected).expect(expected).differences(&outcome);
        let found: Vec<&str> = differences.iter().map(|difference| difference.at.as_str()).collect();
        assert_eq!(found, places, "{differences:?}");
    }

    #[test]
    fn a_body_is_compared_by_value_and_fails_by_the_last_digit() {
        let expected = r#"{"emit":[{"key":"1","body":{"price":0.10,"no":"1"}}]}"#;
        check(expected, emits(r#"{"no":"1","price":0.1}"#), &[]);
        check(expected, emits(r#"{"no":"1","price":0.1000000000000000000000001}"#), &["/emit/0/body/price"]);
        check(expected, emits(r#"{"no":"2","price":0.2}"#), &["/emit/0/body/no", "/emit/0/body/price"]);
        check(expected, emits("not JSON"), &["/emit/0/body", "/emit/0/text"]);
        check(expected, Outcome::skip("x", "", None), &["/emit", "/skip"]);
    }

    #[test]
    fn a_text_is_compared_byte_for_byte() {
        let expected = r#"{"emit":[{"key":"1","text":"{\"a\":1.50,\"b\":2}"}]}"#;
        check(expected, emits(r#"{"a":1.50,"b":2}"#), &[]);
        check(expected, emits(r#"{"b":2,"a":1.50}"#), &["/emit/0/text"]);
        check(expected, emits(r#"{"a":1.5,"b":2}"#), &["/emit/0/text"]);
    }

    #[test]
    fn a_reason_is_compared_by_code_and_field_and_by_message_where_one_is_given() {
        let skip = || Outcome::skip("status_cancelled", "void", Some("/status"));
        check(r#"{"skip":{"code":"status_cancelled","field":"/status"}}"#, skip(), &[]);
        check(r#"{"skip":{"code":"status_cancelled"}}"#, skip(), &["/skip/field"]);
        let pinned = r#"{"skip":{"code":"status_cancelled","field":"/status","message":"x"}}"#;
        check(pinned, skip(), &["/skip/message"]);
        check(r#"{"reject":{"code":"status_cancelled","field":"/status"}}"#, skip(), &["/reject", "/skip"]);
    }

    #[test]
    fn an_expectation_that_cannot_be_one_says_where() {
        for (text, says) in [
            ("{\n \"emit\": [}", "line 2, column 11"),
            (r#"{"emit":[{"key":"1"}]}"#, "/emit/0 needs either body or text"),
            (r#"{"emit":[{"key":"1","body":{},"text":"{}"}]}"#, "/emit/0 needs either body or text"),
            (r#"{"skip":{"field":"/status"}}"#, "code is missing"),
            (r#"{"done":{}}"#, "expected"),
        ] {
            let why = Expected::read(text).expect_err(text).to_string();
            assert!(why.contains(says), "{text}: {why}");
        }
    }

    #[test]
    fn what_is_written_pins_what_was_pinned_before() {
        let of = |like: &str, outcome: &Outcome, exact| {
            Expected::of(outcome, Some(&Expected::read(like).expect(like)), exact).to_json()
        };
        let skip = Outcome::skip("void", "so", None);
        assert_eq!(of(r#"{"skip":{"code":"x"}}"#, &skip, false), r#"{"skip":{"code":"void"}}"#);
        let pinned = r#"{"skip":{"code":"x","message":"y"}}"#;
        assert_eq!(of(pinned, &skip, false), r#"{"skip":{"code":"void","message":"so"}}"#);
        let text = r#"{"emit":[{"key":"1","text":"{}"}]}"#;
        assert_eq!(of(text, &emits("[1.50]"), false), r#"{"emit":[{"key":"1","text":"[1.50]"}]}"#);
        let body = r#"{"emit":[{"key":"1","body":[1.50]}]}"#;
        assert_eq!(of(body, &emits("[1.50]"), false), body);
        assert_eq!(of(body, &emits("[1.50]"), true), r#"{"emit":[{"key":"1","text":"[1.50]"}]}"#);
    }
}
