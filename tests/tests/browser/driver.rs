//! Chromedriver and the browsers that it starts, as processes.

use std::env;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;
use testkit::wait;

const START_LIMIT: Duration = Duration::from_secs(30);
/// It asks for the same port of both kinds of addresses, one after the other, and ends when somebody has taken
/// the second meanwhile.
const ATTEMPTS: usize = 5;

/// A running chromedriver. Killed on drop, with every browser that it started.
#[derive(Debug)]
pub(crate) struct Driver {
    child: Child,
    directory: TempDir,
    port: u16,
}

impl Driver {
    /// Starts one on a port of its own.
    ///
    /// # Panics
    /// When it is not installed, or does not listen in time.
    pub(crate) async fn start() -> Self {
        let program = installed("LOCKSTEP_CHROMEDRIVER");
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            match Self::try_start(&program).await {
                Ok(driver) => return driver,
                Err(log) => said = log,
            }
        }
        panic!("chromedriver ends as soon as it is started: {said}")
    }

    /// The same; what it has said when it has ended instead.
    async fn try_start(program: &Path) -> Result<Self, String> {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let log = directory.path().join("log");
        let output = File::create(&log).expect("the log can be written");
        let mut command = Command::new(program);
        command.arg("--port=0").stdin(Stdio::null()).stderr(Stdio::null()).stdout(output);
        // Chromium outlives a killed chromedriver: in a group of their own they go together.
        command.process_group(0);
        // What the browser writes outside its profile goes away with the directory too.
        command.env("HOME", directory.path()).env("TMPDIR", directory.path());
        let child =
            command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut driver = Self { child, directory, port: 0 };
        let child = &mut driver.child;
        let port = wait::value("chromedriver listens or ends", START_LIMIT, async || {
            // Before the log is read: what it has said is then all there.
            let has_ended = child.try_wait().is_ok_and(|status| status.is_some());
            let log = fs::read_to_string(&log).unwrap_or_default();
            port(&log).map(Ok).or(has_ended.then_some(Err(log)))
        })
        .await;
        driver.port = port?;
        Ok(driver)
    }

    /// Where it listens: `http://HOST:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A directory for the profile of one browser.
    pub(crate) fn profile(&self) -> PathBuf {
        self.directory.path().join("profile")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It was made the leader of its group, and is not waited for before this: the id is its own.
        let group = i32::try_from(self.child.id()).expect("process ids are positive i32");
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL); // may have ended by itself
        let _ = self.child.wait();
    }
}

/// The program that this variable names.
///
/// # Panics
/// With what to install, when it is not there.
pub(crate) fn installed(variable: &str) -> PathBuf {
    let path = env::var_os(variable).map(PathBuf::from);
    path.filter(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "{variable} does not name a program: install Chromium and its driver (on Debian: \
             apt-get install chromium chromium-driver) and run scripts/test.sh, or set \
             LOCKSTEP_CHROMIUM and LOCKSTEP_CHROMEDRIVER to the two programs"
        )
    })
}

/// The port in `… started successfully on port 12345.`; None while that line is not complete.
fn port(log: &str) -> Option<u16> {
    let (_, rest) = log.split_once("successfully on port ")?;
    rest.split_once('.')?.0.parse().ok()
}
