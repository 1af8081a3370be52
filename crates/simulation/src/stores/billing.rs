//! Billing's store.

use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use billing::dispatch::{Attempt, Backlog, Ending};
use billing::invoice::{Invoice, InvoiceState};
use billing::pull::Counts;
use billing::store::{
    Advance, AfterApproval, Applied, Approval, AtSource, Decided, Decision, InvoiceDetail,
    InvoiceFilter, OrderCopy, PullState, Quarantined, Received, Redispatch, RowVersion, Store,
    StoredOrder, Unseen,
};
use contract::feed::{ContinuationToken, Epoch, FeedIdentity};
use contract::order::Order;
use contract::time::Timestamp;
use kit::db::Result;
use kit::http::etag::IfMatch;
use kit::random::Random;

use super::Rule;
use crate::database::execute;
use crate::sim::Sim;

/// More orders than a run makes.
const ALL: i64 = 1_000;

/// The store of one process of billing, whose calls wait at gates and are seen.
pub(crate) struct BillingStore {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) sim: Arc<Sim>,
    pub(crate) url: String,
    pub(crate) broken: Option<Rule>,
}

impl BillingStore {
    async fn pass<T>(&self, label: &str, call: impl Future<Output = T>) -> T {
        self.sim.gates.pass(format!("billing: {label}")).await;
        self.sim.gates.busy(call).await
    }

    /// Lets the witness see how it is now.
    async fn show(&self) -> Result<()> {
        let copies = self.inner.orders(None, ALL).await?;
        let token = self.inner.pull_state().await?.continuation_token;
        self.sim.witness().sees_copies(copies, token.as_ref());
        Ok(())
    }

    /// Takes an answer in, with the broken rule broken, if one is.
    async fn take_in(
        &self,
        received: &Received,
        random: &Random,
        at: Timestamp,
    ) -> Result<Applied> {
        let applied = match self.broken {
            Some(Rule::TokenBySwap) => {
                let from = self.inner.pull_state().await?.continuation_token;
                let mut received = received.clone();
                received.advance = received.advance.map(|advance| Advance { from, ..advance });
                self.inner.apply(&received, random, at).await?
            }
            Some(Rule::NewerOnly) => self.apply_even_older(received, random, at).await?,
            Some(Rule::PullKeepsToken) => {
                let applied = self.inner.apply(received, random, at).await?;
                self.move_token_by_pull(received).await?;
                applied
            }
            _ => self.inner.apply(received, random, at).await?,
        };
        self.sim.note(format!("{applied:?}"));
        if matches!(applied, Applied::Done(_)) {
            self.show().await?;
        }
        Ok(applied)
    }

    /// Lets everything that is stored look older than what is received.
    async fn apply_even_older(
        &self,
        received: &Received,
        random: &Random,
        at: Timestamp,
    ) -> Result<Applied> {
        let mut before = Vec::new();
        for order in &received.orders {
            before.extend(self.inner.order(order.number).await?);
            self.set_epoch(order.number, -1).await;
        }
        let applied = self.inner.apply(received, random, at).await?;
        if !matches!(applied, Applied::Done(_)) {
            for copy in before {
                self.set_epoch(copy.order.number, copy.epoch.0).await;
            }
        }
        Ok(applied)
    }

    async fn set_epoch(&self, number: i64, epoch: i64) {
        let sql = format!("update orders set epoch = {epoch} where number = {number}");
        execute(&self.url, &sql).await;
    }

