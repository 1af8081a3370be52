//! The store over either database: every method of [`Store`] with its transaction.

use std::sync::Arc;

use async_trait::async_trait;
use contract::feed::{ContinuationToken, Epoch, FeedId, FeedIdentity, FeedStatus};
use contract::order::Order;
use contract::time::Timestamp;
use kit::db::{Backend, DatabaseUrl, Db, Postgres, Result, Sqlite, query};
use kit::http::etag::IfMatch;
use kit::random::Random;
use sqlx::migrate::Migrator;

use super::{
    Change, Created, FeedAnswer, HistoryEntry, IdempotencyKey, ImportedOrder, OrderFilter, Stamped,
    Store, changes, customers, feed, history, import, orders, sequencer,
};
use crate::order::{Customer, CustomerInput, OrderInput};

static SQLITE: Migrator = sqlx::migrate!("../../migrations/ordering/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../../migrations/ordering/postgres");

/// The store over one database.
pub struct SqlStore<B: Backend> {
    db: Db<B>,
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
        Ok(Self { db })
    }
}

#[async_trait]
impl<B: Backend> Store for SqlStore<B> {
    async fn ping(&self) -> Result<()> {
        let mut conn = self.db.reader().await?;
        query::<B>("select 1").execute(&mut conn).await?;
        Ok(())
    }

    async fn create_customer(
        &self,
        id: &str,
        input: &CustomerInput,
        at: Timestamp,
    ) -> Result<Customer> {
        let mut tx = self.db.begin().await?;
        let customer = customers::create::<B>(&mut tx, id, input, at).await?;
        tx.commit().await?;
        Ok(customer)
    }

    async fn customer(&self, id: &str) -> Result<Option<Customer>> {
        customers::find::<B>(&mut *self.db.reader().await?, id).await
    }

    async fn customers(&self, after: Option<&str>, limit: i64) -> Result<Vec<Customer>> {
        customers::list::<B>(&mut *self.db.reader().await?, after, limit).await
    }

    async fn update_customer(
        &self,
        id: &str,
        expected: &IfMatch,
        input: &CustomerInput,
        at: Timestamp,
    ) -> Result<Change<Customer>> {
        let mut tx = self.db.begin().await?;
        let change = customers::update::<B>(&mut tx, id, expected, input, at).await?;
        tx.commit().await?;
        Ok(change)
    }

    async fn create_order(
        &self,
        input: &OrderInput,
        key: Option<&IdempotencyKey>,
        at: Timestamp,
    ) -> Result<Created> {
        let mut tx = self.db.begin().await?;
        let created = changes::create::<B>(&mut tx, input, key, at).await?;
        // A refused request takes its key back with it: it may be corrected and sent again.
        if let Created::Order(_) = created {
            tx.commit().await?;
        }
        Ok(created)
    }

    async fn order(&self, number: i64) -> Result<Option<Order>> {
        orders::find::<B>(&mut *self.db.snapshot().await?, number).await
    }

    async fn orders(&self, filter: &OrderFilter, limit: i64) -> Result<Vec<Order>> {
        orders::list::<B>(&mut *self.db.snapshot().await?, filter, limit).await
    }

    async fn replace_order(
        &self,
        number: i64,
        expected: &IfMatch,
        input: &OrderInput,
        at: Timestamp,
    ) -> Result<Change<Order>> {
        let mut tx = self.db.begin().await?;
        let change = changes::replace::<B>(&mut tx, number, expected, input, at).await?;
        tx.commit().await?;
        Ok(change)
    }

    async fn confirm_order(
        &self,
        number: i64,
        expected: Option<&IfMatch>,
        at: Timestamp,
    ) -> Result<Change<Order>> {
        let mut tx = self.db.begin().await?;
        let change = changes::confirm::<B>(&mut tx, number, expected, at).await?;
        tx.commit().await?;
        Ok(change)
    }

    async fn delete_order(
        &self,
        number: i64,
        expected: Option<&IfMatch>,
        at: Timestamp,
    ) -> Result<Change<Order>> {
        let mut tx = self.db.begin().await?;
        let change = changes::delete::<B>(&mut tx, number, expected, at).await?;
        tx.commit().await?;
        Ok(change)
    }

    async fn history(&self, number: i64) -> Result<Vec<HistoryEntry>> {
        history::of::<B>(&mut *self.db.reader().await?, number).await
    }

    async fn import_orders(&self, orders: &[ImportedOrder], at: Timestamp) -> Result<u64> {
        let mut tx = self.db.begin().await?;
        let new = import::import::<B>(&mut tx, orders, at).await?;
        tx.commit().await?;
        Ok(new)
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
