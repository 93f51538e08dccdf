//! Which values are replaced: built-in rules for personal data, and a file of a person's own.
//!
//! A rule a line, the last that fits decides. `docs/guides/capsules.md` is what people read of it.

use crate::telemetry::is_personal_field;

/// Fields in which people write to each other: a name may stand anywhere in them. Without case, `_` and `-`.
const FREE_TEXT: &[&str] = &[
    "remark",
    "remarks",
    "memo",
    "note",
    "node",
    "buyermessage",
    "buyerremark",
    "sellerremark",
    "sellermemo",
    "csremark",
    "printremark",
    "orderremark",
    "cmemo",
    "fnote",
    "invoicecontent",
];
/// 用友U8's user-defined fields. Where a shop has no better place for a receiver, it is one of them.
const USER_DEFINED: &[&str] = &["define", "cdefine"];

/// What holds a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder<'a> {
    Document,
    /// Settings, not data: only rules that say so are about them, and the patterns.
    Parameters,
    /// The answers of a reference table.
    Lookup(&'a str),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    lines: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    keeps: bool,
    scope: Scope,
    path: Path,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    /// The document and the answers of look-ups.
    Data,
    Document,
    Parameters,
    Lookup(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Path {
    /// A field of this name, wherever it stands.
    Name(String),
    /// From the top.
    Steps(Vec<Step>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Named(String),
    Any,
    /// Any number of steps, none too.
    Deep,
}

/// A line that is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: {problem}; a rule is a field's name (`receiver_name`), a place in the document (`/items/*/remark`), \
     `parameters:/…` or `lookup:TABLE:/…`, with `!` in front to keep what an earlier one hides"
)]
pub struct RuleError {
    pub line: usize,
    pub problem: &'static str,
}

impl Rules {
    /// The built-in rules, and those of a file behind them.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let mut rules = Self::default();
        for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            // What stands behind a blank and `#` is for people.
            let line = if line.starts_with('#') { "" } else { line.split(" #").next().unwrap_or_default().trim() };
            if line.is_empty() {
                continue;
            }
            rules.rules.push(Rule::parse(line).map_err(|problem| RuleError { line: number + 1, problem })?);
            rules.lines.push(line.to_owned());
        }
        Ok(rules)
    }

    /// The file's own, as they were written.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Whether a value is to be replaced. Below a place that is hidden, everything is.
    pub fn hides(&self, holder: Holder<'_>, path: &[String]) -> bool {
        let own = self.rules.iter().rev().find(|rule| rule.fits(holder, path));
        match own {
            Some(rule) => !rule.keeps,
            None => holder != Holder::Parameters && path.iter().any(|step| is_built_in(step)),
        }
    }
}

fn is_built_in(field: &str) -> bool {
    let plain = plain(field);
    let is_numbered = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    let is_user_defined = USER_DEFINED.iter().any(|prefix| plain.strip_prefix(prefix).is_some_and(is_numbered));
    is_personal_field(field) || FREE_TEXT.contains(&plain.as_str()) || is_user_defined
}

fn plain(field: &str) -> String {
    field.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
}

impl Rule {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let (keeps, rest) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, line),
        };
        let (scope, path) = if let Some(path) = rest.strip_prefix("parameters:") {
            (Scope::Parameters, path)
        } else if let Some(table) = rest.strip_prefix("lookup:") {
            let (table, path) = table.split_once(':').ok_or("a table is followed by `:` and a place in its answers")?;
            (Scope::Lookup(table.into()), path)
        } else if rest.starts_with('/') {
            (Scope::Document, rest)
        } else {
            (Scope::Data, rest)
        };
        Ok(Self { keeps, scope, path: Path::parse(path)? })
    }

    fn fits(&self, holder: Holder<'_>, path: &[String]) -> bool {
        let in_scope = match (&self.scope, holder) {
            (Scope::Data, Holder::Document | Holder::Lookup(_)) => true,
            (Scope::Document, Holder::Document) | (Scope::Parameters, Holder::Parameters) => true,
            (Scope::Lookup(table), Holder::Lookup(asked)) => table == asked,
            _ => false,
        };
        in_scope
            && match &self.path {
                Path::Name(name) => path.iter().any(|step| plain(step) == *name),
                Path::Steps(steps) => (0..=path.len()).any(|depth| leads(steps, &path[..depth])),
            }
    }
}