    /// Goes on behind an order that was pulled by number.
    async fn move_token_by_pull(&self, received: &Received) -> Result<()> {
        if let (None, [order]) = (&received.advance, &received.orders[..])
            && order.confirmed_sequence_nr.0 > 0
        {
            let FeedIdentity { feed_id, epoch } = received.identity.clone();
            let sequence_nr = order.confirmed_sequence_nr;
            let token = ContinuationToken { feed_id, epoch, sequence_nr };
            self.inner.reset_token(Some(&token), false).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Store for BillingStore {
    async fn ping(&self) -> Result<()> {
        self.pass("ping", self.inner.ping()).await
    }

    async fn apply(&self, received: &Received, random: &Random, at: Timestamp) -> Result<Applied> {
        if self.broken == Some(Rule::PageWithToken) && received.advance.is_some() {
            let orders = Vec::new();
            let token = Received { orders, ..received.clone() };
            let moved = self.pass("apply the token", self.inner.apply(&token, random, at)).await?;
            if !matches!(moved, Applied::Done(_)) {
                return Ok(moved);
            }
            let rows = Received { advance: None, ..received.clone() };
            let call = Box::pin(self.take_in(&rows, random, at));
            return self.pass("apply the rows", call).await;
        }
        self.pass("apply", Box::pin(self.take_in(received, random, at))).await
    }

    async fn pull_state(&self) -> Result<PullState> {
        self.pass("state of the pull", self.inner.pull_state()).await
    }

    async fn pull_succeeded(&self, began: Timestamp, at: Timestamp) -> Result<()> {
        self.pass("pull succeeded", self.inner.pull_succeeded(began, at)).await
    }

    async fn pull_failed(&self, began: Timestamp, error: &str) -> Result<i64> {
        self.pass(&format!("pull failed: {error}"), self.inner.pull_failed(began, error)).await
    }

    async fn adopt_epoch(&self, identity: &FeedIdentity, at: Timestamp) -> Result<bool> {
        let label = format!("adopt epoch {}", identity.epoch);
        self.pass(&label, self.inner.adopt_epoch(identity, at)).await
    }

    async fn reset_token(
        &self,
        token: Option<&ContinuationToken>,
        forget_feed: bool,
    ) -> Result<()> {
        self.pass("reset token", self.inner.reset_token(token, forget_feed)).await
    }

    async fn pulls_since(&self, since: Timestamp) -> Result<Vec<(Timestamp, Counts)>> {
        self.pass("pulls", self.inner.pulls_since(since)).await
    }

    async fn at_source(&self) -> Result<AtSource> {
        self.pass("what is missing", self.inner.at_source()).await
    }

    async fn unseen(&self, after: Option<Unseen>, limit: i64) -> Result<Vec<Unseen>> {
        let call = async {
            match self.broken {
                Some(Rule::UnseenAreAsked) => Ok(Vec::new()),
                _ => self.inner.unseen(after, limit).await,
            }
        };
        self.pass("unseen orders", call).await
    }

    async fn mark_missing(
        &self,
        identity: &FeedIdentity,
        numbers: &[i64],
        at: Timestamp,
    ) -> Result<i64> {
        let label = format!("mark {numbers:?} as missing in epoch {}", identity.epoch);
        self.pass(&label, self.inner.mark_missing(identity, numbers, at)).await
    }

    async fn decide(&self, number: i64, decision: Decision, at: Timestamp) -> Result<Decided> {
        let label = format!("{decision:?} order {number}");
        self.pass(&label, self.inner.decide(number, decision, at)).await
    }

    async fn order(&self, number: i64) -> Result<Option<StoredOrder>> {
        self.pass("order", self.inner.order(number)).await
    }

    async fn orders(&self, after: Option<i64>, limit: i64) -> Result<Vec<StoredOrder>> {
        self.pass("orders", self.inner.orders(after, limit)).await
    }

    async fn orders_by_source(
        &self,
        is_missing: bool,
        after: Option<i64>,
        limit: i64,
    ) -> Result<Vec<StoredOrder>> {
        let call = self.inner.orders_by_source(is_missing, after, limit);
        self.pass("orders by source", call).await
    }

    async fn quarantined_order(&self, number: i64) -> Result<Option<Quarantined>> {
        self.pass("order in quarantine", self.inner.quarantined_order(number)).await
    }

    async fn quarantine(&self, after: Option<i64>, limit: i64) -> Result<(Vec<Quarantined>, bool)> {
        self.pass("quarantine", self.inner.quarantine(after, limit)).await
    }

    async fn quarantine_count(&self) -> Result<i64> {
        self.pass("quarantine count", self.inner.quarantine_count()).await
    }

    async fn release_gone(&self, number: i64, epoch: Epoch) -> Result<bool> {
        self.pass("release from quarantine", self.inner.release_gone(number, epoch)).await
    }

    async fn copies(&self, numbers: RangeInclusive<i64>, limit: i64) -> Result<Vec<OrderCopy>> {
        self.pass("copies", self.inner.copies(numbers, limit)).await
    }

    async fn copies_of(&self, numbers: &[i64]) -> Result<Vec<OrderCopy>> {
        self.pass("copies of", self.inner.copies_of(numbers)).await
    }

    async fn last_number(&self) -> Result<Option<i64>> {
        self.pass("last number", self.inner.last_number()).await
    }

    async fn replace(
        &self,
        identity: &FeedIdentity,
        order: &Order,
        seen: RowVersion,
        random: &Random,
        at: Timestamp,
    ) -> Result<Applied> {
        let call = self.inner.replace(identity, order, seen, random, at);
        self.pass(&format!("replace order {}", order.number), call).await
    }

    async fn invoice(&self, id: &str) -> Result<Option<Invoice>> {
        self.pass("invoice", self.inner.invoice(id)).await
    }

    async fn invoices(&self, filter: &InvoiceFilter, limit: i64) -> Result<Vec<Invoice>> {
        self.pass("invoices", self.inner.invoices(filter, limit)).await
    }

    async fn invoices_of(&self, orders: &[i64]) -> Result<Vec<Invoice>> {
        self.pass("invoices of orders", self.inner.invoices_of(orders)).await
    }

    async fn invoice_counts(&self) -> Result<Vec<(InvoiceState, i64)>> {
        self.pass("invoice counts", self.inner.invoice_counts()).await
    }

    async fn approve(
        &self,
        id: &str,
        expected: Option<&IfMatch>,
        then: AfterApproval,
        at: Timestamp,
    ) -> Result<Approval> {
        self.pass("approve", self.inner.approve(id, expected, then, at)).await
    }

    async fn invoice_detail(&self, id: &str) -> Result<Option<InvoiceDetail>> {
        self.pass("invoice detail", self.inner.invoice_detail(id)).await
    }

    async fn claim_dispatch(&self, now: Timestamp, lease: Duration) -> Result<Option<Attempt>> {
        self.pass("claim dispatch", self.inner.claim_dispatch(now, lease)).await
    }

    async fn record_dispatch(
        &self,
        attempt: &Attempt,
        ending: &Ending,
        at: Timestamp,
    ) -> Result<bool> {
        self.pass("record dispatch", self.inner.record_dispatch(attempt, ending, at)).await
    }

    async fn redispatch(
        &self,
        id: &str,
        expected: Option<&IfMatch>,
        at: Timestamp,
    ) -> Result<Redispatch> {
        self.pass("redispatch", self.inner.redispatch(id, expected, at)).await
    }

    async fn dispatch_backlog(&self) -> Result<Backlog> {
        self.pass("dispatch backlog", self.inner.dispatch_backlog()).await
    }

    async fn expire(&self, before: Timestamp, limit: i64, at: Timestamp) -> Result<i64> {
        self.pass("expire", self.inner.expire(before, limit, at)).await
    }
}
