//! What a value is replaced with: something of its own kind, nothing, nought, blank, and every constant that the
//! parameters and the tables hold, because a mapping compares with those.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Inputs, Origin};

/// Constants tried for one value. A user's parameters name some dozens of shops.
const CONSTANTS_LIMIT: usize = 60;
/// Appended to a text that has no digit to change.
const MARK: &str = "X";

/// One value with something else in its place.
pub struct Change {
    pub origin: Origin,
    /// Where in the document, the parameters or the look-up's entry.
    at: String,
    /// `None` takes the field away.
    substitute: Option<Value>,
}

/// Every change, those first that tell the most: of each value its first substitute, then of each its second. So a bound on
/// the runs cuts what tells least, and of all values alike.
pub fn all(inputs: &Inputs, lookups: &[(String, String)]) -> Vec<Change> {
    let constants = constants(inputs);
    let mut all: Vec<(usize, Change)> = Vec::new();
    let mut add = |origin: &dyn Fn(&str) -> Origin, whole: &Value, constants: &BTreeSet<String>| {
        for (at, leaf) in leaves(whole) {
            for (turn, substitute) in of(leaf, constants).into_iter().enumerate() {
                all.push((turn, Change { origin: origin(&at), at: at.clone(), substitute }));
            }
        }
    };
    let none = BTreeSet::new();
    add(&|at| Origin::Document(at.into()), &inputs.document, &constants);
    add(&|at| Origin::Parameter(at.into()), &inputs.parameters, &none);
    for (table, key) in lookups {
        // A key that is in no table has no value to replace.
        let Some(entry) = inputs.tables.get(table).and_then(|entries| entries.get(key)) else { continue };
        let Ok(entry) = serde_json::from_str::<Value>(entry) else { continue };
        let origin = |_: &str| Origin::Lookup { table: table.clone(), key: key.clone() };
        add(&origin, &entry, &none);
    }
    all.sort_by_key(|(turn, _)| *turn);
    all.into_iter().map(|(_, change)| change).collect()
}

impl Change {
    pub fn apply(&self, inputs: &Inputs) -> Inputs {
        let mut changed = inputs.clone();
        let substitute = self.substitute.clone();
        match &self.origin {
            Origin::Document(at) => {
                // A mapping checks that the document's key is the one in its body.
                if let (Some(leaf), Some(substitute)) = (inputs.document.pointer(at), &substitute)
                    && text(leaf) == inputs.key
                {
                    changed.key = text(substitute);
                }
                replace(&mut changed.document, at, substitute);
            }
            Origin::Parameter(at) => replace(&mut changed.parameters, at, substitute),
            Origin::Lookup { table, key } => {
                let entry = changed.tables.get_mut(table).and_then(|entries| entries.get_mut(key));
                if let Some(entry) = entry
                    && let Ok(mut value) = serde_json::from_str::<Value>(entry)
                {
                    replace(&mut value, &self.at, substitute);
                    *entry = value.to_string();
                }
            }
        }
        changed
    }
}

/// Every value without parts, with its JSON Pointer. An empty list or object is one.
pub fn leaves(value: &Value) -> Vec<(String, &Value)> {
    fn walk<'a>(at: String, value: &'a Value, leaves: &mut Vec<(String, &'a Value)>) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    walk(format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), value, leaves);
                }
            }
            Value::Array(rows) if !rows.is_empty() => {
                for (row, value) in rows.iter().enumerate() {
                    walk(format!("{at}/{row}"), value, leaves);
                }
            }
            leaf => leaves.push((at, leaf)),
        }
    }
    let mut leaves = Vec::new();
    walk(String::new(), value, &mut leaves);
    leaves
}

/// What a leaf is replaced with; `None` takes the field away.
fn of(leaf: &Value, constants: &BTreeSet<String>) -> Vec<Option<Value>> {
    let mut substitutes: Vec<Option<Value>> = match leaf {
        Value::String(text) => {
            let own = markers(text).into_iter().chain([String::new(), "0".into()]);
            own.map(|text| Some(Value::String(text))).collect()
        }
        Value::Number(number) => {
            // Its own digits with the last one changed: the same kind of number, never by way of floating point.
            let own = markers(&number.to_string()).into_iter().chain(["0".into()]);
            own.filter_map(|text| serde_json::from_str(&text).ok()).filter(Value::is_number).map(Some).collect()
        }
        Value::Bool(truth) => vec![Some(Value::Bool(!truth))],
        _ => vec![Some(Value::from(MARK))],
    };
    substitutes.push(None);
    let constants = constants.iter().take(CONSTANTS_LIMIT).filter_map(|constant| match leaf {
        Value::Number(_) => serde_json::from_str(constant).ok().filter(Value::is_number),
        Value::String(_) | Value::Null => Some(Value::from(constant.as_str())),
        _ => None,
    });
    substitutes.extend(constants.map(Some));
    substitutes.retain(|substitute| substitute.as_ref() != Some(leaf));
    substitutes
}

