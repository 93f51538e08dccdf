//! From the configuration's tables to sources and targets.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{OperationName, System};

use super::http::Http;
use super::road::Road;
use super::settings::SettingProblem;
use super::{
    ReferenceSource, Source, Target, jushuitan_qimen, kingdee_jdy, kingdee_k3cloud, wangdiantong_qimen, yonyou_u8,
};

/// One tenant's account at a vendor, ready to be used. Everything made from one connection shares its session and its
/// limits.
#[derive(Debug, Clone)]
pub enum Connection {
    JushuitanQimen(jushuitan_qimen::Connection),
    YonyouU8(yonyou_u8::Connection),
    KingdeeK3cloud(kingdee_k3cloud::Connection),
    KingdeeJdy(kingdee_jdy::Connection),
    WangdiantongQimen(wangdiantong_qimen::Connection),
}

impl Connection {
    /// `table` is the connection's, without `name` and `system`; secrets are resolved and stand in it as text.
    pub fn parse(system: System, table: toml::Table) -> Result<Self, Vec<SettingProblem>> {
        match system {
            System::JushuitanQimen => jushuitan_qimen::Connection::parse(table).map(Self::JushuitanQimen),
            System::KingdeeK3cloud => kingdee_k3cloud::Connection::parse(table).map(Self::KingdeeK3cloud),
            System::WangdiantongQimen => wangdiantong_qimen::Connection::parse(table).map(Self::WangdiantongQimen),
            System::YonyouU8 => yonyou_u8::Connection::parse(table).map(Self::YonyouU8),
            System::KingdeeJdy => kingdee_jdy::Connection::parse(table).map(Self::KingdeeJdy),
        }
    }

    pub fn system(&self) -> System {
        match self {
            Connection::JushuitanQimen(_) => System::JushuitanQimen,
            Connection::YonyouU8(_) => System::YonyouU8,
            Connection::KingdeeK3cloud(_) => System::KingdeeK3cloud,
            Connection::WangdiantongQimen(_) => System::WangdiantongQimen,
            Connection::KingdeeJdy(_) => System::KingdeeJdy,
        }
    }

    /// The way to the vendor that everything made from this connection shares.
    pub fn road(&self) -> &Road {
        match self {
            Connection::JushuitanQimen(connection) => connection.road(),
            Connection::YonyouU8(connection) => connection.road(),
            Connection::KingdeeK3cloud(connection) => connection.road(),
            Connection::WangdiantongQimen(connection) => connection.road(),
            Connection::KingdeeJdy(connection) => connection.road(),
        }
    }

    /// [`Connection::source_from`] for whoever reads windows as they are.
    pub fn source(
        &self,
        http: &Http,
        operation: &OperationName,
        options: toml::Table,
    ) -> Result<Arc<dyn Source>, Vec<SettingProblem>> {
        self.source_from(http, operation, options, None)
    }

    /// `options` is the scheme's `source` table, without `connection` and `operation`. A source that reads more than a
    /// window does so only from `start_at` on.
    pub fn source_from(
        &self,
        http: &Http,
        operation: &OperationName,
        options: toml::Table,
        start_at: Option<Timestamp>,
    ) -> Result<Arc<dyn Source>, Vec<SettingProblem>> {
        match self {
            Connection::JushuitanQimen(connection) => {
                known(operation, jushuitan_qimen::OPERATION, "source")?;
                let options = jushuitan_qimen::Options::parse(options)?;
                Ok(Arc::new(jushuitan_qimen::Saleouts::new(connection, http, options)))
            }
            Connection::WangdiantongQimen(connection) => {
                known(operation, wangdiantong_qimen::QUERY, "source")?;
                let options = wangdiantong_qimen::StockinOptions::parse(options)?;
                Ok(Arc::new(wangdiantong_qimen::Stockins::new(connection, http, options)))
            }
            Connection::YonyouU8(connection) => {
                known(operation, yonyou_u8::OPERATION, "source")?;
                let options = yonyou_u8::Options::parse(options)?;
                let source = yonyou_u8::Saleouts::new(connection, http, options);
                Ok(Arc::new(match start_at {
                    Some(start_at) => source.starting_at(start_at),
                    None => source,
                }))
            }
            Connection::KingdeeK3cloud(_) | Connection::KingdeeJdy(_) => {
                Err(no_such(self.system(), "source", "read from"))
            }
        }
    }

