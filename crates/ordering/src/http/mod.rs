//! The feed, the API and the pages.

pub mod pages;

use std::sync::Arc;

use contract::feed::SequenceNr;
use kit::clock::SharedClock;
use kit::random::Random;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::sequencer::Bell;
use crate::store::Store;

/// What handlers work with.
#[derive(Clone)]
pub struct AppState {
    /// Everything that is kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: SharedClock,
    /// Ids.
    pub random: Random,
    /// Rung after every committed change.
    pub bell: Bell,
    /// Wakes requests that wait for something new.
    pub news: watch::Receiver<SequenceNr>,
    /// How often a waiting request looks for what another process has stamped.
    pub poll_interval: std::time::Duration,
    /// Ends requests that wait.
    pub shutdown: CancellationToken,
    /// Where the browser finds billing.
    pub billing_url: Url,
    /// Where this service asks whether billing is there.
    pub billing_probe_url: Url,
    /// What it asks with.
    pub client: reqwest::Client,
}
