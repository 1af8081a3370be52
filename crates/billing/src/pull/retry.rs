//! Pulling an order in quarantine again.

use super::{PullError, Puller};
use crate::store::Quarantined;

/// What became of an order in quarantine that was pulled again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Retried {
    /// It fits now, and is taken in.
    TakenIn,
    /// It still cannot be taken in.
    Quarantined(Quarantined),
    /// Ordering does not know it any more, in a later epoch: it is let out, and there is nothing to
    /// take in.
    Gone,
    /// Ordering says that it does not know it, but may be a standby that lags: it stays.
    NotKnown,
    /// It was not in quarantine.
    NotThere,
}

impl Puller {
    /// Pulls an order in quarantine again, now.
    ///
    /// # Errors
    /// Why it could not be pulled; then it stays.
    pub async fn retry(&self, number: i64) -> Result<Retried, PullError> {
        if self.store.quarantined_order(number).await?.is_none() {
            return Ok(Retried::NotThere);
        }
        let is_known = match self.pull_order(number).await {
            Ok(_) => true,
            Err(PullError::NotFound(_)) => false,
            Err(error) => return Err(error),
        };
        Ok(match (self.store.quarantined_order(number).await?, is_known) {
            (None, true) => Retried::TakenIn,
            (None, false) => Retried::Gone,
            (Some(order), true) => Retried::Quarantined(order),
            (Some(_), false) => Retried::NotKnown,
        })
    }

    /// Lets an order out of quarantine that ordering said it does not know, in a later epoch than the
    /// one that put it aside: there is no such order any more. Within one epoch none ever vanishes.
    pub(super) async fn forget_gone(
        &self,
        number: i64,
        error: &PullError,
    ) -> Result<(), PullError> {
        if let PullError::NotFound(identity) = error
            && self.store.release_gone(number, identity.epoch).await?
        {
            tracing::info!(
                order.number = number,
                feed.epoch = %identity.epoch,
                "an order in quarantine is gone: ordering does not know it in this epoch"
            );
        }
        Ok(())
    }
}
