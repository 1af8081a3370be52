//! Where it was measured.

use std::fs;
use std::thread::available_parallelism;

use serde::Serialize;

/// The machine, as far as figures depend on it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    /// How many threads run at once.
    pub(crate) cores: usize,
    /// What the processor calls itself.
    pub(crate) cpu: String,
    /// Memory, in MiB.
    pub(crate) memory_mib: u64,
    /// Linux' version.
    pub(crate) kernel: String,
    /// PostgreSQL's version; `None` when no server was asked.
    pub(crate) postgres: Option<String>,
}

impl Machine {
    /// This one.
    pub(crate) fn this() -> Self {
        let kib = field("/proc/meminfo", "MemTotal");
        let kib = kib.and_then(|text| text.strip_suffix(" kB")?.parse::<u64>().ok());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cores: available_parallelism().map_or(0, usize::from),
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_default(),
            memory_mib: kib.unwrap_or_default() / 1024,
            kernel: kernel.trim().to_owned(),
            postgres: None,
        }
    }
}

/// What stands behind `name:` in a file of `/proc`, the first time.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let named = text.lines().filter_map(|line| line.split_once(':'));
    named.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned()).next()
}
