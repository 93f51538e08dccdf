//! Whether parameters fit the JSON Schema that their module describes itself with.
//!
//! The vocabulary that tells a person's slip: types, what is required, what is not known, ranges, lengths, lists of values,
//! and how schemas are put together. What else a schema says (`pattern`, `format`, `if`, references to elsewhere) is not
//! judged, and takes nothing away: the module itself reads the parameters in the end. A schema is a stranger's, so the work
//! on it has an end.

use std::collections::HashSet;

use serde_json::{Map, Number, Value};

/// Where in the parameters, key by key, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    pub path: Vec<String>,
    pub problem: String,
}

/// What is spent: so much for each look at one value with one schema, and a unit for each byte that a look compares or counts.
/// A mebibyte of parameters takes some hundred thousand looks; all of it is less than a second.
const WORK_LIMIT: usize = 20_000_000;
const WORK_OF_LOOK: usize = 20;
/// Schemas within schemas: references that lead in circles are deeper.
const DEPTH_LIMIT: u32 = 200;
/// A person mends some, and sends them again.
const MISFITS_LIMIT: usize = 50;
const SHOWN_CHARS: usize = 80;
/// Of a key on the way to a misfit.
const KEY_CHARS: usize = 100;

/// All that does not fit; nothing where the schema is none.
pub fn misfits(schema: &str, parameters: &Value) -> Vec<Misfit> {
    let Ok(root) = serde_json::from_str::<Value>(schema) else { return Vec::new() };
    let mut judge = Judge { root: &root, work: 0, found: Vec::new(), path: Vec::new() };
    if judge.look(&root, parameters, 0).is_err() {
        let problem = "the module's schema takes too long to judge them by".to_owned();
        return vec![Misfit { path: Vec::new(), problem }];
    }
    judge.found
}

struct Judge<'a> {
    root: &'a Value,
    work: usize,
    found: Vec<Misfit>,
    path: Vec<String>,
}

/// There is more to do than is done.
struct Endless;

impl<'a> Judge<'a> {
    fn look(&mut self, schema: &'a Value, value: &Value, depth: u32) -> Result<(), Endless> {
        self.spend(WORK_OF_LOOK)?;
        if depth > DEPTH_LIMIT {
            return Err(Endless);
        }
        let schema = match schema {
            Value::Bool(false) => {
                self.misfit("is not taken");
                return Ok(());
            }
            Value::Object(schema) => schema,
            _ => return Ok(()),
        };
        if let Some(wanted) = schema.get("type").filter(|wanted| !is_of_type(wanted, value)) {
            let words = match wanted {
                Value::Array(types) => types.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
                other => other.as_str().unwrap_or_default().to_owned(),
            };
            self.misfit(format!("is {}, and should be {words}", type_of(value)));
            // Nothing else that is said of it makes sense.
            return Ok(());
        }
        if let Some(Value::Array(values)) = schema.get("enum") {
            self.spend(values.iter().map(weight).sum())?;
            if !values.iter().any(|one| same(one, value)) {
                let known: Vec<String> = values.iter().take(SHOWN_CHARS).map(shown).collect();
                self.misfit(format!("is {}, and should be one of {}", shown(value), shortened(&known.join(", "))));
            }
        }
        if let Some(only) = schema.get("const") {
            self.spend(weight(only))?;
            if !same(only, value) {
                self.misfit(format!("is {}, and should be {}", shown(value), shown(only)));
            }
        }
        match value {
            Value::Object(object) => self.object(schema, object, depth)?,
            Value::Array(items) => self.array(schema, items, depth)?,
            Value::String(text) if schema.contains_key("minLength") || schema.contains_key("maxLength") => {
                self.spend(text.len())?;
                self.length(schema, ["minLength", "maxLength"], text.chars().count(), "characters");
            }
            Value::Number(number) => self.number(schema, number),
            Value::String(_) | Value::Null | Value::Bool(_) => {}
        }
        self.together(schema, value, depth)
    }

