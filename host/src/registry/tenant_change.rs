//! What is to be different of a tenant, as a merge patch (RFC 7396): what is left out stays as it is, and what is null has
//! its default. Whoever names one rule does not switch the others off by it.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::tenant::{Policy, Quotas, Tenant, one};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TenantChange {
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub suspended: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "or_one")]
    pub weight: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "or_all_defaults")]
    pub quotas: Option<QuotasChange>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "or_all_defaults")]
    pub policy: Option<PolicyChange>,
}

impl TenantChange {
    pub(super) fn of(&self, before: Tenant) -> Tenant {
        Tenant {
            display_name: self.display_name.clone().unwrap_or(before.display_name),
            suspended: self.suspended.unwrap_or(before.suspended),
            weight: self.weight.unwrap_or(before.weight),
            quotas: self.quotas.as_ref().map_or(before.quotas, |change| change.of(before.quotas)),
            policy: self.policy.as_ref().map_or(before.policy, |change| change.of(before.policy)),
            ..before
        }
    }
}

/// A structure of the same fields, each of which is left out, null or a value.
macro_rules! change {
    ($(#[$said:meta])* $name:ident of $whole:ident { $($field:ident: $kind:ident),* $(,)? }) => {
        $(#[$said])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $(
                #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "named")]
                #[schema(value_type = Option<$kind>)]
                pub $field: Option<Option<$kind>>,
            )*
        }

        impl $name {
            fn of(&self, before: $whole) -> $whole {
                let default = $whole::default();
                $whole { $($field: self.$field.map_or(before.$field, |set| set.unwrap_or(default.$field)),)* }
            }
        }

        impl AllDefaults for $name {
            fn all_defaults() -> Self {
                Self { $($field: Some(None),)* }
            }
        }

        impl From<$whole> for $name {
            fn from(whole: $whole) -> Self {
                Self { $($field: Some(Some(whole.$field)),)* }
            }
        }
    };
}

change! {
    /// Quotas that are to be different. What is left out stays as it is, and what is null has its default.
    QuotasChange of Quotas {
        modules: u64,
        module_bytes: u64,
        schemes: u64,
        connections: u64,
        tables: u64,
        table_bytes: u64,
        changes_per_minute: u64,
        concurrent_calls: u32,
        fuel_per_minute: u64,
        documents_per_minute: u64,
        ledger_bytes: u64,
        compile_seconds_per_hour: u64,
    }
}

change! {
    /// Rules that are to be different. What is left out stays as it is, and what is null has its default.
    PolicyChange of Policy {
        interpreter_modules: bool,
        require_signature: bool,
        require_clean_compare: bool,
        compare_documents: u64,
    }
}

trait AllDefaults {
    fn all_defaults() -> Self;
}

fn named<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(from).map(|named| Some(named.unwrap_or_default()))
}

fn or_one<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    Option::deserialize(from).map(|named| Some(named.unwrap_or_else(one)))
}

fn or_all_defaults<'de, D: Deserializer<'de>, T: Deserialize<'de> + AllDefaults>(
    from: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(from).map(|named| Some(named.unwrap_or_else(T::all_defaults)))
}
