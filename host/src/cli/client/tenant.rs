//! `crossdock tenant` and `crossdock usage`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::output::{self, field, instant, number, size};
use super::{Ask, Body, Common, Error, HELP};

/// Tenants, what they may use and by which rules; the operator's.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Tenants {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List all tenants
    List {
        /// At most so many
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
    },
    /// Show one tenant, with its quotas and its policy
    Show { tenant_id: String },
    /// Make a tenant
    #[command(after_help = "Example: crossdock tenant create acme --quota modules=10 --weight 2")]
    Create {
        /// Letters, digits, '-', '_' and '.'; it is never given again
        tenant_id: String,
        #[command(flatten)]
        change: What,
    },
    /// Change what is named, and leave the rest
    #[command(after_help = "Example: crossdock tenant change acme --policy require_signature=true --quota schemes=50")]
    Change {
        tenant_id: String,
        #[command(flatten)]
        change: What,
        /// Stop all that the tenant runs, and let its people change nothing
        #[arg(long, conflicts_with = "unsuspend")]
        suspend: bool,
        /// Take the suspension back
        #[arg(long)]
        unsuspend: bool,
    },
    /// Take a tenant away that has no schemes and no modules; its documents and its audit log stay
    Delete { tenant_id: String },
}

#[derive(Debug, Args)]
struct What {
    /// What people call it
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// Its share beside other tenants', 1 to 100
    #[arg(long)]
    weight: Option<u32>,
    /// A quota, such as modules=10, ledger_bytes=1000000000 or modules=default; may be repeated
    #[arg(long, value_name = "QUOTA=NUMBER", value_parser = quota)]
    quota: Vec<(String, Value)>,
    /// A rule: interpreter_modules, require_signature or require_clean_compare with true or false, compare_documents with a
    /// number, any of them with default; may be repeated
    #[arg(long, value_name = "RULE=VALUE", value_parser = policy)]
    policy: Vec<(String, Value)>,
}

/// What the tenant uses, beside what it may use.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Usage {
    #[command(flatten)]
    common: Common,
}

pub fn run(arguments: &Tenants) -> ExitCode {
    super::run(|| tenants(arguments))
}

async fn tenants(arguments: &Tenants) -> Result<(), Error> {
    let Common { server, output } = &arguments.common;
    let (server, output) = (server.open()?, *output);
    let tenants = |id: &str| ["v1", "tenants", id].map(ToOwned::to_owned);
    let ask = async |method: Method, id: &str, ask: Ask| {
        let path = tenants(id);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        server.ask(method, &path, ask).await
    };
    match &arguments.command {
        Command::List { limit } => {
            super::list(
                &server,
                output,
                &["v1", "tenants"],
                *limit,
                &[
                    ("TENANT", |one| field(one, "/id")),
                    ("NAME", |one| field(one, "/display_name")),
                    ("WEIGHT", |one| field(one, "/weight")),
                    ("SUSPENDED", |one| field(one, "/suspended")),
                    ("SINCE", |one| instant(one, "/created_at")),
                ],
            )
            .await
        }
        Command::Show { tenant_id } => {
            let found = ask(Method::GET, tenant_id, Ask::default()).await?.body;
            output::one(output, &found, written)
        }
        Command::Create { tenant_id, change } => {
            let mut body = change.body();
            // A new tenant has the default of whatever is not named.
            for part in ["quotas", "policy"] {
                if let Some(named) = body.get_mut(part).and_then(Value::as_object_mut) {
                    named.retain(|_, value| !value.is_null());
                }
            }
            body.insert("id".into(), json!(tenant_id));
            let body = Body::Json(Value::Object(body));
            let made = server.ask(Method::POST, &["v1", "tenants"], Ask { body, ..Ask::default() }).await?.body;
            output::one(output, &made, written)
        }
        Command::Change { tenant_id, change, suspend, unsuspend } => {
            let mut body = change.body();
            if *suspend || *unsuspend {
                body.insert("suspended".into(), json!(suspend));
            }
            let body = Body::Json(Value::Object(body));
            let changed = ask(Method::PATCH, tenant_id, Ask { body, ..Ask::default() }).await?.body;
            output::one(output, &changed, written)
        }
        Command::Delete { tenant_id } => {
            let answer = ask(Method::DELETE, tenant_id, Ask::default()).await?.body;
            output::done(output, &answer, &format!("tenant {tenant_id} deleted"))
        }
    }
}

impl What {
    /// What is named, and nothing else: the server leaves the rest as it is.
    fn body(&self) -> Map<String, Value> {
        let mut body = Map::new();
        if let Some(name) = &self.display_name {
            body.insert("display_name".into(), json!(name));
        }
        if let Some(weight) = self.weight {
            body.insert("weight".into(), json!(weight));
        }
        for (part, named) in [("quotas", &self.quota), ("policy", &self.policy)] {
            if !named.is_empty() {
                body.insert(part.into(), Value::Object(named.iter().cloned().collect()));
            }
        }
        body
    }
}

