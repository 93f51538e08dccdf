//! What a tenant does over HTTP, from an empty tenant to a scheme that moves documents, on a real engine.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};
use vendor_sim::proof::Failure;
use vendor_sim::proof::configuration::Settings;
use vendor_sim::proof::engine::Engine;
use vendor_sim::proof::schemes::SALEOUT;
use vendor_sim::proof::wait::{Waiting, until};
use vendor_sim::proof::world::World;

use crate::{PATIENCE, check_no_secret_was_said, programs, told, world};

/// Somebody with a token.
pub struct Caller {
    /// `127.0.0.1:PORT`.
    address: String,
    token: String,
}

impl Caller {
    /// The operator, with the first token of all.
    pub fn operator(world: &World, engine: &Engine) -> Self {
        let made = told(world.product.succeed(&["token", "create", "--operator", "--unmask", "--output", "json"]));
        let made: Value = serde_json::from_str(&made).unwrap();
        let address = told(engine.api()).trim_start_matches("http://").to_owned();
        Self { address, token: made["text"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned() }
    }

    /// Whoever has a new token.
    pub fn token(&self, tenant: &str, role: &str) -> Self {
        let expires_at = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
        let new = json!({ "name": role, "role": role, "expires_at": expires_at });
        self.with(&self.does("POST", &format!("/tenants/{tenant}/tokens"), &new))
    }

    /// The same at the engine that runs now.
    pub fn at(self, engine: &Engine) -> Self {
        Self { address: told(engine.api()).trim_start_matches("http://").to_owned(), ..self }
    }

    fn with(&self, token: &Value) -> Self {
        Self { address: self.address.clone(), token: token["text"].as_str().unwrap().to_owned() }
    }

    pub fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "{method} /v1{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n{kind}\
             content-length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let at = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let status = String::from_utf8_lossy(&answer[9..12]).parse().unwrap();
        (status, serde_json::from_slice(&answer[at + 4..]).unwrap_or(Value::Null))
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, "", b"")
    }

    #[track_caller]
    pub fn does(&self, method: &str, path: &str, body: &Value) -> Value {
        let kind = "content-type: application/json\r\n";
        let (status, answer) = match body {
            Value::Null => self.send(method, path, "", b""),
            body => self.send(method, path, kind, body.to_string().as_bytes()),
        };
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer:#}");
        answer
    }

    #[track_caller]
    pub fn upload(&self, parts: &[(&str, &[u8])]) -> Value {
        let mut body = Vec::new();
        for (name, bytes) in parts {
            let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n\r\n");
            body.extend([head.as_bytes(), bytes, b"\r\n"].concat());
        }
        body.extend(b"--b--\r\n");
        let kind = "content-type: multipart/form-data; boundary=b\r\n";
        let (status, report) = self.send("POST", "/tenants/acme/modules", kind, &body);
        assert_eq!(status, 201, "{report:#}");
        report
    }
}

pub fn connection(world: &World, system: &str, keys: &[&str]) -> Value {
    let facts = world.simulator.system(system);
    let settings: Value = keys.iter().map(|key| ((*key).to_owned(), facts[*key].clone())).collect();
    json!({ "system": system, "settings": settings })
}

