//! The nouns that every layer shares: identifiers, documents, outcomes. No behaviour beyond parsing and printing.

mod document;
mod ids;
mod page;
mod schema;
mod text;

pub use document::{Digest, Document, Outcome, Reason, TargetDocument};
pub use ids::{ConnectionName, DocumentKey, IdError, ModuleRef, OperationName, SchemeId, System, TargetKey, TenantId};
pub use page::{PAGE_LIMIT_BYTES, PageRoom};
pub use text::{is_no_part_of_a_name, is_unseen};
