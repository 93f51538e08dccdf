//! The corpus: `hostile/*.wat`, each a module that wants to do harm in a way of its own, and says how it ends.
//!
//! A file begins with a sentence on what it does, and then lines of the form `;; key: value`:
//!
//! | key | value |
//! |---|---|
//! | `ends` | `refused CODE [LIMIT]` when it is loaded, `parked CODE [LIMIT]` or `retried CODE [LIMIT]` when it runs, `harmless` when it runs in vain |
//! | `says` | what the error says, where the code alone does not tell which mechanism it was |
//! | `set` | settings other than the defaults, `fuel = 100000, standard.functions = 4` |
//! | `class` | `interpreter`, where it is not `standard` |
//! | `replace` | `OLD => NEW` in the core module that surrounds the body |
//! | `cut` | only so many bytes of the component |
//!
//! What follows are parts, each after a line `;; === NAME`: `body` of `transform`, with more `imports` and `items` of its
//! core module and a `world` of more imports from the packages in `wit`; or a whole `component`; or a `module` or a `text` that
//! is no component; or `beside`, core modules that end in an instance `$beside` with a function `f`, called by an honest
//! module in the same component. `(;repeat N;)` up to `(;end;)` stands there N times. `@V` is the contract's version.

use std::fs;
use std::path::PathBuf;

use crossdock::sandbox::{ModuleClass, Settings};
use serde_json::Value;

use super::guests;

/// How a hostile module is to end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    Refused { code: String, limit: Option<String> },
    Parked { code: String, limit: Option<String> },
    Retried { code: String, limit: Option<String> },
    Harmless,
}

#[derive(Debug)]
pub struct Hostile {
    pub name: String,
    pub does: String,
    pub end: End,
    pub says: String,
    pub settings: Settings,
    pub class: ModuleClass,
    pub bytes: Vec<u8>,
}

pub fn all() -> Vec<Hostile> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sandbox/hostile");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
        .iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap();
            read(name, &fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn read(name: &str, text: &str) -> Hostile {
    let (head, parts) = text.split_once(";; === ").unwrap_or_else(|| panic!("{name} has no part"));
    let mut hostile = Hostile {
        name: name.into(),
        does: String::new(),
        end: End::Harmless,
        says: String::new(),
        settings: super::hostile::settings(),
        class: ModuleClass::Standard,
        bytes: Vec::new(),
    };
    let (mut replacements, mut cut, mut ends) = (Vec::new(), None, false);
    for line in head.lines().filter_map(|line| line.strip_prefix(";;")).map(str::trim) {
        match line.split_once(": ") {
            Some(("ends", value)) => (hostile.end, ends) = (end(value), true),
            Some(("says", value)) => hostile.says = value.into(),
            Some(("set", value)) => set(&mut hostile.settings, value),
            Some(("class", "interpreter")) => hostile.class = ModuleClass::Interpreter,
            Some(("replace", value)) => replacements.push(value.split_once(" => ").unwrap()),
            Some(("cut", value)) => cut = Some(value.parse().unwrap()),
            _ => hostile.does = format!("{} {line}", hostile.does).trim().into(),
        }
    }
    assert!(ends, "{name} does not say how it ends");
    hostile.bytes = build(&Parts::read(parts), &replacements);
    hostile.bytes.truncate(cut.unwrap_or(usize::MAX));
    hostile
}

fn end(value: &str) -> End {
    let words: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
    let (code, limit) = (|| words[1].clone(), words.get(2).cloned());
    match words[0].as_str() {
        "refused" => End::Refused { code: code(), limit },
        "parked" => End::Parked { code: code(), limit },
        "retried" => End::Retried { code: code(), limit },
        "harmless" => End::Harmless,
        other => panic!("{other} is no end"),
    }
}

fn set(settings: &mut Settings, changes: &str) {
    let mut value = serde_json::to_value(&*settings).unwrap();
    for change in changes.split(", ") {
        let (path, number) = change.split_once(" = ").unwrap();
        let place = value.pointer_mut(&format!("/{}", path.replace('.', "/"))).unwrap_or_else(|| panic!("{path}"));
        *place = serde_json::from_str(number).unwrap();
    }
    *settings = serde_json::from_value(value).unwrap();
}

/// The default of a setting, as the documentation shows it.
pub fn default_of(limit: &str, class: ModuleClass) -> Option<u64> {
    let defaults = serde_json::to_value(Settings::default()).unwrap();
    let of_class = defaults.pointer(&format!("/{}/{limit}", class.as_str()));
    of_class.or_else(|| defaults.get(limit)).and_then(Value::as_u64)
}

struct Parts(Vec<(String, String)>);

impl Parts {
    fn read(text: &str) -> Self {
        let part = |part: &str| {
            let (name, text) = part.split_once('\n').unwrap();
            (name.trim().to_owned(), repeated(&text.replace("@V", version())))
        };
        Self(text.split(";; === ").map(part).collect())
    }
    fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(of, _)| of == name).map(|(_, text)| text.as_str())
    }
    fn get(&self, name: &str) -> &str {
        self.find(name).unwrap_or_default()
    }
}

