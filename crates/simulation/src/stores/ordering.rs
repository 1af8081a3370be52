//! Ordering's store.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use contract::checksum::ChecksumPage;
use contract::feed::{ContinuationToken, Epoch, FeedIdentity, FeedStatus};
use contract::order::Order;
use contract::time::Timestamp;
use kit::db::Result;
use ordering::order::Customer;
use ordering::scope::{Outcome, Refused, Scope};
use ordering::store::{
    BegunEpoch, ChecksumQuery, EpochReason, FeedAnswer, FeedReader, HistoryEntry, IdempotencyKey,
    OrderFilter, Stamped, Store, Transaction,
};

use super::Rule;
use crate::database::execute;
use crate::sim::Sim;

/// More orders than a run makes.
const ALL: i64 = 1_000;

/// The store of one process of ordering, whose calls wait at gates and are seen.
pub(crate) struct OrderingStore {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) sim: Arc<Sim>,
    pub(crate) url: String,
    pub(crate) broken: Option<Rule>,
}

impl OrderingStore {
    async fn pass<T>(&self, label: &str, call: impl Future<Output = T>) -> T {
        self.sim.gates.pass(format!("ordering: {label}")).await;
        self.sim.gates.busy(call).await
    }

    /// Whether it is the database that counts, not one of the past.
    fn is_current(&self) -> bool {
        self.sim.witness().source_url == self.url
    }

    /// Lets the witness see how it is now.
    async fn show(&self) -> Result<()> {
        if self.is_current() {
            let orders = self.inner.orders(&OrderFilter::default(), ALL).await?;
            let identity = self.inner.identity().await?;
            self.sim.witness().sees_source(identity, orders);
        }
        Ok(())
    }

    async fn sql(&self, sql: &str) {
        execute(&self.url, sql).await;
    }

    /// Begins an epoch without waiting at a gate.
    pub(crate) async fn begin_epoch_at_once(
        &self,
        replaced: Epoch,
        reason: EpochReason,
        at: Timestamp,
    ) -> Result<FeedIdentity> {
        let at = match self.broken {
            // Of the greater one of `epoch + 1` and the time, leaves the first.
            Some(Rule::EpochsNamedByTime) => Timestamp::from_micros(0),
            _ => at,
        };
        let identity = self.inner.begin_epoch(replaced, reason, at).await?;
        self.sim.note(format!("epoch {}", identity.epoch));
        if self.is_current() {
            self.sim.witness().is_loss_unnoticed = false;
        }
        self.show().await?;
        Ok(identity)
    }

    /// Commits, and lets changed orders keep the numbers that they had.
    async fn commit_stamped(
        &self,
        scope: &Scope,
        key: Option<&IdempotencyKey>,
        at: Timestamp,
    ) -> Result<Outcome> {
        let before = self.inner.orders(&OrderFilter::default(), ALL).await?;
        let outcome = self.inner.commit(scope, key, at).await?;
        for order in before.iter().filter(|order| order.confirmed_sequence_nr.0 > 0) {
            let queued = format!("from feed_queue where number = {}", order.number);
            for sql in [
                format!(
                    "delete from feed_changes where change_id in (select previous_change_id {queued})"
                ),
                format!(
                    "update feed_changes set change_id = (select previous_change_id {queued}) \
                     where number in (select number {queued})"
                ),
                format!("delete {queued}"),
            ] {
                self.sql(&sql).await;
            }
        }
        Ok(outcome)
    }
}

#[async_trait]
impl Store for OrderingStore {
    async fn unstamped_since(&self) -> Result<Option<Timestamp>> {
        self.pass("what waits", self.inner.unstamped_since()).await
    }

