//! One way to write SQL for SQLite and PostgreSQL.
//!
//! A store is written once, generic over [`Backend`], in portable SQL: `$1` parameters,
//! `returning`, `on conflict`. What must differ between the two databases is a constant or a
//! method of [`Backend`]. Bulk statements take their rows from a [`Batch`].
//!
//! ```ignore
//! let rows = query::<B>("select name from customers where id = $1").bind(id).fetch_all(conn).await?;
//! ```

mod backend;
mod batch;
mod connect;
mod error;
mod listen;
mod query;

pub use backend::{Backend, Column};
pub use batch::Batch;
pub use connect::{DatabaseUrl, Db, Transaction, postgres_url};
pub use error::{Error, OpenError, give_up_unless};
pub use listen::Listener;
pub use query::{Columns, Query, Row, query};
pub use sqlx::AssertSqlSafe;
pub use sqlx::postgres::PgConnectOptions;
pub use sqlx::{Postgres, Sqlite};

/// What a database operation gives.
pub type Result<T> = std::result::Result<T, Error>;
