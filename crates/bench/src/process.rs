//! What `/proc` knows of a process.

use std::fs;

use testkit::postgres::Server;
use testkit::process::Service;

use crate::Result;

/// The most memory that it ever had resident (`VmHWM`), in MiB.
pub(crate) fn peak_memory(process: &Service) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse::<u32>().ok());
    Ok(f64::from(kib.ok_or("VmHWM is not in kB")?) / 1024.0)
}

/// A process with those that it started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family(pub(crate) u32);

impl Family {
    /// All processes of a PostgreSQL server.
    pub(crate) fn of_server(server: &Server) -> Result<Self> {
        let text = fs::read_to_string(server.data().join("postmaster.pid"))?;
        Ok(Self(text.lines().next().unwrap_or_default().trim().parse()?))
    }

    /// The processor time that it has taken so far, in seconds; of those that have ended too.
    pub(crate) fn cpu_seconds(self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        let own = ticks(&stat).ok_or("/proc/PID/stat is not as expected")?;
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.0))?;
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        // One that has ended meanwhile is counted by its parent.
        let children = children.map(|pid| Self(pid).cpu_seconds().unwrap_or_default());
        Ok(f64::from(own) / 100.0 + children.sum::<f64>()) // Linux tells it in hundredths of a second
    }
}

/// The time of a process and of its children that have ended, in ticks: fields 14 to 17 of `stat`,
/// counted behind the program's name, which may hold anything.
fn ticks(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    let times = fields.split_whitespace().skip(11).take(4);
    times.map(|field| field.parse::<u32>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::ticks;

    #[test]
    fn the_name_of_a_program_is_skipped() {
        let stat = "7 (a b) 1) S 1 7 7 0 -1 4194560 100 0 0 0 21 4 300 2 20 0 1 0";
        assert_eq!(ticks(stat), Some(327));
        assert_eq!(ticks("7 nothing"), None);
    }
}
