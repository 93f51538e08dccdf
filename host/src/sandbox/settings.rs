//! The sandbox's settings: the `[sandbox]` table of the configuration. Every number carries its argument.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::fault::{Code, Fault};
use crate::model::TenantId;

/// What kind of module it is. `interpreter` is granted by the operator, not chosen by the tenant: it may be larger, takes
/// minutes of compiling and has few slots of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModuleClass {
    /// A mapping compiled to WebAssembly: Rust, C, Go.
    #[default]
    Standard,
    /// A mapping that carries its interpreter along: JavaScript, Python.
    Interpreter,
}

impl ModuleClass {
    pub fn as_str(self) -> &'static str {
        match self {
            ModuleClass::Standard => "standard",
            ModuleClass::Interpreter => "interpreter",
        }
    }
}

/// `[sandbox]`. Limits of one call first, then those of the machine, then the two classes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Fuel of one document of the standard class. A Rust mapping of a 2 kB sale-out takes 55 thousand; 200 million is
    /// about a fifth of a second.
    pub fuel: u64,
    /// Fuel of one document of the interpreter class. It interprets: the same
    /// sale-out takes 14 million in JavaScript, 170 times the Rust mapping's, and 3.4 million in Python. Two billion lasts
    /// for what 12 million do in Rust, and are one or two seconds.
    pub interpreter_fuel: u64,
    /// Fuel of `describe`, which has no input to work on. An interpreter needs some millions to start.
    pub describe_fuel: u64,
    /// Fuel that one host call costs on top of one unit a byte: what the crossing costs us, so that a loop of host calls
    /// runs dry like any other loop.
    pub host_call_fuel: u64,
    /// Time on a core of one document; while others have the core its clock stands. Ten times what the fuel allows on an
    /// idle machine, because this fault is ours.
    pub deadline_ms: u64,
    /// The same for the interpreter class, whose fuel lasts ten times as long.
    pub interpreter_deadline_ms: u64,
    /// Linear memory of one instance, all its memories together. The largest document (4 MiB) parsed into a tree takes
    /// about ten times its size.
    pub memory_limit_bytes: u64,
    /// The most a scheme may ask for instead: the pool's slots are made for it.
    pub memory_ceiling_bytes: u64,
    /// Elements of all tables together. libpython has 10 thousand functions in its table.
    pub table_elements_limit: u64,
    /// Live handles to host resources; only the empty WASI has any, and a guest needs a handful.
    pub handles_limit: u64,
    /// Native stack of a guest. What is left of the thread's stack is the host's.
    pub stack_limit_bytes: u64,
    /// A document's body. The largest voucher seen is 1.8 MiB.
    pub input_limit_bytes: u64,
    /// The scheme's parameters as JSON text: settings, not data.
    pub parameters_limit_bytes: u64,
    /// All bills of one outcome together.
    pub output_limit_bytes: u64,
    /// Bills in one outcome. Nobody turns one record into more vouchers than this.
    pub output_documents_limit: u64,
    /// What the guest may hand over in one crossing, in whole. Must leave room for the output.
    pub hostcall_bytes: u64,
    /// Host calls of one document.
    pub host_calls_limit: u64,
    /// Answers of all look-ups of one document together.
    pub lookup_limit_bytes: u64,
    /// Log lines kept of one document; more are dropped and counted.
    pub log_lines_limit: u64,
    /// Bytes of log kept of one document.
    pub log_limit_bytes: u64,

    /// Guests of the standard class that are admitted at once, each with a slot; more wait.
    pub concurrency: u32,
    /// What one tenant may have of these, so that there are slots left for others however many endless loops it brings.
    /// Counts as one less than there are, where it is not less; a tenant alone loses nothing while it is more than `computing`.
    pub tenant_concurrency: u32,
    /// Of the admitted guests, those that compute at once; they change every millisecond, tenant by tenant. 0 is one less
    /// than the machine has cores: the engine's own work, which is everybody's, is not to wait behind guests.
    pub computing: u32,
    /// Turns that a tenant has for one of a tenant that is not named, 1 to 100.
    pub tenant_weights: BTreeMap<TenantId, u32>,
    /// Whether a component that the standard class refuses for its size may be of the interpreter class instead. Off: it is
    /// the operator who says that modules may take minutes of compiling, 4 GiB of it, and hundreds of MiB of disk.
    pub interpreter_modules: bool,
    /// Guests of the interpreter class that run at once; each takes tens of MiB.
    pub interpreter_concurrency: u32,
    /// Keep this much of a memory slot resident and reset it by asking the kernel which pages were touched. A quarter
    /// cheaper for each instance, and one more mechanism between two guests: off, and an operator's choice.
    pub pagemap_scan: bool,
    /// Bytes of each memory slot that stay resident when `pagemap_scan` is on.
    pub pagemap_resident_bytes: u64,

    pub standard: ClassLimits,
    #[serde(deserialize_with = "over_interpreter")]
    pub interpreter: ClassLimits,
}

