//! What a user meets: files, and what is said of them.

mod references;

use std::path::{Path, PathBuf};

use jiff::SignedDuration;

use super::*;
use crate::model::System;

/// A directory with the files of a story.
struct Folder(tempfile::TempDir);

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.path("modules")).unwrap();
        folder.with("m.wasm", COMPONENT)
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn with(self, name: &str, bytes: &[u8]) -> Self {
        std::fs::write(self.path(name), bytes).unwrap();
        self
    }
    fn load(&self, toml: &str, options: &LoadOptions<'_>) -> Result<Config, Problems> {
        std::fs::write(self.path("c.toml"), toml).unwrap();
        load(&self.path("c.toml"), options)
    }
    /// `line:column message`, other files by their name in front.
    fn problems(&self, toml: &str, options: &LoadOptions<'_>) -> Vec<String> {
        let problems = match self.load(toml, options) {
            Ok(config) => panic!("nothing was wrong with it: {config:?}"),
            Err(problems) => problems,
        };
        let shown = problems.iter().map(|problem| {
            let (line, column) = problem.place.position.unwrap_or_default();
            let file = problem.place.file.file_name().unwrap().to_string_lossy().into_owned();
            let file = if file == "c.toml" { String::new() } else { format!("{file}:") };
            format!("{file}{line}:{column} {}", problem.message).replace(&self.0.path().display().to_string(), "DIR")
        });
        shown.collect()
    }
}

fn no_env(_: &str) -> Option<String> {
    None
}

const GOOD: &str = r#"[engine]
data_dir = "data"

[[connection]]
name = "jst"
system = "jushuitan_qimen"
app_secret = { env = "JST" }

[[connection]]
name = "k3"
system = "kingdee_k3cloud"

[[scheme]]
name = "saleout"
source = { connection = "jst", operation = "jushuitan.saleout.list.query", status = "Confirmed" }
module = { file = "m.wasm" }
target = { connection = "k3", operation = "BatchSave", form = "SAL_OUTSTOCK" }
schedule = "every 5m"
start_at = "2026-11-01T00:00:00+08:00"
"#;

fn env(name: &str) -> Option<String> {
    (name == "JST").then(|| "s3cr3t".into())
}

/// What is said of [`GOOD`] after one line of it became another.
#[track_caller]
fn check(line: &str, instead: &str, said: &[&str]) {
    assert!(GOOD.contains(line), "{line} is not part of the good file");
    let found = Folder::new().problems(&GOOD.replace(line, instead), &LoadOptions::new(&env));
    assert_eq!(found, said, "after {instead:?}");
}

#[test]
fn a_good_file_becomes_a_configuration_with_its_defaults() {
    let folder = Folder::new();
    let config = folder.load(GOOD, &LoadOptions::new(&env)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.engine.listen.to_string(), "127.0.0.1:8787");
    assert_eq!(config.engine.data_dir, folder.path("data"), "a relative path is relative to the file");
    let scheme = &config.schemes[0];
    assert_eq!((scheme.tenant.as_str(), scheme.name.as_str()), ("default", "saleout"));
    assert_eq!(scheme.source.options["status"].as_str(), Some("Confirmed"));
    assert!(!scheme.source.options.contains_key("connection"));
    assert_eq!(scheme.module, ModuleSource::File(folder.path("m.wasm")));
    assert_eq!(scheme.start_at.to_string(), "2026-10-31T16:00:00Z");
    assert_eq!((scheme.on_change, scheme.isolation), (OnChange::Park, Isolation::Document));
    assert_eq!(scheme.lag, SignedDuration::from_secs(120));
    assert_eq!(scheme.settle, SignedDuration::from_secs(30));
    assert_eq!(scheme.sweep, Sweep { every: SignedDuration::from_hours(24), over: SignedDuration::from_hours(72) });
    assert_eq!((scheme.document_limit_bytes, scheme.parameters.as_str()), (4 << 20, "{}"));
    assert!(scheme.enabled);
    let tenant = &scheme.tenant;
    assert_eq!(config.connection(tenant, &scheme.target.connection).unwrap().system, System::KingdeeK3cloud);
    assert!(config.scheme(tenant, &scheme.name).is_some());
}

