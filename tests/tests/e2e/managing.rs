//! Everything that people manage, from the command line and through the API, by somebody who has a token and no access to
//! the engine's machine.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use vendor_sim::proof::configuration::Settings;
use vendor_sim::proof::engine::said;
use vendor_sim::proof::schemes::SALEOUT;
use vendor_sim::proof::world::World;

use crate::{check_no_secret_was_said, programs, told, world};

const SECRET: &str = "hunter2-and-more";

/// A person somewhere else, with a home of his own.
struct Person {
    home: tempfile::TempDir,
    program: PathBuf,
    /// Everything that was ever printed for him.
    heard: std::cell::RefCell<String>,
}

impl Person {
    fn new(world: &World) -> Self {
        let home = tempfile::tempdir().unwrap();
        Self { home, program: world.product.program.clone(), heard: Default::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn with(&self, name: &str, value: &Value) -> String {
        let path = self.path(name);
        std::fs::write(&path, value.to_string()).unwrap();
        path.display().to_string()
    }

    fn ask(&self, arguments: &[&str], stdin: &str) -> Output {
        let mut child = Command::new(&self.program)
            .args(arguments)
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("CROSSDOCK_TOKEN")
            .env_remove("CROSSDOCK_SERVER")
            .env_remove("CROSSDOCK_CONFIG")
            .env("K3_SECRET", SECRET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Whoever reads no input has closed it.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        self.heard.borrow_mut().push_str(&said(&output));
        output
    }

    #[track_caller]
    fn text(&self, arguments: &[&str]) -> String {
        let output = self.ask(arguments, "");
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.text(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    /// One object a line.
    #[track_caller]
    fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let text = self.text(&[arguments, &["--output", "json"]].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str], code: i32, words: &str) {
        let output = self.ask(arguments, "");
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?} does not say {words:?}: {text}");
    }

    #[track_caller]
    fn log_in(&self, server: &str, token: &str) {
        let output = self.ask(&["login", "--server", server], &format!("{token}\n"));
        assert!(output.status.success(), "{}", said(&output));
        let kept = self.path(".config/crossdock/session.json");
        assert_eq!(std::fs::metadata(kept).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

/// The address that the engine said its API answers at.
fn api_of(world: &World) -> String {
    let mut found = None;
    for entry in std::fs::read_dir(&world.product.logs).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "out") {
            let text = std::fs::read_to_string(path).unwrap();
            let ready = text.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
            found = ready.and_then(|ready| Some(ready["api"].as_str()?.to_owned())).or(found);
        }
    }
    found.expect("the engine named no API")
}

fn input_of(transform: &Path) -> String {
    let cases = std::fs::read_dir(transform.join("cases")).unwrap();
    let mut inputs: Vec<PathBuf> = cases.map(|case| case.unwrap().path().join("input.json")).collect();
    inputs.sort();
    inputs.into_iter().find(|input| input.exists()).unwrap().display().to_string()
}

#[test]
fn a_tenant_is_managed_from_the_command_line_alone() {
    let extra = "[api]\nlisten = \"127.0.0.1:0\"\nnetworks = [\"127.0.0.1/32\"]\n".to_owned();
    let mut world = world(&["--documents", "1", "--seed", "61"], &Settings { extra, ..Settings::default() });
    let mut engine = told(world.start());
    let server = api_of(&world);

    // The first operator is let in by whoever owns the control socket.
    let token = told(world.product.succeed(&["token", "create", "--operator", "--name", "root"]));
    let operator = Person::new(&world);
    operator.refused(&["whoami"], 2, "nobody is logged in");
    operator.log_in(&server, token.trim());
    assert_eq!(operator.json(&["whoami"])["role"], "operator");
    operator.refused(&["module", "list"], 2, "--tenant");
    operator.text(&["tenant", "create", "acme", "--quota", "modules=1"]);
    operator.text(&["tenant", "change", "acme", "--policy", "require_signature=true", "--weight", "2"]);
    let acme = operator.json(&["tenant", "show", "acme"]);
    assert_eq!((&acme["quotas"]["modules"], &acme["policy"]["require_signature"]), (&json!(1), &json!(true)));
    assert_eq!(acme["quotas"]["schemes"], json!(20), "what was not named is as it was");
    operator.text(&["tenant", "change", "acme", "--policy", "require_clean_compare=true", "--quota", "schemes=7"]);
    let acme = operator.json(&["tenant", "show", "acme"]);
    let policy = ["require_signature", "require_clean_compare"].map(|rule| &acme["policy"][rule]);
    assert_eq!((policy, &acme["quotas"]["modules"]), ([&json!(true); 2], &json!(1)), "{acme:#}");
    let defaults = ["--policy", "require_clean_compare=default", "--quota", "schemes=default"];
    operator.text(&[&["tenant", "change", "acme"][..], &defaults].concat());
    let acme = operator.json(&["tenant", "show", "acme"]);
    let policy = ["require_signature", "require_clean_compare"].map(|rule| &acme["policy"][rule]);
    assert_eq!((policy, &acme["quotas"]["schemes"]), ([&json!(true), &json!(false)], &json!(20)), "{acme:#}");
    let create = ["token", "create", "--tenant", "acme", "--name", "Li", "--role", "tenant-admin"];
    let token = operator.text(&create);

    // The tenant's admin does the rest from elsewhere.
    let admin = Person::new(&world);
    admin.log_in(&server, token.trim());
    let who = admin.text(&["whoami"]);
    assert!(who.contains("tenant-admin") && who.contains("acme"), "{who}");
    admin.refused(&["tenant", "list"], 1, "(forbidden)");
    admin.refused(&["module", "list", "--tenant", "other"], 1, "(not_found)");

    let (programs, key) = (programs(), admin.path("build.key").display().to_string());
    let component = programs.component(SALEOUT).display().to_string();
    let parameters = programs.parameters(SALEOUT);
    let sample = input_of(parameters.parent().unwrap());
    admin.text(&["signing-key", "new", "--out", &key]);
    admin.text(&["signing-key", "add", "--name", "build", "--key", &key]);
    admin.refused(&["module", "upload", &component], 1, "(signature_required)");
    let upload = ["module", "upload", &component, "--sign", &key, "--sample", &sample];
    let parameters_path = parameters.display().to_string();
    let report = admin.json(&[&upload[..], &["--parameters", &parameters_path]].concat());
    let module = format!("{}@{}", report["name"].as_str().unwrap(), report["version"].as_str().unwrap());
    assert!(report["trial"]["samples"][0]["fuel"].as_u64().unwrap() > 0, "{report}");
    let listed = admin.text(&["module", "list"]);
    assert!(listed.starts_with("MODULE") && listed.contains(&module), "{listed}");
    let copy = admin.path("copy.wasm").display().to_string();
    admin.text(&["module", "download", &module, "--out", &copy]);
    assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(&component).unwrap());

    let jst = admin.with(
        "jst.json",
        &json!({
            "base_url": "http://127.0.0.1:9/router", "app_key": "1", "app_secret": SECRET, "customer_id": "1",
        }),
    );
    admin.text(&["connection", "put", "jst", "--system", "jushuitan_qimen", "--file", &jst]);
    let k3 = ["connection", "put", "k3", "--system", "kingdee_k3cloud", "--secret", "app_secret=env:K3_SECRET"];
    let set = ["base_url=http://127.0.0.1:9/k3cloud/", "acct_id=a", "user_name=u", "app_id=250001_x"];
    admin.text(&[&k3[..], &set.map(|one| ["--set", one]).concat()].concat());
    admin.text(&["connection", "put", "k3", "--set", "user_name=v"]);
    let k3 = admin.json(&["connection", "show", "k3"]);
    assert_eq!(k3["connection"]["secrets"], json!(["/app_secret"]), "a secret that is not named stays");
    assert_eq!((&k3["connection"]["settings"]["user_name"], &k3["connection"]["revision"]), (&json!("v"), &json!(2)));
    admin.refused(&["connection", "put", "k3", "--set", "app_secret=x"], 2, "is a secret");
    admin.refused(&["connection", "put", "k3", "--set", "nonsense=1"], 1, "/settings/nonsense");

    let mut settings = json!({
        "source": { "connection": "jst", "operation": "jushuitan.saleout.list.query", "status": "Confirmed" },
        "target": { "connection": "k3", "operation": "BatchSave", "form": "SAL_OUTSTOCK", "submit_and_audit": true },
        "schedule": "every 5m",
        "start_at": "2026-11-01T00:00:00+08:00",
    });
    let text = std::fs::read_to_string(&parameters).unwrap();
    settings["parameters"] = serde_json::from_str(&text).unwrap();
    let good = admin.with("saleout.json", &settings);
    settings["schedule"] = json!("sometimes");
    let bad = admin.with("bad.json", &settings);
    admin.refused(&["scheme", "put", "saleout", "--module", &module, "--file", &bad], 1, "/settings/schedule");
    admin.text(&["scheme", "put", "saleout", "--module", &module, "--file", &good]);
    let schemes = admin.lines(&["scheme", "list"]);
    assert_eq!((schemes.len(), &schemes[0]["state"]), (1, &json!("off")));
    admin.refused(&["module", "delete", &module], 1, "scheme saleout");
    admin.refused(&["scheme", "rollback", "saleout"], 1, "(conflict)");
    admin.refused(&["scheme", "activate", "saleout", "--module", "nope@1", "--if-revision", "1"], 1, "/module");

    // What the operator pauses at the engine's own console, no tenant resumes; all of it is in the tenant's log.
    assert_eq!(admin.text(&["scheme", "resume", "saleout"]), "scheme saleout was not paused\n");
    admin.text(&["scheme", "pause", "saleout", "--reason", "stocktaking"]);
    assert_eq!(admin.text(&["scheme", "resume", "saleout"]), "scheme saleout resumed\n");
    told(world.product.succeed(&["pause", "--scheme", "acme/saleout", "--reason", "an incident"]));
    admin.refused(&["scheme", "resume", "saleout"], 1, "(paused_by_operator)");
    let shown = admin.text(&["scheme", "show", "saleout"]);
    assert!(shown.lines().any(|line| line.split_whitespace().eq(["paused", "by", "operator"])), "{shown}");
    told(world.product.succeed(&["resume", "--scheme", "acme/saleout"]));
    assert_eq!(admin.json(&["scheme", "show", "saleout"])["status"]["paused_by"], Value::Null);
    let pauses: Vec<Value> = admin.lines(&["audit", "--action", "scheme.pause"]);
    let by: Vec<&str> = pauses.iter().filter_map(|line| line["actor"]["token"].as_str()).collect();
    assert!(by.len() == 2 && by[0] != "console" && by[1] == "console", "{pauses:?}");
    assert_eq!(admin.lines(&["audit", "--action", "scheme.resume.refused"]).len(), 1);

    let shops = admin.path("shops.csv").display().to_string();
    std::fs::write(&shops, "shop,warehouse\nS1,W1\n").unwrap();
    admin.text(&["table", "put", "shops", "--file", &shops, "--key", "shop", "--value", "warehouse"]);
    assert_eq!(admin.lines(&["table", "show", "shops"]), [json!({ "key": "S1", "value": "W1" })]);

    assert_eq!(admin.lines(&["document", "list"]), Vec::<Value>::new());
    admin.refused(&["document", "show", "SO1"], 1, "no scheme has a document");
    let usage = admin.text(&["usage"]);
    assert!(usage.lines().any(|line| line.split_whitespace().eq(["modules", "1", "1"])), "{usage}");
    let actions: Vec<String> =
        admin.lines(&["audit"]).iter().map(|line| line["action"].as_str().unwrap().to_owned()).collect();
    for action in
        ["token.create", "signing_key.add", "module.upload", "connection.change", "scheme.create", "table.create"]
    {
        assert!(actions.iter().any(|found| found == action), "{action} is not in {actions:?}");
    }
    assert_eq!(operator.lines(&["audit", "--operator", "--action", "tenant"]).len(), 4);

    let rotated = told(world.product.succeed(&["credentials", "rotate", "--output", "json"]));
    assert_eq!(serde_json::from_str::<Value>(&rotated).unwrap(), json!({ "resealed": 2, "kept": 0, "lost": 0 }));

    // A token that is revoked opens nothing from then on, and logging out forgets it.
    let id = admin.json(&["whoami"])["token"].as_str().unwrap().to_owned();
    operator.text(&["token", "revoke", &id, "--tenant", "acme"]);
    admin.refused(&["module", "list"], 1, "crossdock login");
    admin.text(&["logout"]);
    admin.refused(&["module", "list"], 2, "nobody is logged in");
    admin.refused(&["login", "--server", "http://192.0.2.1"], 2, "no token");
    for person in [&admin, &operator] {
        assert!(!person.heard.borrow().contains(SECRET), "a secret was printed");
    }
    let files = [engine.log(), std::fs::read_to_string(&world.product.configuration).unwrap()];
    assert!(files.iter().all(|text| !text.contains(SECRET)));
    told(engine.terminate());
    check_no_secret_was_said(&world);
}
