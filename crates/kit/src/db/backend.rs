//! What the two databases have in common, and what must differ.

use std::future::Future;

use sqlx::migrate::Migrate;

use sqlx::{
    Arguments, ColumnIndex, Database, Decode, Encode, Executor, Postgres, Row as _, SqlStr, Sqlite,
    Type, query_with,
};

use super::batch::{Batch, Values};

/// A database that can hold a `T` in a column and take one as a parameter.
///
/// Implied for every type that sqlx knows; it exists so that [`Backend`] can name the types a
/// store uses once, instead of repeating sqlx's bounds at every function.
pub trait Column<T>: Database {
    /// Adds `value` as the next parameter.
    fn add(arguments: &mut Self::Arguments, value: T) -> Result<(), sqlx::Error>;
    /// Reads the column called `name`.
    fn get(row: &Self::Row, name: &str) -> Result<T, sqlx::Error>;
    /// Reads the column at `place`, from 0.
    fn at(row: &Self::Row, place: usize) -> Result<T, sqlx::Error>;
}

impl<DB, T> Column<T> for DB
where
    DB: Database,
    T: for<'q> Encode<'q, DB> + for<'r> Decode<'r, DB> + Type<DB> + Send + 'static,
    for<'n> &'n str: ColumnIndex<DB::Row>,
    usize: ColumnIndex<DB::Row>,
{
    fn add(arguments: &mut Self::Arguments, value: T) -> Result<(), sqlx::Error> {
        arguments.add(value).map_err(sqlx::Error::Encode)
    }

    fn get(row: &Self::Row, name: &str) -> Result<T, sqlx::Error> {
        row.try_get(name)
    }

    fn at(row: &Self::Row, place: usize) -> Result<T, sqlx::Error> {
        row.try_get(place)
    }
}

