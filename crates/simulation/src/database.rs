//! The databases of a run: both services' own, of the real kinds.

use std::sync::Mutex;

use contract::time::Timestamp;
use kit::random::Random;
use ordering::order::CustomerInput;
use ordering::store::Change;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;
use testkit::postgres::TestDatabase;
use tokio::sync::OnceCell;

use crate::sim::{BEGINNING, lock};

/// The customer who orders everything.
pub(crate) const CUSTOMER: &str = "ada";

/// Which kind of database both services have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Files. Ordering's may be restored from a copy.
    Sqlite,
    /// Databases of the shared test server. They are not restored: a copy needs everybody else to
    /// have hung up, which drivers do at their own pace.
    Postgres,
}

/// The databases of a run, removed with it.
pub(crate) struct Databases {
    place: Place,
    /// How often ordering's was restored.
    generation: Mutex<u64>,
}

enum Place {
    Files(TempDir),
    /// Ordering's and billing's.
    Server(Box<[TestDatabase; 2]>),
}

impl Databases {
    pub(crate) async fn new(kind: Kind) -> Self {
        let place = match kind {
            Kind::Sqlite => Place::Files(files().await),
            Kind::Postgres => {
                let ordering = testkit::postgres::database().await;
                let billing = testkit::postgres::database().await;
                prepare(&ordering.url(), &billing.url(), BEGINNING).await;
                Place::Server(Box::new([ordering, billing]))
            }
        };
        Self { place, generation: Mutex::new(0) }
    }

    /// Where ordering's is now.
    pub(crate) fn ordering(&self) -> String {
        match &self.place {
            Place::Files(folder) => {
                let name = format!("ordering-{}.db", lock(&self.generation));
                format!("sqlite://{}", folder.path().join(name).display())
            }
            Place::Server(databases) => databases[0].url(),
        }
    }

    /// Where billing's is.
    pub(crate) fn billing(&self) -> String {
        match &self.place {
            Place::Files(folder) => {
                format!("sqlite://{}", folder.path().join("billing.db").display())
            }
            Place::Server(databases) => databases[1].url(),
        }
    }

    pub(crate) fn can_be_restored(&self) -> bool {
        matches!(self.place, Place::Files(_))
    }

    /// Makes a copy of ordering's database as it is now, in place of an earlier one.
    pub(crate) async fn back_up(&self) {
        let Place::Files(folder) = &self.place else { panic!("only files are copied") };
        let copy = folder.path().join("backup.db");
        if copy.exists() {
            std::fs::remove_file(&copy).expect("an own file can be removed");
        }
        execute(&self.ordering(), &format!("vacuum into '{}'", copy.display())).await;
    }

    /// Ordering's database is a copy of the backup from now on. The one that it was stays where it
    /// is, for whoever still has it open.
    pub(crate) fn restore(&self) {
        let Place::Files(folder) = &self.place else { panic!("only files are copied") };
        let generation = *lock(&self.generation) + 1;
        let file = folder.path().join(format!("ordering-{generation}.db"));
        std::fs::copy(folder.path().join("backup.db"), file).expect("the backup can be copied");
        *lock(&self.generation) = generation;
    }
}

/// Files of a database each that is ready for use: made once, then copied.
async fn files() -> TempDir {
    static READY: OnceCell<[Vec<u8>; 2]> = OnceCell::const_new();
    let [ordering, billing] = READY
        .get_or_init(|| async {
            let folder = folder();
            let url = |name| format!("sqlite://{}", folder.path().join(name).display());
            let (ordering, billing) = (url("ordering.db"), url("billing.db"));
            prepare(&ordering, &billing, BEGINNING).await;
            let mut copies = [Vec::new(), Vec::new()];
            for (place, url) in [ordering, billing].into_iter().enumerate() {
                let copy = folder.path().join(format!("copy-{place}"));
                execute(&url, &format!("vacuum into '{}'", copy.display())).await;
                copies[place] = std::fs::read(copy).expect("an own file can be read");
            }
            copies
        })
        .await;
    let folder = folder();
    for (name, bytes) in [("ordering-0.db", ordering), ("billing.db", billing)] {
        std::fs::write(folder.path().join(name), bytes).expect("an own folder can be written to");
    }
    folder
}

/// In memory where there is such a folder: nothing here has to survive a power cut, and waiting for
/// the disk at every commit is most of a run.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a temporary directory can be made")
}

/// Brings both schemas up to date and adds the customer.
async fn prepare(ordering: &str, billing: &str, at: Timestamp) {
    let url = ordering.parse().expect("an address made here is one");
    let store =
        ordering::store::open(&url, &Random::seeded(0), at).await.expect("it can be opened");
    let input =
        CustomerInput { name: "Ada Yards".into(), email: "ada@example.com".into(), address: None };
    let made = store.create_customer(CUSTOMER, &input, None, at).await.expect("it is there");
    assert!(matches!(made, Change::Done(_)), "{made:?}");
    let url = billing.parse().expect("an address made here is one");
    billing::store::open(&url).await.expect("it can be opened");
}

/// Runs a statement that no store would.
pub(crate) async fn execute(url: &str, sql: &str) {
    let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    if url.starts_with("sqlite") {
        let mut conn = SqliteConnection::connect(url).await.expect("it can be opened");
        sql.execute(&mut conn).await.expect("the statement is one");
        conn.close().await.expect("it can be closed");
    } else {
        let mut conn = PgConnection::connect(url).await.expect("it can be reached");
        sql.execute(&mut conn).await.expect("the statement is one");
        conn.close().await.expect("it can be closed");
    }
}

/// Every row of every table, as it stands, but for when the schema was made.
pub(crate) async fn dump(url: &str) -> Vec<String> {
    const MIGRATIONS: &str = "_sqlx_migrations";
    let tables = if url.starts_with("sqlite") {
        "select name from sqlite_master where type = 'table' order by name"
    } else {
        "select tablename::text from pg_tables where schemaname = 'public' order by 1"
    };
    let mut rows = Vec::new();
    for table in texts(url, tables).await.into_iter().filter(|table| table != MIGRATIONS) {
        let row = if url.starts_with("sqlite") {
            let columns = format!(
                "select group_concat('quote(\"' || name || '\")', '||'',''||') \
                 from pragma_table_info('{table}')"
            );
            texts(url, &columns).await.remove(0)
        } else {
            // The history names the very database, by numbers that the server gave it.
            format!("(to_jsonb({table}) - 'history')::text")
        };
        let select = format!("select {row} as row from {table} order by 1");
        rows.extend(texts(url, &select).await.into_iter().map(|row| format!("{table} {row}")));
    }
    rows
}

/// The first column, a text, of all rows.
async fn texts(url: &str, sql: &str) -> Vec<String> {
    let sql = AssertSqlSafe(sql.to_owned());
    if url.starts_with("sqlite") {
        let mut conn = SqliteConnection::connect(url).await.expect("it can be opened");
        sqlx::query_scalar(sql).fetch_all(&mut conn).await.expect("the statement is one")
    } else {
        let mut conn = PgConnection::connect(url).await.expect("it can be reached");
        sqlx::query_scalar(sql).fetch_all(&mut conn).await.expect("the statement is one")
    }
}
