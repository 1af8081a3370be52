//! The feed read from a hot standby, which spares the primary the long reads.

use std::sync::Arc;

use async_trait::async_trait;
use contract::feed::ContinuationToken;
use kit::db::{Db, PgConnectOptions, Postgres, Result};

use super::{FeedAnswer, FeedReader, feed};
use crate::feed::Role;

/// A hot standby of the primary's database. It lags, by milliseconds as a rule; nothing is ever
/// written to it.
struct Standby {
    db: Db<Postgres>,
}

/// The feed as the standby at this address has it. Connects when it is first asked: while the standby
/// is away, what reads from it fails and nothing else does.
pub fn open_standby(options: &PgConnectOptions) -> Arc<dyn FeedReader> {
    Arc::new(Standby { db: Db::<Postgres>::connect_lazy(options) })
}

#[async_trait]
impl FeedReader for Standby {
    async fn feed_page(
        &self,
        token: Option<&ContinuationToken>,
        limit: i64,
        max_bytes: usize,
    ) -> Result<FeedAnswer> {
        feed::page(&self.db, Role::Standby, token, limit, max_bytes).await
    }

    fn is_primary(&self) -> bool {
        false
    }
}
