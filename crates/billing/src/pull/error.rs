//! Why a pull changed nothing.

use std::time::Duration;

use contract::feed::{Epoch, FeedIdentity};
use contract::problem::ProblemCode;
use kit::db;

use crate::upstream::{AtFault, Fault};

/// The name of the other side, as a sentence begins with it.
pub(super) const ORDERING: &str = "Ordering";

/// Why a pull changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// Ordering could not be reached, refused, or answered with something else than was agreed.
    #[error(transparent)]
    Upstream(#[from] Fault),
    /// There is no such order, says this history of ordering.
    #[error("Ordering knows no such order")]
    NotFound(FeedIdentity),
    /// The token cannot be continued: the feed has begun a new epoch.
    #[error("Ordering has begun a new epoch, {}", .0.epoch)]
    Reset(FeedIdentity),
    /// Another database answers, this one: only an operator decides how to go on.
    #[error(
        "Another feed ({}) answers than the one that was read so far: mend the ordering URL, or run \
         `billing reset-token` to take over the other feed", .0.feed_id
    )]
    UnknownFeed(FeedIdentity),
    /// The provider is of the past: its epoch is older than the adopted one.
    #[error(
        "This ordering is of the past: it answers from {}, but {} was read before. If it is an old \
         server that came back, switch it off; if it was restored from a backup, run \
         `ordering new-epoch`", name(*.answered, "an older epoch"), name(*.adopted, "a later one")
    )]
    StaleProvider {
        /// Its own epoch; `None` when it does not say.
        answered: Option<Epoch>,
        /// The adopted one; `None` while it has not been compared.
        adopted: Option<Epoch>,
    },
    /// A standby answers that has not heard of the adopted epoch yet: it has nothing to give.
    #[error(
        "Ordering answers from a standby that lags: it is still in epoch {answered}, and has not heard \
         of epoch {adopted} yet. If that goes on, ordering may have been restored from a backup: then \
         run `ordering new-epoch`"
    )]
    LaggingStandby {
        /// The standby's own epoch.
        answered: Epoch,
        /// The epoch of the token, which it sent back as it came.
        adopted: Epoch,
    },
    /// Billing's own database.
    #[error("Billing's own database failed")]
    Database(#[from] db::Error),
}

fn name(epoch: Option<Epoch>, otherwise: &str) -> String {
    epoch.map_or_else(|| otherwise.to_owned(), |epoch| format!("epoch {epoch}"))
}

impl PullError {
    /// The same, beside the epoch that is adopted.
    pub(super) fn beside(self, adopted: Option<Epoch>) -> Self {
        match self {
            Self::StaleProvider { answered, .. } => Self::StaleProvider { answered, adopted },
            other => other,
        }
    }

    /// Ordering answered, but with something that cannot be taken in; `message` says why not.
    pub fn not_as_agreed(message: impl Into<String>) -> Self {
        Fault::not_as_agreed(ORDERING, 200, message).into()
    }

    /// No whole answer in time.
    pub fn timeout() -> Self {
        Fault::timeout(ORDERING).into()
    }

    /// One word for it, for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Upstream(fault) => fault.kind(),
            Self::NotFound(_) => "not-found",
            Self::Reset(_) => "reset",
            Self::UnknownFeed(_) => "unknown-feed",
            Self::StaleProvider { .. } => "stale-provider",
            Self::LaggingStandby { .. } => "lagging-standby",
            Self::Database(_) => "database",
        }
    }

    /// Whether the same question may be answered a moment later: ordering is away, late or busy.
    pub fn may_pass(&self) -> bool {
        let Self::Upstream(fault) = self else { return false };
        fault.at_fault == AtFault::Them && fault.code != ProblemCode::UpstreamInvalid
    }

    /// How long ordering asks to wait before the next try; `None` when it does not say.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Upstream(fault) => fault.retry_after,
            _ => None,
        }
    }

    /// Logs it. For the boundary that handles it.
    pub fn warn(&self, message: &str) {
        match self {
            Self::Upstream(fault) => fault.warn(message),
            error => tracing::warn!(error = kit::telemetry::chain(error), "{message}"),
        }
    }
}
