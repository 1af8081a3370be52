//! Everything that ordering keeps, behind one trait.
//!
//! The store is written once, generic over the two databases; see [`kit::db`]. Its answers are
//! data: what is not there is `None`, a write that may not happen says why in [`Outcome`].

mod commit;
mod customers;
mod feed;
mod history;
mod idempotency;
mod orders;
mod sequencer;
mod single;
mod sql;
mod transactions;
mod write;

use async_trait::async_trait;
use contract::feed::{ContinuationToken, Epoch, FeedIdentity, FeedPage, FeedStatus, SequenceNr};
use contract::order::{Order, OrderState};
use contract::time::Timestamp;
use kit::db::Result;
use serde::Serialize;
use utoipa::ToSchema;

pub use single::Change;
pub use sql::{SqlStore, open};

use crate::feed::Verdict;
use crate::order::Customer;
use crate::scope::{Action, Kind, Outcome, Refused, Scope};

/// Everything that ordering keeps.
///
/// Every method is one transaction. Writes of an exposed order (one that was confirmed at some
/// time) set its `confirmed_sequence_nr` to −1 and raise its `version` in the same statement.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Whether the database answers.
    async fn ping(&self) -> Result<()>;

    /// Writes everything that `scope` holds, or nothing. With a key, a request that was answered
    /// before gets the same answer and writes nothing. The only way in which customers and orders
    /// are ever written; the methods of `dyn Store` are scopes of one object.
    async fn commit(
        &self,
        scope: &Scope,
        key: Option<&IdempotencyKey>,
        at: Timestamp,
    ) -> Result<Outcome>;
    /// Everything that is in the way of writing `scope`; `None` when nothing is. Writes nothing: for
    /// requests that will not be written anyway, to complete the list of what is wrong with them.
    async fn check(&self, scope: &Scope, at: Timestamp) -> Result<Option<Refused>>;
    /// What was written together; `None` when no transaction has this id.
    async fn transaction(&self, id: &str) -> Result<Option<Transaction>>;

    /// The customer with this id.
    async fn customer(&self, id: &str) -> Result<Option<Customer>>;
    /// Customers by rising id from behind `after`, at most `limit`.
    async fn customers(&self, after: Option<&str>, limit: i64) -> Result<Vec<Customer>>;
    /// The order with this number, in any state.
    async fn order(&self, number: i64) -> Result<Option<Order>>;
    /// Orders by falling number, newest first.
    async fn orders(&self, filter: &OrderFilter, limit: i64) -> Result<Vec<Order>>;
    /// What happened to an order, oldest first.
    async fn history(&self, number: i64) -> Result<Vec<HistoryEntry>>;

    /// Gives up to `limit` committed, exposed orders that are at −1 the next numbers of the
    /// counter, those waiting longest first.
    async fn stamp(&self, limit: i64, at: Timestamp) -> Result<Stamped>;

    /// Which provider this is, and its current history.
    async fn identity(&self) -> Result<FeedIdentity>;
    /// The page after `token`, or why there is none. Everything is read from one snapshot. At
    /// most `limit` orders, fewer when they take more than `max_bytes`, but at least one.
    async fn feed_page(
        &self,
        token: Option<&ContinuationToken>,
        limit: i64,
        max_bytes: usize,
    ) -> Result<FeedAnswer>;
    /// An exposed order as it is committed now, stamped or not.
    async fn feed_order(&self, number: i64) -> Result<(FeedIdentity, Option<Order>)>;
    /// How the feed is doing.
    async fn feed_status(&self, now: Timestamp) -> Result<FeedStatus>;
    /// Begins the epoch after `replaced`; changes nothing when that is no longer the current one.
    async fn begin_epoch(&self, replaced: Epoch, at: Timestamp) -> Result<FeedIdentity>;
}

/// Makes a repeated request harmless: the same key with the same request gets the same answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdempotencyKey {
    /// What the caller sent as `Idempotency-Key`.
    pub key: String,
    /// SHA-256 of the request, in hexadecimal.
    pub fingerprint: String,
}

/// Which orders a list shows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OrderFilter {
    /// Only those in this state.
    pub state: Option<OrderState>,
    /// Only those of this customer.
    pub customer_id: Option<String>,
    /// Only those whose number or reference is this text, or whose customer's name contains it.
    pub search: Option<String>,
    /// Only those with a smaller number: the last one of the page before.
    pub after: Option<i64>,
}

/// A step in an order's life.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryEntry {
    /// The version that it made.
    pub version: i64,
    /// The state from then on.
    pub state: OrderState,
    /// What was done.
    pub action: Action,
    /// When.
    pub at: Timestamp,
}

/// What was written together.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct Transaction {
    /// UUID version 7.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What it wrote.
    pub entities: Vec<Entity>,
}

/// An object that a transaction wrote.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct Entity {
    /// What kind of object.
    pub kind: Kind,
    /// The customer's id or the order's number, as in its address.
    pub key: String,
    /// What was done with it.
    pub action: Action,
    /// The version that it has since then.
    pub version: i64,
}

/// What the sequencer did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamped {
    /// How many orders were given a number.
    pub count: i64,
    /// The newest number given, now or before.
    pub last: SequenceNr,
}

/// What the feed answers.
#[derive(Clone, PartialEq, Debug)]
pub enum FeedAnswer {
    /// A page.
    Page(FeedPage),
    /// The token cannot be continued.
    Refused {
        /// Who refuses it.
        identity: FeedIdentity,
        /// Why; never [`Verdict::Continue`].
        verdict: Verdict,
    },
}