#[test]
fn the_documented_example_can_be_loaded() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/crossdock.example.toml");
    let text = std::fs::read_to_string(example).unwrap();
    let set = |name: &str| ["JST_APP_SECRET", "K3_APP_SECRET"].contains(&name).then(|| "x".to_owned());
    let config = Folder::new().load(&text, &LoadOptions::new(&set)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((config.connections.len(), config.schemes.len()), (2, 1));
    let parameters = r#"{"default":{"currency":"PRE001","department":"00006","organisation":"101","profit_centre":"LY004"},"shop_customers":{"12948597":"KH0102"}}"#;
    assert_eq!(config.schemes[0].parameters, parameters);
}

/// The example promises that what it comments out is the default, and every key is one that is known.
#[test]
fn the_defaults_that_the_example_shows_are_the_defaults() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/crossdock.example.toml");
    let text = std::fs::read_to_string(example).unwrap();
    let is_default = |line: &&str| line.starts_with("# ") && line.contains(" = ") && !line.starts_with("# Param");
    let not_default = ["# webhook", "# credentials_key", "# when", "# batch_size", "# limits", "# reference"];
    let mut spelt_out = String::new();
    let mut count = 0;
    for line in text.lines() {
        let uncomment = is_default(&line) && !not_default.iter().any(|key| line.starts_with(key));
        count += usize::from(uncomment);
        spelt_out += if uncomment { &line[2..] } else { line };
        spelt_out += "\n";
    }
    assert!(count > 15, "only {count} defaults were found");
    let folder = Folder::new();
    let set = |_: &str| Some("x".to_owned());
    let [plain, spelt_out] = [&text, &spelt_out]
        .map(|text| folder.load(text, &LoadOptions::new(&set)).unwrap_or_else(|problems| panic!("{problems}\n{text}")));
    assert_eq!(format!("{plain:#?}"), format!("{spelt_out:#?}"));
}

#[test]
fn the_api_is_off_until_it_is_spoken_of_and_answers_on_loopback_then() {
    let load = |more: &str| {
        let set = |name: &str| match name {
            "KEY" => Some("ab".repeat(32)),
            name => env(name),
        };
        Folder::new()
            .load(&format!("{GOOD}{more}"), &LoadOptions::new(&set))
            .unwrap_or_else(|problems| panic!("{problems}"))
    };
    assert!(load("").api.is_none());
    let config = load("[api]\n");
    assert_eq!(config.api.as_ref().map(|api| api.listen.to_string()).as_deref(), Some("127.0.0.1:8788"));
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    let config = load("[api]\ncredentials_key = { env = \"KEY\" }\nlisten = \"0.0.0.0:1\"\n");
    let warned = config.warnings.to_string();
    assert!(warned.contains("`listen` of [api]: is 0.0.0.0:1, which others can reach"), "{warned}");
    assert_eq!(config.api.as_ref().unwrap().credentials_key.as_ref().unwrap().expose(), &[0xab; 32]);
    assert!(!format!("{config:?}").contains("171"), "a key is never printed");
}

#[test]
fn a_credentials_key_is_32_bytes_and_never_quoted() {
    let key = |text: &'static str| move |name: &str| if name == "KEY" { Some(text.to_owned()) } else { env(name) };
    let wrong = "[api]\ncredentials_key = { env = \"KEY\" }\n";
    for text in ["tooshort", "zz", "YWJj"] {
        let found = Folder::new().problems(&format!("{GOOD}{wrong}"), &LoadOptions::new(&key(text))).join("\n");
        assert!(found.contains("`credentials_key` of [api] is not 32 bytes") && !found.contains(text), "{found}");
    }
    // A file as the engine makes its own, of which no byte needs to be text.
    let folder = Folder::new();
    std::fs::write(folder.path("old.key"), [0xff; 32]).unwrap();
    let raw = "[api]\ncredentials_key = { env = \"KEY\" }\nprevious_credentials_key = { file = \"old.key\" }\n";
    let hexadecimal = "abababababababababababababababababababababababababababababababab";
    let config = folder.load(&format!("{GOOD}{raw}"), &LoadOptions::new(&key(hexadecimal)));
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.api.unwrap().previous_credentials_key.unwrap().expose(), &[0xff; 32]);
    let wrong = "[api]\nprevious_credentials_key = { env = \"KEY\" }\n";
    let good = "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=";
    let found = Folder::new().problems(&format!("{GOOD}{wrong}"), &LoadOptions::new(&key(good))).join("\n");
    assert!(found.contains("without the `credentials_key` that came after it"), "{found}");
}

