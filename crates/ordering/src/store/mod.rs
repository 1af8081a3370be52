//! Everything that ordering keeps, behind one trait.
//!
//! The store is written once, generic over the two databases; see [`kit::db`]. Its answers are
//! data: what is not there is `None`, a write that may not happen says why in [`Change`].

mod changes;
mod customers;
mod feed;
mod history;
mod idempotency;
mod import;
mod orders;
mod sequencer;
mod sql;

use async_trait::async_trait;
use contract::feed::{ContinuationToken, Epoch, FeedIdentity, FeedPage, FeedStatus, SequenceNr};
use contract::order::{Order, OrderState};
use contract::time::Timestamp;
use kit::db::Result;
use kit::http::etag::IfMatch;

pub use sql::{SqlStore, open};

use crate::feed::Verdict;
use crate::order::{Customer, CustomerInput, OrderInput};

/// Everything that ordering keeps.
///
/// Every method is one transaction. Writes of an exposed order (one that was confirmed at some
/// time) set its `confirmed_sequence_nr` to −1 and raise its `version` in the same statement.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Whether the database answers.
    async fn ping(&self) -> Result<()>;

    /// Keeps a new customer under `id`.
    async fn create_customer(
        &self,
        id: &str,
        input: &CustomerInput,
        at: Timestamp,
    ) -> Result<Customer>;
    /// The customer with this id.
    async fn customer(&self, id: &str) -> Result<Option<Customer>>;
    /// Customers by rising id from behind `after`, at most `limit`.
    async fn customers(&self, after: Option<&str>, limit: i64) -> Result<Vec<Customer>>;
    /// Replaces a customer's content; confirmed orders keep the copy they have.
    async fn update_customer(
        &self,
        id: &str,
        expected: &IfMatch,
        input: &CustomerInput,
        at: Timestamp,
    ) -> Result<Change<Customer>>;

    /// Keeps a new draft. The input is valid but for its customer, who may be unknown. With a
    /// key, a request that was answered before gets the same answer and writes nothing.
    async fn create_order(
        &self,
        input: &OrderInput,
        key: Option<&IdempotencyKey>,
        at: Timestamp,
    ) -> Result<Created>;
    /// The order with this number, in any state.
    async fn order(&self, number: i64) -> Result<Option<Order>>;
    /// Orders by falling number, newest first.
    async fn orders(&self, filter: &OrderFilter, limit: i64) -> Result<Vec<Order>>;
    /// Replaces the whole content of a draft or confirmed order. A confirmed one copies its
    /// customer anew.
    async fn replace_order(
        &self,
        number: i64,
        expected: &IfMatch,
        input: &OrderInput,
        at: Timestamp,
    ) -> Result<Change<Order>>;
    /// Draft to confirmed; a confirmed one stays as it is. Copies the customer into the order.
    async fn confirm_order(
        &self,
        number: i64,
        expected: Option<&IfMatch>,
        at: Timestamp,
    ) -> Result<Change<Order>>;
    /// Marks the order as deleted; a deleted one stays as it is.
    async fn delete_order(
        &self,
        number: i64,
        expected: Option<&IfMatch>,
        at: Timestamp,
    ) -> Result<Change<Order>>;
    /// What happened to an order, oldest first.
    async fn history(&self, number: i64) -> Result<Vec<HistoryEntry>>;

    /// Keeps confirmed orders in bulk. One whose reference an order has already is left out;
    /// customers are found, or made, by their external id. How many orders were new.
    async fn import_orders(&self, orders: &[ImportedOrder], at: Timestamp) -> Result<u64>;

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

/// What became of a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change<T> {
    /// It was made, or was made before: the result.
    Done(T),
    /// There is no such thing.
    NotFound,
    /// It was meant for another version than this current one.
    VersionConflict(i64),
    /// The order is deleted and stays as it is.
    Deleted,
    /// The order's customer does not exist.
    UnknownCustomer,
}

/// What became of a new order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Created {
    /// The order, as it was answered: now or the first time.
    Order(Box<Order>),
    /// Its customer does not exist.
    UnknownCustomer,
    /// The key was used before, with another request.
    KeyReused,
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
    /// `created`, `changed`, `confirmed`, `deleted` or `imported`.
    pub action: String,
    /// When.
    pub at: Timestamp,
}

/// An order from another system, or a made-up one, to be kept as confirmed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportedOrder {
    /// Names the customer in the other system: the same id is the same customer.
    pub external_customer_id: String,
    /// An id for the customer when it is new.
    pub new_customer_id: String,
    /// The customer as it stands in this order; also the customer's own content when it is new.
    pub customer: CustomerInput,
    /// The order; its `customer_id` is not read, its `reference` is set.
    pub input: OrderInput,
    /// When it was confirmed in the other system.
    pub confirmed_at: Timestamp,
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
