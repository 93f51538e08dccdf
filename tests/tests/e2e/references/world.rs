//! Scheme B on a small scale: stock-take surpluses of 旺店通 become gain bills of 星辰, whose ids the engine looks up.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;
use vendor_sim::proof::connections::SOURCE_SECRET;
use vendor_sim::proof::engine::{Engine, Product, said};
use vendor_sim::proof::http;
use vendor_sim::proof::schemes::STOCKIN;
use vendor_sim::proof::simulator::Simulator;
use vendor_sim::proof::wait::{Waiting, until};

use crate::{PATIENCE, programs, told};

pub const SCHEME: &str = "surplus";
const JDY: &str = "kingdee_jdy";

pub struct World {
    directory: TempDir,
    pub simulator: Simulator,
    pub product: Product,
    starts: usize,
}

/// How the tables are configured, and how the vendor fails from the start.
pub struct Plan<'a> {
    pub rhythm: &'a str,
    /// Further lines of the scheme.
    pub keys: &'a str,
    pub faults: &'a [&'a str],
}

impl Default for Plan<'_> {
    /// Fetched once, and again at a miss as soon as the shortest interval allows.
    fn default() -> Self {
        Self { rhythm: "refresh = \"1d\", miss_interval = \"1s\"", keys: "", faults: &[] }
    }
}

/// What people say of a document.
pub struct Story {
    pub state: String,
    pub code: String,
    pub message: String,
}

impl World {
    #[track_caller]
    pub fn new(plan: &Plan<'_>) -> Self {
        let programs = programs();
        let directory = tempfile::Builder::new().prefix("crossdock-references-").tempdir().unwrap();
        std::fs::create_dir(directory.path().join("logs")).unwrap();
        let mut arguments = vec!["--documents".to_owned(), "0".to_owned()];
        arguments.extend(plan.faults.iter().flat_map(|fault| ["--fault".to_owned(), (*fault).to_owned()]));
        let simulator = told(Simulator::start(&programs, &arguments));
        let component = programs.component(STOCKIN);
        let component = component.canonicalize().unwrap_or_else(|error| {
            panic!("{}: {error}: `make components` makes it", component.display());
        });
        let systems = &simulator.ready["systems"];
        std::fs::write(
            directory.path().join("crossdock.toml"),
            configuration(&systems["wangdiantong_qimen"], &systems[JDY], &component, plan),
        )
        .unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        std::fs::write(directory.path().join("jdy.secret"), text(&systems[JDY]["client_secret"])).unwrap();
        let product = Product {
            program: programs.crossdock.canonicalize().unwrap(),
            configuration: directory.path().join("crossdock.toml"),
            source_secret: text(&systems["wangdiantong_qimen"]["app_secret"]),
            logs: directory.path().join("logs"),
            sabotage: None,
            dies_at: None,
        };
        Self { directory, simulator, product, starts: 0 }
    }

    /// Where the configuration lies.
    pub fn folder(&self) -> &Path {
        self.directory.path()
    }

    #[track_caller]
    pub fn start(&mut self) -> Engine {
        self.starts += 1;
        told(self.product.start(self.starts))
    }

    fn post(&self, order: &Value) {
        let base = self.simulator.ready["admin_url"].as_str().unwrap();
        told(http::json("POST", &format!("{base}documents"), order.to_string().as_bytes()));
    }

    /// A finished surplus of one line.
    pub fn add_surplus(&self, stockin_no: &str, spec_no: &str) {
        self.post(&json!({"system": "wangdiantong_qimen", "body": {
            "stockin_no": stockin_no, "order_type": "4", "status": "80", "warehouse_no": "WH001",
            "src_order_no": format!("PD-{stockin_no}"), "check_time": "2026-11-20 10:30:00",
            "created_time": "2026-11-20 09:30:00",
            "details_list": [{"spec_no": spec_no, "goods_unit": "件", "goods_count": "3.0000"}],
        }}));
    }

    pub fn add_material(&self, number: &str) {
        self.post(&json!({"system": JDY, "table": "material", "number": number, "name": number}));
    }

    /// Requests that the target has counted for one of its lists.
    #[track_caller]
    pub fn asked(&self, operation: &str) -> u64 {
        let requests = told(self.simulator.requests());
        requests.get(&(JDY.to_owned(), operation.to_owned())).copied().unwrap_or(0)
    }

