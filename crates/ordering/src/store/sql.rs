//! The store over either database.

use std::sync::Arc;

use contract::time::Timestamp;
use kit::db::{Backend, DatabaseUrl, Db, Result};
use kit::random::Random;

use super::Store;

/// The store over one database.
pub struct SqlStore<B: Backend> {
    pub(super) db: Db<B>,
}

/// Opens the database and brings its schema up to date. A new one gets its feed id from `random`
/// and its first epoch from `at`.
pub async fn open(url: &DatabaseUrl, random: &Random, at: Timestamp) -> Result<Arc<dyn Store>> {
    unimplemented!("{url} {random:?} {at}")
}
