//! SQLite databases for tests.

use std::path::PathBuf;

use tempfile::TempDir;

/// A database file that does not exist yet, alone in a directory that is removed on drop.
#[derive(Debug)]
pub struct TestFile {
    directory: TempDir,
}

/// Makes room for a SQLite database.
pub fn file() -> TestFile {
    TestFile { directory: tempfile::tempdir().expect("a temporary directory can be made") }
}

impl TestFile {
    /// The address in the form that the services take: `sqlite:///…/test.db`.
    pub fn url(&self) -> String {
        format!("sqlite://{}", self.path().display())
    }

    /// Where the database file is, or will be.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("test.db")
    }
}
