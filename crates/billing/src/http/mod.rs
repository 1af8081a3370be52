//! The API, the deep link, the pages.

pub mod link;
pub mod pages;

use std::sync::Arc;
use std::time::Duration;

use kit::clock::SharedClock;
use kit::random::Random;
use url::Url;

use crate::pull::run::Puller;
use crate::store::Store;

/// What handlers work with.
#[derive(Clone)]
pub struct AppState {
    /// Everything that is kept.
    pub store: Arc<dyn Store>,
    /// Pulls on demand.
    pub puller: Arc<Puller>,
    /// The time.
    pub clock: SharedClock,
    /// Ids.
    pub random: Random,
    /// How long the deep link's pull may take, all in all.
    pub link_timeout: Duration,
    /// Where the browser finds ordering, for links back.
    pub ordering_url: Url,
}
