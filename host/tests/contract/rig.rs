//! A simulator, and the connector under test with it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use crossdock::connectors::{Clock, Connection, Error, Http, ReferenceSource, Source, Target};
use crossdock::model::OperationName;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use vendor_sim::{Fault, FaultName, Method, Options, Running};

use crate::matrix::Subject;
use crate::said;

/// What one cell works with.
pub struct Bench {
    pub subject: Subject,
    started: RefCell<Vec<Rc<Running>>>,
}

/// One simulator of all vendors, looked at from one connector.
pub struct World {
    pub subject: Subject,
    sim: Rc<Running>,
}

/// The machine's clock, wrong by so much.
struct WrongClock(SignedDuration);

impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        Timestamp::now() + self.0
    }
}

/// Rows that a page holds in these tests.
pub const PAGE_SIZE: usize = 10;

impl Bench {
    pub fn new(subject: Subject) -> Self {
        Self { subject, started: RefCell::default() }
    }

    pub async fn start(&self, options: Options) -> World {
        let sim = Rc::new(vendor_sim::start(options).await.unwrap());
        self.started.borrow_mut().push(sim.clone());
        World { subject: self.subject, sim }
    }

    pub async fn with_documents(&self, documents: usize) -> World {
        self.start(options(documents)).await
    }

    /// Neither in its own words nor as addresses and headers would write it.
    pub fn check_that_no_secret_was_said(&self) {
        let said = said::all();
        assert!(said.contains("vendor_request"), "nothing was logged, so nothing was looked through");
        let secrets: BTreeSet<String> = self.started.borrow().iter().flat_map(|sim| sim.secrets()).collect();
        assert!(!secrets.is_empty(), "no secret was used, so none was looked for");
        for secret in &secrets {
            let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
            let escaped: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            // Padding and the last digit before it change with what follows.
            let forms = [secret.trim_end_matches('=').to_owned(), escaped, base64[..base64.len() - 1].to_owned()];
            for form in forms {
                let line = said.lines().find(|line| line.contains(&form));
                assert!(line.is_none(), "the secret {secret} was said: {}", line.unwrap_or_default());
            }
        }
    }
}

/// Documents of yesterday between four in the morning and eight in the evening, so that they are of one day everywhere.
pub fn options(documents: usize) -> Options {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
    let yesterday = Timestamp::now().to_zoned(zone.clone()).date().yesterday().unwrap();
    let at = |hour| yesterday.at(hour, 0, 0, 0).to_zoned(zone.clone()).unwrap().timestamp();
    Options {
        documents,
        from: at(4),
        to: at(20),
        skip_percent: 0,
        reject_percent: 0,
        refuse_percent: 0,
        ..Options::default()
    }
}

/// A fault of this connector's system, on its main operation unless said otherwise.
pub fn fault(subject: Subject, name: FaultName) -> Fault {
    Fault::new(name).system(subject.system().as_str()).operation(subject.operation())
}

impl World {
    pub fn order(&self, fault: Fault) {
        self.sim.order(fault);
    }

    /// A fault on the connector's main operation, once, after so many requests.
    pub fn once(&self, name: FaultName, after: u64) {
        self.order(fault(self.subject, name).times(1).after(after));
    }

    pub fn clear_faults(&self) {
        self.sim.admin(&Method::DELETE, "fault", &Value::Null);
    }

    pub fn admin(&self, method: &Method, page: &str, order: &Value) -> Value {
        self.sim.admin(method, page, order)
    }

    /// What an admin page says of the connector's system.
    pub fn page(&self, page: &str) -> Value {
        self.admin(&Method::GET, page, &Value::Null)[self.subject.system().as_str()].clone()
    }

    /// How often the operation was asked for.
    pub fn requests(&self, operation: &str) -> u64 {
        let page = self.admin(&Method::GET, "requests", &Value::Null);
        let counters = page["counters"].as_array().unwrap().iter();
        counters
            .filter(|counter| counter["operation"] == operation)
            .map(|counter| counter["count"].as_u64().unwrap())
            .sum()
    }

    pub fn connection(&self, more: &str) -> Connection {
        let system = self.subject.system();
        let mut table = toml::Table::new();
        for (name, value) in self.sim.ready["systems"][system.as_str()].as_object().unwrap() {
            // Of no interest to a connection: what modules need, and what the vendor is asked for anyway.
            if matches!(name.as_str(), "shop_no" | "receiver_fields" | "domain")
                || (*name == "app_key" && system.as_str() == "kingdee_jdy")
            {
                continue;
            }
            let value = match value {
                Value::Number(number) => toml::Value::Integer(number.as_i64().unwrap()),
                other => toml::Value::String(other.as_str().unwrap().to_owned()),
            };
            table.insert(name.clone(), value);
        }
        let limits = "requests_per_second = 1000\nburst = 1000\nqueue_timeout_ms = 60000";
        table.insert("limits".into(), toml::Value::Table(toml::from_str(limits).unwrap()));
        table.extend(toml::from_str::<toml::Table>(more).unwrap());
        let connection = Connection::parse(system, table).unwrap_or_else(|problems| panic!("{problems:?}"));
        said::say(&format!("{connection:?}"));
        connection
    }

    pub fn source(&self, more: &str) -> Arc<dyn Source> {
        self.source_of(&self.connection(more), &Http::new(None).unwrap())
    }

    pub fn source_of(&self, connection: &Connection, http: &Http) -> Arc<dyn Source> {
        let options = match self.subject {
            Subject::U8Saleouts => format!("page_size = {PAGE_SIZE}\nreread_days = 0"),
            _ => format!("page_size = {PAGE_SIZE}"),
        };
        let operation = OperationName::new(self.subject.operation()).unwrap();
        connection
            .source(http, &operation, toml::from_str(&options).unwrap())
            .unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    pub fn target(&self) -> Arc<dyn Target> {
        self.target_with("", "")
    }

    pub fn target_with(&self, connection: &str, options: &str) -> Arc<dyn Target> {
        self.target_of(&self.connection(connection), &Http::new(None).unwrap(), options)
    }

    pub fn target_of(&self, connection: &Connection, http: &Http, options: &str) -> Arc<dyn Target> {
        let (operation, usual) = match self.subject {
            Subject::K3cloudBills => ("BatchSave", "form = \"SAL_OUTSTOCK\"\n"),
            Subject::JdyBills => ("jdy/inv/inv_check_gain_bill_save", ""),
            _ => (self.subject.operation(), ""),
        };
        let options = toml::from_str(&format!("{usual}{options}")).unwrap();
        let operation = OperationName::new(operation).unwrap();
        connection.target(http, &operation, options).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    pub fn lists(&self, more: &str) -> Arc<dyn ReferenceSource> {
        self.connection(more).references(&Http::new(None).unwrap()).unwrap()
    }
}

pub fn wrong_clock(seconds: i64) -> Http {
    Http::with_clock(None, Arc::new(WrongClock(SignedDuration::from_secs(seconds)))).unwrap()
}

/// An error as the log, the ledger and a person would see it.
pub fn told(error: &Error) {
    said::say(&format!("{error} {error:?} {:?}", error.fault()));
    if let Error::Unreadable { bytes, .. } = error {
        // The host keeps them in a file for a person to look at.
        said::say(&String::from_utf8_lossy(bytes));
    }
}
