//! Everything that ordering keeps, behind one trait.
//!
//! The store is written once, generic over the two databases; see [`kit::db`]. Its answers are
//! data: what is not there is `None`, a write that may not happen says why in [`Outcome`].

mod checksums;
mod commit;
mod customers;
mod documents;
mod epochs;
mod feed;
mod history;
mod idempotency;
mod orders;
mod page;
mod sequencer;
mod single;
mod sql;
mod standby;
mod transactions;
mod write;

use async_trait::async_trait;
use contract::checksum::ChecksumPage;
use contract::feed::{ContinuationToken, Epoch, FeedIdentity, FeedStatus, SequenceNr};
use contract::order::{Order, OrderState};
use contract::time::Timestamp;
use kit::db::Result;
use serde::Serialize;
use utoipa::ToSchema;

pub use single::Change;
pub use sql::{SqlStore, open};
pub use standby::open_standby;

use crate::feed::Verdict;
use crate::order::Customer;
use crate::scope::{Action, Kind, Outcome, Refused, Scope};

/// On PostgreSQL, where every process is told of what any sequencer has done, once it is committed: the
/// newest number, or nothing when a new epoch has begun.
pub const CHANNEL: &str = "ordering_feed";

/// Everything that ordering keeps.
///
/// Every method is one transaction. Writes of an exposed order (one that was confirmed at some
/// time) raise its `version`, and in the same statement a trigger lets it wait for its next number: until
/// then its `confirmed_sequence_nr` is −1.
#[async_trait]
pub trait Store: FeedReader {
    /// Since when the committed change waits that has waited longest for its place in the feed; `None`
    /// when none waits.
    async fn unstamped_since(&self) -> Result<Option<Timestamp>>;

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

    /// Gives up to `limit` committed changes of exposed orders that are at −1 the next numbers of the
    /// counter, the oldest first. Begins a new epoch before, when the database is in another history
    /// than the one that its epoch names. Changes that this process has committed need not be looked
    /// for first.
    async fn stamp(&self, limit: i64, at: Timestamp) -> Result<Stamped>;
    /// Forgets what is only kept about numbers that no order has any more; how many runs of them.
    async fn forget_empty_runs(&self) -> Result<u64>;

    /// Which provider this is, and its current history.
    async fn identity(&self) -> Result<FeedIdentity>;
    /// An exposed order as it is committed now, stamped or not.
    async fn feed_order(&self, number: i64) -> Result<(FeedIdentity, Option<Order>)>;
    /// Checksums of the exposed orders, by ranges of their numbers. Everything is read from one
    /// snapshot; ends early, at the border of a range, when there is much to sum up.
    async fn checksums(&self, query: &ChecksumQuery) -> Result<ChecksumPage>;
    /// How the feed is doing.
    async fn feed_status(&self, now: Timestamp) -> Result<FeedStatus>;
    /// Begins the epoch after `replaced`; changes nothing when that is no longer the current one.
    async fn begin_epoch(
        &self,
        replaced: Epoch,
        reason: EpochReason,
        at: Timestamp,
    ) -> Result<FeedIdentity>;
    /// The last `limit` epochs, newest first.
    async fn epochs(&self, limit: i64) -> Result<Vec<BegunEpoch>>;
}

/// The pages of the feed, from the database itself or from a hot standby of it.
#[async_trait]
pub trait FeedReader: Send + Sync + 'static {
    /// The page after `token`, or why there is none. Everything is read from one snapshot. At
    /// most `limit` orders, fewer when they take more than `max_bytes`, but at least one.
    async fn feed_page(
        &self,
        token: Option<&ContinuationToken>,
        limit: i64,
        max_bytes: usize,
    ) -> Result<FeedAnswer>;

    /// Whether it has what the sequencer stamps as soon as it is stamped. A standby has it later.
    fn is_primary(&self) -> bool;
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
#[derive(Clone, PartialEq, Debug)]
pub struct Stamped {
    /// How many numbers were given: of several changes of one order, the last one got one.
    pub count: i64,
    /// Whether it took as many changes as it was allowed to, so that more may wait.
    pub is_full: bool,
    /// The newest number given, now or before.
    pub last: SequenceNr,
    /// The epoch that it had to begin first; `None` as a rule.
    pub begun: Option<Begun>,
    /// What was stamped, as the page behind the newest number before: it is what those want who wait, and
    /// they get it without reading it. `None` when it was nothing or much, and on SQLite.
    pub page: Option<Page>,
}

/// A new epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Begun {
    /// The epoch before.
    pub replaced: Epoch,
    /// The new one.
    pub epoch: Epoch,
    /// Why it began.
    pub reason: EpochReason,
}

/// An epoch of this feed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BegunEpoch {
    /// Its name.
    pub epoch: Epoch,
    /// When it began.
    pub began_at: Timestamp,
    /// The newest number that was given then.
    pub last_sequence_nr: SequenceNr,
    /// Why it began.
    pub reason: EpochReason,
}

/// Why an epoch began.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EpochReason {
    /// The database was made.
    Created,
    /// Somebody said so: `ordering new-epoch`.
    ByHand,
    /// A standby took over, and may lack what its primary had committed.
    Failover,
    /// The database was restored from a backup elsewhere.
    Restored,
    /// A consumer has read further than this database goes.
    LostHistory,
}

impl EpochReason {
    /// All reasons.
    pub const ALL: [Self; 5] =
        [Self::Created, Self::ByHand, Self::Failover, Self::Restored, Self::LostHistory];

    /// Those that the service notices by itself.
    pub const NOTICED: [Self; 3] = [Self::Failover, Self::Restored, Self::LostHistory];

    /// The word for it in the database, in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::ByHand => "by-hand",
            Self::Failover => "failover",
            Self::Restored => "restored",
            Self::LostHistory => "lost-history",
        }
    }

    /// The reason that `word` names; `None` when there is no such reason.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

/// Which checksums are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChecksumQuery {
    /// The first order number, a multiple of `width`.
    pub from: i64,
    /// The last order number.
    pub through: i64,
    /// How many order numbers a range has.
    pub width: i64,
}

/// A page of the feed.
#[derive(Clone, PartialEq, Debug)]
pub struct Page {
    /// Who it is from.
    pub identity: FeedIdentity,
    /// Where reading goes on.
    pub continuation_token: ContinuationToken,
    /// How many orders it holds.
    pub orders: usize,
    /// Whether there is more right now.
    pub has_more: bool,
    /// The newest number given when it was read.
    pub last_sequence_nr: SequenceNr,
    /// The JSON of a [`contract::feed::FeedPage`].
    pub document: Vec<u8>,
}

/// What the feed answers.
#[derive(Clone, PartialEq, Debug)]
pub enum FeedAnswer {
    /// A page.
    Page(Page),
    /// The token cannot be continued.
    Refused {
        /// Who refuses it.
        identity: FeedIdentity,
        /// Why; never [`Verdict::Continue`].
        verdict: Verdict,
    },
}
