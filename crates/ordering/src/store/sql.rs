//! The store over either database: every method of [`Store`] with its transaction.

use std::sync::Arc;

use async_trait::async_trait;
use contract::feed::{ContinuationToken, Epoch, FeedId, FeedIdentity, FeedStatus};
use contract::order::Order;
use contract::time::Timestamp;
use kit::db::{Backend, DatabaseUrl, Db, Postgres, Result, Sqlite, query};
use kit::random::Random;
use sqlx::migrate::Migrator;

use super::{
    FeedAnswer, HistoryEntry, IdempotencyKey, OrderFilter, Stamped, Store, Transaction, commit,
    customers, feed, history, orders, sequencer, transactions,
};
use crate::order::Customer;
use crate::scope::{Outcome, Refused, Scope};

static SQLITE: Migrator = sqlx::migrate!("../../migrations/ordering/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../../migrations/ordering/postgres");

/// The store over one database.
pub struct SqlStore<B: Backend> {
    db: Db<B>,
    /// Gives transactions their ids.
    random: Random,
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
        feed::mint::<B>(&mut tx, &identity).await?;
        tx.commit().await?;
        Ok(Self { db, random: random.clone() })
    }
}

#[async_trait]
impl<B: Backend> Store for SqlStore<B> {
    async fn ping(&self) -> Result<()> {
        let mut conn = self.db.reader().await?;
        query::<B>("select 1").execute(&mut conn).await?;
        Ok(())
    }

    async fn commit(
        &self,
        scope: &Scope,
        key: Option<&IdempotencyKey>,
        at: Timestamp,
    ) -> Result<Outcome> {
        let mut tx = self.db.begin().await?;
        let id = self.random.uuid(at);
        let outcome = commit::commit::<B>(&mut tx, scope, key, id, at).await?;
        if let Outcome::Done(_) = outcome {
            tx.commit().await?;
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
        sequencer::stamp(&self.db, limit, at).await
    }

    async fn identity(&self) -> Result<FeedIdentity> {
        Ok(feed::state::<B>(&mut *self.db.reader().await?).await?.identity)
    }

    async fn feed_page(
        &self,
        token: Option<&ContinuationToken>,
        limit: i64,
        max_bytes: usize,
    ) -> Result<FeedAnswer> {
        feed::page::<B>(&mut *self.db.snapshot().await?, token, limit, max_bytes).await
    }

    async fn feed_order(&self, number: i64) -> Result<(FeedIdentity, Option<Order>)> {
        let mut snapshot = self.db.snapshot().await?;
        let identity = feed::state::<B>(&mut snapshot).await?.identity;
        let order = orders::find::<B>(&mut snapshot, number).await?;
        Ok((identity, order.filter(|order| order.confirmed_at.is_some())))
    }

    async fn feed_status(&self, now: Timestamp) -> Result<FeedStatus> {
        feed::status::<B>(&mut *self.db.snapshot().await?, now).await
    }

    async fn begin_epoch(&self, replaced: Epoch, at: Timestamp) -> Result<FeedIdentity> {
        let mut tx = self.db.begin().await?;
        let identity = feed::begin_epoch::<B>(&mut tx, replaced, at).await?;
        tx.commit().await?;
        Ok(identity)
    }
}
