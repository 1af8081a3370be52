//! How questions reach ordering.

use async_trait::async_trait;
use kit::clock::SharedClock;
use kit::settings::Secret;
use url::Url;

use super::error::ORDERING;
use crate::settings::SourceSettings;
use crate::upstream::{self, Answer, Fault, Upstream};

/// Carries a question to ordering and brings its answer back. What the answer means is for the
/// client to say. The services have one, [`Http`]; a simulated network is another.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Gets what lies at `url`, whatever its status.
    ///
    /// # Errors
    /// When there is no whole answer.
    async fn get(&self, url: Url) -> Result<Answer, Fault>;
}

/// Over HTTP.
pub(super) struct Http {
    client: reqwest::Client,
    ordering: Upstream,
    token: Option<Secret>,
}

impl Http {
    /// To the ordering service that `source` names.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn new(source: &SourceSettings, clock: SharedClock) -> reqwest::Result<Self> {
        let client = upstream::client(source.pull_timeout)
            // Ordering is a neighbour, often on this very machine: a proxy to the world outside
            // that the environment names does not lead to it.
            .no_proxy()
            .build()?;
        let token = source.ordering_token.clone();
        Ok(Self { client, ordering: Upstream::new(ORDERING, clock), token })
    }
}

#[async_trait]
impl Transport for Http {
    async fn get(&self, url: Url) -> Result<Answer, Fault> {
        let mut request = self.client.get(url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.reveal());
        }
        self.ordering.ask(request).await
    }
}
