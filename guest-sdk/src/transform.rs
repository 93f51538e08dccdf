//! The one trait that a transform implements, and the way from it to the contract's two exports.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Context, Description, Document, Outcome, Reason, Rejection, TargetDocument, bindings, json, log};

/// A mapping from one source document to bills.
///
/// It must be a pure function of its arguments and of the reference tables: no clock, no randomness, no state kept
/// between calls. The host may run it again and expects the same bytes.
pub trait Transform {
    /// The module's name: lower-case letters, digits and hyphens, at most 64 bytes.
    const NAME: &'static str;
    /// The module's version, as in semver.org 2.0.0.
    const VERSION: &'static str;
    /// The source it reads, `system:operation`.
    const SOURCE: &'static str;
    /// The target it writes, `system:operation`.
    const TARGET: &'static str;
    /// A JSON Schema (2020-12) for [`Self::Parameters`], at most 64 KiB; usually `include_str!`.
    const PARAMETERS_SCHEMA: &'static str;

    /// The scheme's parameters. The host has checked them against [`Self::PARAMETERS_SCHEMA`] before any call.
    type Parameters: DeserializeOwned;

    /// Maps one document. `Err` and `Ok(Outcome::Reject)` mean the same: the document is parked for a person.
    ///
    /// A panic is the module's fault; its message goes to the document's log, and the document is parked.
    fn transform(context: &Context, parameters: &Self::Parameters, document: &Document) -> Result<Outcome, Rejection>;
}

/// Exports a [`Transform`] as the component's two functions. Once per crate, at its root. Off WebAssembly it only
/// checks the type, so that the same crate runs under `cargo test`.
#[macro_export]
macro_rules! export {
    ($transform:ty) => {
        const _: () = {
            const fn is_a_transform<T: $crate::Transform>() {}
            is_a_transform::<$transform>();
        };
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Exported = $crate::Adapter<$transform>;
    $crate::bindings::export_transform!(Exported with_types_in $crate::bindings);
        };
    };
}

/// What [`export!`] hands to the bindings in place of the transform itself.
pub struct Adapter<T>(PhantomData<T>);

impl<T: Transform> bindings::Guest for Adapter<T> {
    fn describe() -> Description {
        describe::<T>()
    }
    fn transform(context: Context, document: Document) -> Outcome {
        std::panic::set_hook(Box::new(|panic| log::error(panic)));
        run::<T>(&context, &document)
    }
}

/// What the module says of itself, from the trait's constants.
pub fn describe<T: Transform>() -> Description {
    Description {
        name: T::NAME.into(),
        version: T::VERSION.into(),
        source: T::SOURCE.into(),
        target: T::TARGET.into(),
        parameters_schema: T::PARAMETERS_SCHEMA.into(),
    }
}

/// One call, as the host makes it: reads the parameters, maps the document, turns an `Err` into a rejection.
/// Parameters that do not fit [`Transform::Parameters`] reject with `parameters_invalid`.
pub fn run<T: Transform>(context: &Context, document: &Document) -> Outcome {
    let outcome = context.parse_parameters().and_then(|parameters| T::transform(context, &parameters, document));
    outcome.unwrap_or_else(|rejection| Outcome::Reject(rejection.into()))
}

impl Context {
    /// Reads `parameters`. The rejection names no field, because a field belongs to the source document; its message
    /// names the parameter.
    pub fn parse_parameters<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        json::from_str(&self.parameters)
            .map_err(|why| Rejection::new("parameters_invalid", format!("parameters: {}", why.message())))
    }
}

impl Outcome {
    /// One bill. `key` is the bill's key in the target system, and must be the one that `bill` holds.
    pub fn emit_one(key: impl Into<String>, bill: &impl Serialize) -> Result<Outcome, Rejection> {
        Ok(Outcome::Emit(vec![TargetDocument { key: key.into(), body: json::to_string(bill)? }]))
    }

    /// Nothing to write for this document, and that is right. `field` is a JSON Pointer into the source (`/status`).
    /// The message must not repeat personal data.
    pub fn skip(code: &str, message: impl Into<String>, field: Option<&str>) -> Outcome {
        Outcome::Skip(Reason { code: code.into(), message: message.into(), field: field.map(Into::into) })
    }
}
