//! The pull: one step that drains the feed, one that fetches a single order, and the loop.

use std::sync::Arc;
use std::time::Duration;

use kit::clock::SharedClock;
use kit::lifecycle::BoxError;
use kit::random::Random;
use tokio_util::sync::CancellationToken;

use super::client::FeedClient;
use super::{Counts, PullError};
use crate::store::Store;

/// Pulls from ordering: pages on a timer, single orders on demand.
pub struct Puller {
    store: Arc<dyn Store>,
    client: FeedClient,
    clock: SharedClock,
    random: Random,
}

impl Puller {
    /// Pulls with `client` into `store`.
    pub fn new(
        store: Arc<dyn Store>,
        client: FeedClient,
        clock: SharedClock,
        random: Random,
    ) -> Self {
        Self { store, client, clock, random }
    }

    /// Follows pages until there is nothing more, each applied with its token in one transaction.
    /// One pull at a time in this process: a second caller waits for the first and then pulls too.
    ///
    /// # Errors
    /// Why it stopped; pages applied until then stay applied.
    pub async fn pull_once(&self) -> Result<Counts, PullError> {
        unimplemented!("{:p} {:p} {:p} {:?}", &self.store, &self.client, &self.clock, self.random)
    }

    /// Pulls now and then every `interval`, until `shutdown`.
    ///
    /// # Errors
    /// Never so far; a loop that ends is a failure of the process.
    pub async fn run(
        self: Arc<Self>,
        interval: Duration,
        shutdown: CancellationToken,
    ) -> Result<(), BoxError> {
        unimplemented!("{interval:?} {shutdown:?}")
    }

    /// What keeps the pull from going on although ordering answers; `None` when nothing does.
    pub fn blocked(&self) -> Option<String> {
        None
    }

    /// Fetches one order as it is committed now and takes it in. Never moves the token.
    ///
    /// # Errors
    /// Why nothing was taken in.
    pub async fn pull_order(&self, number: i64) -> Result<Counts, PullError> {
        unimplemented!("{number}")
    }
}
