//! A statement with its parameters, and the rows it gives.

use sqlx::{SqlSafeStr, SqlStr};

use super::{Backend, Batch, Column, Error, Result};

/// A statement with its parameters.
#[must_use = "a statement does nothing until it is executed or fetched"]
pub struct Query<B: Backend> {
    sql: SqlStr,
    arguments: std::result::Result<B::Arguments, sqlx::Error>,
}

/// A statement without parameters yet.
pub fn query<B: Backend>(sql: impl SqlSafeStr) -> Query<B> {
    Query { sql: sql.into_sql_str(), arguments: Ok(B::Arguments::default()) }
}

impl<B: Backend> Query<B> {
    /// Gives the next parameter.
    pub fn bind<T>(self, value: T) -> Self
    where
        B: Column<T>,
    {
        self.add(|arguments| <B as Column<T>>::add(arguments, value))
    }

    /// Gives the rows of a [`Batch`] as the next parameters.
    pub fn bind_batch(self, batch: Batch<'_>) -> Self {
        self.add(|arguments| B::add_batch(arguments, batch))
    }

    /// Runs it; how many rows it touched.
    pub async fn execute(self, conn: &mut B::Connection) -> Result<u64> {
        Ok(B::execute(conn, self.sql, self.arguments?).await?)
    }

    /// Runs it; all its rows.
    pub async fn fetch_all(self, conn: &mut B::Connection) -> Result<Vec<Row<B>>> {
        let rows = B::fetch_all(conn, self.sql, self.arguments?).await?;
        Ok(rows.into_iter().map(Row).collect())
    }

    /// Runs it; its first row, `None` when there is none.
    pub async fn fetch_optional(self, conn: &mut B::Connection) -> Result<Option<Row<B>>> {
        Ok(self.fetch_all(conn).await?.into_iter().next())
    }

    /// Runs it; its first row, an error when there is none.
    pub async fn fetch_one(self, conn: &mut B::Connection) -> Result<Row<B>> {
        self.fetch_optional(conn).await?.ok_or(Error::Other(sqlx::Error::RowNotFound))
    }

    /// Runs it and checks that it touched exactly `rows` rows.
    pub async fn execute_exactly(self, rows: u64, conn: &mut B::Connection) -> Result<()> {
        match self.execute(conn).await? {
            touched if touched == rows => Ok(()),
            touched => Err(Error::WrongCount { expected: rows, touched }),
        }
    }

    fn add(
        mut self,
        add: impl FnOnce(&mut B::Arguments) -> std::result::Result<(), sqlx::Error>,
    ) -> Self {
        self.arguments = self.arguments.and_then(|mut arguments| {
            add(&mut arguments)?;
            Ok(arguments)
        });
        self
    }
}

/// A row of an answer.
pub struct Row<B: Backend>(B::Row);

impl<B: Backend> Row<B> {
    /// The column called `name`.
    pub fn get<T>(&self, name: &str) -> Result<T>
    where
        B: Column<T>,
    {
        Ok(<B as Column<T>>::get(&self.0, name)?)
    }

    /// Its columns in the order of the `select`: for many rows, where to look each name up is slow.
    pub fn columns(&self) -> Columns<'_, B> {
        Columns { row: &self.0, place: 0 }
    }
}

/// The columns of a row, one after the other.
pub struct Columns<'r, B: Backend> {
    row: &'r B::Row,
    place: usize,
}

impl<'r, B: Backend> Columns<'r, B> {
    /// The next one.
    pub fn take<T>(&mut self) -> Result<T>
    where
        B: Column<T>,
    {
        let value = <B as Column<T>>::at(self.row, self.place)?;
        self.place += 1;
        Ok(value)
    }

    /// The next one, a text that is never null, where it lies.
    pub fn text(&mut self) -> Result<&'r str> {
        let null = || Error::Damaged("a text is null that must not be".into());
        self.text_or_null()?.ok_or_else(null)
    }

    /// The next one, a text or null, where it lies.
    pub fn text_or_null(&mut self) -> Result<Option<&'r str>> {
        let text = B::text_at(self.row, self.place)?;
        self.place += 1;
        Ok(text)
    }
}
