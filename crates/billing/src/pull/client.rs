//! The client of ordering's feed: asks, and reads what comes back.

use kit::clock::SharedClock;

use crate::settings::SourceSettings;

/// Asks ordering for pages and single orders.
pub struct FeedClient {
    clock: SharedClock,
}

impl FeedClient {
    /// A client for the ordering service that `source` names.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(source: &SourceSettings, clock: SharedClock) -> reqwest::Result<Self> {
        let _ = source;
        Ok(Self { clock })
    }
}
