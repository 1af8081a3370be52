//! Database addresses, pools, transactions and migrations.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Pool, Postgres, Sqlite};

use super::{Backend, Error, Result};

/// A running transaction; rolled back when it is dropped.
pub type Transaction<B> = sqlx::Transaction<'static, B>;

/// How long a request waits for a connection before it says that the database is not available.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a SQLite transaction waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a service keeps its data. Shown without its password.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// `sqlite://path/to/file.db`
    Sqlite(PathBuf),
    /// `postgres://user:password@host/database`
    Postgres(Box<PgConnectOptions>),
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(url: &str) -> std::result::Result<Self, String> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            if path.is_empty() {
                return Err(
                    "sqlite:// needs the path of a file, as in sqlite://data/orders.db".into()
                );
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            // The error is told without the address: it may hold a password.
            let options = url.parse().map_err(|_| "is not a PostgreSQL address".to_owned())?;
            return Ok(Self::Postgres(Box::new(options)));
        }
        Err("must begin with sqlite:// or postgres://".into())
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(options) => write!(
                f,
                "postgres://{}:{}/{}",
                options.get_host(),
                options.get_port(),
                options.get_database().unwrap_or_default()
            ),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A database with its connections.
///
/// SQLite has one connection that writes, so that this process's writers queue in order instead of
/// competing for the file, and several that read.
#[derive(Clone)]
pub struct Db<B: Backend> {
    readers: Pool<B>,
    writers: Pool<B>,
}

impl Db<Sqlite> {
    /// Opens the file, making it and its folder when they are missing.
    pub async fn open(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder).await.map_err(sqlx::Error::Io)?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit that was reported must survive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let pool =
            |size| SqlitePoolOptions::new().max_connections(size).acquire_timeout(BUSY_TIMEOUT);
        let writers = pool(1).connect_with(options.clone()).await?;
        Ok(Self { readers: pool(8).connect_lazy_with(options), writers })
    }
}

impl Db<Postgres> {
    /// Connects to the server.
    pub async fn connect(options: &PgConnectOptions) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(20)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.clone())
            .await?;
        Ok(Self { readers: pool.clone(), writers: pool })
    }
}

/// Whatever keeps a connection from being had is a fault of the moment for the request that wanted
/// one, a server that refuses it as well as one that is away.
impl<B: Backend> Db<B> {
    /// A connection for statements that only read, each with a snapshot of its own.
    pub async fn reader(&self) -> Result<sqlx::pool::PoolConnection<B>> {
        self.readers.acquire().await.map_err(Error::Unavailable)
    }

    /// A transaction whose statements all read one snapshot.
    pub async fn snapshot(&self) -> Result<Transaction<B>> {
        self.readers.begin_with(B::BEGIN_SNAPSHOT).await.map_err(Error::Unavailable)
    }

    /// A transaction that writes.
    pub async fn begin(&self) -> Result<Transaction<B>> {
        self.writers.begin_with(B::BEGIN_WRITE).await.map_err(Error::Unavailable)
    }

    /// Brings the schema up to date.
    pub async fn migrate(&self, migrations: &Migrator) -> Result<()> {
        /// PostgreSQL serialises migrating processes with a lock; on SQLite two that start at the
        /// same moment may collide, and the second then finds the work done.
        const ATTEMPTS: u32 = 5;
        let mut attempt = 1;
        loop {
            let mut conn = self.writers.acquire().await?;
            match migrations.run_direct(None, &mut *conn, false).await {
                Ok(()) => return Ok(()),
                Err(error) if attempt >= ATTEMPTS => return Err(Error::Migration(error)),
                Err(_) => attempt += 1,
            }
            drop(conn);
            tokio::time::sleep(Duration::from_millis(50) * attempt).await;
        }
    }

    /// Closes all connections, waiting for those in use.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }
}
