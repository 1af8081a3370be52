//! Everything that billing keeps, behind one trait.
//!
//! The store is written once, generic over the two databases; see [`kit::db`].

mod apply;
mod approving;
mod at_once;
mod checksums;
mod crediting;
mod dispatches;
mod drafts;
mod follow;
mod invoices;
mod json;
mod missing;
mod numbers;
mod orders;
mod pull_state;
mod quarantine;
mod received;
mod rereading;
mod sql;

use std::ops::RangeInclusive;
use std::time::Duration;

use async_trait::async_trait;
use contract::feed::{ContinuationToken, Epoch, FeedIdentity, SequenceNr};
use contract::order::Order;
use contract::time::Timestamp;
use kit::db::Result;
use kit::http::etag::IfMatch;
use kit::random::Random;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use missing::{Decided, Decision};
pub use received::{Advance, Applied, Fit, Received, Unfit};
pub use rereading::{AtSource, Reread, Unseen};
pub use sql::{SqlStore, open};

use crate::dispatch::{Attempt, Backlog, DispatchDetail, DispatchState, Ending};
use crate::invoice::{Invoice, InvoiceState};
use crate::pull::Counts;

/// Everything that billing keeps. Every method is one transaction.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Whether the database answers.
    async fn ping(&self) -> Result<()>;

    /// Takes in what ordering answered, whole or not at all: orders newer by `(epoch, version)`
    /// than what is stored, what they mean for their invoices, those to be put aside, and, for a
    /// page, the token.
    async fn apply(&self, received: &Received, random: &Random, at: Timestamp) -> Result<Applied>;

    /// How the pull stands.
    async fn pull_state(&self) -> Result<PullState>;
    /// Notes that a pull reached the end of the feed which began at `began`; also clears the last
    /// error.
    async fn pull_succeeded(&self, began: Timestamp, at: Timestamp) -> Result<()>;
    /// Notes that a pull failed which began at `began`, and how; how many have failed in a row by now.
    async fn pull_failed(&self, began: Timestamp, error: &str) -> Result<i64>;
    /// Adopts a greater epoch: the token goes back to the beginning, and so does a token of an
    /// older epoch than the adopted one. `false`, and nothing is changed, when there is nothing to
    /// adopt: a greater epoch is adopted already, or the feed is another one.
    async fn adopt_epoch(&self, identity: &FeedIdentity, at: Timestamp) -> Result<bool>;
    /// Reads again from `token`, from the beginning when `None`. With `forget_feed` the adopted
    /// feed and epoch are forgotten too, so that another one can be adopted: only an operator
    /// decides that.
    async fn reset_token(&self, token: Option<&ContinuationToken>, forget_feed: bool)
    -> Result<()>;
    /// What was taken in since `since`, answer by answer, oldest first: for the chart.
    async fn pulls_since(&self, since: Timestamp) -> Result<Vec<(Timestamp, Counts)>>;

    /// How many orders ordering has lost, and how far the re-read of the adopted epoch has come.
    async fn at_source(&self) -> Result<AtSource>;
    /// Orders of an older epoch than the adopted one that are not marked as missing, and those without
    /// a copy that such an epoch put aside, by rising `(epoch, number)` from behind `after`, at most
    /// `limit`: they must be seen again.
    async fn unseen(&self, after: Option<Unseen>, limit: i64) -> Result<Vec<Unseen>>;
    /// Marks orders as missing at the source that `identity` said it does not know; how many. Only
    /// the adopted history can say so, and only of orders that an older epoch left: one that was
    /// seen meanwhile stays as it is.
    async fn mark_missing(
        &self,
        identity: &FeedIdentity,
        numbers: &[i64],
        at: Timestamp,
    ) -> Result<i64>;
    /// Settles what becomes of an order that is missing at the source, and of its open invoice.
    async fn decide(&self, number: i64, decision: Decision, at: Timestamp) -> Result<Decided>;

    /// The local copy of an order.
    async fn order(&self, number: i64) -> Result<Option<StoredOrder>>;
    /// Local copies by rising number from behind `after`, at most `limit`.
    async fn orders(&self, after: Option<i64>, limit: i64) -> Result<Vec<StoredOrder>>;
    /// Like [`Store::orders`], but only those that are missing at the source, or only the others.
    async fn orders_by_source(
        &self,
        is_missing: bool,
        after: Option<i64>,
        limit: i64,
    ) -> Result<Vec<StoredOrder>>;

    /// The order with this number, when it is in quarantine: when a newer version of it than the
    /// local copy could not be taken in.
    async fn quarantined_order(&self, number: i64) -> Result<Option<Quarantined>>;
    /// Orders in quarantine by rising number from behind `after`, at most `limit`, fewer when their
    /// documents are large; and whether there are more behind them.
    async fn quarantine(&self, after: Option<i64>, limit: i64) -> Result<(Vec<Quarantined>, bool)>;
    /// How many orders are in quarantine.
    async fn quarantine_count(&self) -> Result<i64>;
    /// Lets an order out of quarantine that the adopted history, of this `epoch`, does not know, when
    /// it was put aside in an older one. Whether it did.
    async fn release_gone(&self, number: i64, epoch: Epoch) -> Result<bool>;

    /// Copies with these numbers, by rising number, at most `limit`: for a comparison with ordering.
    async fn copies(&self, numbers: RangeInclusive<i64>, limit: i64) -> Result<Vec<OrderCopy>>;
    /// Copies with these numbers, in any order: for a comparison with ordering.
    async fn copies_of(&self, numbers: &[i64]) -> Result<Vec<OrderCopy>>;
    /// The highest number of any copy; `None` when there is none.
    async fn last_number(&self) -> Result<Option<i64>>;
    /// Takes in an order that `identity` answered by number although it is not newer than its copy,
    /// if the copy's row is still as it was `seen` to differ; else the answer is superseded.
    async fn replace(
        &self,
        identity: &FeedIdentity,
        order: &Order,
        seen: RowVersion,
        random: &Random,
        at: Timestamp,
    ) -> Result<Applied>;

    /// The invoice with this id.
    async fn invoice(&self, id: &str) -> Result<Option<Invoice>>;
    /// Invoices by falling id, newest first, from behind `filter.after`, at most `limit`.
    async fn invoices(&self, filter: &InvoiceFilter, limit: i64) -> Result<Vec<Invoice>>;
    /// All invoices of these orders, newest first.
    async fn invoices_of(&self, orders: &[i64]) -> Result<Vec<Invoice>>;
    /// How many invoices are in each state.
    async fn invoice_counts(&self) -> Result<Vec<(InvoiceState, i64)>>;
    /// Approves an invoice that awaits approval and gives it the next number of the year; writes
    /// the task of its dispatch, when there is to be one.
    async fn approve(
        &self,
        id: &str,
        expected: Option<&IfMatch>,
        then: AfterApproval,
        at: Timestamp,
    ) -> Result<Approval>;

    /// The invoice with this id and how its dispatch went so far.
    async fn invoice_detail(&self, id: &str) -> Result<Option<InvoiceDetail>>;
    /// Begins the attempt of a dispatch that is due longest; `None` when none is. No other attempt
    /// of its invoice begins for as long as `lease`, in no process.
    async fn claim_dispatch(&self, now: Timestamp, lease: Duration) -> Result<Option<Attempt>>;
    /// Keeps how an attempt ended. `false`, and nothing is changed, when a later attempt has begun
    /// since, or when it is recorded already.
    async fn record_dispatch(
        &self,
        attempt: &Attempt,
        ending: &Ending,
        at: Timestamp,
    ) -> Result<bool>;
    /// Lets a dispatch that has failed begin anew, now.
    async fn redispatch(
        &self,
        id: &str,
        expected: Option<&IfMatch>,
        at: Timestamp,
    ) -> Result<Redispatch>;
    /// What there is still to dispatch.
    async fn dispatch_backlog(&self) -> Result<Backlog>;

    /// Expires invoices that have awaited approval, as they are now, since before `before`: those
    /// that have waited longest, at most `limit`. How many; fewer than `limit` when there are no
    /// more, but for those that another transaction is about to change.
    async fn expire(&self, before: Timestamp, limit: i64, at: Timestamp) -> Result<i64>;
}

