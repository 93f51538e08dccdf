//! On what was measured, and which versions.

/// Processor, kernel, and the versions that were built.
pub fn described() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let peers = include_str!("../../../tests/bench/Cargo.lock");
    let extism = include_str!("../../../tests/bench/extism/Cargo.lock");
    let versions: Vec<String> = [
        version(include_str!("../../../Cargo.lock"), "wasmtime"),
        version(peers, "serde_json"),
        version(peers, "jaq-core"),
        version(peers, "vrl"),
        version(peers, "rquickjs"),
        version(extism, "extism"),
    ]
    .to_vec();
    format!(
        "{cores} cores of {}, Linux {}; {}",
        model.unwrap_or("an unknown processor").trim(),
        kernel.trim(),
        versions.join(", ")
    )
}

fn version(lock: &str, name: &str) -> String {
    let wanted = format!("name = \"{name}\"");
    let mut lines = lock.lines().skip_while(|line| *line != wanted).skip(1);
    let line = lines.next().unwrap_or_default();
    format!("{name} {}", line.trim_start_matches("version = ").trim_matches('"'))
}
