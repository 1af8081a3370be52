//! What can go wrong with a database, as far as callers can tell it apart.

use super::DatabaseUrl;

/// A database operation failed. Its text is for the log only and never reaches a caller.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached, is shutting down, full, or too busy; or the transaction
    /// lost against another one. Trying again may help. Nothing was changed, unless the connection
    /// broke off while a transaction was being committed: then all of it may have been.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// A unique index refused a row.
    #[error("a row with this key exists already")]
    Duplicate(#[source] sqlx::Error),
    /// A statement has found that it must not be carried out: see [`give_up_unless`].
    #[error("a statement gave itself up")]
    GivenUp(#[source] sqlx::Error),
    /// A statement touched more or fewer rows than it must.
    #[error("a statement touched {touched} rows instead of {expected}")]
    WrongCount {
        /// How many it must touch.
        expected: u64,
        /// How many it touched.
        touched: u64,
    },
    /// A stored value cannot be what it should be.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// There is no data to work with.
    #[error("there is no such file; `migrate` or `serve` makes one")]
    Missing,
    /// Anything else: a fault in a statement or in the schema.
    #[error("the database refused a statement")]
    Other(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the schema could not be migrated")]
    Migration(#[source] sqlx::migrate::MigrateError),
}

/// A service's database cannot be opened: for the person who started the program.
#[derive(Debug, thiserror::Error)]
#[error("cannot open {url}")]
pub struct OpenError {
    /// Shown without its password.
    pub url: DatabaseUrl,
    /// Why not.
    pub source: Error,
}

impl Error {
    /// Whether trying again later may help.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => {
                Self::Unavailable(error)
            }
            E::Database(database) if database.is_unique_violation() => Self::Duplicate(error),
            E::Database(database) if database.code().as_deref() == Some(DIVISION_BY_ZERO) => {
                Self::GivenUp(error)
            }
            E::Database(database) if is_passing(database.code().as_deref()) => {
                Self::Unavailable(error)
            }
            _ => Self::Other(error),
        }
    }
}

/// In a `select`: lets the whole statement fail with [`Error::GivenUp`], and change nothing, unless
/// `condition` holds. For a statement that is a transaction by itself, which has no other way to roll
/// back. On PostgreSQL, where nothing else divides by zero: statements leave computing to the services.
pub fn give_up_unless(condition: &str) -> String {
    format!("1 / ({condition})::int")
}

/// PostgreSQL's `division_by_zero`.
const DIVISION_BY_ZERO: &str = "22012";

/// PostgreSQL's `lock_not_available`.
const LOCK_TIMEOUT: &str = "55P03";

/// Whether the database's own code says that the fault is of the moment.
///
/// PostgreSQL: <https://www.postgresql.org/docs/current/errcodes-appendix.html>, classes 08
/// (connection), 53 (resources), 57 (operator intervention), 58 (system error), 40 (rollback), 25006 (read-only: a
/// standby) and 55P03 (lock timeout). SQLite: <https://sqlite.org/rescode.html>, primary codes 5 busy,
/// 6 locked, 8 read-only, 10 I/O, 13 full, 14 cannot open; extended codes keep the primary code in
/// the low byte.
fn is_passing(code: Option<&str>) -> bool {
    let Some(code) = code else { return false };
    if code.len() == 5 {
        return ["08", "53", "57", "58", "40"].iter().any(|class| code.starts_with(class))
            || code == "25006"
            || code == LOCK_TIMEOUT;
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14))
}

#[cfg(test)]
mod tests {
    use super::is_passing;

    #[test]
    fn passing_faults_are_told_from_lasting_ones() {
        for code in
            ["08006", "57P01", "58030", "53300", "40001", "40P01", "55P03", "5", "517", "14", "13"]
        {
            assert!(is_passing(Some(code)), "{code}");
        }
        for code in ["23505", "42P01", "42601", "1", "19", "2067"] {
            assert!(!is_passing(Some(code)), "{code}");
        }
        assert!(!is_passing(None));
    }
}