/// An order in quarantine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quarantined {
    /// The order's number.
    pub number: i64,
    /// Why it could not be taken in, in one short line.
    pub reason: String,
    /// The JSON that stood for the order in the answer, character by character.
    pub document: String,
    /// Since when it is in quarantine: since then its copy here, if there is one, is out of date.
    pub since: Timestamp,
}

/// How the pull stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PullState {
    /// Which provider and which history is adopted; `None` before the first answer.
    pub identity: Option<FeedIdentity>,
    /// Where to go on; `None`: from the beginning.
    pub continuation_token: Option<ContinuationToken>,
    /// The newest number that ordering had given at the last page; `None` while unknown.
    pub last_sequence_nr: Option<SequenceNr>,
    /// When the last pull began, of those that have ended.
    pub last_pull_at: Option<Timestamp>,
    /// When a pull last reached the end of the feed.
    pub last_success_at: Option<Timestamp>,
    /// What went wrong since; `None` when nothing did.
    pub last_error: Option<String>,
    /// How many pulls have failed in a row.
    pub consecutive_failures: i64,
    /// All counts since the database was made.
    pub totals: Counts,
}

impl PullState {
    /// How far behind ordering, in orders at most: an order that was stamped twice counts twice.
    /// `None` while unknown: before the first page, and since a pull has failed.
    pub fn behind(&self) -> Option<i64> {
        let newest = self.last_sequence_nr?.0;
        let read = self.continuation_token.as_ref().map_or(0, |token| token.sequence_nr.0);
        (self.consecutive_failures == 0).then_some((newest - read).max(0))
    }
}

