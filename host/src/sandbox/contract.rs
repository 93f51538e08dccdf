//! Which version of the contract this engine runs, and what becomes of a component that was built against another.
//!
//! A transform exports bare functions, so its version is that of the interfaces it imports: every toolchain imports at
//! least `types`. Names are compared whole. The day there is a 1.1, its host also takes what was built against 1.0
//! (`docs/decisions/contract.md`); until then there is one version and nothing to choose.

/// The version of `crossdock:transform`, as `wit/` has it.
pub const VERSION: &str = "1.0.0";

pub const TYPES: &str = "crossdock:transform/types@1.0.0";
pub const LOG: &str = "crossdock:transform/log@1.0.0";
pub const REFERENCE: &str = "crossdock:transform/reference@1.0.0";

/// What to do with a component or a project of another version.
pub const REMEDY: &str = "docs/guides/migrating.md says how to build it again";

const PACKAGE: &str = "crossdock:transform/";

/// Whether an import is one of the contract's interfaces.
pub fn offers(import: &str) -> bool {
    [TYPES, LOG, REFERENCE].contains(&import)
}

/// The version of an import of the contract, where it is not this engine's.
pub fn other_version(import: &str) -> Option<&str> {
    let (_, version) = import.strip_prefix(PACKAGE)?.split_once('@')?;
    (version != VERSION).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interfaces_are_those_of_the_version_and_another_version_is_told_from_another_package() {
        for import in [TYPES, LOG, REFERENCE] {
            assert!(offers(import) && import.ends_with(&format!("@{VERSION}")), "{import}");
            assert_eq!(other_version(import), None);
        }
        assert_eq!(other_version("crossdock:transform/log@0.1.0"), Some("0.1.0"));
        assert_eq!(other_version("crossdock:transform/net@1.1.0"), Some("1.1.0"));
        for import in ["crossdock:transform/net@1.0.0", "wasi:io/streams@0.2.0", "evil:host/files", "log"] {
            assert!(!offers(import) && other_version(import).is_none(), "{import}");
        }
    }
}
