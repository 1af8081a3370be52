//! How questions reach ordering.

use std::panic::resume_unwind;
use std::time::Duration;

use async_trait::async_trait;
use contract::feed::ContinuationToken;
use kit::clock::SharedClock;
use kit::settings::Secret;
use tokio::task::spawn_blocking;
use url::{Host, Url};

use super::answer::{self, Page};
use super::error::{ORDERING, PullError};
use crate::settings::SourceSettings;
use crate::upstream::{self, Answer, Fault, Upstream};

/// Carries a question to ordering and brings its answer back. What the answer means is for the
/// client to say. The services have one, [`Http`]; a simulated network is another.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Gets what lies at `url`, whatever its status. Ordering was asked to hold the question for as
    /// long as `held`, which comes on top of the time that any answer may take.
    ///
    /// # Errors
    /// When there is no whole answer.
    async fn get(&self, url: Url, held: Duration) -> Result<Answer, Fault>;

    /// Reads a page, asked for with the token `sent`.
    ///
    /// # Errors
    /// What it is instead.
    async fn read_page(
        &self,
        answer: Answer,
        sent: Option<ContinuationToken>,
    ) -> Result<Page, PullError> {
        answer::page(&answer, sent.as_ref())
    }
}

/// Over HTTP.
pub(super) struct Http {
    client: reqwest::Client,
    ordering: Upstream,
    token: Option<Secret>,
    timeout: Duration,
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
            // On one machine, packing a page and unpacking it takes longer than all of its way.
            .gzip(!is_local(&source.ordering_url))
            .build()?;
        let token = source.ordering_token.clone();
        let timeout = source.pull_timeout;
        Ok(Self { client, ordering: Upstream::new(ORDERING, clock), token, timeout })
    }
}

/// Whether ordering is on this very machine.
fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[async_trait]
impl Transport for Http {
    async fn get(&self, url: Url, held: Duration) -> Result<Answer, Fault> {
        let mut request = self.client.get(url).timeout(self.timeout.saturating_add(held));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.reveal());
        }
        self.ordering.ask(request).await
    }

    /// Reading a long page keeps a processor busy for milliseconds: on a thread of its own, the page
    /// before is taken in meanwhile. For a short one, changing threads takes longer than reading.
    async fn read_page(
        &self,
        answer: Answer,
        sent: Option<ContinuationToken>,
    ) -> Result<Page, PullError> {
        if answer::is_short(&answer) {
            return answer::page(&answer, sent.as_ref());
        }
        let reading = spawn_blocking(move || answer::page(&answer, sent.as_ref()));
        // It can only fail by a panic, which is one here, too.
        reading.await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_address_is_of_this_machine() {
        let local = |url: &str| is_local(&url.parse().unwrap());
        assert!(
            local("http://127.0.0.1:8080") && local("http://[::1]/") && local("http://localhost")
        );
        assert!(!local("http://10.0.0.7:8080") && !local("https://ordering.example/localhost"));
    }
}