    /// `options` is the scheme's `target` table, without `connection` and `operation`.
    pub fn target(
        &self,
        http: &Http,
        operation: &OperationName,
        options: toml::Table,
    ) -> Result<Arc<dyn Target>, Vec<SettingProblem>> {
        match self {
            Connection::KingdeeK3cloud(connection) => {
                known(operation, kingdee_k3cloud::OPERATION, "target")?;
                let options = kingdee_k3cloud::Options::parse(options)?;
                Ok(Arc::new(kingdee_k3cloud::Bills::new(connection, http, options)))
            }
            Connection::WangdiantongQimen(connection) => {
                known(operation, wangdiantong_qimen::PUSH, "target")?;
                let options = wangdiantong_qimen::PushOptions::parse(options)?;
                Ok(Arc::new(wangdiantong_qimen::Trades::new(connection, http, options)))
            }
            Connection::KingdeeJdy(connection) => {
                known(operation, kingdee_jdy::OPERATION, "target")?;
                let options = kingdee_jdy::Options::parse(options)?;
                Ok(Arc::new(kingdee_jdy::Bills::new(connection, http, options)))
            }
            Connection::JushuitanQimen(_) | Connection::YonyouU8(_) => {
                Err(no_such(self.system(), "target", "written to"))
            }
        }
    }

    /// The tables of reference data that this connection serves; `None` where its system has none.
    pub fn references(&self, http: &Http) -> Option<Arc<dyn ReferenceSource>> {
        match self {
            Connection::KingdeeJdy(connection) => Some(Arc::new(connection.references(http))),
            Connection::JushuitanQimen(_)
            | Connection::YonyouU8(_)
            | Connection::KingdeeK3cloud(_)
            | Connection::WangdiantongQimen(_) => None,
        }
    }
}

/// Operations are the vendor's names, and the vendors' own documents vary their case.
fn known(operation: &OperationName, only: &str, side: &str) -> Result<(), Vec<SettingProblem>> {
    if operation.as_str().eq_ignore_ascii_case(only) {
        return Ok(());
    }
    let message = format!("{operation} is not an operation that this build knows");
    Err(vec![SettingProblem::new(format!("{side}.operation"), message, format!("use {only}"))])
}

