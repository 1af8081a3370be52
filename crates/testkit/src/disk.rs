//! A disk of one test's own, so small that the test can fill it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::{Gid, Uid, getegid, geteuid};
use tempfile::TempDir;

/// A `tmpfs` of a few megabytes. It is mounted in a mount namespace of its own, which needs no
/// rights where ordinary users may make namespaces, and ends with the last process in it: nothing
/// stays mounted, whatever becomes of the test.
///
/// Programs see it when they are started with [`enter`](Self::enter); the test reaches its files
/// through [`outside`](Self::outside).
#[derive(Debug)]
pub struct SmallDisk {
    /// Keeps the namespace alive.
    holder: Child,
    directory: TempDir,
}

/// What fills the disk.
const BALLAST: &str = "ballast";

impl SmallDisk {
    /// Mounts a disk that takes so many megabytes.
    ///
    /// # Panics
    /// Where mounting is not allowed, with what to do about it.
    pub fn new(megabytes: u32) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let mut command = Command::new("unshare");
        if !geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        // Anybody may write to it: a PostgreSQL server runs as another user than root.
        let script = format!(
            "mount -t tmpfs -o size={megabytes}m,mode=1777 tmpfs \"$0\" && echo mounted && exec sleep infinity"
        );
        command.args(["--mount", "sh", "-c", &script]).arg(directory.path());
        let mut holder = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare (of util-linux) can be run");
        let mut said = String::new();
        if let Some(out) = holder.stdout.take() {
            let _ = BufReader::new(out).read_line(&mut said); // empty when it failed
        }
        let disk = Self { holder, directory };
        assert_eq!(
            said, "mounted\n",
            "{command:?} failed: a small disk needs a mount namespace. Run the tests as root with \
             CAP_SYS_ADMIN (docker run --privileged), or as a user who may make namespaces \
             (on Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0)"
        );
        disk
    }

    /// The disk's directory, for programs that run on it.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The same directory, for everybody else.
    pub fn outside(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.path().strip_prefix("/").expect("temporary directories are absolute"))
    }

    /// The words to put before a program, with its arguments, that is to see the disk.
    pub fn enter(&self) -> Vec<OsString> {
        let target = self.holder.id().to_string();
        let rights: &[&str] =
            if geteuid().is_root() { &[] } else { &["--user", "--preserve-credentials"] };
        let words = ["nsenter", "--target", &target, "--mount"];
        words.iter().chain(rights).chain(&["--"]).map(OsString::from).collect()
    }

    /// Like [`enter`](Self::enter), for a program that refuses to run as root: as `user` where the
    /// test is root, else as who the test is, which inside the namespace looks like root at first.
    pub(crate) fn enter_as(&self, user: Option<(Uid, Gid)>) -> Vec<OsString> {
        let mut words = self.enter();
        let then = match user {
            Some((uid, gid)) => vec![
                "setpriv".to_owned(),
                format!("--reuid={uid}"),
                format!("--regid={gid}"),
                "--clear-groups".to_owned(),
            ],
            None => vec![
                "unshare".to_owned(),
                "--user".to_owned(),
                format!("--map-user={}", geteuid()),
                format!("--map-group={}", getegid()),
            ],
        };
        words.extend(then.into_iter().map(OsString::from));
        words.push("--".into());
        words
    }

    /// Fills it to the last byte, until [`clear`](Self::clear).
    pub fn fill(&self) {
        let mut ballast =
            File::create(self.outside().join(BALLAST)).expect("the ballast can be made");
        loop {
            match ballast.write_all(&[0; 4096]) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("the disk cannot be filled: {error}"),
            }
        }
    }

    /// Makes room again after [`fill`](Self::fill).
    pub fn clear(&self) {
        fs::remove_file(self.outside().join(BALLAST)).expect("the ballast can be removed");
    }

    /// Lets nobody write any more, or again.
    ///
    /// # Panics
    /// While a file is open for writing: then the system does not allow it.
    pub fn set_read_only(&self, read_only: bool) {
        // Of this mount, not of the file system, which an ordinary user may not change.
        let options = if read_only { "remount,bind,ro" } else { "remount,bind,rw" };
        let mut words = self.enter().into_iter();
        let mut command = Command::new(words.next().expect("it begins with a program"));
        command.args(words).args(["mount", "-o", options]).arg(self.path());
        let done = command.output().expect("mount can be run");
        assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill(); // may have ended by itself
        let _ = self.holder.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use super::SmallDisk;

    fn write(disk: &SmallDisk, name: &str) -> Output {
        let words = disk.enter();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["sh", "-c", "head -c 100 /dev/zero > \"$0\""]);
        command.arg(disk.path().join(name)).output().unwrap()
    }

    fn refusal(output: &Output) -> String {
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    #[test]
    fn is_full_read_only_and_usable_again() {
        let disk = SmallDisk::new(1);
        assert!(write(&disk, "before").status.success());
        assert!(disk.outside().join("before").exists());
        assert!(!disk.path().join("before").exists(), "nobody else sees it");

        disk.fill();
        assert!(refusal(&write(&disk, "full")).contains("No space left"));
        disk.clear();
        assert!(write(&disk, "room").status.success());

        disk.set_read_only(true);
        assert!(refusal(&write(&disk, "fixed")).contains("Read-only"));
        disk.set_read_only(false);
        assert!(write(&disk, "after").status.success());
    }
}