#[test]
fn a_tenant_comes_from_nothing_to_documents_that_move_and_a_stranger_sees_none_of_it() {
    let settings = Settings {
        extra: "[api]\nlisten = \"127.0.0.1:0\"\nnetworks = [\"127.0.0.1/32\"]".to_owned(),
        schemes: Vec::new(),
        ..Settings::default()
    };
    let mut world = world(&["--documents", "12", "--seed", "77"], &settings);
    let engine = told(world.start());
    let operator = Caller::operator(&world, &engine);
    let until_then = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
    let token = |tenant: &str, role: &str, unmask: bool| {
        let new = json!({ "name": role, "role": role, "rights": { "unmask": unmask }, "expires_at": until_then });
        operator.with(&operator.does("POST", &format!("/tenants/{tenant}/tokens"), &new))
    };
    for id in ["acme", "globex"] {
        operator.does("POST", "/tenants", &json!({ "id": id }));
    }
    let (admin, stranger) = (token("acme", "tenant-admin", false), token("globex", "tenant-admin", true));
    let (developer, sees) = (token("acme", "tenant-developer", false), token("acme", "tenant-viewer", true));

    let jst =
        connection(&world, "jushuitan_qimen", &["base_url", "app_key", "app_secret", "target_app_key", "customer_id"]);
    let k3 =
        connection(&world, "kingdee_k3cloud", &["base_url", "acct_id", "user_name", "app_id", "app_secret", "org_num"]);
    admin.does("PUT", "/tenants/acme/connections/jst", &jst);
    admin.does("PUT", "/tenants/acme/connections/k3", &k3);
    let programs = programs();
    let component = std::fs::read(programs.component(SALEOUT)).unwrap();
    let parameters = std::fs::read(programs.parameters(SALEOUT)).unwrap();
    let report = developer.upload(&[("module", &component), ("parameters", &parameters), ("sample", b"{}")]);
    let module = format!("{}@{}", report["name"].as_str().unwrap(), report["version"].as_str().unwrap());
    assert_eq!(report["trial"]["batch_safe"], true, "{report:#}");

    let start_at = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(96)).to_string();
    let scheme = json!({
        "module": module, "enabled": true, "note": "the first",
        "settings": {
            "source": { "connection": "jst", "operation": "jushuitan.saleout.list.query", "status": "Confirmed" },
            "target": { "connection": "k3", "operation": "BatchSave", "form": "SAL_OUTSTOCK", "submit_and_audit": true },
            "schedule": "every 1s", "lag": "0s", "start_at": start_at,
            "parameters": serde_json::from_slice::<Value>(&parameters).unwrap(),
        },
    });
    let at = "/tenants/acme/schemes/saleout";
    let made = admin.does("PUT", at, &scheme);
    assert_eq!(made["status"]["managed_by"], "api", "{made:#}");
    let moved = until(PATIENCE, "all documents to be done with", || {
        let (status, found) = admin.get("/tenants/acme/documents");
        let documents = found["documents"].as_array().cloned().unwrap_or_default();
        let under_way =
            |one: &&Value| matches!(one["state"].as_str(), Some("received" | "held" | "writing" | "verifying"));
        let waits = documents.iter().filter(under_way).count();
        if status == 200 && documents.len() == 12 && waits == 0 {
            Ok(())
        } else {
            Err(Waiting::on(format!("{status}, {waits} of {} under way: {found}", documents.len())))
        }
    });
    moved.unwrap_or_else(|failure: Failure| panic!("{}", engine.tell(failure)));

    // Personal data is masked, until somebody with the right asks.
    let (_, found) = admin.get("/tenants/acme/documents?state=written&limit=1");
    let key = found["documents"][0]["key"].as_str().unwrap().replace('/', "%2F");
    let document = format!("{at}/documents/{key}");
    let (masked, open) = (admin.get(&document).1, sees.get(&format!("{document}?unmask=true")).1);
    assert_ne!(masked["versions"][0]["body"], open["versions"][0]["body"], "{masked:#}");
    assert_eq!(admin.get(&format!("{document}?unmask=true")).0, 403);
    let (status, capsule) = developer.get(&format!("{document}/capsule"));
    assert_eq!(status, 200, "{capsule:#}");
    assert_eq!(developer.get(&format!("{document}/capsule?unmask=true")).0, 403);

    // Another version: compared, activated, taken back. The scheme never stops.
    let text = b"\x05note2";
    let other = [&component[..], &[0, 7], text, b"!"].concat();
    let (status, refused) =
        developer.send("POST", "/tenants/acme/modules", "content-type: application/wasm\r\n", &other);
    assert_eq!((status, refused["code"].as_str()), (409, Some("immutable")), "{refused:#}");
    let comparison = developer.does("POST", &format!("{at}/compare"), &json!({ "module": module, "last": 5 }));
    assert_eq!((comparison["documents"].as_u64(), comparison["clean"].as_bool()), (Some(5), Some(true)));
    let stays = developer.does("POST", &format!("{at}/activate"), &json!({ "module": module }));
    assert_eq!(stays["scheme"]["revision"], made["scheme"]["revision"], "nothing changed: {stays:#}");

    // What a stranger asks for does not exist, and the documents do not either.
    for path in ["", "/schemes/saleout", "/documents", "/modules", "/connections/jst", "/audit"] {
        let (theirs, nobodys) =
            (stranger.get(&format!("/tenants/acme{path}")), stranger.get(&format!("/tenants/nosuch{path}")));
        assert_eq!((theirs.0, &theirs.1["detail"]), (nobodys.0, &nobodys.1["detail"]));
        assert_eq!(theirs.0, 404);
    }
    assert_eq!(stranger.get("/tenants/globex/documents").1["documents"], json!([]));

    let erased = admin.does("POST", &format!("{document}/erase"), &json!({ "reason": "the customer asked" }));
    assert!(erased["version"].is_u64(), "{erased:#}");
    assert_eq!(sees.get(&format!("{document}?unmask=true")).1["versions"][0]["body"], Value::Null);
    let dry = json!({ "filter": { "states": ["written"] }, "reason": "too old", "dry_run": true });
    let would = admin.does("POST", "/tenants/acme/documents/bulk/erase", &dry);
    assert!(would["granted"].as_u64().unwrap() >= 5, "{would:#}");

    let (_, audit) = admin.get("/tenants/acme/audit?limit=500");
    let acts: Vec<&str> = audit["items"].as_array().unwrap().iter().filter_map(|row| row["action"].as_str()).collect();
    for act in
        ["connection.create", "module.upload", "scheme.create", "scheme.compare", "document.unmask", "document.erase"]
    {
        assert!(acts.contains(&act), "{act} in {acts:?}");
    }
    let (_, usage) = admin.get("/tenants/acme/usage");
    assert_eq!(usage["used"]["modules"], 1, "{usage:#}");
    admin.does("POST", &format!("{at}/disable"), &Value::Null);
    admin.does("DELETE", at, &Value::Null);
    check_no_secret_was_said(&world);
}
