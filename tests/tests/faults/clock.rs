//! A clock that a test moves while the process runs, by Debian's libfaketime.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use testkit::process::Program;

/// Names the library; set by `scripts/test.sh`.
const VARIABLE: &str = "LOCKSTEP_FAKETIME";

/// The wall clock of one process; its monotonic clock, by which it waits, goes on as always.
pub(crate) struct Clock {
    directory: TempDir,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let clock = Self { directory: tempfile::tempdir().expect("a directory can be made") };
        clock.set(0);
        clock
    }

    /// Lets the clock be so many seconds ahead.
    pub(crate) fn set(&self, seconds: i64) {
        let new = self.directory.path().join("new");
        fs::write(&new, format!("{seconds:+}")).expect("the clock can be set");
        // At once: half a number is another one.
        fs::rename(new, self.file()).expect("the clock can be set");
    }

    /// `program` by this clock.
    pub(crate) fn on(&self, program: Program) -> Program {
        program
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", self.file())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1")
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("offset")
    }
}

/// Removes what the library leaves behind for a process that was killed.
pub(crate) fn tidy_up_after(pid: u32) {
    for name in [format!("faketime_shm_{pid}"), format!("sem.faketime_sem_{pid}")] {
        let _ = fs::remove_file(PathBuf::from("/dev/shm").join(name)); // may never have been there
    }
}

fn library() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!(
            "{VARIABLE} is not set: moving a clock needs libfaketimeMT.so.1. Run ./scripts/test.sh, \
             or export what ./scripts/test.sh --services prints"
        )
    })
}
