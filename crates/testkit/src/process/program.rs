//! Which program to run, and how.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use super::Service;

/// A program of this workspace with its arguments and environment. It may be started several times.
///
/// ```no_run
/// # async fn example() {
/// use testkit::process::Program;
/// let database = testkit::sqlite::file();
/// let ordering = Program::new("ordering")
///     .args(["serve", "--listen", "127.0.0.1:0", "--database-url", &database.url()])
///     .start()
///     .await;
/// println!("{}/health/ready", ordering.url());
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    /// The words before it; empty as a rule.
    under: Vec<OsString>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

impl Program {
    /// The program `name` as built by cargo beside the running test, or where `LOCKSTEP_BIN_<NAME>`
    /// says. It is as fresh as the last `cargo build --workspace --bins`, which `scripts/test.sh`
    /// does before it runs tests.
    ///
    /// # Panics
    /// When it has not been built.
    pub fn new(name: &str) -> Self {
        let variable = format!("LOCKSTEP_BIN_{}", name.to_uppercase());
        let path = env::var_os(&variable).map_or_else(|| beside_this_test(name), PathBuf::from);
        assert!(
            path.is_file(),
            "{} is not there: run cargo build --workspace --bins, or set {variable}",
            path.display()
        );
        Self { path, under: Vec::new(), args: Vec::new(), env: Vec::new() }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Lets another program start it, which becomes this one: `words` are that program and its
    /// arguments.
    #[must_use]
    pub fn under(mut self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.under.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Starts it and returns once it listens.
    ///
    /// # Panics
    /// With its log, when it ends before that or takes longer than a minute.
    pub async fn start(&self) -> Service {
        self.try_start().await.unwrap_or_else(|why| panic!("{why}"))
    }

    /// Like [`start`](Self::start), for a test in which it may have good reason not to listen.
    ///
    /// # Errors
    /// With its log, when it ends before it listens.
    ///
    /// # Panics
    /// With its log, when it takes longer than a minute.
    pub async fn try_start(&self) -> Result<Service, String> {
        Service::start(self.command()).await
    }

    /// Runs it to its end: for `migrate`, `import`, `pull`, `verify`.
    pub async fn run(&self) -> Output {
        let mut command = tokio::process::Command::from(self.command());
        command.kill_on_drop(true).output().await.expect("the program can be run")
    }

    /// With an environment that says the same on every machine.
    fn command(&self) -> Command {
        let mut words = self.under.iter().map(OsString::as_os_str).chain([self.path.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or_default()); // the path, at the latest
        command.args(words);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            let settings = ["ORDERING_", "BILLING_", "LOCKSTEP_", "LOG_FORMAT", "RUST_LOG"];
            if settings.iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command.env("NO_COLOR", "1").args(&self.args).envs(self.env.iter().cloned());
        command.stdin(Stdio::null());
        command
    }
}

/// Test programs are in `target/<profile>/deps`, the others in `target/<profile>`.
fn beside_this_test(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    let directory = test.parent().expect("a program is in a directory");
    let profile = match directory.file_name() {
        Some(last) if last == "deps" || last == "examples" => {
            directory.parent().expect("deps and examples are in a directory")
        }
        _ => directory,
    };
    profile.join(name).with_extension(env::consts::EXE_EXTENSION)
}