/// The local copy of an order, as the API shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoredOrder {
    /// The order document.
    #[serde(flatten)]
    pub order: Order,
    /// Whether the order was deleted.
    pub deleted: bool,
    /// Whether ordering, asked in a later epoch, does not know the order any more.
    pub missing_at_source: bool,
    /// Since when that is known; `None` when ordering knows the order.
    pub missing_since: Option<Timestamp>,
    /// When a person decided that the order counts although ordering has lost it; `None` when
    /// nobody has.
    pub kept_at: Option<Timestamp>,
    /// The epoch of the answer that brought it.
    pub epoch: Epoch,
    /// Rises by one with every answer that replaces the copy. For its `ETag` only.
    #[serde(skip)]
    pub revision: i64,
    /// When it was received.
    pub received_at: Timestamp,
}

impl StoredOrder {
    /// Whether a person has to decide before an invoice of it can be approved.
    pub fn is_undecided(&self) -> bool {
        self.missing_at_source && self.kept_at.is_none()
    }
}

/// The local copy of an order, as a comparison with ordering sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderCopy {
    /// Its number.
    pub number: i64,
    /// Which state of its row this is.
    pub row: RowVersion,
    /// Whether ordering, asked in a later epoch, does not know the order any more.
    pub missing_at_source: bool,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// The order document; `None` when it cannot be read, or says something else than its row does.
    pub order: Option<Order>,
}

/// One state of an order's row: no two states of a row are the same in all three.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowVersion {
    /// The epoch of the answer that brought it.
    pub epoch: Epoch,
    /// The order's version.
    pub version: i64,
    /// Rises by one with every update of the row.
    pub revision: i64,
}

/// Which invoices a list shows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InvoiceFilter {
    /// Only those in this state.
    pub state: Option<InvoiceState>,
    /// Only those of this order.
    pub order_number: Option<i64>,
    /// Only those whose dispatch stands so.
    pub dispatch: Option<DispatchState>,
    /// Only those behind this id: the last one of the page before.
    pub after: Option<String>,
}

/// What became of an approval.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Approval {
    /// It is approved, now or before.
    Approved(Box<Invoice>),
    /// There is no such invoice.
    NotFound,
    /// It was meant for another version than the current one, which this is.
    VersionConflict(Box<Invoice>),
    /// Ordering no longer knows its order, and nobody has decided yet to keep it.
    MissingAtSource(Box<Invoice>),
    /// Its order is in quarantine: what ordering has by now is not known here.
    Quarantined(Box<Invoice>),
    /// Something else happened to it first, so it cannot be approved any more.
    Closed {
        /// How it stands.
        invoice: Box<Invoice>,
        /// The invoice that replaces it; `None` when none does.
        replacement: Option<Box<Invoice>>,
    },
}

/// What comes after an approval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AfterApproval {
    /// Nothing: dispatch is off.
    Nothing,
    /// The invoice is handed over to the customer's system.
    Dispatch,
}

/// An invoice, and how its dispatch went so far.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvoiceDetail {
    /// The invoice.
    #[serde(flatten)]
    pub invoice: Invoice,
    /// How its dispatch went so far; `None`, and left out, when it was never to be dispatched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatch_detail: Option<DispatchDetail>,
    /// Since when there is what the invoice says, from which its time limit counts; `None` when that
    /// is not known, and there is no limit. For the pages only.
    #[serde(skip)]
    pub computed_at: Option<Timestamp>,
}

/// What became of the wish to try a dispatch again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Redispatch {
    /// It is tried again.
    Pending(Box<InvoiceDetail>),
    /// There is no such invoice.
    NotFound,
    /// It was meant for another version than this current one.
    VersionConflict(i64),
    /// It has not failed; `None` when the invoice was never to be dispatched.
    WrongState(Option<DispatchState>),
}
