//! A PostgreSQL server that belongs to one test.

use std::{
    fs::{self, File},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User},
};
use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use tempfile::TempDir;
use tokio::time::sleep;

use super::database::execute;
use crate::disk::SmallDisk;
use crate::net::free_port;

/// A start takes a second; a recovery after [`Server::kill`] a few more on a busy machine.
const START_LIMIT: Duration = Duration::from_mins(1);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A whole server with its own data directory and port: it can be stopped, killed and started again
/// without disturbing any other test. Removed on drop.
///
/// It runs without `fsync` unless asked otherwise: a killed *process* loses nothing by that (the
/// system has its writes), only a crash of the machine would.
#[derive(Debug)]
pub struct Server {
    durable: bool,
    programs: PathBuf,
    user: Option<User>,
    directory: TempDir,
    /// Where its data is, when not in the directory.
    disk: Option<Arc<SmallDisk>>,
    port: u16,
    running: Option<Child>,
}

impl Server {
    /// Creates and starts a server on a free port of 127.0.0.1; `postgres` needs no password.
    ///
    /// # Panics
    /// When there are no server programs, or they fail: with their log.
    pub async fn start() -> Self {
        Self::start_as(false, None).await
    }

    /// Like [`start`](Self::start), with its data on this disk: about 40 MB to begin with.
    ///
    /// # Panics
    /// When there are no server programs, or they fail: with their log.
    pub async fn start_on(disk: Arc<SmallDisk>) -> Self {
        Self::start_as(false, Some(disk)).await
    }

    /// Like [`start`](Self::start), with every commit on disk before it is reported, as in
    /// production: for measurements.
    ///
    /// # Panics
    /// When there are no server programs, or they fail: with their log.
    pub async fn start_durable() -> Self {
        Self::start_as(true, None).await
    }

