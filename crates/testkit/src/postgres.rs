//! PostgreSQL for tests: [`database`] for a fresh database on the shared server, which is quick;
//! [`Server`] for a whole server, which a test may stop and kill, with standbys and dumps.

mod database;
mod dump;
mod server;
mod standby;

pub use database::{TestDatabase, database};
pub use dump::Dump;
pub use server::Server;
