//! The database of one side, and what is done to it.

use std::sync::Arc;
use std::time::Duration;

use e2e::pair::Engine;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use testkit::disk::SmallDisk;
use testkit::postgres::Server;
use testkit::process::Program;
use tokio::time::sleep;

use crate::plan::Fault;
use crate::wire::Wire;

/// A cluster with a database in use, and room to go on for a while.
const POSTGRES_MEGABYTES: u32 = 320;
const SQLITE_MEGABYTES: u32 = 64;

/// A PostgreSQL server on a disk of its own, for many rounds, each with a database of its own.
pub(crate) struct Postgres {
    server: Server,
    disk: Arc<SmallDisk>,
}

impl Postgres {
    pub(crate) async fn start() -> Self {
        let disk = Arc::new(SmallDisk::new(POSTGRES_MEGABYTES));
        Self { server: Server::start_on(disk.clone()).await, disk }
    }

    /// Runs `sql`, which holds nothing but names and numbers made here.
    async fn run(&self, sql: String) {
        let url = self.server.url("postgres");
        let mut connection = PgConnection::connect(&url).await.expect("the server is running");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("plain statements");
    }

    /// Ends every connection to the database `name`.
    async fn hang_up(&self, name: &str) {
        self.run(format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        ))
        .await;
    }
}

/// The database of one side in one round.
pub(crate) enum Database {
    Sqlite(SmallDisk),
    Postgres { postgres: Box<Postgres>, name: String, wire: Wire },
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(SmallDisk::new(SQLITE_MEGABYTES))
    }

    pub(crate) async fn postgres(postgres: Postgres, name: String, seed: u64) -> Self {
        postgres.server.create_database(&name).await;
        let wire = Wire::before(postgres.server.port(), seed).await;
        Self::Postgres { postgres: Box::new(postgres), name, wire }
    }

    pub(crate) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres { .. } => Engine::Postgres,
        }
    }

    /// Its address for the services.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(disk) => format!("sqlite://{}", disk.path().join("test.db").display()),
            Self::Postgres { name, wire, .. } => {
                format!("postgres://postgres@127.0.0.1:{}/{name}", wire.port())
            }
        }
    }

    /// `program`, so that it finds this database.
    pub(crate) fn seen_by(&self, program: Program) -> Program {
        match self {
            Self::Sqlite(disk) => program.under(disk.enter()),
            Self::Postgres { .. } => program,
        }
    }

    /// The round is over: the server is free for another one.
    pub(crate) async fn end(self) -> Option<Postgres> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres { postgres, name, .. } => {
                postgres.run(format!("drop database {name} with (force)")).await;
                Some(*postgres)
            }
        }
    }

    /// Takes away all room for a while.
    pub(crate) async fn fill(&mut self, lasting: Duration) {
        match self {
            Self::Sqlite(disk) => {
                disk.fill();
                sleep(lasting).await;
                disk.clear();
            }
            Self::Postgres { postgres, .. } => {
                postgres.disk.fill();
                sleep(lasting).await;
                postgres.disk.clear();
                postgres.server.ensure_running().await;
            }
        }
    }

    /// Halts the server for a while.
    pub(crate) async fn stall(&mut self, lasting: Duration) {
        let server = &self.server().server;
        server.freeze();
        sleep(lasting).await;
        server.thaw();
    }

    /// Kills the server and starts it again.
    pub(crate) async fn die(&mut self, lasting: Duration) {
        let server = &mut self.server().server;
        server.kill();
        sleep(lasting).await;
        server.start_again().await;
    }

    fn server(&mut self) -> &mut Postgres {
        let Self::Postgres { postgres, .. } = self else { panic!("a fault of PostgreSQL") };
        postgres
    }

    /// Lets it cancel what takes longer than a few milliseconds.
    pub(crate) async fn hurry(&mut self, fault: &Fault) {
        let milliseconds = StdRng::seed_from_u64(fault.seed).random_range(1..=4);
        self.set("statement_timeout", &milliseconds.to_string(), fault.lasting).await;
    }

    /// Lets PostgreSQL refuse every write. Of a SQLite file, see [`Self::disk`].
    pub(crate) async fn refuse_writes(&mut self, lasting: Duration) {
        self.set("default_transaction_read_only", "on", lasting).await;
    }

    /// The disk of a SQLite file; `None` for PostgreSQL.
    pub(crate) fn disk(&self) -> Option<&SmallDisk> {
        match self {
            Self::Sqlite(disk) => Some(disk),
            Self::Postgres { .. } => None,
        }
    }

    /// The connection to PostgreSQL, to be disturbed.
    pub(crate) fn wire(&self) -> &Wire {
        let Self::Postgres { wire, .. } = self else { panic!("only a server is behind a wire") };
        wire
    }

    /// Sets a setting for a while, for everybody who connects, which all must anew.
    async fn set(&self, setting: &str, value: &str, lasting: Duration) {
        let Self::Postgres { postgres, name, .. } = self else { panic!("a setting of PostgreSQL") };
        postgres.run(format!("alter database {name} set {setting} = '{value}'")).await;
        postgres.hang_up(name).await;
        sleep(lasting).await;
        postgres.run(format!("alter database {name} reset {setting}")).await;
        postgres.hang_up(name).await;
    }
}
