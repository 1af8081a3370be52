//! Database addresses, pools, transactions and migrations.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Executor, PgConnection, Pool, Postgres, Sqlite};
use tokio::time::timeout;

use super::{Backend, Error, OpenError, Result};

/// A running transaction; rolled back when it is dropped.
pub type Transaction<B> = sqlx::Transaction<'static, B>;

/// How many connections a process has to a PostgreSQL database at most, besides the one that listens:
/// four processes fit into the 100 that a server allows by default.
const CONNECTIONS: u32 = 14;
/// How many more that read by index.
const CONNECTIONS_BY_INDEX: u32 = 6;

/// How long a request waits for a connection before it says that the database is not available.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// For how long a connection counts as alive after it was last of use, while no other is opened.
const FRESH: Duration = Duration::from_secs(1);
/// Lets the statements of a session of PostgreSQL's read by the indexes, in their order and row by row,
/// whatever statistics make the planner expect. What is off is only very dear, and would be reason enough
/// to compile the statement or to let workers share it. As every plan of such a statement is alike, it is
/// made once, and not for each number of rows anew, which takes longer than to read a few.
const BY_INDEX: &str = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off; \
    SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; \
    SET max_parallel_workers_per_gather = 0; SET plan_cache_mode = force_generic_plan";
/// How long a SQLite transaction waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the address of a PostgreSQL server, for what only PostgreSQL has.
///
/// # Errors
/// A message for the person who typed it.
pub fn postgres_url(text: &str) -> std::result::Result<PgConnectOptions, String> {
    match text.parse()? {
        DatabaseUrl::Postgres(options) => Ok(*options),
        DatabaseUrl::Sqlite(_) => Err("must be a PostgreSQL address: postgres://…".into()),
    }
}

/// Where a service keeps its data. Shown without its password.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// `sqlite://path/to/file.db`
    Sqlite(PathBuf),
    /// `postgres://user:password@host/database`
    Postgres(Box<PgConnectOptions>),
}

impl DatabaseUrl {
    /// Checks that there is something to open, for programs that only make sense with data: opening
    /// a SQLite file makes it when it is missing, which would hide a mistyped path.
    ///
    /// # Errors
    /// When it is a file that is not there.
    pub fn expect_data(&self) -> std::result::Result<(), OpenError> {
        match self {
            Self::Sqlite(path) if !path.exists() => {
                Err(OpenError { url: self.clone(), source: Error::Missing })
            }
            _ => Ok(()),
        }
    }
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
/// competing for the file, and several that read. PostgreSQL has some that read by index alone, which
/// SQLite does anyway.
#[derive(Clone)]
pub struct Db<B: Backend> {
    readers: Pool<B>,
    writers: Pool<B>,
    index_readers: Pool<B>,
    index_writers: Pool<B>,
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
        let pool = |size| {
            SqlitePoolOptions::new()
                .max_connections(size)
                .acquire_timeout(BUSY_TIMEOUT)
                // SQLite ends a transaction by itself when the disk is full or fails. sqlx then has
                // nothing to roll back, takes the transaction for open, and could never begin
                // another on this connection: it is closed, and a new one made.
                .before_acquire(|conn, _| Box::pin(async { Ok(!conn.is_in_transaction()) }))
        };
        let writers = pool(1).connect_with(options.clone()).await?;
        let readers = pool(8).connect_lazy_with(options);
        let (index_readers, index_writers) = (readers.clone(), writers.clone());
        Ok(Self { readers, writers, index_readers, index_writers })
    }
}

impl Db<Postgres> {
    /// Connects to the server, which may still be starting.
    pub async fn connect(options: &PgConnectOptions) -> Result<Self> {
        let newest = Newest::default();
        let pool = Self::pool(CONNECTIONS, &newest, None);
        let pool = match pool.clone().connect_with(options.clone()).await {
            // The pool has tried all the while and kept to itself why it failed. Trying once more
            // without it tells, or succeeds at last.
            Err(sqlx::Error::PoolTimedOut) => {
                try_once(options).await.map_err(Error::Unavailable)?;
                pool.connect_lazy_with(options.clone())
            }
            connected => connected.map_err(Error::Unavailable)?,
        };
        Ok(Self::over(pool, &newest, options))
    }

    /// Connects to the server when it is first asked something: for one that may be away.
    pub fn connect_lazy(options: &PgConnectOptions) -> Self {
        let newest = Newest::default();
        let pool = Self::pool(CONNECTIONS, &newest, None).connect_lazy_with(options.clone());
        Self::over(pool, &newest, options)
    }

    /// Over this pool, and one beside it of connections that read by index.
    fn over(pool: Pool<Postgres>, newest: &Newest, options: &PgConnectOptions) -> Self {
        let by_index = Self::pool(CONNECTIONS_BY_INDEX, newest, Some(BY_INDEX))
            .connect_lazy_with(options.clone());
        let (index_readers, index_writers) = (by_index.clone(), by_index);
        Self { readers: pool.clone(), writers: pool, index_readers, index_writers }
    }

    /// A pool of connections on which `setup` was run. A connection that was of use a moment ago is not
    /// asked whether it still is, unless one has been opened since: that may have been because the server
    /// hung up, on all of them.
    fn pool(size: u32, newest: &Newest, setup: Option<&'static str>) -> PgPoolOptions {
        let (opened, seen) = (newest.clone(), newest.clone());
        PgPoolOptions::new()
            .max_connections(size)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |conn, _| {
                opened.set();
                Box::pin(async move {
                    if let Some(setup) = setup {
                        conn.execute(setup).await?;
                    }
                    Ok(())
                })
            })
            .test_before_acquire(false)
            .before_acquire(move |conn, meta| {
                let alive = meta.idle_for < FRESH && seen.is_older_than(meta.idle_for);
                Box::pin(async move { Ok(alive || conn.ping().await.is_ok()) })
            })
    }
}

