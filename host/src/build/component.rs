//! From a core module to the component that the sandbox takes.

use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::WorldItem;

use super::Error;
use crate::sandbox::contract;

/// Wraps a core module, built against the guest SDK, as a component. Refuses what would be refused at upload for its
/// imports: anything but the contract's interfaces and WASI's (which the sandbox answers with an empty WASI).
pub fn wrap(core_module: &[u8]) -> Result<Vec<u8>, Error> {
    let unwrappable = |error: anyhow::Error| Error::NotWrappable { problem: format!("{error:#}") };
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(core_module).map_err(unwrappable)?;
    let component = encoder.encode().map_err(unwrappable)?;
    check(&component, "is crossdock_guest::export! called?")?;
    Ok(component)
}

/// Refuses a component whose imports or exports are not those of a transform. `hint` asks what the language's developer may
/// have forgotten.
pub fn check(component: &[u8], hint: &str) -> Result<(), Error> {
    let decoded =
        wit_component::decode(component).map_err(|error| Error::NotWrappable { problem: format!("{error:#}") })?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        return Err(Error::NotWrappable { problem: "it is a package of interfaces, not a component".into() });
    };
    for (key, item) in &resolve.worlds[world].imports {
        // A type is nothing to call: the world's `use types.{document, …}` arrives here under bare names.
        if matches!(item, WorldItem::Type { .. }) {
            continue;
        }
        let import = resolve.name_world_key(key);
        if let Some(built) = contract::other_version(&import) {
            return Err(Error::OtherContract { what: "the component was built against", version: built.into() });
        }
        if !contract::offers(&import) && !import.starts_with("wasi:") {
            return Err(Error::ForeignImport { import });
        }
    }
    let exports: Vec<String> = resolve.worlds[world].exports.keys().map(|key| resolve.name_world_key(key)).collect();
    for export in ["describe", "transform"] {
        if !exports.iter().any(|name| name == export) {
            return Err(Error::NotWrappable { problem: format!("it does not export {export}; {hint}") });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component of nothing but its imports and exports, as text.
    fn check(text: &str) -> Result<(), Error> {
        super::check(&wat::parse_str(text).expect("component text"), "is it exported with export!?")
    }

    const EXPORTS: &str = r#"
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (export "describe" (func $f))
        (export "transform" (func $f))"#;

    #[test]
    fn takes_the_contracts_interfaces_and_wasi() {
        let imports = r#"
            (import "crossdock:transform/log@1.0.0" (instance))
            (import "wasi:clocks/wall-clock@0.2.0" (instance))
            (type $reason (record (field "code" string)))
            (import "reason" (type (eq $reason)))"#;
        check(&format!("(component {imports} {EXPORTS})")).expect("only what a transform may import");
    }

    #[test]
    fn refuses_an_import_that_the_world_does_not_offer_and_names_it() {
        let why = check(&format!(r#"(component (import "acme:net/http@1.0.0" (instance)) {EXPORTS})"#));
        assert!(matches!(&why, Err(Error::ForeignImport { import }) if import == "acme:net/http@1.0.0"), "{why:?}");
        let why = check(&format!(r#"(component (import "crossdock:transform/net@1.0.0" (instance)) {EXPORTS})"#));
        assert!(matches!(&why, Err(Error::ForeignImport { .. })), "{why:?}");
        let why = check(&format!(r#"(component (import "fetch" (func)) {EXPORTS})"#));
        assert!(matches!(&why, Err(Error::ForeignImport { import }) if import == "fetch"), "{why:?}");
    }

    #[test]
    fn refuses_another_version_of_the_contract_and_says_what_to_do() {
        let why = check(&format!(r#"(component (import "crossdock:transform/log@0.1.0" (instance)) {EXPORTS})"#));
        let said = why.expect_err("another version").to_string();
        assert!(
            said.contains("0.1.0") && said.contains("1.0.0") && said.contains("docs/guides/migrating.md"),
            "{said}"
        );
    }

    #[test]
    fn refuses_a_component_without_the_two_exports() {
        let why = check("(component)").expect_err("no exports").to_string();
        assert!(why.contains("describe") && why.contains("export!"), "{why}");
    }

    #[test]
    fn refuses_a_module_that_was_not_built_against_the_contract() {
        let core =
            wat::parse_str(r#"(module (import "env" "fetch" (func)) (memory (export "memory") 1))"#).expect("text");
        assert!(matches!(wrap(&core), Err(Error::NotWrappable { .. })));
        assert!(matches!(wrap(b"not wasm at all"), Err(Error::NotWrappable { .. })));
    }
}