    #[track_caller]
    pub fn held(&self) -> Vec<String> {
        let base = self.simulator.ready["admin_url"].as_str().unwrap();
        let held = told(http::json("GET", &format!("{base}held"), b""));
        let bills = held[JDY]["bills"].as_array().unwrap();
        let mut numbers: Vec<String> = bills.iter().map(|bill| bill["number"].as_str().unwrap().to_owned()).collect();
        numbers.sort();
        numbers
    }

    pub fn story(&self, key: &str) -> Option<Story> {
        let ledger = told(self.product.ledger(SCHEME));
        let entry = ledger.get(key)?;
        Some(Story {
            state: entry.state.clone(),
            code: entry.code.clone().unwrap_or_default(),
            message: entry.message.clone().unwrap_or_default(),
        })
    }

    /// Runs passes until one has read the document, and answers how that one ended.
    #[track_caller]
    pub fn pass_until_read(&self, key: &str) -> Output {
        told(until(PATIENCE, &format!("a pass that reads {key}"), || {
            let pass = self.product.run(&["run", SCHEME])?;
            if self.story(key).is_some() { Ok(pass) } else { Err(Waiting::on(said(&pass))) }
        }))
    }

    /// Waits until the document is in this state, with this code where one is given.
    #[track_caller]
    pub fn wait_for(&self, engine: &Engine, key: &str, state: &str, code: &str) -> Story {
        let reached = until(PATIENCE, &format!("{key} to be {state} {code}"), || match self.story(key) {
            Some(story) if story.state == state && (code.is_empty() || story.code == code) => Ok(story),
            Some(story) => Err(Waiting::on(format!("it is {} {}: {}", story.state, story.code, story.message))),
            None => Err(Waiting::on("the document itself")),
        });
        reached.unwrap_or_else(|failure| panic!("{}", engine.tell(failure)))
    }

    /// Waits until a list was asked for so often.
    #[track_caller]
    pub fn wait_until_asked(&self, engine: &Engine, operation: &str, count: u64) {
        let reached = until(PATIENCE, &format!("{count} requests of {operation}"), || match self.asked(operation) {
            asked if asked >= count => Ok(()),
            asked => Err(Waiting::on(format!("{asked} came"))),
        });
        reached.unwrap_or_else(|failure| panic!("{}", engine.tell(failure)));
    }

    #[track_caller]
    pub fn end(&self, mut engine: Engine) {
        let status = told(engine.terminate());
        assert!(status.success(), "after SIGTERM the engine ended with {status}\n{}", engine.log_tail());
    }
}

fn configuration(wdt: &Value, jdy: &Value, component: &Path, plan: &Plan<'_>) -> String {
    let limits = "limits = { requests_per_second = 200.0, burst = 20, max_in_flight = 4, timeout_ms = 3000 }";
    let Plan { rhythm, keys, .. } = plan;
    let table = |name: &str| format!("\"kingdee_jdy.{name}\" = {{ connection = \"jdy\", {rhythm} }}");
    format!(
        r#"[engine]
data_dir = "data"
listen = "127.0.0.1:0"
low_disk_bytes = 0
low_disk_percent = 0

[[connection]]
name = "wdt"
system = "wangdiantong_qimen"
base_url = {base_url}
app_key = {app_key}
app_secret = {{ env = "{SOURCE_SECRET}" }}
target_app_key = {target_app_key}
sid = {sid}
{limits}

[[connection]]
name = "jdy"
system = "kingdee_jdy"
base_url = {jdy_base_url}
client_id = {client_id}
client_secret = {{ file = "jdy.secret" }}
outer_instance_id = {outer_instance_id}
generation = "v2"
{limits}

[[scheme]]
name = "{SCHEME}"
source = {{ connection = "wdt", operation = "wdt.stockin.order.query", order_type = 4, status = 80 }}
module = {{ file = {component:?} }}
target = {{ connection = "jdy", operation = "jdy/inv/inv_check_gain_bill_save" }}
reference = {{ {material}, {stock}, {unit} }}
schedule = "every 1s"
lag = "0s"
settle = "2s"
start_at = "{start_at}"
retry = {{ base = "1s", cap = "2s" }}
{keys}
"#,
        base_url = wdt["base_url"],
        app_key = wdt["app_key"],
        target_app_key = wdt["target_app_key"],
        sid = wdt["sid"],
        jdy_base_url = jdy["base_url"],
        client_id = jdy["client_id"],
        outer_instance_id = jdy["outer_instance_id"],
        material = table("material"),
        stock = table("stock"),
        unit = table("unit"),
        start_at = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(10),
    )
}
