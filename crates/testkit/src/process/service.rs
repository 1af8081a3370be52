//! A running program.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::time::sleep;

use super::log::listening_address;

/// Migrations included, on a machine that compiles and tests at the same time.
const START_LIMIT: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(10);

/// A program that listens, from [`Program::start`](super::Program::start). Killed on drop.
#[derive(Debug)]
pub struct Service {
    child: Child,
    directory: TempDir,
    address: String,
}

impl Service {
    /// Why not, with its log, when it ends instead of listening.
    pub(super) async fn start(mut command: Command) -> Result<Self, String> {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let log = File::create(directory.path().join("log")).expect("the log can be written");
        // A file, not a pipe: nobody has to read along for the program to go on.
        command.stdout(log.try_clone().expect("the log can be shared")).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut service = Self { child, directory, address: String::new() };
        let deadline = Instant::now() + START_LIMIT;
        loop {
            // Asked before the log is read, so that its last words are in the log that is shown.
            let ended = service.exit_status();
            let log = service.log();
            if let Some(status) = ended {
                return Err(format!(
                    "{command:?} ended with {status} instead of listening:\n{log}"
                ));
            }
            if let Some(address) = listening_address(&log) {
                service.address = address;
                return Ok(service);
            }
            assert!(
                Instant::now() < deadline,
                "{command:?} does not listen after {START_LIMIT:?}:\n{log}"
            );
            sleep(PAUSE).await;
        }
    }

    /// Where it listens: `http://HOST:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens: `HOST:PORT`, to start another one in its place.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process id, to read its memory use for instance.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far, standard output and standard error.
    pub fn log(&self) -> String {
        fs::read(self.log_path())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// How it ended; None while it runs.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Kills it at once (SIGKILL), as a crash would. Returns when it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill(); // may have ended by itself
        let _ = self.child.wait();
    }

    /// Asks it to end (SIGTERM) and returns how it did.
    ///
    /// # Panics
    /// With its log, when it still runs after `limit`; then it is killed.
    pub async fn terminate(&mut self, limit: Duration) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended_within(limit).await
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// With its log, when it still runs after `limit`; then it is killed.
    pub async fn ended_within(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.exit_status() {
                return status;
            }
            if Instant::now() > deadline {
                self.kill();
                panic!("it still ran after {limit:?}:\n{}", self.log());
            }
            sleep(PAUSE).await;
        }
    }

    /// Halts it without ending it (SIGSTOP): its connections stay open and nothing answers.
    pub fn freeze(&mut self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&mut self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&mut self, signal: Signal) {
        // Once it has been waited for, its id may belong to another process.
        if self.exit_status().is_none() {
            let id = self.child.id().try_into().expect("process ids are positive i32");
            let _ = kill(Pid::from_raw(id), signal); // may have ended by itself
        }
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::Command, time::Duration};

    use super::Service;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn knows_the_address_and_the_end_of_what_it_started() {
        let script = "trap 'echo bye; exit 3' TERM; echo listening addr=127.0.0.1:1 >&2;
            while :; do sleep 0.01; done";
        let mut service = Service::start(shell(script)).await.unwrap();
        assert_eq!(service.url(), "http://127.0.0.1:1");
        assert_eq!(service.exit_status(), None);
        assert_eq!(service.terminate(Duration::from_secs(10)).await.code(), Some(3));
        assert!(service.log().ends_with("bye\n"));
    }

    #[tokio::test]
    async fn kills() {
        let started = Service::start(shell("echo listening addr=x:1; exec sleep 60")).await;
        let mut service = started.unwrap();
        service.freeze();
        service.kill();
        assert_eq!(service.exit_status().and_then(|status| status.signal()), Some(9));
    }

    #[tokio::test]
    async fn shows_why_it_did_not_start() {
        let why = Service::start(shell("echo no such table; exit 1")).await.unwrap_err();
        assert!(why.contains("no such table"), "{why}");
    }
}
