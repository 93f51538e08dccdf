//! The connector against a loopback vendor: the source, then the target, then what both must never show.

mod pushes;
mod reads;

use std::sync::Arc;

use super::*;
use crate::connectors::http::Http;
use crate::connectors::stub::Stub;
use crate::connectors::{Error, FixedClock};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn connection(stub: &Stub, limits: &str) -> (Connection, Http) {
    let table = format!(
        "base_url = \"{}\"\napp_key = \"30000001\"\napp_secret = \"{SECRET}\"\nsid = \"demo2\"\n\
         sign_method = \"md5\"\nlimits = {{ requests_per_second = 1000, burst = 1000, {limits} }}",
        stub.url("/router/qm")
    );
    let connection = Connection::parse(toml::from_str(&table).unwrap()).unwrap();
    let clock = Arc::new(FixedClock("2026-01-15T02:30:00Z".parse().unwrap()));
    (connection, Http::with_clock(None, clock).unwrap())
}

#[test]
fn the_pace_is_the_vendors_sixty_a_minute_unless_set() {
    let pace = |limits: &str| {
        let table = format!(
            "base_url = \"https://h.example/router/qm\"\napp_key = \"1\"\napp_secret = \"x\"\nsid = \"2\"\n{limits}"
        );
        Connection::parse(toml::from_str(&table).unwrap()).unwrap().limits().requests_per_second
    };
    assert_eq!(
        [pace(""), pace("limits = { burst = 2 }"), pace("limits = { requests_per_second = 3 }")],
        [1.0, 1.0, 3.0]
    );
}

#[test]
fn the_vendors_own_codes_become_what_happens_next() {
    let refine = |code: &str, message: &str| {
        super::errors::refine(Error::Refused { code: code.into(), message: message.into() })
    };
    assert!(matches!(refine("1012", "x"), Error::Throttled { wait: Some(wait), .. } if wait.as_secs() == 31));
    assert!(matches!(refine("7", "调用过于频繁"), Error::Throttled { wait: None, .. }));
    assert!(matches!(refine("client.protocol.invalid-argument", "x"), Error::Unknown { .. }));
    let system = refine("1020", "系统错误");
    assert!(matches!(system, Error::Server { .. }) && system.may_have_written(), "{system}");
    for code in ["99", "2830", "7200", "11000000"] {
        assert!(matches!(refine(code, "x"), Error::Refused { .. }), "{code}");
    }
}
