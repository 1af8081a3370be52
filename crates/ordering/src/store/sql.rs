//! The store over either database: every method of [`Store`] with its transaction.

use std::sync::Arc;

use async_trait::async_trait;
use contract::checksum::ChecksumPage;
use contract::feed::{ContinuationToken, Epoch, FeedId, FeedIdentity, FeedStatus};
use contract::order::Order;
use contract::time::Timestamp;
use kit::db::{Backend, DatabaseUrl, Db, Postgres, Result, Sqlite};
use kit::random::Random;
use sqlx::migrate::Migrator;

use super::{
    BegunEpoch, ChecksumQuery, EpochReason, FeedAnswer, FeedReader, HistoryEntry, IdempotencyKey,
    OrderFilter, Stamped, Store, Transaction, checksums, commit, customers, epochs, feed, history,
    orders, sequencer, transactions,
};
use crate::feed::Role;
use crate::order::Customer;
use crate::scope::{Outcome, Refused, Scope};

static SQLITE: Migrator = sqlx::migrate!("../../migrations/ordering/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../../migrations/ordering/postgres");

/// The store over one database.
pub struct SqlStore<B: Backend> {
    db: Db<B>,
    /// Gives transactions their ids.
    random: Random,
    /// What the sequencer remembers.
    memory: sequencer::Memory,
}

/// Opens the database and brings its schema up to date. A new one gets its feed id from `random`
/// and its first epoch from `at`.
pub async fn open(url: &DatabaseUrl, random: &Random, at: Timestamp) -> Result<Arc<dyn Store>> {
    match url {
        DatabaseUrl::Sqlite(path) => {
            let db = Db::<Sqlite>::open(path).await?;
            Ok(Arc::new(SqlStore::prepare(db, &SQLITE, random, at).await?))
        }
        DatabaseUrl::Postgres(options) => {
            let db = Db::<Postgres>::connect(options).await?;
            Ok(Arc::new(SqlStore::prepare(db, &POSTGRES, random, at).await?))
        }
    }
}

impl<B: Backend> SqlStore<B> {
    async fn prepare(
        db: Db<B>,
        migrations: &Migrator,
        random: &Random,
        at: Timestamp,
    ) -> Result<Self> {
        db.migrate(migrations).await?;
        let identity = FeedIdentity {
            feed_id: FeedId::from_randomness(random.bits()),
            epoch: Epoch(0).next(at),
        };
        let mut tx = db.begin().await?;
        epochs::mint::<B>(&mut tx, &identity, at).await?;
        tx.commit().await?;
        Ok(Self { db, random: random.clone(), memory: sequencer::Memory::default() })
    }
}

#[async_trait]
impl<B: Backend> Store for SqlStore<B> {
    async fn unstamped_since(&self) -> Result<Option<Timestamp>> {
        feed::unstamped_since::<B>(&mut *self.db.reader().await?).await
    }

    async fn commit(
        &self,
        scope: &Scope,
        key: Option<&IdempotencyKey>,
        at: Timestamp,
    ) -> Result<Outcome> {
        let mut tx = self.db.begin_by_key().await?;
        let id = self.random.uuid(at);
        let outcome = commit::commit::<B>(&mut tx, scope, key, id, at).await?;
        if let Outcome::Done(committed) = &outcome {
            tx.commit().await?;
            if committed.orders.iter().any(|order| order.confirmed_at.is_some()) {
                self.memory.expect_more();
            }
        } else {
            // Not left to the drop, which rolls back a moment later: until then the sequencer would
            // pass over what was only looked at.
            tx.rollback().await?;
        }
        Ok(outcome)
    }

    async fn check(&self, scope: &Scope, at: Timestamp) -> Result<Option<Refused>> {
        commit::check::<B>(&mut *self.db.snapshot().await?, scope, at).await
    }

    async fn transaction(&self, id: &str) -> Result<Option<Transaction>> {
        transactions::find::<B>(&mut *self.db.reader().await?, id).await
    }

    async fn customer(&self, id: &str) -> Result<Option<Customer>> {
        customers::find::<B>(&mut *self.db.reader().await?, id).await
    }

    async fn customers(&self, after: Option<&str>, limit: i64) -> Result<Vec<Customer>> {
        customers::list::<B>(&mut *self.db.reader().await?, after, limit).await
    }

    async fn order(&self, number: i64) -> Result<Option<Order>> {
        orders::find::<B>(&mut *self.db.snapshot().await?, number).await
    }

    async fn orders(&self, filter: &OrderFilter, limit: i64) -> Result<Vec<Order>> {
        orders::list::<B>(&mut *self.db.snapshot().await?, filter, limit).await
    }

    async fn history(&self, number: i64) -> Result<Vec<HistoryEntry>> {
        history::of::<B>(&mut *self.db.reader().await?, number).await
    }

    async fn stamp(&self, limit: i64, at: Timestamp) -> Result<Stamped> {
        sequencer::stamp(&self.db, &self.memory, limit, at).await
    }

    async fn forget_empty_runs(&self) -> Result<u64> {
        sequencer::forget_empty_runs::<B>(&mut *self.db.writer_by_index().await?).await
    }

    async fn identity(&self) -> Result<FeedIdentity> {
        Ok(epochs::state::<B>(&mut *self.db.reader().await?).await?.identity)
    }

    async fn feed_order(&self, number: i64) -> Result<(FeedIdentity, Option<Order>)> {
        let mut snapshot = self.db.snapshot().await?;
        let identity = epochs::state::<B>(&mut snapshot).await?.identity;
        let order = orders::find::<B>(&mut snapshot, number).await?;
        Ok((identity, order.filter(|order| order.confirmed_at.is_some())))
    }

    async fn checksums(&self, query: &ChecksumQuery) -> Result<ChecksumPage> {
        checksums::page::<B>(&mut *self.db.snapshot().await?, query).await
    }

    async fn feed_status(&self, now: Timestamp) -> Result<FeedStatus> {
        let stored = feed::status::<B>(&mut *self.db.snapshot_by_index().await?, now).await?;
        Ok(FeedStatus { last_tick_at: stored.last_tick_at.max(self.memory.looked()), ..stored })
    }

    async fn begin_epoch(
        &self,
        replaced: Epoch,
        reason: EpochReason,
        at: Timestamp,
    ) -> Result<FeedIdentity> {
        let mut tx = self.db.begin().await?;
        let identity = epochs::begin::<B>(&mut tx, replaced, reason, at).await?;
        tx.commit().await?;
        Ok(identity)
    }

    async fn epochs(&self, limit: i64) -> Result<Vec<BegunEpoch>> {
        epochs::list::<B>(&mut *self.db.reader().await?, limit).await
    }
}

#[async_trait]
impl<B: Backend> FeedReader for SqlStore<B> {
    async fn feed_page(
        &self,
        token: Option<&ContinuationToken>,
        limit: i64,
        max_bytes: usize,
    ) -> Result<FeedAnswer> {
        feed::page(&self.db, Role::Primary, token, limit, max_bytes).await
    }

    fn is_primary(&self) -> bool {
        true
    }
}
