//! The client of ordering's feed: what is asked, and what every answer means.

use std::time::Duration;

use contract::feed::FeedIdentity;
use kit::db;

/// Why a pull changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// No connection.
    #[error("ordering cannot be reached: {0}")]
    Unreachable(String),
    /// No whole answer in time.
    #[error("ordering did not answer in time")]
    Timeout,
    /// Ordering answered with an error of its own (5xx, 429, 401, …).
    #[error("ordering answered {status}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What ordering said, in one line.
        detail: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The answer is not what was agreed: cut off, no JSON, not a page.
    #[error("ordering's answer cannot be used: {0}")]
    Invalid(String),
    /// There is no such order, says this history of ordering.
    #[error("ordering knows no such order")]
    NotFound(FeedIdentity),
    /// The feed has begun a new epoch: it is adopted, and read from the beginning.
    #[error("ordering has begun a new epoch")]
    Reset(FeedIdentity),
    /// Another database answers: only an operator decides how to go on.
    #[error("another feed answers than the one that was read so far")]
    UnknownFeed,
    /// The provider is of the past: its epoch is older than the adopted one.
    #[error("this ordering is of the past: a later epoch was seen before")]
    StaleProvider,
    /// Billing's own database.
    #[error(transparent)]
    Database(#[from] db::Error),
}
