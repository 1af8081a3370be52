//! Pulling one order within the time that the link may take.

use std::future::Future;
use std::time::Duration;

use contract::problem::{Problem, ProblemCode};
use kit::db;
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, Result};
use crate::http::AppState;
use crate::http::pages::Doubt;
use crate::pull::PullError;

/// When the link gives up waiting, for ordering and for billing's own database alike.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    /// So long from now.
    pub(super) fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// What billing's own database gives.
    ///
    /// # Errors
    /// Its fault; that it is not available when it takes too long.
    pub(super) async fn ask<T>(self, database: impl Future<Output = db::Result<T>>) -> Result<T> {
        timeout_at(self.0, database).await.map_or_else(
            |_| {
                tracing::warn!("the database did not answer within the link's timeout");
                Err(Error::new(ProblemCode::Unavailable, ProblemCode::Unavailable.help()))
            },
            |answer| Ok(answer?),
        )
    }

    /// Pulls an order.
    async fn pull(self, state: &AppState, number: i64) -> std::result::Result<(), PullError> {
        // Giving up drops the pull wherever it is. While it writes, that rolls its transaction
        // back, or the commit is already on its way: the order is taken in whole or not at all.
        let pull = timeout_at(self.0, state.puller.pull_order(number));
        let counts = pull.await.unwrap_or(Err(PullError::timeout()))?;
        if counts.quarantined > 0 {
            return Err(PullError::not_as_agreed("the order was put aside"));
        }
        Ok(())
    }
}

/// Pulls an order. When ordering does not help, the copy that is here is as good as it gets: then
/// why it may be out of date, `None` when the copy is what ordering has.
///
/// Whether there `is_copy` was found out before: once ordering has used up the time, there is none
/// left for it.
///
/// # Errors
/// Why there is nothing to show.
pub(super) async fn arrive(
    state: &AppState,
    number: i64,
    is_copy: bool,
    deadline: Deadline,
) -> Result<Option<Doubt>> {
    let fault = match deadline.pull(state, number).await {
        Ok(()) => return Ok(None),
        Err(PullError::Database(error)) => return Err(error.into()),
        Err(fault) => fault,
    };
    let doubt = match &fault {
        PullError::NotFound(_) => Doubt::NotKnown,
        PullError::Upstream(fault) if fault.status.is_none() => Doubt::NoAnswer,
        _ => Doubt::NotUsable,
    };
    if is_copy {
        tracing::info!(order.number = number, error = %fault, "the local copy is shown");
        return Ok(Some(doubt));
    }
    Err(if doubt == Doubt::NotKnown { no_such_order(number) } else { fault.into() })
}

fn no_such_order(number: i64) -> Error {
    Problem {
        title: format!("There is no order {number}"),
        ..Problem::new(
            ProblemCode::NotFound,
            "Ordering does not know a confirmed order of this number. Is a digit missing?",
        )
    }
    .into()
}
