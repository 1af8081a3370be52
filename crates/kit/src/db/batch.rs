//! Rows as parameters: what makes one statement do the work of a whole page.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use super::Backend;

/// Columns of equal length that a statement reads like a table called `batch`.
///
/// Texts may be borrowed. PostgreSQL gets one array a column, SQLite one JSON text:
///
/// ```ignore
/// let batch = Batch::new().int("number", numbers).text("name", names);
/// let sql = format!("insert into t (number, name) select number, name from {}", batch.table::<B>(1));
/// query::<B>(AssertSqlSafe(sql)).bind_batch(batch).execute(conn).await?;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Batch<'v> {
    columns: Vec<(&'static str, Values<'v>)>,
}

/// The values of one column.
#[derive(Clone, Debug)]
pub(super) enum Values<'v> {
    /// `BIGINT`
    Int(Vec<Option<i64>>),
    /// `TEXT`
    Text(Vec<Option<Cow<'v, str>>>),
}

/// A text of a column, or null.
#[derive(Debug)]
pub struct Text<'v>(Option<Cow<'v, str>>);

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Some(text.into()))
    }
}

impl From<Option<String>> for Text<'_> {
    fn from(text: Option<String>) -> Self {
        Self(text.map(Into::into))
    }
}

impl<'v> From<&'v str> for Text<'v> {
    fn from(text: &'v str) -> Self {
        Self(Some(text.into()))
    }
}

impl<'v> From<Option<&'v str>> for Text<'v> {
    fn from(text: Option<&'v str>) -> Self {
        Self(text.map(Into::into))
    }
}

impl Values<'_> {
    pub(super) fn sql_type(&self) -> &'static str {
        match self {
            Self::Int(_) => "bigint",
            Self::Text(_) => "text",
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Int(column) => column.len(),
            Self::Text(column) => column.len(),
        }
    }

    /// How many bytes PostgreSQL is sent of it, at most: an array of one dimension, its length and its header
    /// first, then each value behind its length.
    pub(super) fn size(&self) -> usize {
        const BEFORE: usize = 24;
        let values: usize = match self {
            Self::Int(column) => column.len() * size_of::<i64>(),
            Self::Text(column) => column.iter().flatten().map(|text| text.len()).sum(),
        };
        BEFORE + values + self.len() * size_of::<u32>()
    }
}

impl<'v> Batch<'v> {
    /// A batch without columns yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a `BIGINT` column.
    #[must_use]
    pub fn int(
        self,
        name: &'static str,
        values: impl IntoIterator<Item: Into<Option<i64>>>,
    ) -> Self {
        self.column(name, Values::Int(values.into_iter().map(Into::into).collect()))
    }

    /// Adds a `TEXT` column.
    #[must_use]
    pub fn text(self, name: &'static str, values: impl IntoIterator<Item: Into<Text<'v>>>) -> Self {
        self.column(name, Values::Text(values.into_iter().map(|text| text.into().0).collect()))
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, |(_, values)| values.len())
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batch as a table expression called `batch`, whose parameters start at `$first`: bind
    /// the statement's other parameters before it.
    pub fn table<B: Backend>(&self, first: usize) -> String {
        B::batch_table(self, first)
    }

    /// Like [`Self::table`], for a statement that reads the batch once: PostgreSQL hands row by row on
    /// instead of putting all of them aside first. Not for a `select … for update`, which it refuses.
    pub fn stream<B: Backend>(&self, first: usize) -> String {
        B::batch_stream(self, first)
    }

    fn column(mut self, name: &'static str, values: Values<'v>) -> Self {
        assert!(
            self.columns.is_empty() || self.len() == values.len(),
            "column {name} of a batch has another length than the first"
        );
        self.columns.push((name, values));
        self
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().map(|(name, _)| *name)
    }

    pub(super) fn columns(&self) -> impl Iterator<Item = &Values<'v>> {
        self.columns.iter().map(|(_, values)| values)
    }

    pub(super) fn into_columns(self) -> impl Iterator<Item = Values<'v>> {
        self.columns.into_iter().map(|(_, values)| values)
    }

    /// `[[row 1's values], [row 2's values], …]`
    pub(super) fn to_json(&self) -> String {
        let rows: Vec<_> = (0..self.len()).map(|place| Row { batch: self, place }).collect();
        serde_json::to_string(&rows).expect("numbers and texts can be written as JSON")
    }
}

/// A row of a batch, written without copying its texts.
struct Row<'b> {
    batch: &'b Batch<'b>,
    place: usize,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.batch.columns().map(|values| match values {
            Values::Int(column) => Cell::Int(column[self.place]),
            Values::Text(column) => Cell::Text(column[self.place].as_deref()),
        }))
    }
}

/// A value of a row.
#[derive(Serialize)]
#[serde(untagged)]
enum Cell<'b> {
    Int(Option<i64>),
    Text(Option<&'b str>),
}
