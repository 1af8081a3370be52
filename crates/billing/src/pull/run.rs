//! The pull: one step that drains the feed, one that fetches a single order, and the loop.

use std::sync::Arc;

use kit::clock::SharedClock;
use kit::random::Random;

use super::Counts;
use super::client::PullError;
use crate::store::Store;

/// Pulls from ordering: pages on a timer, single orders on demand.
pub struct Puller {
    store: Arc<dyn Store>,
    clock: SharedClock,
    random: Random,
}

impl Puller {
    /// Follows pages until there is nothing more, each applied with its token in one transaction.
    /// One pull at a time in this process: a second caller waits for the first and then pulls too.
    ///
    /// # Errors
    /// Why it stopped; pages applied until then stay applied.
    pub async fn pull_once(&self) -> Result<Counts, PullError> {
        unimplemented!("{:p} {:p} {:?}", &self.store, &self.clock, self.random)
    }

    /// Fetches one order as it is committed now and takes it in. Never moves the token.
    ///
    /// # Errors
    /// Why nothing was taken in.
    pub async fn pull_order(&self, number: i64) -> Result<Counts, PullError> {
        unimplemented!("{number}")
    }
}