impl Path {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(steps) = text.strip_prefix('/') else {
            if text.is_empty() || text.contains(['/', ':', '*', ' ']) {
                return Err("this is neither a field's name nor a place that begins with `/`");
            }
            return Ok(Path::Name(plain(text)));
        };
        let step = |step: &str| match step {
            "*" => Ok(Step::Any),
            "**" => Ok(Step::Deep),
            "" => Err("a step of the place is empty"),
            // As in a JSON Pointer.
            name => Ok(Step::Named(name.replace("~1", "/").replace("~0", "~"))),
        };
        Ok(Path::Steps(steps.split('/').map(step).collect::<Result<_, _>>()?))
    }
}

fn leads(steps: &[Step], path: &[String]) -> bool {
    match (steps.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((Step::Deep, later)), _) if leads(later, path) => true,
        (Some((Step::Deep, _)), Some((_, rest))) => leads(steps, rest),
        (Some((Step::Any, later)), Some((_, rest))) => leads(later, rest),
        (Some((Step::Named(name), later)), Some((first, rest))) => name == first && leads(later, rest),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rules: &str, holder: Holder<'_>, place: &str, hidden: bool) {
        let rules = Rules::parse(rules).unwrap();
        let path: Vec<String> = place.split('/').skip(1).map(str::to_owned).collect();
        assert_eq!(rules.hides(holder, &path), hidden, "{rules:?} at {place}");
    }

    #[test]
    fn personal_fields_are_hidden_where_no_rule_says_anything() {
        for place in ["/receiver_name", "/Receiver-Name", "/a/0/buyer_nick", "/remark", "/receiver/given", "/define10"]
        {
            check("", Holder::Document, place, true);
            check("", Holder::Lookup("customer"), place, true);
            check("", Holder::Parameters, place, false);
        }
        for place in ["/io_id", "/items/0/sku_id", "/receiver_city", "/define", "/defined1"] {
            check("", Holder::Document, place, false);
        }
    }

    #[test]
    fn the_last_rule_that_fits_decides() {
        check("!remark", Holder::Document, "/remark", false);
        check("!remark\nremark", Holder::Document, "/remark", true);
        check("/items\n!/items/*/qty", Holder::Document, "/items/3/qty", false);
        check("/items\n!/items/*/qty", Holder::Document, "/items/3/price", true);
    }

    #[test]
    fn a_place_may_leave_steps_open() {
        check("/items/*/batch", Holder::Document, "/items/0/batch", true);
        check("/items/*/batch", Holder::Document, "/items/0/a/batch", false);
        check("/**/batch", Holder::Document, "/items/0/a/batch", true);
        check("/**/batch", Holder::Document, "/batch", true);
        check("/a~1b", Holder::Lookup("x"), "/a/b", false);
        check("lookup:customer:/tel", Holder::Lookup("customer"), "/tel", true);
        check("lookup:customer:/fax", Holder::Lookup("unit"), "/fax", false);
        check("lookup:customer:/fax", Holder::Document, "/fax", false);
        check("parameters:/sender/name", Holder::Parameters, "/sender/name", true);
        check("# a comment\n\n  fax   # another", Holder::Lookup("any"), "/fax", true);
    }

    #[test]
    fn what_is_no_rule_is_named_with_its_line() {
        for text in ["a\n/b//c", "a\nlookup:x", "a\nitems/x", "a\n!", "a\nparameters:"] {
            let error = Rules::parse(text).unwrap_err();
            assert_eq!(error.line, 2, "{text}");
        }
    }
}