#[test]
fn a_tenant_keeps_what_its_own_words_say_and_otherwise_what_all_keep() {
    let retention = "[retention]\nkeep = \"180d\"\nkeep_bytes = 1000\n[retention.tenant.default]\nkeep_bytes = 0\n";
    let config = Folder::new().load(&format!("{GOOD}{retention}"), &LoadOptions::new(&env));
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    let days = |days: i64| Some(SignedDuration::from_hours(24 * days));
    assert_eq!(config.retention.of(&config.schemes[0].tenant), Keep { time: days(180), bytes: None });
    let other = TenantId::new("other").unwrap();
    assert_eq!(config.retention.of(&other), Keep { time: days(180), bytes: Some(1_000) });
    let plain = Folder::new().load(GOOD, &LoadOptions::new(&env)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(plain.retention.of(&other), Keep::default(), "without a word everything is kept");
}

#[test]
fn what_retention_and_compaction_cannot_mean_is_said() {
    let wrong = "[retention]\nkeep = \"0s\"\n[retention.tenant.acme]\nkep = \"1d\"\n[compaction]\nratio = 2\n";
    let found = Folder::new().problems(&format!("{GOOD}{wrong}"), &LoadOptions::new(&env)).join("\n");
    for words in [
        "`keep` of [retention]: \"0s\" is out of range",
        "no connection and no scheme has the tenant \"acme\"",
        "[retention.tenant.acme] has an unknown key `kep`",
        "`ratio` of [compaction] is 2",
    ] {
        assert!(found.contains(words), "{words}\nis not among\n{found}");
    }
    let problems = Folder::new().load(&format!("{GOOD}{wrong}"), &LoadOptions::new(&env)).unwrap_err();
    let remedies: Vec<_> = problems.iter().map(|problem| problem.remedy.as_str()).collect();
    assert!(remedies.contains(&"the tenants are: default"), "each tenant once: {remedies:?}");
}

#[test]
fn all_mistakes_are_found_at_once_in_the_order_of_the_file() {
    let toml = r#"[engine]
data_dri = "data"
log_format = "jsno"

[[connection]]
name = "jst"
system = "jushuitan"
app_secret = "s3cr3t"

[[scheme]]
name = "saleout"
source = { connection = "jts", operation = "x" }
module = "saleout"
target = { connection = "jst" }
schedule = "5m"
shedule = "every 5m"
limits = { fuel = 0 }
"#;
    let found = Folder::new().problems(toml, &LoadOptions::new(&no_env));
    assert_eq!(
        found,
        [
            "1:1 [engine] has no `data_dir`",
            "2:1 [engine] has an unknown key `data_dri`",
            "3:14 `log_format` of [engine]: \"jsno\" is not known, did you mean \"json\"?",
            "7:10 `system` of connection \"jst\": \"jushuitan\" is not known",
            "8:14 the secret `app_secret` stands in the file itself",
            "10:1 scheme \"saleout\" has no `start_at`",
            "12:25 `source` of scheme \"saleout\" names the connection \"jts\", which does not exist",
            "13:10 `module` of scheme \"saleout\": module \"saleout\": must be written name@version",
            "14:10 `target` of scheme \"saleout\" has no `operation`",
            "15:12 `schedule` of scheme \"saleout\": \"5m\" is not a schedule",
            "16:1 scheme \"saleout\" has an unknown key `shedule`",
            "17:19 `fuel` of `limits` of scheme \"saleout\" is 0, which is out of range",
        ]
    );
}

#[test]
fn a_mistyped_key_or_connection_is_answered_with_the_one_that_was_meant() {
    let folder = Folder::new();
    let toml = GOOD.replace("schedule =", "shedule =").replace("\"k3\", operation", "\"k4\", operation");
    let problems = folder.load(&toml, &LoadOptions::new(&env)).unwrap_err();
    let remedies: Vec<_> = problems.iter().map(|problem| problem.remedy.as_str()).collect();
    assert!(remedies.contains(&"did you mean `schedule`?"), "{remedies:?}");
    assert!(remedies.contains(&"did you mean \"k3\"?"), "{remedies:?}");
}

#[test]
fn names_are_unique_within_a_tenant_and_only_there() {
    check(
        "name = \"k3\"",
        "name = \"jst\"",
        &[
            "10:8 the tenant \"default\" has two connections named \"jst\"",
            "17:25 `target` of scheme \"saleout\" names the connection \"k3\", which does not exist",
        ],
    );
    let scheme = &GOOD[GOOD.find("[[scheme]]").unwrap()..];
    let twice = format!("{GOOD}{scheme}");
    let found = Folder::new().problems(&twice, &LoadOptions::new(&env));
    assert_eq!(found, ["21:8 the tenant \"default\" has two schemes named \"saleout\""]);
    // Two schemes may write to the same operation under names of their own.
    let two = format!("{GOOD}{}", scheme.replace("\"saleout\"", "\"returns\""));
    assert!(Folder::new().load(&two, &LoadOptions::new(&env)).is_ok());
}

#[test]
fn a_scheme_uses_its_own_tenants_connections_only() {
    check(
        "name = \"k3\"",
        "name = \"k3\"\ntenant = \"acme\"",
        &["18:25 `target` of scheme \"saleout\" names the connection \"k3\", which does not exist"],
    );
}

#[test]
fn a_connection_that_is_wrong_is_not_blamed_on_its_schemes() {
    check(
        "system = \"kingdee_k3cloud\"",
        "system = \"k3\"",
        &["11:10 `system` of connection \"k3\": \"k3\" is not known"],
    );
}

#[test]
fn a_start_is_required_and_needs_a_zone() {
    let line = "start_at = \"2026-11-01T00:00:00+08:00\"";
    check(line, "", &["13:1 scheme \"saleout\" has no `start_at`"]);
    for (written, shown) in [("\"2026-11-01\"", "2026-11-01"), ("2026-11-01T00:00:00", "2026-11-01T00:00:00")] {
        let said =
            format!("19:12 `start_at` of scheme \"saleout\" is \"{shown}\", which is not an instant with a zone");
        check(line, &format!("start_at = {written}"), &[&said]);
    }
    for early in ["1999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2000-01-01T00:00:00+08:00"] {
        let said = format!(
            "19:12 `start_at` of scheme \"saleout\" is \"{early}\", which is before the year 2000, when none of these systems was there"
        );
        check(line, &format!("start_at = \"{early}\""), &[&said]);
    }
    let toml = GOOD.replace(line, "start_at = 2026-11-01T00:00:00+08:00");
    let config = Folder::new().load(&toml, &LoadOptions::new(&env)).unwrap();
    assert_eq!(config.schemes[0].start_at.to_string(), "2026-10-31T16:00:00Z");
}

#[test]
fn durations_and_numbers_out_of_range_are_refused() {
    for (key, value, said) in [
        ("lag", "\"2d\"", "`lag` of scheme \"saleout\": \"2d\" is out of range"),
        ("lag", "120", "`lag` of scheme \"saleout\" must be a text, not a number"),
        ("settle", "\"-1s\"", "`settle` of scheme \"saleout\": \"-1s\" is negative"),
        ("priority", "10", "`priority` of scheme \"saleout\" is 10, which is out of range"),
        ("batch_size", "0", "`batch_size` of scheme \"saleout\" is 0, which is out of range"),
        ("document_limit_bytes", "1023", "`document_limit_bytes` of scheme \"saleout\" is 1023, which is out of range"),
        ("enabled", "\"yes\"", "`enabled` of scheme \"saleout\" must be true or false, not a text"),
        ("on_change", "\"overwrite\"", "`on_change` of scheme \"saleout\": \"overwrite\" is not known"),
    ] {
        check("schedule", &format!("{key} = {value}\nschedule"), &[&format!("18:{} {said}", key.len() + 4)]);
    }
    check(
        "schedule",
        "retry = { base = \"1h\", cap = \"1m\" }\nschedule",
        &["18:9 `retry` of scheme \"saleout\" has a cap that is shorter than its base"],
    );
    for at_the_limit in ["lag = \"1d\"", "priority = 9", "batch_size = 1000", "document_limit_bytes = 1024"] {
        let toml = GOOD.replace("schedule", &format!("{at_the_limit}\nschedule"));
        assert!(Folder::new().load(&toml, &LoadOptions::new(&env)).is_ok(), "{at_the_limit}");
    }
}

#[test]
fn secrets_come_from_the_environment_or_a_file_and_never_from_the_text() {
    let line = "app_secret = { env = \"JST\" }";
    for (written, said) in [
        ("\"s3cr3t\"", "the secret `app_secret` stands in the file itself"),
        ("{ env = \"NONE\" }", "`app_secret`: the environment has no variable NONE"),
        ("{ file = \"none\" }", "`app_secret`: cannot read DIR/none: No such file or directory (os error 2)"),
        ("{ vault = \"x\" }", "`app_secret` is neither a text nor { env } nor { file }"),
        ("7", "`app_secret` is neither a text nor { env } nor { file }"),
    ] {
        check(line, &format!("app_secret = {written}"), &[&format!("7:14 {said}")]);
    }
    check(line, "login = { Password = \"x\" }", &["7:22 the secret `Password` stands in the file itself"]);

    let folder = Folder::new().with("jst", b"from a file\n").with("empty", b"\n");
    let toml = GOOD.replace(line, "app_secret = { file = \"jst\" }\napp_key = { env = \"JST\" }");
    let config = folder.load(&toml, &LoadOptions::new(&env)).unwrap();
    assert_eq!(config.connections[0].settings["app_secret"].as_str(), Some("from a file"));
    assert_eq!(config.connections[0].settings["app_key"].as_str(), Some("s3cr3t"));
    let toml = GOOD.replace(line, "app_secret = { file = \"empty\" }");
    assert_eq!(folder.problems(&toml, &LoadOptions::new(&env)), ["7:14 `app_secret` is empty"]);

    let allowed = LoadOptions { allow_inline_secrets: true, ..LoadOptions::new(&env) };
    let config = folder.load(&GOOD.replace(line, "app_secret = \"inline\""), &allowed).unwrap();
    assert_eq!(config.connections[0].settings["app_secret"].as_str(), Some("inline"));
}

/// `calls_per_token` of a U8 connection was taken for a token and could not be set at all.
#[test]
fn a_number_per_token_is_no_secret() {
    let line = "app_secret = { env = \"JST\" }";
    let toml = GOOD.replace(line, &format!("{line}\ncalls_per_token = 500"));
    let config = Folder::new().load(&toml, &LoadOptions::new(&env)).unwrap();
    assert_eq!(config.connections[0].settings["calls_per_token"].as_integer(), Some(500));
    check(line, "one_token = \"x\"", &["7:13 the secret `one_token` stands in the file itself"]);
}

#[test]
fn nothing_prints_a_secret() {
    let folder = Folder::new();
    let toml = GOOD.replace("data_dir", "webhook = \"https://example.com/?key=s3cr3t\"\ndata_dir");
    let config = folder.load(&toml, &LoadOptions::new(&env)).unwrap();
    assert!(config.engine.webhook.is_some());
    assert!(!format!("{config:#?}").contains("s3cr3t"), "{config:#?}");
    for wrong in
        [GOOD.replace("{ env = \"JST\" }", "\"s3cr3t\""), GOOD.replace("data_dir", "webhook = \"s3cr3t\"\ndata_dir")]
    {
        let problems = folder.load(&wrong, &LoadOptions::new(&env)).unwrap_err();
        assert!(!problems.to_string().contains("s3cr3t"), "{problems}");
    }
}

#[test]
fn a_module_is_a_readable_component_or_a_name_with_a_version() {
    let line = "module = { file = \"m.wasm\" }";
    check(
        line,
        "module = { file = \"none.wasm\" }",
        &["16:10 `module` of scheme \"saleout\": DIR/none.wasm cannot be read: No such file or directory (os error 2)"],
    );
    check(
        line,
        "module = { file = \"c.toml\" }",
        &["16:10 `module` of scheme \"saleout\": DIR/c.toml is not a component"],
    );
    let folder = Folder::new().with("core.wasm", b"\0asm\x01\0\0\0");
    let found = folder.problems(&GOOD.replace("m.wasm", "core.wasm"), &LoadOptions::new(&env));
    assert_eq!(found, ["16:10 `module` of scheme \"saleout\": DIR/core.wasm is a core module, not a component"]);

    let named = GOOD.replace(line, "module = \"saleout@1.2.0\"");
    let config = folder.load(&named, &LoadOptions::new(&env)).unwrap();
    assert_eq!(config.schemes[0].module, ModuleSource::Named("saleout@1.2.0".parse().unwrap()));
    let nowhere = named.replace("data_dir", "module_dir = \"nowhere\"\ndata_dir");
    let found = folder.problems(&nowhere, &LoadOptions::new(&env));
    assert!(
        found[0].starts_with("17:10 `module` of scheme \"saleout\": cannot look for saleout@1.2.0 in DIR/nowhere"),
        "{found:?}"
    );
}

#[test]
fn a_parameters_file_is_kept_byte_for_byte_or_blamed_at_its_own_line() {
    let toml = GOOD.replace("schedule", "parameters = { file = \"p.json\" }\nschedule");
    let text = "{ \"rate\": 1.10,\n  \"名\": 1e2 }";
    let folder = Folder::new().with("p.json", text.as_bytes()).with("list.json", b"[]");
    assert_eq!(folder.load(&toml, &LoadOptions::new(&env)).unwrap().schemes[0].parameters, text);

    let folder = folder.with("p.json", b"{\n  \"a\": 1,\n  \"b\" 2\n}");
    assert_eq!(folder.problems(&toml, &LoadOptions::new(&env)), ["p.json:3:7 this is not JSON: expected `:`"]);
    let found = folder.problems(&toml.replace("p.json", "list.json"), &LoadOptions::new(&env));
    assert_eq!(found, ["list.json:1:1 this is not a JSON object"]);
    let found = folder.problems(&toml.replace("p.json", "none.json"), &LoadOptions::new(&env));
    assert_eq!(found, ["18:14 cannot read DIR/none.json: No such file or directory (os error 2)"]);
}

#[test]
fn inline_parameters_keep_their_numbers_digit_for_digit() {
    let inline = "parameters = { rate = 0.1000000000000000000001, whole = 1_000, hex = 0x10, list = [true, \"x\"] }";
    let config = Folder::new().load(&GOOD.replace("schedule", &format!("{inline}\nschedule")), &LoadOptions::new(&env));
    let parameters: serde_json::Value = serde_json::from_str(&config.unwrap().schemes[0].parameters).unwrap();
    assert_eq!(parameters["rate"].to_string(), "0.1000000000000000000001");
    assert_eq!((parameters["whole"].to_string(), parameters["hex"].to_string()), ("1000".into(), "16".into()));
    check("schedule", "parameters = { rate = inf }\nschedule", &["18:23 JSON has no such number"]);
}

#[test]
fn what_the_layers_above_object_to_is_shown_where_it_stands() {
    let check_connection = |system: System, table: &toml::Table| {
        if system == System::KingdeeK3cloud {
            return vec![Objection::new("base_url", "is missing", "add it")];
        }
        assert_eq!(table["app_secret"].as_str(), Some("s3cr3t"));
        vec![Objection::new("app_secret", "too short", "make it longer")]
    };
    let check_source = |system: System, operation: &OperationName, options: &toml::Table| {
        assert_eq!((system, operation.as_str()), (System::JushuitanQimen, "jushuitan.saleout.list.query"));
        assert_eq!(options.len(), 1);
        vec![Objection::new("status", "no such status", "use Confirmed")]
    };
    let check_sandbox = |table: &toml::Table| {
        assert_eq!(table["pool"]["slots"].as_integer(), Some(9));
        vec![Objection::new("pool.slots", "too few", "more"), Objection::new("pool.list.1", "not that", "other")]
    };
    let check_scheme = |scheme: &Scheme, source: &Connection, target: &Connection| {
        assert_eq!((source.name.as_str(), target.name.as_str()), ("jst", "k3"));
        assert_eq!(scheme.on_change, OnChange::Park);
        vec![Objection::new("on_change", "the target cannot be updated", "park")]
    };
    let options = LoadOptions {
        check_connection: &check_connection,
        check_source: &check_source,
        check_sandbox: &check_sandbox,
        check_scheme: &check_scheme,
        ..LoadOptions::new(&env)
    };
    let toml = format!("{GOOD}on_change = \"park\"\n[sandbox]\npool = {{ slots = 9, list = [1, 22] }}\n");
    assert_eq!(
        Folder::new().problems(&toml, &options),
        [
            "7:1 `app_secret` of connection \"jst\": too short",
            "9:1 `base_url` of connection \"k3\": is missing",
            "15:85 `status` of `source` of scheme \"saleout\": no such status",
            "20:13 `on_change` of scheme \"saleout\": the target cannot be updated",
            "22:18 `pool.slots` of [sandbox]: too few",
            "22:32 `pool.list.1` of [sandbox]: not that",
        ]
    );
}

#[test]
fn what_is_not_toml_or_not_there_is_said_plainly() {
    let found = Folder::new().problems("[engine]\ndata_dir = \n[[scheme]\n", &LoadOptions::new(&no_env));
    assert!(found.len() >= 2 && found[0].starts_with("2:"), "{found:?}");
    assert!(found.iter().all(|said| said.contains("not TOML")), "{found:?}");
    let problems = load(Path::new("/nowhere/c.toml"), &LoadOptions::new(&no_env)).unwrap_err();
    assert!(problems.to_string().starts_with("/nowhere/c.toml: cannot be read"), "{problems}");
    let found = Folder::new().problems("", &LoadOptions::new(&no_env));
    assert_eq!(found, ["1:1 the file has no `engine`"]);
    check("[[scheme]]", "[scheme]", &["13:1 `scheme` of the file must be a list of tables, not a table"]);
}

#[test]
fn a_backlog_goes_on_below_where_it_stops() {
    let said = |keys: &str| Folder::new().problems(&format!("{GOOD}{keys}\n"), &LoadOptions::new(&env)).join("\n");
    assert!(said("backlog = { limit = 10, resume = 10 }").contains("goes on where it stops"));
    let load = |keys: &str| {
        let config = Folder::new().load(&format!("{GOOD}{keys}\n"), &LoadOptions::new(&env));
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        (config.schemes[0].backlog.limit, config.schemes[0].backlog.resume)
    };
    assert_eq!(load(""), (20_000, 10_000));
    assert_eq!(load("backlog = { limit = 300 }"), (300, 150));
}

#[test]
fn a_scheme_that_waits_for_one_that_never_runs_is_refused() {
    let other = |name: &str, keys: &str| {
        let block = &GOOD[GOOD.find("[[scheme]]").unwrap()..];
        format!("{}\n{keys}\n", block.replace("\"saleout\"", &format!("{name:?}")))
    };
    let with = |keys: &str, others: &str| format!("{GOOD}{keys}\n{others}");
    let said = |toml: &str| Folder::new().problems(toml, &LoadOptions::new(&env)).join("\n");
    for (toml, expected) in [
        (with("when = { after = \"saleout\" }", ""), "waits, by way of \"saleout\", for itself"),
        (with("when = { after = \"customers\" }", ""), "waits for the scheme \"customers\", which its tenant does not"),
        (with("when = { after = \"b\" }", &other("b", "enabled = false")), "\"b\", which is switched off"),
        (with("when = { after = \"b\" }", &other("b", "when = { after = \"saleout\" }")), "waits, by way of"),
        (with("when = { between = \"22:00\" }", ""), "not a time of day with its zone"),
        (with("jitter = \"10m\"", ""), "`jitter` of scheme \"saleout\" is longer than its schedule's interval"),
    ] {
        assert!(said(&toml).contains(expected), "{}", said(&toml));
    }
    let fine = with("when = { after = \"b\", between = \"22:00-06:00 UTC\" }\njitter = \"1m\"", &other("b", ""));
    let config = Folder::new().load(&fine, &LoadOptions::new(&env)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.schemes[0].when.after.as_ref().map(SchemeId::as_str), Some("b"));
}
