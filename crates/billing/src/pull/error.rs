//! Why a pull changed nothing.

use std::time::Duration;

use contract::feed::FeedIdentity;
use kit::db;

/// Why a pull changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// No connection, or none that lasted until ordering answered.
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
        /// What ordering said, in one short line.
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
    /// The token cannot be continued: the feed has begun a new epoch.
    #[error("ordering has begun a new epoch, {}", .0.epoch)]
    Reset(FeedIdentity),
    /// Another database answers, this one: only an operator decides how to go on.
    #[error(
        "another feed ({}) answers than the one that was read so far: mend the ordering URL, or run \
         `billing reset-token` to take over the other feed", .0.feed_id
    )]
    UnknownFeed(FeedIdentity),
    /// The provider is of the past: its epoch is older than the adopted one.
    #[error("this ordering is of the past: a later epoch was seen before")]
    StaleProvider,
    /// Billing's own database.
    #[error("billing's own database failed")]
    Database(#[from] db::Error),
}

impl PullError {
    /// One word for it, for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Timeout => "timeout",
            Self::Refused { .. } => "refused",
            Self::Invalid(_) => "invalid",
            Self::NotFound(_) => "not-found",
            Self::Reset(_) => "reset",
            Self::UnknownFeed(_) => "unknown-feed",
            Self::StaleProvider => "stale-provider",
            Self::Database(_) => "database",
        }
    }

    /// How long ordering asks to wait before the next try; `None` when it does not say.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