fn no_such(system: System, side: impl fmt::Display, verb: &str) -> Vec<SettingProblem> {
    let message = format!("{system} cannot be {verb} in this build");
    vec![SettingProblem::new(format!("{side}.connection"), message, "name a connection of another system")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> toml::Table {
        toml::from_str(text).unwrap()
    }

    fn paths<T>(result: Result<T, Vec<SettingProblem>>) -> Vec<String> {
        let mut paths: Vec<_> = result.err().unwrap().into_iter().map(|problem| problem.path).collect();
        paths.sort_unstable();
        paths
    }

    const JST: &str =
        "base_url = \"https://h.example/router/qm\"\napp_key = \"1\"\napp_secret = \"topsecret\"\ncustomer_id = \"2\"";
    const K3: &str = "base_url = \"https://h.example/k3cloud/\"\nacct_id = \"a\"\nuser_name = \"u\"\napp_id = \"1_x\"\napp_secret = \"topsecret\"";

    #[test]
    fn every_problem_of_a_connection_is_named_at_once_and_no_secret_is() {
        let text = "base_url = \"nowhere\"\napp_secret = 987654321\ncolour = 1";
        let result = Connection::parse(System::JushuitanQimen, table(text));
        assert!(!format!("{result:?}").contains("987654321"));
        let found = paths(result);
        for path in ["connection.app_key", "connection.app_secret", "connection.colour", "connection.customer_id"] {
            assert!(found.iter().any(|found| found == path), "{path} not in {found:?}");
        }
        let signature = format!("{K3}\nauth = \"signature\"\n[limits]\nburst = 0");
        assert_eq!(
            paths(Connection::parse(System::KingdeeK3cloud, table(&signature))),
            ["connection.app_id", "connection.limits.burst"]
        );
        let password = K3.replace("app_id", "auth = \"validate_user\"\napp_id");
        assert_eq!(paths(Connection::parse(System::KingdeeK3cloud, table(&password))), ["connection.password"]);
    }

    #[test]
    fn a_connection_serves_the_side_and_the_operation_it_knows() {
        let http = Http::new(None).unwrap();
        let jst = Connection::parse(System::JushuitanQimen, table(JST)).unwrap();
        let k3 = Connection::parse(System::KingdeeK3cloud, table(K3)).unwrap();
        assert!(!format!("{jst:?} {k3:?}").contains("topsecret"));
        let query = OperationName::new("jushuitan.saleout.list.query").unwrap();
        let save = OperationName::new("batchSave").unwrap();
        let form = "form = \"SAL_OUTSTOCK\"";
        assert!(jst.source(&http, &query, table("status = \"Confirmed\"")).is_ok());
        assert!(k3.target(&http, &save, table(form)).is_ok());
        assert_eq!(paths(jst.target(&http, &save, table(form))), ["target.connection"]);
        assert_eq!(paths(k3.source(&http, &query, toml::Table::new())), ["source.connection"]);
        assert_eq!(paths(jst.source(&http, &save, toml::Table::new())), ["source.operation"]);
        assert_eq!(
            paths(jst.source(&http, &query, table("status = [\"Shipped\"]\npage_size = 51"))),
            ["source.page_size", "source.status"]
        );
        assert_eq!(paths(k3.target(&http, &save, table("form = \"STK_X\"\nbatch_size = 0"))).len(), 2);
    }

    #[test]
    fn wangdiantong_serves_both_sides_each_with_its_own_operation() {
        let http = Http::new(None).unwrap();
        let wdt = table(&JST.replace("customer_id", "sid"));
        let wdt = Connection::parse(System::WangdiantongQimen, wdt).unwrap();
        assert!(!format!("{wdt:?}").contains("topsecret"));
        let query = OperationName::new("wdt.stockin.order.query").unwrap();
        let push = OperationName::new("wdt.trade.push").unwrap();
        assert!(wdt.source(&http, &query, table("order_type = 4\nstatus = 80\nwarehouse_no = \"W\"")).is_ok());
        assert!(wdt.target(&http, &push, table("switch = 0")).is_ok());
        assert_eq!(paths(wdt.source(&http, &push, table(""))), ["source.operation"]);
        assert_eq!(paths(wdt.target(&http, &query, table(""))), ["target.operation"]);
        let bad = "order_type = 13\nstatus = [80, 81]\npage_size = 101\nmax_passes = 0\nwarehouse_no = \"\"";
        let wrong =
            ["source.max_passes", "source.order_type", "source.page_size", "source.status", "source.warehouse_no"];
        assert_eq!(paths(wdt.source(&http, &query, table(bad))), wrong);
        assert_eq!(
            paths(wdt.target(&http, &push, table("batch_size = 51\nswitch = 2"))),
            ["target.batch_size", "target.switch"]
        );
        assert_eq!(
            paths(Connection::parse(System::WangdiantongQimen, table(&JST.replace("customer_id", "customer")))),
            ["connection.customer", "connection.sid"]
        );
    }

    #[test]
    fn u8_is_read_from_and_jdy_is_written_to_and_looked_up_in() {
        let http = Http::new(None).unwrap();
        let u8_table = "base_url = \"https://h.example/\"\napp_key = \"1\"\napp_secret = \"topsecret\"\nfrom_account = \"f\"\nto_account = \"t\"";
        let jdy_table = "base_url = \"https://h.example/\"\nclient_id = \"1\"\nclient_secret = \"topsecret\"\nouter_instance_id = \"2\"";
        let u8_connection = Connection::parse(System::YonyouU8, table(u8_table)).unwrap();
        let jdy = Connection::parse(System::KingdeeJdy, table(jdy_table)).unwrap();
        assert!(!format!("{u8_connection:?} {jdy:?}").contains("topsecret"));
        assert_eq!((u8_connection.system(), jdy.system()), (System::YonyouU8, System::KingdeeJdy));
        let list = OperationName::new("saleoutlist/batch_get").unwrap();
        let save = OperationName::new("jdy/inv/inv_check_gain_bill_save").unwrap();
        assert!(u8_connection.source(&http, &list, toml::Table::new()).is_ok());
        assert!(jdy.target(&http, &save, toml::Table::new()).is_ok());
        assert_eq!(paths(u8_connection.target(&http, &list, toml::Table::new())), ["target.connection"]);
        assert_eq!(paths(jdy.source(&http, &save, toml::Table::new())), ["source.connection"]);
        assert_eq!(paths(jdy.target(&http, &list, toml::Table::new())), ["target.operation"]);
        assert!(u8_connection.references(&http).is_none());
        assert_eq!(jdy.references(&http).unwrap().tables().len(), 3);
    }
}