/// What the pre-scan and the compiling child allow one class of module. Compiling is quadratic in the size of a
/// *function*, so the size of the whole is not enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassLimits {
    pub component_limit_bytes: u64,
    pub core_modules: u64,
    /// Instances that run code. Those that only gather exports count as definitions.
    pub instances: u64,
    pub memories: u64,
    pub tables: u64,
    pub functions: u64,
    /// One function's body.
    pub body_limit_bytes: u64,
    /// One function's locals.
    pub locals: u64,
    /// Nesting of blocks within a function.
    pub block_depth: u64,
    /// Nesting of components and modules.
    pub nesting: u64,
    /// Types, imports, exports, aliases, globals, segments, custom sections and the like, each kind on its own: what the
    /// validator has to keep.
    pub definitions: u64,
    pub child_address_space_bytes: u64,
    pub child_cpu_s: u64,
    pub child_wall_ms: u64,
    /// The compiled artefact. A hundred thousand functions gave 32 MB.
    pub artefact_limit_bytes: u64,
}

/// More would be a queue that the others hardly get through.
const WEIGHT_LIMIT: u32 = 100;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

impl ClassLimits {
    /// For mappings compiled to WebAssembly; a Rust guest has 190 kB.
    pub fn standard() -> Self {
        Self {
            component_limit_bytes: 4 * MIB,
            core_modules: 8,
            instances: 16,
            memories: 2,
            tables: 8,
            functions: 20_000,
            body_limit_bytes: 128 * KIB,
            locals: 1_000,
            block_depth: 512,
            nesting: 4,
            definitions: 10_000,
            child_address_space_bytes: 2 * GIB,
            child_cpu_s: 20,
            child_wall_ms: 30_000,
            artefact_limit_bytes: 64 * MIB,
        }
    }

    /// Measured: Python has 38 core modules, 109 instances and a body of 427 kB; JavaScript bodies of 172 kB.
    pub fn interpreter() -> Self {
        Self {
            component_limit_bytes: 32 * MIB,
            core_modules: 64,
            instances: 128,
            memories: 4,
            tables: 64,
            functions: 100_000,
            body_limit_bytes: 512 * KIB,
            locals: 4_000,
            block_depth: 1_000,
            nesting: 4,
            definitions: 100_000,
            child_address_space_bytes: 4 * GIB,
            child_cpu_s: 120,
            child_wall_ms: 180_000,
            artefact_limit_bytes: 256 * MIB,
        }
    }
}

impl Default for ClassLimits {
    fn default() -> Self {
        Self::standard()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            fuel: 200_000_000,
            interpreter_fuel: 2_000_000_000,
            describe_fuel: 20_000_000,
            host_call_fuel: 1_000,
            deadline_ms: 2_000,
            interpreter_deadline_ms: 20_000,
            memory_limit_bytes: 64 * MIB,
            memory_ceiling_bytes: 256 * MIB,
            table_elements_limit: 20_000,
            handles_limit: 1_000,
            stack_limit_bytes: 512 * KIB,
            input_limit_bytes: 4 * MIB,
            parameters_limit_bytes: 256 * KIB,
            output_limit_bytes: 8 * MIB,
            output_documents_limit: 1_000,
            hostcall_bytes: 9 * MIB,
            host_calls_limit: 10_000,
            lookup_limit_bytes: 4 * MIB,
            log_lines_limit: 100,
            log_limit_bytes: 16 * KIB,
            concurrency: 8,
            tenant_concurrency: 6,
            computing: 0,
            tenant_weights: BTreeMap::new(),
            interpreter_modules: false,
            interpreter_concurrency: 2,
            pagemap_scan: false,
            pagemap_resident_bytes: MIB,
            standard: ClassLimits::standard(),
            interpreter: ClassLimits::interpreter(),
        }
    }
}

/// `[sandbox.interpreter]`: what is left out is the interpreter's own default, not the standard class's.
fn over_interpreter<'de, D: Deserializer<'de>>(section: D) -> Result<ClassLimits, D::Error> {
    let own = BTreeMap::<String, u64>::deserialize(section)?;
    let mut all = serde_json::to_value(ClassLimits::interpreter()).map_err(D::Error::custom)?;
    for (name, value) in own {
        all[name] = value.into();
    }
    serde_json::from_value(all).map_err(D::Error::custom)
}

