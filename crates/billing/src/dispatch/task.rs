//! What is known of an invoice's dispatch: how it stands, its attempts, and how they end.

use std::fmt;

use contract::problem::ProblemCode;
use contract::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How the dispatch of an approved invoice stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DispatchState {
    /// It is on its way, or waits for its next attempt.
    Pending,
    /// The customer's system has accepted it.
    Delivered,
    /// It was given up; somebody may ask to try again.
    Failed,
}

impl DispatchState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    /// The word for it in documents, addresses and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// The words for it on a page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pending => "Delivery pending",
            Self::Delivered => "Delivered",
            Self::Failed => "Not delivered",
        }
    }

    /// The state that `word` names; `None` when there is no such state.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl fmt::Display for DispatchState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an invoice's dispatch went so far. All of it changes together with the invoice's version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DispatchDetail {
    /// How many attempts have failed since the approval, or since somebody asked to try again.
    pub failures: i64,
    /// When the next attempt may begin; `None` when none will.
    pub next_attempt_at: Option<Timestamp>,
    /// What went wrong last; `None` when nothing did, and once it is delivered.
    pub fault: Option<DispatchFault>,
    /// When the customer's system accepted it; `None` while it has not.
    pub delivered_at: Option<Timestamp>,
}

/// Why an attempt failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DispatchFault {
    /// What kind of fault it is, for programs.
    pub code: ProblemCode,
    /// What happened and which system it was, in one sentence for people.
    pub message: String,
    /// The HTTP status of the answer; `None` when there was none.
    pub status: Option<u16>,
    /// The other system's own code for it, when it gave one.
    pub original_code: Option<String>,
    /// What the other system knows the request by, when it said so.
    pub request_id: Option<String>,
    /// When the attempt ended.
    pub at: Timestamp,
}

/// An attempt that has begun: whoever holds it has the invoice to itself until the lease runs out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Which invoice.
    pub invoice_id: String,
    /// Rises by one with every attempt of this invoice: the fencing token. How an attempt ended is
    /// recorded only while no later one has begun.
    pub number: i64,
    /// How many attempts have failed before it, since the approval or the last wish to try again.
    pub failures: i64,
    /// The body to send, the same bytes in every attempt.
    pub payload: String,
    /// When the lease runs out: from then on another attempt may begin.
    pub leased_until: Timestamp,
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The customer's system has accepted it.
    Delivered,
    /// It failed, and the next attempt may begin at `next_attempt_at`.
    TryAgain {
        /// Why.
        fault: DispatchFault,
        /// Not before.
        next_attempt_at: Timestamp,
    },
    /// It failed, and is given up.
    Failed {
        /// Why.
        fault: DispatchFault,
    },
}

/// What there is still to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backlog {
    /// How many dispatches are pending.
    pub pending: i64,
    /// When the oldest pending one was approved; `None` when none is pending.
    pub oldest: Option<Timestamp>,
    /// How many have failed and wait for somebody.
    pub failed: i64,
}

impl Backlog {
    /// How many dispatches stand so, what needs somebody first.
    pub const fn by_state(&self) -> [(DispatchState, i64); 2] {
        [(DispatchState::Failed, self.failed), (DispatchState::Pending, self.pending)]
    }
}
