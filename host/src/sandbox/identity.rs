//! What makes two sandboxes alike: the same module over the same input gives the same bytes and takes the same fuel in
//! both. A recorded run names it, so that nobody compares fuel that was counted by other rules.

use serde::{Deserialize, Serialize};

use super::engine::base_config;
use super::settings::{ModuleClass, Settings};
use crate::model::Digest;

/// The wasmtime in this program. It does not say so itself; a test compares this with the lock file.
pub const WASMTIME: &str = "48.0.8";

/// The settings that decide what a run gives and takes, beside the scheme's own limits. All others are about the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSettings {
    pub describe_fuel: u64,
    pub host_call_fuel: u64,
    pub memory_ceiling_bytes: u64,
    pub handles_limit: u64,
    pub stack_limit_bytes: u64,
    pub parameters_limit_bytes: u64,
    pub hostcall_bytes: u64,
}

impl From<&Settings> for RunSettings {
    fn from(settings: &Settings) -> Self {
        Self {
            describe_fuel: settings.describe_fuel,
            host_call_fuel: settings.host_call_fuel,
            memory_ceiling_bytes: settings.memory_ceiling_bytes,
            handles_limit: settings.handles_limit,
            stack_limit_bytes: settings.stack_limit_bytes,
            parameters_limit_bytes: settings.parameters_limit_bytes,
            hostcall_bytes: settings.hostcall_bytes,
        }
    }
}

impl RunSettings {
    /// `settings` with these in it.
    pub fn within(&self, settings: Settings) -> Settings {
        Settings {
            describe_fuel: self.describe_fuel,
            host_call_fuel: self.host_call_fuel,
            memory_ceiling_bytes: self.memory_ceiling_bytes,
            handles_limit: self.handles_limit,
            stack_limit_bytes: self.stack_limit_bytes,
            parameters_limit_bytes: self.parameters_limit_bytes,
            hostcall_bytes: self.hostcall_bytes,
            ..settings
        }
    }
}

/// A digest of everything besides wasmtime itself that bytes and fuel hang on: how wasmtime is configured, with the cost of
/// each operator, and the settings of a run.
pub fn settings_hash(settings: &Settings, class: ModuleClass) -> Digest {
    let limits = settings.class(class);
    let shape = [limits.instances, limits.memories, limits.tables];
    let run = RunSettings::from(settings);
    let config = format!("{:#?}", base_config(settings));
    let mut lines: Vec<&str> = config.lines().collect();
    // wasmtime keeps the compiler's settings in a map without an order.
    lines.sort_unstable();
    Digest::of(format!("crossdock sandbox 1\n{class:?} {shape:?} {run:?}\n{}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_lock_file() {
        let lock = include_str!("../../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"wasmtime\"\nversion = \"{WASMTIME}\"\n")));
    }

    #[test]
    fn the_hash_is_the_same_every_time_and_changes_with_what_a_run_hangs_on() {
        let of = |settings: &Settings| settings_hash(settings, ModuleClass::Standard);
        let plain = of(&Settings::default());
        assert_eq!(of(&Settings::default()), plain);
        let idle = Settings { concurrency: 1, interpreter_concurrency: 1, pagemap_scan: true, ..Settings::default() };
        assert_eq!(of(&idle), plain, "what is about the machine alone");
        for other in [
            Settings { host_call_fuel: 1_001, ..Settings::default() },
            Settings { stack_limit_bytes: 1 << 19 | 1 << 16, ..Settings::default() },
            Settings { hostcall_bytes: 10 << 20, ..Settings::default() },
        ] {
            assert_ne!(of(&other), plain);
        }
    }

    #[test]
    fn the_hash_holds_the_cost_of_each_operator() {
        let config = format!("{:#?}", base_config(&Settings::default()));
        assert!(config.contains("memory_grow_per_page: 255") && config.contains("I64Load: 1"), "{config}");
    }

    #[test]
    fn settings_of_a_run_go_from_one_sandbox_into_another() {
        let tuned = Settings { host_call_fuel: 7, describe_fuel: 9, handles_limit: 3, ..Settings::default() };
        assert_eq!(RunSettings::from(&tuned).within(Settings::default()), tuned);
    }
}
