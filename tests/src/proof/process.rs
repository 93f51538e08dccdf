//! What the kernel knows of a process, and a folder of the disk.

use std::path::Path;

use super::{Failure, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub resident_kib: u64,
    /// The most it ever had.
    pub peak_kib: u64,
    pub descriptors: u64,
}

pub fn usage(id: u32) -> Result<Usage> {
    let failed = |error: std::io::Error| Failure::during(&format!("looking at process {id}"), error);
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).map_err(failed)?;
    let figure = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    let descriptors = std::fs::read_dir(format!("/proc/{id}/fd")).map_err(failed)?.count() as u64;
    Ok(Usage { resident_kib: figure("VmRSS:"), peak_kib: figure("VmHWM:"), descriptors })
}

/// Bytes of all files below a folder. What goes away meanwhile counts as nothing.
pub fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