/// One of the two databases.
pub trait Backend:
    Database<Connection: Migrate>
    + Column<i64>
    + Column<Option<i64>>
    + Column<String>
    + Column<Option<String>>
    + Column<bool>
{
    /// Begins a transaction that writes.
    ///
    /// SQLite takes the write lock at once: a transaction that reads first and writes later
    /// fails with `SQLITE_BUSY_SNAPSHOT`, which no timeout waits for.
    const BEGIN_WRITE: &'static str;

    /// The same, for statements that find what they write by its keys; see [`super::Db::begin_by_key`].
    const BEGIN_BY_KEY: &'static str;

    /// Begins a transaction whose statements all see one snapshot.
    const BEGIN_SNAPSHOT: &'static str;

    /// Ends a `select` whose rows the transaction is about to change. Empty on SQLite, where the
    /// write transaction is alone anyway.
    const FOR_UPDATE: &'static str;

    /// Ends a `select` whose rows the transaction is about to change, and passes over those that
    /// another one holds instead of waiting for it. Empty on SQLite, where no other can hold any.
    const SKIP_LOCKED: &'static str;

    /// Whether rows on their way through a statement hold only references to large texts, so that none is
    /// copied where they are put aside to be sorted or added up: `PostgreSQL` keeps texts of more than 2 KB
    /// beside the row.
    const PASSES_TEXTS_BY_REFERENCE: bool;

    /// Whether a `with` may hold statements that write, so that a statement changes two tables.
    const WRITES_IN_WITH: bool;

    /// In a `select` from one table: text that names the history which this very table is written in.
    /// It differs after a failover (the server's timeline) and when the table was restored from a
    /// backup into another server, database or table (their identifiers). Empty on SQLite, where
    /// nothing tells a file from its copy.
    ///
    /// For the primary only: a standby has no place at which it writes.
    const HISTORY: &'static str;

    /// In a `from`: for each number of a [`Batch`] of one column `number`, whose parameter is $1, the
    /// rows of `table` whose `key` it is, called `found`.
    ///
    /// They are looked up number by number through an index on `key` and `place`, a column without
    /// negative values, whatever statistics say or do not say about the table: a table that has just
    /// been filled would else be read whole.
    fn rows_by_key(table: &str, key: &str, place: &str) -> String;

    /// In a `from`, behind a table: for each row of that one, the rows of `table` for which `condition` on
    /// both of them holds, the first `limit` by `key`, an index. All of them where the rows are made one by
    /// one as they are asked for.
    fn join_in_order(table: &str, condition: &str, key: &str, limit: &str) -> String;

    /// Reads the text at `place`, from 0, where it lies.
    fn text_at(row: &Self::Row, place: usize) -> Result<Option<&str>, sqlx::Error>;

    /// Ends a statement of one row that changes it: listeners to `channel` are told `payload`, an
    /// expression, when the transaction commits. Empty on SQLite, where nobody can listen.
    fn telling(channel: &str, payload: &str) -> String;

    /// Runs a statement; how many rows it touched.
    fn execute(
        conn: &mut Self::Connection,
        sql: SqlStr,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;

    /// Runs a statement; its rows.
    fn fetch_all(
        conn: &mut Self::Connection,
        sql: SqlStr,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Vec<Self::Row>, sqlx::Error>> + Send;

    /// The batch as a table expression whose parameters start at `$first`.
    fn batch_table(batch: &Batch<'_>, first: usize) -> String;

    /// See [`Batch::stream`].
    fn batch_stream(batch: &Batch<'_>, first: usize) -> String {
        Self::batch_table(batch, first)
    }

    /// Adds the batch as the next parameters.
    fn add_batch(arguments: &mut Self::Arguments, batch: Batch<'_>) -> Result<(), sqlx::Error>;
}

impl Backend for Sqlite {
    const BEGIN_WRITE: &'static str = "BEGIN IMMEDIATE";
    const BEGIN_BY_KEY: &'static str = Self::BEGIN_WRITE;
    const BEGIN_SNAPSHOT: &'static str = "BEGIN";
    const FOR_UPDATE: &'static str = "";
    const SKIP_LOCKED: &'static str = "";
    const PASSES_TEXTS_BY_REFERENCE: bool = false;
    const WRITES_IN_WITH: bool = false;
    const HISTORY: &'static str = "''";

    fn rows_by_key(table: &str, key: &str, _: &str) -> String {
        // It takes the tables of a `cross join` in the order in which they are written.
        format!(
            "(select value ->> 0 as number from json_each($1)) as batch \
             cross join {table} as found on found.{key} = batch.number"
        )
    }

    fn join_in_order(table: &str, condition: &str, _: &str, _: &str) -> String {
        format!("cross join {table} on {condition}")
    }

    fn text_at(row: &Self::Row, place: usize) -> Result<Option<&str>, sqlx::Error> {
        row.try_get(place)
    }

    fn telling(_: &str, _: &str) -> String {
        String::new()
    }

    async fn execute(
        conn: &mut Self::Connection,
        sql: SqlStr,
        arguments: Self::Arguments,
    ) -> Result<u64, sqlx::Error> {
        Ok(conn.execute(query_with(sql, arguments)).await?.rows_affected())
    }

    async fn fetch_all(
        conn: &mut Self::Connection,
        sql: SqlStr,
        arguments: Self::Arguments,
    ) -> Result<Vec<Self::Row>, sqlx::Error> {
        conn.fetch_all(query_with(sql, arguments)).await
    }

    fn batch_table(batch: &Batch<'_>, first: usize) -> String {
        let columns: Vec<_> = batch
            .names()
            .enumerate()
            .map(|(place, name)| format!("value ->> {place} as {name}"))
            .collect();
        format!("(select {} from json_each(${first})) as batch", columns.join(", "))
    }

    fn add_batch(arguments: &mut Self::Arguments, batch: Batch<'_>) -> Result<(), sqlx::Error> {
        arguments.add(batch.to_json()).map_err(sqlx::Error::Encode)
    }
}

impl Backend for Postgres {
    const BEGIN_WRITE: &'static str = "BEGIN";
    const BEGIN_BY_KEY: &'static str = "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; \
        SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; \
        SET LOCAL enable_mergejoin = off; SET LOCAL jit = off";
    const BEGIN_SNAPSHOT: &'static str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    const FOR_UPDATE: &'static str = " for no key update";
    const SKIP_LOCKED: &'static str = " for no key update skip locked";
    const PASSES_TEXTS_BY_REFERENCE: bool = true;
    const WRITES_IN_WITH: bool = true;
    // The name of the log file that is being written begins with the timeline. The control file
    // would tell an old one until the first checkpoint after a promotion.
    const HISTORY: &'static str = "concat_ws('/', \
        left(pg_walfile_name(pg_current_wal_lsn()), 8), \
        (select system_identifier from pg_control_system()), \
        (select oid from pg_database where datname = current_database()), \
        tableoid::oid)";

    fn rows_by_key(table: &str, key: &str, place: &str) -> String {
        // `offset 0` keeps the planner from making another join of it. The other two make it expect
        // few rows, from which it concludes that an index is of use: an array that it cannot look
        // into, and a range that holds everything.
        format!(
            "unnest((select $1::bigint[])) as batch(number) cross join lateral (\
               select * from {table} \
               where {key} = batch.number and {place} between 0 and {} offset 0) as found",
            i64::MAX
        )
    }

    fn join_in_order(table: &str, condition: &str, key: &str, limit: &str) -> String {
        // What is sorted behind it is sorted run by run, and a run may be as long as the table.
        format!(
            "cross join lateral ( \
               select * from {table} where {condition} order by {key} limit {limit}) as {table}"
        )
    }

    fn text_at(row: &Self::Row, place: usize) -> Result<Option<&str>, sqlx::Error> {
        row.try_get(place)
    }

    fn telling(channel: &str, payload: &str) -> String {
        format!(" returning pg_notify('{channel}', {payload}::text)")
    }

    async fn execute(
        conn: &mut Self::Connection,
        sql: SqlStr,
        arguments: Self::Arguments,
    ) -> Result<u64, sqlx::Error> {
        Ok(conn.execute(query_with(sql, arguments)).await?.rows_affected())
    }

    async fn fetch_all(
        conn: &mut Self::Connection,
        sql: SqlStr,
        arguments: Self::Arguments,
    ) -> Result<Vec<Self::Row>, sqlx::Error> {
        conn.fetch_all(query_with(sql, arguments)).await
    }

    fn batch_table(batch: &Batch<'_>, first: usize) -> String {
        let names: Vec<_> = batch.names().collect();
        let arrays: Vec<_> = arrays(batch, first).collect();
        format!("unnest({}) as batch({})", arrays.join(", "), names.join(", "))
    }

    fn batch_stream(batch: &Batch<'_>, first: usize) -> String {
        let columns: Vec<_> = arrays(batch, first)
            .zip(batch.names())
            .map(|(array, name)| format!("unnest({array}) as {name}"))
            .collect();
        format!("(select {}) as batch", columns.join(", "))
    }

    fn add_batch(arguments: &mut Self::Arguments, batch: Batch<'_>) -> Result<(), sqlx::Error> {
        let size = batch.columns().map(Values::size).sum();
        arguments.reserve(batch.columns().count(), size);
        for values in batch.into_columns() {
            match values {
                Values::Int(column) => arguments.add(column),
                Values::Text(column) => arguments.add(column),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        Ok(())
    }
}

/// The parameters of a batch, with their types.
fn arrays(batch: &Batch<'_>, first: usize) -> impl Iterator<Item = String> {
    let columns = batch.columns().enumerate();
    columns.map(move |(place, values)| format!("${}::{}[]", first + place, values.sql_type()))
}
