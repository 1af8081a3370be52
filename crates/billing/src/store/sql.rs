//! The store over either database.

use std::sync::Arc;

use kit::db::{Backend, DatabaseUrl, Db, Result};

use super::Store;

/// The store over one database.
pub struct SqlStore<B: Backend> {
    pub(super) db: Db<B>,
}

/// Opens the database and brings its schema up to date.
pub async fn open(url: &DatabaseUrl) -> Result<Arc<dyn Store>> {
    unimplemented!("{url}")
}
