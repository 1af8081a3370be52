//! A connection to either database, for what the services do not tell: kept short, so that looking
//! costs next to nothing of what is measured.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

use crate::Result;

/// A connection, which sends each statement that returns something prepared.
pub(crate) enum Database {
    /// To a PostgreSQL server.
    Postgres(PgConnection),
    /// To a file.
    Sqlite(SqliteConnection),
}

impl Database {
    /// Connects to the address that a service would take.
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        Ok(if url.starts_with("sqlite:") {
            Self::Sqlite(SqliteConnection::connect(url).await?)
        } else {
            Self::Postgres(PgConnection::connect(url).await?)
        })
    }

    /// Runs statements, none of them with a parameter: `sql` is made here.
    pub(crate) async fn execute(&mut self, sql: &str) -> Result<()> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Postgres(conn) => sqlx::raw_sql(sql).execute(conn).await.map(drop),
            Self::Sqlite(conn) => sqlx::raw_sql(sql).execute(conn).await.map(drop),
        }?;
        Ok(())
    }

    /// The one number that a query returns.
    pub(crate) async fn number(&mut self, sql: &str) -> Result<i64> {
        let sql = AssertSqlSafe(sql.to_owned());
        Ok(match self {
            Self::Postgres(conn) => sqlx::query_scalar(sql).fetch_one(conn).await?,
            Self::Sqlite(conn) => sqlx::query_scalar(sql).fetch_one(conn).await?,
        })
    }

    /// The one number that a query with a parameter returns.
    pub(crate) async fn number_of(&mut self, sql: &'static str, parameter: i64) -> Result<i64> {
        Ok(match self {
            Self::Postgres(conn) => sqlx::query_scalar(sql).bind(parameter).fetch_one(conn).await?,
            Self::Sqlite(conn) => sqlx::query_scalar(sql).bind(parameter).fetch_one(conn).await?,
        })
    }

    /// The texts that a query returns, leaving out those that are null.
    pub(crate) async fn texts(&mut self, sql: &str) -> Result<Vec<String>> {
        let sql = AssertSqlSafe(sql.to_owned());
        let rows: Vec<Option<String>> = match self {
            Self::Postgres(conn) => sqlx::query_scalar(sql).fetch_all(conn).await?,
            Self::Sqlite(conn) => sqlx::query_scalar(sql).fetch_all(conn).await?,
        };
        Ok(rows.into_iter().flatten().collect())
    }

    /// Asserts that a query returns this number.
    pub(crate) async fn expect(&mut self, expected: i64, sql: &str) -> Result<()> {
        let found = self.number(sql).await?;
        crate::verify(found == expected, || format!("{expected} expected, {found} found: {sql}"))
    }
}