    async fn commit(
        &self,
        scope: &Scope,
        key: Option<&IdempotencyKey>,
        at: Timestamp,
    ) -> Result<Outcome> {
        let call = async {
            let outcome = match self.broken {
                Some(Rule::WritesUnstamp) => self.commit_stamped(scope, key, at).await?,
                _ => self.inner.commit(scope, key, at).await?,
            };
            if let Outcome::Done(committed) = &outcome
                && self.is_current()
            {
                let orders: Vec<_> = committed
                    .orders
                    .iter()
                    .map(|order| format!("{} v{}", order.number, order.version))
                    .collect();
                self.sim.note(format!("accepted: {}", orders.join(", ")));
                self.sim.witness().accepts(&committed.orders);
            }
            self.show().await?;
            Ok(outcome)
        };
        self.pass("commit", call).await
    }

    async fn check(&self, scope: &Scope, at: Timestamp) -> Result<Option<Refused>> {
        self.pass("check", self.inner.check(scope, at)).await
    }

    async fn transaction(&self, id: &str) -> Result<Option<Transaction>> {
        self.pass("transaction", self.inner.transaction(id)).await
    }

    async fn customer(&self, id: &str) -> Result<Option<Customer>> {
        self.pass("customer", self.inner.customer(id)).await
    }

    async fn customers(&self, after: Option<&str>, limit: i64) -> Result<Vec<Customer>> {
        self.pass("customers", self.inner.customers(after, limit)).await
    }

    async fn order(&self, number: i64) -> Result<Option<Order>> {
        self.pass("order", self.inner.order(number)).await
    }

    async fn orders(&self, filter: &OrderFilter, limit: i64) -> Result<Vec<Order>> {
        self.pass("orders", self.inner.orders(filter, limit)).await
    }

    async fn history(&self, number: i64) -> Result<Vec<HistoryEntry>> {
        self.pass("history", self.inner.history(number)).await
    }

    async fn stamp(&self, limit: i64, at: Timestamp) -> Result<Stamped> {
        let call = async {
            if self.broken == Some(Rule::NumbersFromCounter) {
                self.sql(
                    "update feed_state set last_sequence_nr = ( \
                       select coalesce(max(feed_sequence_nr), 0) from feed_places \
                       where number not in (select number from feed_queue))",
                )
                .await;
            }
            let stamped = self.inner.stamp(limit, at).await?;
            self.sim.note(format!("stamped {} up to {}", stamped.count, stamped.last));
            if stamped.count > 0 {
                self.show().await?;
            }
            Ok(stamped)
        };
        self.pass("stamp", call).await
    }

    async fn forget_empty_runs(&self) -> Result<u64> {
        self.pass("forget runs", self.inner.forget_empty_runs()).await
    }

    async fn identity(&self) -> Result<FeedIdentity> {
        self.pass("identity", self.inner.identity()).await
    }

    async fn feed_order(&self, number: i64) -> Result<(FeedIdentity, Option<Order>)> {
        self.pass("order of the feed", self.inner.feed_order(number)).await
    }

    async fn checksums(&self, query: &ChecksumQuery) -> Result<ChecksumPage> {
        self.pass("checksums", self.inner.checksums(query)).await
    }

    async fn feed_status(&self, now: Timestamp) -> Result<FeedStatus> {
        self.pass("status", self.inner.feed_status(now)).await
    }

    async fn begin_epoch(
        &self,
        replaced: Epoch,
        reason: EpochReason,
        at: Timestamp,
    ) -> Result<FeedIdentity> {
        self.pass("new epoch", self.begin_epoch_at_once(replaced, reason, at)).await
    }

    async fn epochs(&self, limit: i64) -> Result<Vec<BegunEpoch>> {
        self.pass("epochs", self.inner.epochs(limit)).await
    }
}

#[async_trait]
impl FeedReader for OrderingStore {
    async fn feed_page(
        &self,
        token: Option<&ContinuationToken>,
        limit: i64,
        max_bytes: usize,
    ) -> Result<FeedAnswer> {
        let answer = self.pass("page", self.inner.feed_page(token, limit, max_bytes)).await?;
        if let FeedAnswer::Page(page) = &answer {
            let page = serde_json::from_slice(&page.document).expect("a page is a document");
            self.sim.witness().sees_page(&page);
        }
        Ok(answer)
    }

    fn is_primary(&self) -> bool {
        true
    }
}
