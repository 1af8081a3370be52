//! Backups of single databases, with `pg_dump` and `pg_restore`.

use std::{fs::File, process::Stdio};

use tempfile::NamedTempFile;

use super::database::execute;
use super::server::{Server, run};

/// A backup of a database, which may be restored any number of times. Removed on drop.
#[derive(Debug)]
pub struct Dump(NamedTempFile);

impl Server {
    /// Backs a database up, as it is now.
    ///
    /// # Panics
    /// When there is no such database: with what `pg_dump` says.
    pub fn dump(&self, database: &str) -> Dump {
        let file = NamedTempFile::new().expect("a temporary file can be made");
        let mut dump = self.client("pg_dump", database);
        // Opened here: the program may run as a user who may not write there.
        dump.arg("--format=custom").stdout(file.reopen().expect("the file is there"));
        let ended = dump.stderr(Stdio::piped()).output().expect("pg_dump can be run");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        Dump(file)
    }

    /// Restores a backup into a new database of this name, on this server whatever server it was
    /// made from; a database that has this name is thrown away, even while it is used. Returns the
    /// address.
    ///
    /// # Panics
    /// When the server is down: with what it says.
    pub async fn restore(&self, dump: &Dump, database: &str) -> String {
        let drop = format!("drop database if exists {database} with (force)");
        execute(&self.options(), drop).await.expect("a database can be thrown away");
        let url = self.create_database(database).await;
        let mut restore = self.client("pg_restore", database);
        restore.arg("--exit-on-error").stdin(File::open(dump.0.path()).expect("the dump is there"));
        run(restore);
        url
    }

    fn client(&self, program: &str, database: &str) -> std::process::Command {
        let mut command = self.program(program);
        command.args(["-h", "127.0.0.1", "-p", &self.port().to_string(), "-U", "postgres"]);
        command.args(["-d", database]);
        command
    }
}
