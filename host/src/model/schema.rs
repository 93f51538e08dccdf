//! How identifiers look in the description of the HTTP API: texts, with the alphabet and the length that their parsers
//! ask for.

use std::borrow::Cow;

use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, schema};
use utoipa::{PartialSchema, ToSchema};

use super::ids::{CHOSEN_LENGTH_LIMIT, KEY_LENGTH_LIMIT};
use super::{ConnectionName, Digest, DocumentKey, ModuleRef, OperationName, SchemeId, System, TargetKey, TenantId};

const CHOSEN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]*$";
/// No control characters.
const KEY: &str = r"^[^\x00-\x1f\x7f-\x9f]+$";

fn text(pattern: &str, length: usize) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).min_length(Some(1)).max_length(Some(length))
}

fn done(object: ObjectBuilder) -> RefOr<schema::Schema> {
    RefOr::T(Schema::Object(object.build()))
}

macro_rules! described {
    ($($name:ident => $schema:expr;)*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<schema::Schema> {
                done($schema)
            }
        }
        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )*};
}

described! {
    TenantId => text(CHOSEN, CHOSEN_LENGTH_LIMIT);
    SchemeId => text(CHOSEN, CHOSEN_LENGTH_LIMIT);
    ConnectionName => text(CHOSEN, CHOSEN_LENGTH_LIMIT);
    OperationName => text(KEY, KEY_LENGTH_LIMIT);
    DocumentKey => text(KEY, KEY_LENGTH_LIMIT);
    TargetKey => text(KEY, KEY_LENGTH_LIMIT);
    Digest => text("^[0-9a-fA-F]{64}$", 64).description(Some("SHA-256 in hexadecimal digits"));
    ModuleRef => text("^[A-Za-z0-9][A-Za-z0-9._-]*@[^@]+$", 2 * CHOSEN_LENGTH_LIMIT + 1)
        .description(Some("name@version"));
    System => ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(System::ALL.map(System::as_str)));
}