    fn object(
        &mut self,
        schema: &'a Map<String, Value>,
        object: &Map<String, Value>,
        depth: u32,
    ) -> Result<(), Endless> {
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            self.spend(1)?;
            if !object.contains_key(name) {
                self.path.push(name.chars().take(KEY_CHARS).collect());
                self.misfit("is missing");
                self.path.pop();
            }
        }
        self.length(schema, ["minProperties", "maxProperties"], object.len(), "members");
        let properties = schema.get("properties").and_then(Value::as_object);
        // A name may stand under a pattern, which is not judged.
        let others = schema.get("additionalProperties").filter(|_| !schema.contains_key("patternProperties"));
        for (name, value) in object {
            self.spend(name.len())?;
            self.path.push(name.chars().take(KEY_CHARS).collect());
            match (properties.and_then(|properties| properties.get(name)), others) {
                (Some(known), _) => self.look(known, value, depth + 1)?,
                (None, Some(Value::Bool(false))) => {
                    let known = properties.into_iter().flat_map(|known| known.keys()).map(String::as_str);
                    // More than is shown.
                    let known: Vec<&str> = known.take(SHOWN_CHARS).collect();
                    self.spend(known.iter().map(|name| name.len()).sum())?;
                    self.misfit(format!("is not known; there are: {}", shortened(&known.join(", "))));
                }
                (None, Some(schema)) => self.look(schema, value, depth + 1)?,
                (None, None) => {}
            }
            if let Some(names) = schema.get("propertyNames") {
                self.look(names, &Value::String(name.clone()), depth + 1)?;
            }
            self.path.pop();
        }
        Ok(())
    }

    fn array(&mut self, schema: &'a Map<String, Value>, items: &[Value], depth: u32) -> Result<(), Endless> {
        self.length(schema, ["minItems", "maxItems"], items.len(), "items");
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            self.spend(items.iter().map(weight).sum::<usize>().saturating_mul(4))?;
            let mut seen = HashSet::new();
            if let Some(twice) = items.iter().find(|item| !seen.insert(item.to_string())) {
                self.misfit(format!("holds {} twice", shown(twice)));
            }
        }
        let first = schema.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (index, item) in items.iter().enumerate() {
            if let Some(schema) = first.get(index).or_else(|| schema.get("items")) {
                self.path.push(index.to_string());
                self.look(schema, item, depth + 1)?;
                self.path.pop();
            }
        }
        Ok(())
    }

    fn number(&mut self, schema: &Map<String, Value>, number: &Number) {
        type Fails = fn(std::cmp::Ordering) -> bool;
        let rules: [(&str, Fails, &str); 4] = [
            ("minimum", |order| order.is_lt(), "at least"),
            ("maximum", |order| order.is_gt(), "at most"),
            ("exclusiveMinimum", |order| order.is_le(), "more than"),
            ("exclusiveMaximum", |order| order.is_ge(), "less than"),
        ];
        for (name, fails, words) in rules {
            let Some(Value::Number(limit)) = schema.get(name) else { continue };
            if compared(number, limit).is_some_and(fails) {
                self.misfit(format!("is {number}, and should be {words} {limit}"));
            }
        }
    }

    fn length(&mut self, schema: &Map<String, Value>, [least, most]: [&str; 2], length: usize, what: &str) {
        let limit = |name: &str| schema.get(name).and_then(Value::as_u64);
        if let Some(least) = limit(least).filter(|least| (length as u64) < *least) {
            self.misfit(format!("has {length} {what}, and should have {least} at least"));
        }
        if let Some(most) = limit(most).filter(|most| length as u64 > *most) {
            self.misfit(format!("has {length} {what}, and should have {most} at most"));
        }
    }

    /// References, and schemas of which all, one or none must fit.
    fn together(&mut self, schema: &'a Map<String, Value>, value: &Value, depth: u32) -> Result<(), Endless> {
        let root = self.root;
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|at| at.strip_prefix('#'));
        if let Some(found) = reference.and_then(|at| root.pointer(at)) {
            self.look(found, value, depth + 1)?;
        }
        let several = |name: &str| schema.get(name).and_then(Value::as_array).into_iter().flatten();
        for part in several("allOf") {
            self.look(part, value, depth + 1)?;
        }
        for (name, is_enough) in [("anyOf", (|fit| fit > 0) as fn(u32) -> bool), ("oneOf", |fit| fit == 1)] {
            if !schema.contains_key(name) {
                continue;
            }
            let mut fit = 0;
            for part in several(name) {
                fit += u32::from(self.fits(part, value, depth + 1)?);
            }
            if !is_enough(fit) {
                self.misfit(format!("fits {fit} of the forms that it may have"));
            }
        }
        if let Some(not) = schema.get("not")
            && self.fits(not, value, depth + 1)?
        {
            self.misfit("has a form that is excluded");
        }
        Ok(())
    }

    /// Whether the value fits, without a word on why not.
    fn fits(&mut self, schema: &'a Value, value: &Value, depth: u32) -> Result<bool, Endless> {
        let before = std::mem::take(&mut self.found);
        self.look(schema, value, depth)?;
        Ok(std::mem::replace(&mut self.found, before).is_empty())
    }

    fn spend(&mut self, work: usize) -> Result<(), Endless> {
        self.work = self.work.saturating_add(work);
        if self.work > WORK_LIMIT { Err(Endless) } else { Ok(()) }
    }

    fn misfit(&mut self, problem: impl Into<String>) {
        if self.found.len() < MISFITS_LIMIT {
            self.found.push(Misfit { path: self.path.clone(), problem: problem.into() });
        }
    }
}