impl Settings {
    pub fn class(&self, class: ModuleClass) -> &ClassLimits {
        match class {
            ModuleClass::Standard => &self.standard,
            ModuleClass::Interpreter => &self.interpreter,
        }
    }

    /// Everything that is wrong with these settings, all at once.
    pub fn problems(&self) -> Vec<Fault> {
        let mut problems = Vec::new();
        let mut require = |holds: bool, text: String| {
            if !holds {
                problems.push(Fault::new(
                    Code::ConfigurationInvalid,
                    crate::fault::Disposition::RefuseStart,
                    format!("sandbox: {text}"),
                ));
            }
        };
        for (name, value) in [
            ("fuel", self.fuel),
            ("interpreter_fuel", self.interpreter_fuel),
            ("describe_fuel", self.describe_fuel),
            ("deadline_ms", self.deadline_ms),
            ("interpreter_deadline_ms", self.interpreter_deadline_ms),
            ("memory_limit_bytes", self.memory_limit_bytes),
            ("input_limit_bytes", self.input_limit_bytes),
            ("output_limit_bytes", self.output_limit_bytes),
            ("host_calls_limit", self.host_calls_limit),
            ("concurrency", self.concurrency.into()),
            ("tenant_concurrency", self.tenant_concurrency.into()),
            ("interpreter_concurrency", self.interpreter_concurrency.into()),
        ] {
            require(value > 0, format!("{name} must be more than 0"));
        }
        require(
            self.memory_limit_bytes <= self.memory_ceiling_bytes,
            format!(
                "memory_limit_bytes ({}) is over memory_ceiling_bytes ({})",
                self.memory_limit_bytes, self.memory_ceiling_bytes
            ),
        );
        require(
            self.memory_ceiling_bytes <= 4 * GIB,
            format!(
                "memory_ceiling_bytes ({}) is over 4 GiB, the most a 32-bit memory can be",
                self.memory_ceiling_bytes
            ),
        );
        require(
            self.hostcall_bytes > self.output_limit_bytes,
            format!(
                "hostcall_bytes ({}) leaves no room for output_limit_bytes ({})",
                self.hostcall_bytes, self.output_limit_bytes
            ),
        );
        // A thread has 2 MiB, and the host's own frames need at least one: their overflow aborts the process.
        require(
            (64 * KIB..=MIB).contains(&self.stack_limit_bytes),
            format!("stack_limit_bytes ({}) must be between 64 KiB and 1 MiB", self.stack_limit_bytes),
        );
        require(
            self.concurrency <= 64 && self.interpreter_concurrency <= 16,
            "concurrency may be at most 64, interpreter_concurrency at most 16".into(),
        );
        for (tenant, weight) in &self.tenant_weights {
            let (most, given) = (WEIGHT_LIMIT, *weight);
            require((1..=most).contains(&given), format!("tenant_weights: {tenant} has {given}, not 1 to {most}"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_usable_and_every_field_may_be_left_out() {
        assert_eq!(Settings::default().problems(), Vec::new());
        assert_eq!(toml::from_str::<Settings>("").unwrap(), Settings::default());
        assert_eq!(toml::from_str::<Settings>("fuel = 5").unwrap().fuel, 5);
    }

    #[test]
    fn a_class_of_which_one_limit_is_set_keeps_its_own_defaults_for_the_others() {
        let settings: Settings = toml::from_str("[interpreter]\nlocals = 7\n[standard]\nlocals = 8").unwrap();
        assert_eq!(settings.interpreter, ClassLimits { locals: 7, ..ClassLimits::interpreter() });
        assert_eq!(settings.standard, ClassLimits { locals: 8, ..ClassLimits::standard() });
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        assert!(toml::from_str::<Settings>("fule = 5").unwrap_err().to_string().contains("fule"));
        for class in ["standard", "interpreter"] {
            let why = toml::from_str::<Settings>(&format!("[{class}]\nlocal = 5")).unwrap_err().to_string();
            assert!(why.contains("local"), "{why}");
        }
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let settings = Settings {
            fuel: 0,
            interpreter_fuel: 0,
            interpreter_deadline_ms: 0,
            memory_limit_bytes: 1 << 40,
            hostcall_bytes: 1,
            stack_limit_bytes: 1,
            ..Settings::default()
        };
        assert_eq!(settings.problems().len(), 6, "{:?}", settings.problems());
    }
}