/// Which the server takes for what the quota or rule has where nobody says anything.
const DEFAULT: &str = "default";

fn quota(text: &str) -> Result<(String, Value), String> {
    let (name, limit) = text.split_once('=').ok_or("write it as QUOTA=NUMBER")?;
    if limit == DEFAULT {
        return Ok((name.to_owned(), Value::Null));
    }
    let limit: u64 = limit.parse().map_err(|_| format!("{limit:?} is neither a whole number nor {DEFAULT}"))?;
    Ok((name.to_owned(), json!(limit)))
}

fn policy(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write it as RULE=true, RULE=false or RULE=NUMBER")?;
    if value == DEFAULT {
        return Ok((name.to_owned(), Value::Null));
    }
    let number = value.parse().ok().map(|number: u64| json!(number));
    let value = value.parse().ok().map(|on: bool| json!(on)).or(number);
    Ok((name.to_owned(), value.ok_or("the value is neither true nor false nor a number")?))
}

fn written(tenant: &Value) -> String {
    let mut rows = vec![
        vec!["tenant".to_owned(), field(tenant, "/id")],
        vec!["name".to_owned(), field(tenant, "/display_name")],
        vec!["since".to_owned(), instant(tenant, "/created_at")],
        vec!["suspended".to_owned(), field(tenant, "/suspended")],
        vec!["weight".to_owned(), field(tenant, "/weight")],
        vec!["revision".to_owned(), field(tenant, "/revision")],
    ];
    for part in ["quotas", "policy"] {
        let entries = tenant.get(part).and_then(Value::as_object).into_iter().flatten();
        rows.extend(
            entries.map(|(name, value)| vec![name.clone(), value.as_u64().map_or_else(|| value.to_string(), number)]),
        );
    }
    output::aligned(rows)
}

pub fn usage(arguments: &Usage) -> ExitCode {
    super::run(|| async {
        let server = arguments.common.server.open()?;
        let found = server.get(&server.of_tenant(&["usage"])?).await?.body;
        output::one(arguments.common.output, &found, shares)
    })
}

/// Each quota with how much of it is used.
fn shares(usage: &Value) -> String {
    let mut rows = vec![["QUOTA", "USED", "LIMIT"].map(ToOwned::to_owned).to_vec()];
    for (quota, used) in [
        ("modules", "/used/modules"),
        ("module_bytes", "/used/module_bytes"),
        ("schemes", "/used/schemes"),
        ("connections", "/used/connections"),
        ("tables", "/used/tables"),
        ("table_bytes", "/used/table_bytes"),
        ("changes_per_minute", "/used/changes_this_minute"),
        ("compile_seconds_per_hour", "/used/compile_seconds_this_hour"),
        ("documents_per_minute", "/now/documents_last_minute"),
        ("fuel_per_minute", "/now/fuel_last_minute"),
        ("ledger_bytes", "/now/ledger_bytes"),
    ] {
        let limit = format!("/quotas/{quota}");
        let shown = |at: &str| match quota.ends_with("_bytes") {
            true => size(usage, at),
            false => usage.pointer(at).and_then(Value::as_u64).map_or_else(|| "-".into(), number),
        };
        rows.push(vec![quota.to_owned(), shown(used), shown(&limit)]);
    }
    let waiting = usage.pointer("/now/exceeded").and_then(Value::as_array).into_iter().flatten();
    let waiting: String = waiting.map(|exceeded| format!("waits for {}\n", output::exceeded(exceeded))).collect();
    output::aligned(rows) + &waiting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_which_quota_and_until_when_stands_below_the_shares() {
        let waiting = json!([
            { "quota": "documents_per_minute", "limit": 10, "used": 12, "since": "2026-11-22T08:00:05Z",
              "until": "2026-11-22T08:01:00Z" },
            { "quota": "ledger_bytes", "limit": 0, "used": 7, "since": "2026-11-22T08:00:05Z", "until": null },
        ]);
        let text = shares(&json!({ "quotas": {}, "used": {}, "now": { "exceeded": waiting } }));
        let below: Vec<&str> = text.lines().filter(|line| line.starts_with("waits for ")).collect();
        let [documents, ledger] = below[..] else { panic!("{text}") };
        let expected =
            "waits for documents_per_minute: 12 of 10 used, since 2026-11-22T08:00:05Z, until 2026-11-22T08:01:00Z";
        assert_eq!(documents, expected);
        assert!(ledger.contains("ledger_bytes") && ledger.ends_with("until somebody changes something"), "{text}");
        assert!(!shares(&json!({ "now": { "exceeded": [] } })).contains("waits"));
    }
}