fn is_of_type(wanted: &Value, value: &Value) -> bool {
    let is = |name: &str| match value {
        Value::Number(number) => name == "number" || (name == "integer" && is_whole(number)),
        other => type_of(other) == name,
    };
    match wanted {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_whole(number: &Number) -> bool {
    whole(number).is_some() || number.as_f64().is_some_and(|float| float.fract() == 0.0)
}

fn whole(number: &Number) -> Option<i128> {
    number.to_string().parse().ok()
}

/// Whole numbers exactly.
fn compared(one: &Number, other: &Number) -> Option<std::cmp::Ordering> {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => compared(one, other).is_some_and(std::cmp::Ordering::is_eq),
        _ => one == other,
    }
}

/// About how many bytes it is to look through.
fn weight(value: &Value) -> usize {
    1 + match value {
        Value::Null | Value::Bool(_) => 0,
        Value::Number(number) => number.as_str().len(),
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(object) => object.iter().map(|(name, value)| name.len() + weight(value)).sum(),
    }
}

/// Its beginning; the rest is not even written out.
fn shown(value: &Value) -> String {
    struct Beginning(String);
    impl std::fmt::Write for Beginning {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.extend(text.chars().take(SHOWN_CHARS + 1));
            if self.0.len() > SHOWN_CHARS * 4 { Err(std::fmt::Error) } else { Ok(()) }
        }
    }
    let mut beginning = Beginning(String::new());
    // An error says that there is more.
    let _ = std::fmt::Write::write_fmt(&mut beginning, format_args!("{value}"));
    shortened(&beginning.0)
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: &Value, parameters: Value, expected: &[(&str, &str)]) {
        let found = misfits(&schema.to_string(), &parameters);
        let told: Vec<(String, &str)> = found.iter().map(|one| (one.path.join("/"), one.problem.as_str())).collect();
        assert_eq!(told.len(), expected.len(), "{parameters}: {told:?}");
        for ((at, words), (path, problem)) in expected.iter().zip(&told) {
            assert!(path == at && problem.contains(words), "{parameters}: {told:?}");
        }
    }

    #[test]
    fn each_slip_is_told_with_its_place() {
        let schema = json!({
            "type": "object", "additionalProperties": false, "required": ["shop"],
            "properties": {
                "shop": { "$ref": "#/$defs/number" },
                "rate": { "type": "integer", "minimum": 1, "exclusiveMaximum": 10 },
                "days": { "type": "array", "items": { "enum": [1, 2, 3] }, "minItems": 1, "uniqueItems": true },
                "by_shop": { "type": "object", "additionalProperties": { "$ref": "#/$defs/number" } },
                "field": { "type": "string", "pattern": "^x" },
            },
            "$defs": { "number": { "type": "string", "minLength": 1, "maxLength": 3 } },
        });
        check(
            &schema,
            json!({ "shop": "S1", "rate": 9, "days": [1, 2], "by_shop": { "a/b": "S" }, "field": "y" }),
            &[],
        );
        check(&schema, json!({}), &[("shop", "is missing")]);
        check(&schema, json!({ "shop": 1 }), &[("shop", "is number, and should be string")]);
        check(&schema, json!({ "shop": "S", "shpo": 1 }), &[("shpo", "is not known; there are: shop, rate")]);
        check(&schema, json!({ "shop": "", "rate": 10 }), &[("shop", "1 at least"), ("rate", "less than 10")]);
        check(&schema, json!({ "shop": "S", "rate": 1.5 }), &[("rate", "should be integer")]);
        check(&schema, json!({ "shop": "S", "days": [1, 4, 1] }), &[("days", "1 twice"), ("days/1", "one of 1, 2, 3")]);
        check(&schema, json!({ "shop": "S", "by_shop": { "a/b": "long" } }), &[("by_shop/a/b", "3 at most")]);
        check(&schema, json!([]), &[("", "is array, and should be object")]);
    }

    #[test]
    fn a_schema_that_looks_at_much_again_and_again_comes_to_its_end() {
        let again = |last: Value| {
            let defs: serde_json::Map<String, Value> = (0..6)
                .map(|number| {
                    let next = json!({ "$ref": format!("#/$defs/a{}", number + 1) });
                    (format!("a{number}"), json!({ "allOf": vec![next; 8] }))
                })
                .chain([("a6".to_owned(), last)])
                .collect();
            json!({ "$ref": "#/$defs/a0", "$defs": defs })
        };
        let endless = [("", "takes too long")];
        check(&again(json!({ "anyOf": [{ "const": "x".repeat(1_000) }, {}] })), json!("y".repeat(200_000)), &endless);
        check(&again(json!({ "uniqueItems": true })), json!((0..120_000).collect::<Vec<_>>()), &endless);
        check(&again(json!({ "maxLength": 1 })), json!("y".repeat(200_000)), &endless);
        check(&again(json!({ "enum": ["x".repeat(10_000)] })), json!("y"), &endless);
    }

    #[test]
    fn a_key_of_a_mebibyte_is_not_told_fifty_times() {
        let schema = json!({ "additionalProperties": { "additionalProperties": false } });
        let inner: serde_json::Map<String, Value> = (0..60).map(|number| (number.to_string(), json!(1))).collect();
        let found = misfits(&schema.to_string(), &json!({ "K".repeat(1 << 20): inner }));
        assert_eq!(found.len(), MISFITS_LIMIT);
        assert!(found.iter().all(|one| one.path[0].len() == KEY_CHARS));
    }

    #[test]
    fn schemas_are_put_together() {
        let schema = json!({ "oneOf": [{ "type": "string" }, { "const": 1 }, { "type": "integer", "maximum": 1 }] });
        check(&schema, json!("x"), &[]);
        check(&schema, json!(0), &[]);
        check(&schema, json!(1), &[("", "fits 2")]);
        let schema = json!({ "anyOf": [{ "type": "null" }, { "required": ["a"] }], "not": { "required": ["b"] } });
        check(&schema, json!({ "a": 1 }), &[]);
        check(&schema, json!({ "a": 1, "b": 1 }), &[("", "excluded")]);
        check(&schema, json!({}), &[("", "fits 0")]);
        check(&json!({ "allOf": [false] }), json!({}), &[("", "is not taken")]);
        check(
            &json!({ "properties": { "a": true }, "patternProperties": {}, "additionalProperties": false }),
            json!({ "b": 1 }),
            &[],
        );
    }

    #[test]
    fn no_schema_at_all_takes_everything_and_an_endless_one_has_an_end() {
        for none in ["", "{", "{}", "true", "null", "[]", "{\"$ref\":\"http://elsewhere/\"}"] {
            assert_eq!(misfits(none, &json!({ "a": [1, { "b": null }] })), [], "{none}");
        }
        let circle = json!({ "$ref": "#" });
        let tree = json!({ "anyOf": [{ "$ref": "#" }, { "$ref": "#" }, { "$ref": "#" }] });
        let wide: Vec<Value> =
            (0..30).map(|n| json!({ "allOf": vec![json!({ "$ref": format!("#/$defs/{}", n + 1) }); 9] })).collect();
        let wide = json!({ "$ref": "#/$defs/0", "$defs": Value::Object(wide.into_iter().enumerate().map(|(n, one)| (n.to_string(), one)).collect()) });
        for schema in [circle, tree, wide] {
            check(&schema, json!({}), &[("", "takes too long")]);
        }
    }
}
