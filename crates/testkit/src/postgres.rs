//! PostgreSQL for tests: [`database`] for a fresh database on the shared server, which is quick;
//! [`Server`] for a whole server, which a test may stop and kill.

mod database;
mod server;

pub use database::{TestDatabase, database};
pub use server::Server;