fn build(parts: &Parts, replacements: &[(&str, &str)]) -> Vec<u8> {
    if let Some(text) = parts.find("text") {
        return text.as_bytes().to_vec();
    }
    if let Some(whole) = parts.find("component").or(parts.find("module")) {
        return wat::parse_str(whole).unwrap();
    }
    if let Some(beside) = parts.find("beside") {
        return wat::parse_str(with_beside(beside)).unwrap();
    }
    let body = parts.find("body").unwrap_or(guests::ECHO);
    let mut core = guests::core_text(parts.get("imports"), parts.get("items"), body);
    for (old, new) in replacements {
        assert!(core.contains(old), "nothing to replace: {old}");
        core = core.replace(old, new);
    }
    let contract = parts.find("contract").unwrap_or(guests::WIT);
    let mut packages: Vec<&str> = vec![contract];
    packages.extend(parts.get("wit").split(";; ---").map(str::trim).filter(|package| !package.is_empty()));
    let wanted = parts.get("world");
    let world = format!(
        "package test:guest; world w {{ include crossdock:transform/transform{}; {wanted} }}",
        version_of(contract)
    );
    packages.push(&world);
    guests::stranger(&packages, &core)
}

/// An honest module that calls `f` of another in the same component, and then emits the document.
pub fn with_beside(beside: &str) -> String {
    let body = format!("(call $f) {}", guests::ECHO);
    let core = guests::core_text(r#"(import "beside" "f" (func $f))"#, "", &body);
    let core = core.strip_prefix("(module").unwrap();
    let v = version();
    format!(
        r#"(component
  (import "crossdock:transform/types{v}" (instance $types
    (type $document0 (record (field "key" string) (field "body" string)))
    (export "document" (type $document (eq $document0)))
    (type $bill0 (record (field "key" string) (field "body" string)))
    (export "target-document" (type $bill (eq $bill0)))
    (type $reason0 (record (field "code" string) (field "message" string) (field "field" (option string))))
    (export "reason" (type $reason (eq $reason0)))
    (type $outcome0 (variant (case "emit" (list $bill)) (case "skip" $reason) (case "reject" $reason)))
    (export "outcome" (type $outcome (eq $outcome0)))
    (type $context0 (record (field "tenant" string) (field "scheme" string) (field "source" string)
      (field "target" string) (field "parameters" string) (field "received-at" string)))
    (export "context" (type $context (eq $context0)))
    (type $description0 (record (field "name" string) (field "version" string) (field "source" string)
      (field "target" string) (field "parameters-schema" string)))
    (export "description" (type $description (eq $description0)))))
  (alias export $types "document" (type $document))
  (alias export $types "outcome" (type $outcome))
  (alias export $types "context" (type $context))
  (alias export $types "description" (type $description))
  (core module $stub
    (func (export "write") (param i32 i32 i32) unreachable)
    (func (export "lookup") (param i32 i32 i32 i32 i32) unreachable))
  (core instance $stub (instantiate $stub))
  {beside}
  (core module $main {core}
  (core instance $main (instantiate $main
    (with "crossdock:transform/log{v}" (instance $stub))
    (with "crossdock:transform/reference{v}" (instance $stub))
    (with "beside" (instance $beside))))
  (alias core export $main "memory" (core memory $memory))
  (alias core export $main "cabi_realloc" (core func $realloc))
  (func (export "describe") (result $description)
    (canon lift (core func $main "describe") (memory $memory) (realloc $realloc)))
  (func (export "transform") (param "context" $context) (param "document" $document) (result $outcome)
    (canon lift (core func $main "transform") (memory $memory) (realloc $realloc))))"#
    )
}

/// `@1.2.3`, as imports of the contract carry it.
fn version() -> &'static str {
    version_of(guests::WIT)
}

fn version_of(wit: &str) -> &str {
    let (_, rest) = wit.split_once("package crossdock:transform").unwrap();
    rest.split_once(';').unwrap().0
}

fn repeated(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("(;repeat ") {
        let (count, after) = after.split_once(";)").unwrap();
        let (piece, after) = after.split_once("(;end;)").unwrap();
        out += before;
        out += &piece.repeat(count.parse().unwrap());
        rest = after;
    }
    out + rest
}
