//! The hand-written mapping as an Extism plug-in: the same source as the native one.

#[path = "../../floor/src/typed.rs"]
mod typed;

use extism_pdk::{FnResult, config, plugin_fn};

#[plugin_fn]
pub fn map(body: String) -> FnResult<String> {
    let parameters = config::get("parameters")?.unwrap_or_default();
    Ok(typed::map(&parameters, &body))
}