/// Texts of the same form. One of two digits is changed: a date stays one when its last digit or its year's last digit
/// is another, and whichever is not a date is simply refused.
fn markers(text: &str) -> Vec<String> {
    let digits: Vec<usize> = text.bytes().enumerate().filter(|(_, b)| b.is_ascii_digit()).map(|(at, _)| at).collect();
    let bump = |at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'9' { b'0' } else { bytes[at] + 1 };
        String::from_utf8(bytes).unwrap_or_default()
    };
    let mut markers: Vec<String> = digits.last().map(|at| bump(*at)).into_iter().collect();
    markers.extend(digits.get(3).filter(|at| Some(*at) != digits.last()).map(|at| bump(*at)));
    markers.extend(digits.first().filter(|_| digits.len() > 1).map(|at| bump(*at)));
    markers.push(format!("{text}{MARK}"));
    markers
}

/// Every text, number and name in parameters and tables.
fn constants(inputs: &Inputs) -> BTreeSet<String> {
    fn walk(value: &Value, constants: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    constants.insert(name.clone());
                    walk(value, constants);
                }
            }
            Value::Array(rows) => rows.iter().for_each(|row| walk(row, constants)),
            Value::Null | Value::Bool(_) => {}
            leaf => {
                constants.insert(text(leaf));
            }
        }
    }
    let mut constants = BTreeSet::new();
    walk(&inputs.parameters, &mut constants);
    for entries in inputs.tables.values() {
        for (key, entry) in entries {
            constants.insert(key.clone());
            walk(&serde_json::from_str(entry).unwrap_or(Value::Null), &mut constants);
        }
    }
    constants
}

/// A leaf as a mapping reads it that takes a text or a number alike.
fn text(leaf: &Value) -> String {
    match leaf {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn replace(whole: &mut Value, at: &str, substitute: Option<Value>) {
    let Some(substitute) = substitute else { return remove(whole, at) };
    if let Some(place) = whole.pointer_mut(at) {
        *place = substitute;
    }
}

fn remove(whole: &mut Value, at: &str) {
    let Some((parent, name)) = at.rsplit_once('/') else { return *whole = Value::Null };
    let name = name.replace("~1", "/").replace("~0", "~");
    match whole.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.shift_remove(&name)),
        Some(Value::Array(rows)) => {
            if let Some(row) = name.parse::<usize>().ok().filter(|row| *row < rows.len()) {
                rows.remove(row);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_date_and_an_amount_keep_their_form() {
        assert_eq!(markers("2026-02-28"), ["2026-02-29", "2027-02-28", "3026-02-28", "2026-02-28X"]);
        assert_eq!(markers("9.99"), ["9.90", "0.99", "9.99X"]);
        assert_eq!((markers(""), markers("张")), (vec!["X".to_owned()], vec!["张X".to_owned()]));
    }

    #[test]
    fn a_number_stays_a_number_with_all_its_digits() {
        let long: Value = serde_json::from_str("12345678901234567890.10").unwrap();
        let substitutes = of(&long, &["7".to_owned(), "seven".to_owned()].into());
        let texts: Vec<String> = substitutes.iter().flatten().map(Value::to_string).collect();
        assert!(texts.contains(&"12345678901234567890.11".to_owned()) && texts.contains(&"7".to_owned()), "{texts:?}");
        assert!(substitutes.contains(&None) && !texts.iter().any(|text| text.contains("seven")), "{texts:?}");
    }

    #[test]
    fn leaves_are_found_replaced_and_taken_away_by_their_pointers() {
        let whole = json!({ "a/b": [{ "c": 1 }, []], "d": null });
        let places: Vec<String> = leaves(&whole).into_iter().map(|(at, _)| at).collect();
        assert_eq!(places, ["/a~1b/0/c", "/a~1b/1", "/d"]);
        let mut changed = whole.clone();
        replace(&mut changed, "/a~1b/0/c", Some(json!(2)));
        remove(&mut changed, "/d");
        remove(&mut changed, "/a~1b/1");
        assert_eq!(changed, json!({ "a/b": [{ "c": 2 }] }));
    }

    #[test]
    fn the_documents_key_goes_with_the_field_that_holds_it() {
        let inputs = Inputs {
            key: "166001".into(),
            document: json!({ "io_id": 166001 }),
            parameters: json!({}),
            tables: Default::default(),
        };
        let mut changed = all(&inputs, &[]).into_iter().map(|change| change.apply(&inputs));
        assert!(changed.any(|changed| changed.key == "166002" && changed.document["io_id"] == json!(166002)));
    }

    #[test]
    fn every_value_has_its_first_substitute_before_any_has_its_second() {
        let inputs = Inputs {
            key: "k".into(),
            document: json!({ "a": "x", "b": 1 }),
            parameters: json!({ "c": true }),
            tables: [("unit".to_owned(), [("件".to_owned(), "{\"id\": 1}".to_owned())].into())].into(),
        };
        let changes = all(&inputs, &[("unit".into(), "件".into()), ("unit".into(), "missing".into())]);
        let first: BTreeSet<&Origin> = changes.iter().take(4).map(|change| &change.origin).collect();
        assert_eq!(first.len(), 4, "{first:?}");
        let lookup = changes.iter().find(|change| matches!(change.origin, Origin::Lookup { .. })).unwrap();
        assert_eq!(lookup.apply(&inputs).tables["unit"]["件"], "{\"id\":2}");
    }
}
