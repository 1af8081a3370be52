//! A fresh database on the shared server.

use std::thread;

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

/// Names the shared server; set by `scripts/test.sh`.
const VARIABLE: &str = "LOCKSTEP_TEST_POSTGRES";

/// An empty database of its own for one test, removed on drop even while connections are open.
#[derive(Debug)]
pub struct TestDatabase {
    admin: PgConnectOptions,
    name: String,
}

/// Creates an empty database with a name that no other has.
///
/// # Panics
/// When there is no server: a test that needs PostgreSQL fails without it, it is never skipped.
pub async fn database() -> TestDatabase {
    let Ok(url) = std::env::var(VARIABLE) else {
        panic!(
            "{VARIABLE} is not set: this test needs PostgreSQL. Run ./scripts/test.sh, or start the \
             server with ./scripts/test.sh --services and export what it prints"
        );
    };
    let admin: PgConnectOptions =
        url.parse().unwrap_or_else(|error| panic!("{VARIABLE}={url} is no address: {error}"));
    let name = format!("test_{}", Uuid::now_v7().simple());
    execute(&admin, format!("CREATE DATABASE {name}")).await.unwrap_or_else(|error| {
        panic!("no database could be created on {VARIABLE}={url}: {error}")
    });
    TestDatabase { admin, name }
}

impl TestDatabase {
    /// The address in the form that the services take: `postgres://…`.
    pub fn url(&self) -> String {
        self.admin.clone().database(&self.name).to_url_lossy().into()
    }

    /// The database's name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let admin = self.admin.clone();
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // On a thread of its own, because the test's runtime may be the one that is dropping this.
        // A failure is of no interest: the whole server is about to be thrown away.
        let _ = thread::spawn(move || {
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build()
            {
                let _ = runtime.block_on(execute(&admin, statement));
            }
        })
        .join();
    }
}

/// Runs one statement on a connection of its own. `sql` must not carry anything but names made here.
pub(super) async fn execute(server: &PgConnectOptions, sql: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(server).await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await
}
