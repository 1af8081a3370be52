//! The store over either database: which statements make one transaction.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contract::feed::{ContinuationToken, Epoch, FeedIdentity};
use contract::order::Order;
use contract::time::Timestamp;
use kit::db::{Backend, DatabaseUrl, Db, Result, Transaction, query};
use kit::http::etag::IfMatch;
use kit::random::Random;
use sqlx::migrate::Migrator;

use super::{
    AfterApproval, Applied, Approval, AtSource, Decided, Decision, InvoiceDetail, InvoiceFilter,
    OrderCopy, PullState, Quarantined, Received, Redispatch, RowVersion, Store, StoredOrder,
    Unseen, apply, approving, at_once, checksums, dispatches, drafts, invoices, missing, orders,
    pull_state, quarantine, rereading,
};
use crate::dispatch::{Attempt, Backlog, Ending};
use crate::invoice::{Invoice, InvoiceState};
use crate::pull::Counts;

/// The store over one database.
///
/// Transactions that write take their row locks in this order, so that no two ever wait for each
/// other: `pull_state`, then orders by rising number, then `quarantine`, then their invoices, then
/// `number_series`, then `pull_totals`. Who changes how a dispatch stands holds its invoice; who begins an
/// attempt locks nothing else, and waits for nobody.
pub struct SqlStore<B: Backend> {
    db: Db<B>,
}

/// Opens the database and brings its schema up to date.
pub async fn open(url: &DatabaseUrl) -> Result<Arc<dyn Store>> {
    static SQLITE: Migrator = sqlx::migrate!("../../migrations/billing/sqlite");
    static POSTGRES: Migrator = sqlx::migrate!("../../migrations/billing/postgres");
    Ok(match url {
        DatabaseUrl::Sqlite(path) => {
            let db = Db::open(path).await?;
            db.migrate(&SQLITE).await?;
            Arc::new(SqlStore { db })
        }
        DatabaseUrl::Postgres(options) => {
            let db = Db::connect(options).await?;
            db.migrate(&POSTGRES).await?;
            Arc::new(SqlStore { db })
        }
    })
}

#[async_trait]
impl<B: Backend> Store for SqlStore<B> {
    async fn ping(&self) -> Result<()> {
        query::<B>("select 1").fetch_one(&mut *self.db.reader().await?).await?;
        Ok(())
    }

    async fn apply(&self, received: &Received, random: &Random, at: Timestamp) -> Result<Applied> {
        if let Some(applied) = at_once::apply(&self.db, received, random, at).await? {
            return Ok(applied);
        }
        let mut tx = self.db.begin_by_index().await?;
        let applied = apply::apply::<B>(&mut tx, received, random, at).await?;
        end(tx, applied).await
    }

    async fn pull_state(&self) -> Result<PullState> {
        pull_state::get::<B>(&mut *self.db.reader().await?).await
    }

    async fn pull_succeeded(&self, began: Timestamp, at: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        pull_state::succeeded::<B>(&mut tx, began, at).await?;
        Ok(tx.commit().await?)
    }

    async fn pull_failed(&self, began: Timestamp, error: &str) -> Result<i64> {
        let mut tx = self.db.begin().await?;
        let failures = pull_state::failed::<B>(&mut tx, began, error).await?;
        tx.commit().await?;
        Ok(failures)
    }