/// When the newest of a database's connections was opened.
#[derive(Clone, Default)]
struct Newest(Arc<Mutex<Option<Instant>>>);

impl Newest {
    fn set(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_older_than(&self, age: Duration) -> bool {
        let opened = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        opened.is_none_or(|opened| opened.elapsed() > age)
    }
}

/// Connects once and hangs up.
async fn try_once(options: &PgConnectOptions) -> sqlx::Result<()> {
    let connected = timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(options)).await;
    let silent = |_| sqlx::Error::Io(io::Error::new(ErrorKind::TimedOut, "no answer in time"));
    connected.map_err(silent)??.close().await
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

    /// Like [`Db::snapshot`], for statements that read the next few rows of an index. They do so whatever
    /// statistics say: a table that has just been filled has none, those of a queue are of another moment,
    /// and a plan may have been settled on while the table was empty.
    pub async fn snapshot_by_index(&self) -> Result<Transaction<B>> {
        self.index_readers.begin_with(B::BEGIN_SNAPSHOT).await.map_err(Error::Unavailable)
    }

    /// A connection for such statements that only read, each with a snapshot of its own.
    pub async fn reader_by_index(&self) -> Result<sqlx::pool::PoolConnection<B>> {
        self.index_readers.acquire().await.map_err(Error::Unavailable)
    }

    /// A connection for such a statement that writes, and is a transaction by itself.
    pub async fn writer_by_index(&self) -> Result<sqlx::pool::PoolConnection<B>> {
        self.index_writers.acquire().await.map_err(Error::Unavailable)
    }

    /// Like [`Db::begin`], for statements as those of [`Db::snapshot_by_index`].
    pub async fn begin_by_index(&self) -> Result<Transaction<B>> {
        self.index_writers.begin_with(B::BEGIN_WRITE).await.map_err(Error::Unavailable)
    }

    /// A transaction that finds what it writes by its keys. How it does so is planned once, and not anew each
    /// time, which takes a third of such a transaction. A plan may be settled on while there is little, and lasts:
    /// so none that is made here reads a whole table or index.
    pub async fn begin_by_key(&self) -> Result<Transaction<B>> {
        self.writers.begin_with(B::BEGIN_BY_KEY).await.map_err(Error::Unavailable)
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
        for pool in [&self.readers, &self.writers, &self.index_readers, &self.index_writers] {
            pool.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::chain;

    #[tokio::test]
    async fn a_server_that_is_not_there_is_said_not_to_be_there() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port);
        let Err(error) = Db::<Postgres>::connect(&options).await else { panic!("connected") };
        assert!(error.is_unavailable());
        assert!(chain(&error).contains("onnection refused"), "{}", chain(&error));
    }

    #[tokio::test]
    async fn a_server_that_hangs_up_is_not_available() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port);
        let Err(error) = Db::<Postgres>::connect(&options).await else { panic!("connected") };
        assert!(error.is_unavailable(), "{}", chain(&error));
    }

    #[tokio::test]
    async fn when_one_connection_is_opened_anew_no_broken_one_is_used() {
        let database = testkit::postgres::database().await;
        let options = postgres_url(&database.url()).unwrap();
        let db = Db::<Postgres>::connect(&options).await.unwrap();
        let held = [db.reader().await.unwrap(), db.reader().await.unwrap()];
        let mut admin = db.reader().await.unwrap();
        drop(held);
        let idle = || db.readers.num_idle() == 2;
        testkit::wait::until("they are given back", ACQUIRE_TIMEOUT, async || idle()).await;
        sqlx::raw_sql(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()",
        )
        .execute(&mut *admin)
        .await
        .unwrap();
        assert!(idle(), "nobody has noticed");
        db.reader_by_index().await.unwrap();

        for _ in 0..2 {
            let mut conn = db.reader().await.unwrap();
            sqlx::raw_sql("select 1").execute(&mut *conn).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_disk_that_was_full_is_written_to_again() {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::<Sqlite>::open(&directory.path().join("test.db")).await.unwrap();
        // The one connection that writes: the limit counts for it alone.
        let mut conn = db.writers.acquire().await.unwrap();
        sqlx::raw_sql("create table t (x); pragma max_page_count = 2")
            .execute(&mut *conn)
            .await
            .unwrap();
        drop(conn);
        let mut tx = db.begin().await.unwrap();
        let fill = sqlx::raw_sql("insert into t values (zeroblob(100000))").execute(&mut *tx).await;
        let error = Error::from(fill.unwrap_err());
        assert!(error.is_unavailable() && chain(&error).contains("full"), "{}", chain(&error));
        drop(tx);

        let mut tx = db.begin().await.unwrap();
        sqlx::raw_sql("insert into t values (1)").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    #[test]
    fn a_file_that_is_not_there_holds_no_data() {
        let url: DatabaseUrl = "sqlite://no/such/file.db".parse().unwrap();
        let error = url.expect_data().unwrap_err();
        assert!(chain(&error).starts_with("cannot open sqlite://no/such/file.db: there is no"));
        let url: DatabaseUrl = "sqlite://Cargo.toml".parse().unwrap();
        url.expect_data().unwrap();
    }
}
