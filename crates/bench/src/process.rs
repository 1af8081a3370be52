//! What `/proc` knows of a process.

use std::fs;

use testkit::process::Service;

use crate::Result;

/// The most memory that it ever had resident (`VmHWM`), in MiB.
pub(crate) fn peak_memory(process: &Service) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse::<u32>().ok());
    Ok(f64::from(kib.ok_or("VmHWM is not in kB")?) / 1024.0)
}