    async fn adopt_epoch(&self, identity: &FeedIdentity, at: Timestamp) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let adopted = pull_state::adopt_epoch::<B>(&mut tx, identity, at).await?;
        tx.commit().await?;
        Ok(adopted)
    }

    async fn reset_token(
        &self,
        token: Option<&ContinuationToken>,
        forget_feed: bool,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        pull_state::reset_token::<B>(&mut tx, token).await?;
        if forget_feed {
            pull_state::forget_feed::<B>(&mut tx).await?;
            // Before the quarantine, although they are forgotten after it.
            orders::lock_all::<B>(&mut tx).await?;
            quarantine::forget_epochs::<B>(&mut tx).await?;
            orders::forget_epochs::<B>(&mut tx).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn pulls_since(&self, since: Timestamp) -> Result<Vec<(Timestamp, Counts)>> {
        pull_state::pulls_since::<B>(&mut *self.db.reader().await?, since).await
    }

    async fn at_source(&self) -> Result<AtSource> {
        rereading::at_source::<B>(&mut *self.db.snapshot_by_index().await?).await
    }

    async fn unseen(&self, after: Option<Unseen>, limit: i64) -> Result<Vec<Unseen>> {
        rereading::unseen::<B>(&mut *self.db.snapshot_by_index().await?, after, limit).await
    }

    async fn mark_missing(
        &self,
        identity: &FeedIdentity,
        numbers: &[i64],
        at: Timestamp,
    ) -> Result<i64> {
        let mut tx = self.db.begin().await?;
        let marked = missing::mark::<B>(&mut tx, identity, numbers, at).await?;
        tx.commit().await?;
        Ok(marked)
    }

    async fn decide(&self, number: i64, decision: Decision, at: Timestamp) -> Result<Decided> {
        let mut tx = self.db.begin().await?;
        let decided = missing::decide::<B>(&mut tx, number, decision, at).await?;
        tx.commit().await?;
        Ok(decided)
    }

    async fn order(&self, number: i64) -> Result<Option<StoredOrder>> {
        orders::get::<B>(&mut *self.db.reader().await?, number).await
    }

    async fn orders(&self, after: Option<i64>, limit: i64) -> Result<Vec<StoredOrder>> {
        orders::list::<B>(&mut *self.db.reader().await?, None, after, limit).await
    }

    async fn orders_by_source(
        &self,
        is_missing: bool,
        after: Option<i64>,
        limit: i64,
    ) -> Result<Vec<StoredOrder>> {
        let mut reader = self.db.reader().await?;
        orders::list::<B>(&mut reader, Some(is_missing), after, limit).await
    }

    async fn quarantined_order(&self, number: i64) -> Result<Option<Quarantined>> {
        quarantine::get::<B>(&mut *self.db.reader().await?, number).await
    }

    async fn quarantine(&self, after: Option<i64>, limit: i64) -> Result<(Vec<Quarantined>, bool)> {
        quarantine::list::<B>(&mut *self.db.reader().await?, after, limit).await
    }

    async fn quarantine_count(&self) -> Result<i64> {
        quarantine::count::<B>(&mut *self.db.snapshot_by_index().await?).await
    }

    async fn release_gone(&self, number: i64, epoch: Epoch) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let released = quarantine::release_gone::<B>(&mut tx, number, epoch).await?;
        tx.commit().await?;
        Ok(released)
    }

    async fn copies(&self, numbers: RangeInclusive<i64>, limit: i64) -> Result<Vec<OrderCopy>> {
        checksums::within::<B>(&mut *self.db.reader().await?, numbers, limit).await
    }

    async fn copies_of(&self, numbers: &[i64]) -> Result<Vec<OrderCopy>> {
        checksums::of::<B>(&mut *self.db.reader().await?, numbers).await
    }

    async fn last_number(&self) -> Result<Option<i64>> {
        checksums::last_number::<B>(&mut *self.db.reader().await?).await
    }

    async fn replace(
        &self,
        identity: &FeedIdentity,
        order: &Order,
        seen: RowVersion,
        random: &Random,
        at: Timestamp,
    ) -> Result<Applied> {
        let received = Received {
            identity: identity.clone(),
            orders: vec![order.clone().into()],
            unfit: Vec::new(),
            advance: None,
        };
        let mut tx = self.db.begin_by_index().await?;
        let applied = apply::replace::<B>(&mut tx, &received, seen, random, at).await?;
        end(tx, applied).await
    }

    async fn invoice(&self, id: &str) -> Result<Option<Invoice>> {
        invoices::get::<B>(&mut *self.db.reader().await?, id).await
    }

    async fn invoices(&self, filter: &InvoiceFilter, limit: i64) -> Result<Vec<Invoice>> {
        invoices::list::<B>(&mut *self.db.reader().await?, filter, limit).await
    }

    async fn invoices_of(&self, orders: &[i64]) -> Result<Vec<Invoice>> {
        invoices::of_orders::<B>(&mut *self.db.reader().await?, orders).await
    }

    async fn invoice_counts(&self) -> Result<Vec<(InvoiceState, i64)>> {
        invoices::count_by_state::<B>(&mut *self.db.reader().await?).await
    }

    async fn approve(
        &self,
        id: &str,
        expected: Option<&IfMatch>,
        then: AfterApproval,
        at: Timestamp,
    ) -> Result<Approval> {
        let mut tx = self.db.begin().await?;
        let approval = approving::approve::<B>(&mut tx, id, expected, then, at).await?;
        tx.commit().await?;
        Ok(approval)
    }

    async fn invoice_detail(&self, id: &str) -> Result<Option<InvoiceDetail>> {
        dispatches::detail::<B>(&mut *self.db.reader().await?, id).await
    }

    async fn claim_dispatch(&self, now: Timestamp, lease: Duration) -> Result<Option<Attempt>> {
        let mut tx = self.db.begin().await?;
        let attempt = dispatches::claim::<B>(&mut tx, now, lease).await?;
        tx.commit().await?;
        Ok(attempt)
    }

    async fn record_dispatch(
        &self,
        attempt: &Attempt,
        ending: &Ending,
        at: Timestamp,
    ) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let recorded = dispatches::record::<B>(&mut tx, attempt, ending, at).await?;
        tx.commit().await?;
        Ok(recorded)
    }

    async fn redispatch(
        &self,
        id: &str,
        expected: Option<&IfMatch>,
        at: Timestamp,
    ) -> Result<Redispatch> {
        let mut tx = self.db.begin().await?;
        let redispatch = dispatches::redispatch::<B>(&mut tx, id, expected, at).await?;
        tx.commit().await?;
        Ok(redispatch)
    }

    async fn dispatch_backlog(&self) -> Result<Backlog> {
        dispatches::backlog::<B>(&mut *self.db.reader().await?).await
    }

    async fn expire(&self, before: Timestamp, limit: i64, at: Timestamp) -> Result<i64> {
        let mut tx = self.db.begin().await?;
        let expired = drafts::expire::<B>(&mut tx, before, limit, at).await?;
        tx.commit().await?;
        Ok(expired)
    }
}

/// Commits what was taken in, and leaves no trace of what was not.
async fn end<B: Backend>(tx: Transaction<B>, applied: Applied) -> Result<Applied> {
    if let Applied::Done(_) = applied {
        tx.commit().await?;
    } else {
        tx.rollback().await?;
    }
    Ok(applied)
}

/// `text` as PostgreSQL can take it, which knows no NUL character. No id holds a space, so an id
/// that was made up with a NUL still names nothing.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', " ")
}
