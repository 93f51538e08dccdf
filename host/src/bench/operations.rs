//! The operations that this release knows, and what the bench has for each.

/// A source operation: where its documents keep their key, and the templates made for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// `system:operation`
    pub operation: &'static str,
    pub key_field: &'static str,
    pub template: &'static str,
}

/// A target operation and the templates made for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// `system:operation`
    pub operation: &'static str,
    pub template: &'static str,
}

pub const SOURCES: &[Source] = &[
    Source {
        operation: "jushuitan_qimen:jushuitan.saleout.list.query",
        key_field: "io_id",
        template: "jushuitan_saleout",
    },
    Source {
        operation: "wangdiantong_qimen:wdt.stockin.order.query",
        key_field: "stockin_no",
        template: "wangdiantong_stockin",
    },
    Source { operation: "yonyou_u8:saleoutlist/batch_get", key_field: "code", template: "u8_saleout" },
];

pub const TARGETS: &[Target] = &[
    Target { operation: "kingdee_k3cloud:BatchSave", template: "k3cloud_bill" },
    Target { operation: "kingdee_jdy:jdy/inv/inv_check_gain_bill_save", template: "jdy_gain_bill" },
    Target { operation: "wangdiantong_qimen:wdt.trade.push", template: "wangdiantong_trade" },
];

/// The field that holds a document's key, of a source that a module names; by its system, because all operations of one
/// system number their documents in the same field as far as they are known.
pub fn key_field(source: &str) -> Option<&'static str> {
    let system = system(source);
    SOURCES.iter().find(|known| self::system(known.operation) == system).map(|known| known.key_field)
}

/// The part before the colon.
pub fn system(operation: &str) -> &str {
    operation.split_once(':').map_or(operation, |(system, _)| system)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::System;

    #[test]
    fn the_systems_here_are_those_of_the_product() {
        for operation in SOURCES.iter().map(|s| s.operation).chain(TARGETS.iter().map(|t| t.operation)) {
            let known = serde_json::from_value::<System>(system(operation).into());
            assert!(known.is_ok(), "{operation}");
        }
    }

    #[test]
    fn a_key_field_is_found_by_the_system_and_not_guessed_for_another() {
        assert_eq!(key_field("yonyou_u8:some/other_list"), Some("code"));
        assert_eq!(key_field("example:document"), None);
    }
}