    async fn start_as(durable: bool, disk: Option<Arc<SmallDisk>>) -> Self {
        let server = Self::without_data(durable, disk);
        let mut initdb = server.program("initdb");
        initdb.arg("-D").arg(server.data()).args(["-U", "postgres", "--auth=trust"]);
        initdb.args(["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]);
        run(initdb);
        server.started().await
    }

    /// A server that will be: its data directory is not there yet.
    pub(super) fn without_data(durable: bool, disk: Option<Arc<SmallDisk>>) -> Self {
        let server = Self {
            durable,
            programs: programs(),
            user: user(),
            directory: tempfile::tempdir().expect("a temporary directory can be made"),
            disk,
            port: free_port(),
            running: None,
        };
        server.give_to_user(server.directory.path());
        server
    }

    /// The server, started for the first time.
    pub(super) async fn started(mut self) -> Self {
        for _ in 0..5 {
            if self.try_start().await {
                return self;
            }
            self.port = free_port(); // another program was quicker
        }
        panic!("PostgreSQL does not start:\n{}", self.log());
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill): same data, same address.
    ///
    /// # Panics
    /// When it is running, or does not start.
    pub async fn start_again(&mut self) {
        assert!(self.running.is_none(), "the server is running already");
        assert!(self.try_start().await, "PostgreSQL does not start again:\n{}", self.log());
    }

    /// Stops it in order; open connections are cut off, their transactions rolled back.
    ///
    /// # Panics
    /// When it has not stopped after half a minute.
    pub async fn stop(&mut self) {
        let Some(mut child) = self.running.take() else { return };
        signal(&child, Signal::SIGINT);
        let deadline = Instant::now() + STOP_LIMIT;
        while child.try_wait().expect("the server can be waited for").is_none() {
            if Instant::now() > deadline {
                self.running = Some(child); // for drop to end
                panic!("PostgreSQL has not stopped after {STOP_LIMIT:?}:\n{}", self.log());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Kills it with all its processes, at once and without a word, as a power cut would.
    pub fn kill(&mut self) {
        let Some(mut child) = self.running.take() else { return };
        // Its children would notice the death of the first process only when they next wait.
        let family = children(child.id());
        signal(&child, Signal::SIGKILL);
        signal_all(&family, Signal::SIGKILL);
        let _ = child.wait();
        // While one of them lives, the data directory counts as in use and a new start is refused.
        let deadline = Instant::now() + STOP_LIMIT;
        while family.iter().any(|pid| is_alive(*pid)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Halts it with all its processes (SIGSTOP): connections stay open and nothing answers.
    pub fn freeze(&self) {
        let Some(child) = &self.running else { return };
        // The first process goes first: it starts the others.
        signal(child, Signal::SIGSTOP);
        signal_all(&children(child.id()), Signal::SIGSTOP);
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        let Some(child) = &self.running else { return };
        // The first process goes last: while it is halted, it neither starts others nor takes leave
        // of those that end, without which the system's list of them may be incomplete, and one
        // that is forgotten stays halted for ever.
        signal_all(&children(child.id()), Signal::SIGCONT);
        signal(child, Signal::SIGCONT);
    }

    /// Starts it again if it has ended by itself, as it may when its disk is full.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn ensure_running(&mut self) {
        let ended = self
            .running
            .as_mut()
            .is_none_or(|child| child.try_wait().expect("the server can be waited for").is_some());
        if ended {
            self.running = None;
            self.start_again().await;
        }
    }

    /// The address of a database in the form that the services take: `postgres://…`.
    pub fn url(&self, database: &str) -> String {
        self.options().database(database).to_url_lossy().into()
    }

    /// Creates an empty database and returns its address. `name`: lower-case letters, digits, `_`.
    ///
    /// # Panics
    /// When the server is down, or has a database of that name.
    pub async fn create_database(&self, name: &str) -> String {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(plain), "{name:?} would need quoting");
        execute(&self.options(), format!("CREATE DATABASE {name}"))
            .await
            .unwrap_or_else(|error| panic!("database {name} could not be created: {error}"));
        self.url(name)
    }

    /// The port on 127.0.0.1, the same for the whole life of this server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether every commit is on disk before it is reported.
    pub(super) fn is_durable(&self) -> bool {
        self.durable
    }

    /// Where its data is: for a copy, a restore, or settings of the test's own.
    pub fn data(&self) -> PathBuf {
        self.disk.as_ref().map_or(self.directory.path(), |disk| disk.path()).join("data")
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// How its superuser connects.
    pub(super) fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username("postgres")
            .database("postgres")
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// A program of PostgreSQL, as the user that it may run as, in a directory that this user may
    /// enter and write to.
    pub(super) fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = if let Some(disk) = &self.disk {
            let words = disk.enter_as(self.user.as_ref().map(|user| (user.uid, user.gid)));
            let mut command = Command::new(&words[0]); // enter_as gives a program
            command.args(&words[1..]).arg(program);
            command
        } else {
            let mut command = Command::new(program);
            if let Some(user) = &self.user {
                command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
            }
            command
        };
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }

    fn give_to_user(&self, path: &Path) {
        if let Some(user) = &self.user {
            chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .expect("root can give a directory away");
        }
    }

    /// True once it takes connections; false when it ended before that.
    async fn try_start(&mut self) -> bool {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("the log can be written");
        let mut child = self
            .program("postgres")
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(if self.durable {
                &[][..]
            } else {
                &["-c", "fsync=off", "-c", "full_page_writes=off"]
            })
            // Its log must not fill a small disk by itself.
            .args(if self.disk.is_some() { &["-c", "max_wal_size=64MB"][..] } else { &[] })
            .process_group(0) // Ctrl-C in the terminal is for the test, whose drop ends this
            .stdout(log.try_clone().expect("the log can be shared"))
            .stderr(log)
            .spawn()
            .expect("postgres can be run");
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if child.try_wait().expect("the server can be waited for").is_some() {
                return false;
            }
            if execute(&self.options(), "SELECT 1".to_owned()).await.is_ok() {
                self.running = Some(child);
                return true;
            }
            if Instant::now() > deadline {
                self.running = Some(child); // for drop to end
                panic!("PostgreSQL takes no connection after {START_LIMIT:?}:\n{}", self.log());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a program to its end.
///
/// # Panics
/// With what it says, when it fails.
pub(super) fn run(mut command: Command) {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// `LOCKSTEP_PG_BIN`, or else the newest version where Debian puts them.
fn programs() -> PathBuf {
    if let Some(set) = std::env::var_os("LOCKSTEP_PG_BIN") {
        return set.into();
    }
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some((version(&entry.ok()?.path())?, ())))
        .max()
        .map(|(version, ())| Path::new("/usr/lib/postgresql").join(version.to_string()).join("bin"))
        .expect("LOCKSTEP_PG_BIN is not set: run ./scripts/test.sh, or see its --services")
}

/// The user to run as: PostgreSQL refuses to run as root. None: as whoever runs the tests.
fn user() -> Option<User> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let set = std::env::var("LOCKSTEP_PG_USER").ok().filter(|name| !name.is_empty());
    let found = match set {
        Some(name) => User::from_name(&name),
        None => User::from_name("postgres"),
    };
    Some(found.ok().flatten().expect("LOCKSTEP_PG_USER names a user: run ./scripts/test.sh"))
}

fn signal(child: &Child, signal: Signal) {
    // It has not been waited for, so its id cannot have passed to another process.
    let _ = kill(pid(child.id()), signal);
}

fn signal_all(family: &[Pid], what: Signal) {
    for pid in family {
        let _ = kill(*pid, what); // may have ended by itself
    }
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(id.try_into().expect("process ids are positive i32"))
}

/// The processes that `parent` started. None where there is no /proc: they end by themselves, later.
fn children(parent: u32) -> Vec<Pid> {
    fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|id| id.parse().ok().map(Pid::from_raw))
        .collect()
}

/// Ended but not yet collected by its parent counts as dead.
fn is_alive(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}
