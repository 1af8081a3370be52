//! The client of ordering's feed: asks, and reads what comes back.

use std::ops::RangeInclusive;
use std::time::Duration;

use contract::checksum::ChecksumPage;
use contract::feed::ContinuationToken;
use kit::clock::SharedClock;
use url::Url;

use super::answer::{self, Page, Single};
use super::error::PullError;
use super::ranges;
use super::transport::{Http, Transport};
use crate::settings::SourceSettings;
use crate::upstream::Answer;

/// Asks ordering for pages and single orders. Every fault comes back as the [`PullError`] that it is.
pub struct FeedClient {
    transport: Box<dyn Transport>,
    orders: Url,
    checksums: Url,
    limit: i64,
    /// How long one answer may take.
    pub(super) timeout: Duration,
}

impl FeedClient {
    /// A client for the ordering service that `source` names.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(source: &SourceSettings, clock: SharedClock) -> reqwest::Result<Self> {
        Ok(Self::over(Http::new(source, clock)?, source))
    }

    /// A client that asks over `transport`.
    pub fn over(transport: impl Transport, source: &SourceSettings) -> Self {
        Self {
            transport: Box::new(transport),
            orders: feed_url(&source.ordering_url, "orders"),
            checksums: feed_url(&source.ordering_url, "checksums"),
            limit: source.pull_limit,
            timeout: source.pull_timeout,
        }
    }

    /// The page behind `after`, from the beginning when `None`; checked to be what was agreed.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn page(&self, after: Option<&ContinuationToken>) -> Result<Page, PullError> {
        self.page_within(after, Duration::ZERO).await
    }

    /// Like [`Self::page`], but while there is nothing behind `after`, ordering is asked to hold the
    /// question for as long as `wait`, in whole seconds.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn page_within(
        &self,
        after: Option<&ContinuationToken>,
        wait: Duration,
    ) -> Result<Page, PullError> {
        let answer = self.ask(after, wait).await?;
        self.read(answer, after.cloned()).await
    }

    /// The first half of [`Self::page_within`]: asks.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub(super) async fn ask(
        &self,
        after: Option<&ContinuationToken>,
        wait: Duration,
    ) -> Result<Answer, PullError> {
        let mut url = self.orders.clone();
        url.query_pairs_mut().append_pair("limit", &self.limit.to_string());
        if let Some(token) = after {
            url.query_pairs_mut().append_pair("after", &token.to_string());
        }
        if !wait.is_zero() {
            url.query_pairs_mut().append_pair("wait", &wait.as_secs().to_string());
        }
        Ok(self.transport.get(url, wait).await?)
    }

    /// The second half: reads what was answered to the token `sent`.
    ///
    /// # Errors
    /// What it is instead of a page as it was agreed.
    pub(super) async fn read(
        &self,
        answer: Answer,
        sent: Option<ContinuationToken>,
    ) -> Result<Page, PullError> {
        self.transport.read_page(answer, sent).await
    }

    /// The order with this number, as it is committed now; checked to be what was agreed.
    ///
    /// # Errors
    /// Why there is none; `NotFound` only when ordering itself says so, and names its history.
    pub async fn order(&self, number: i64) -> Result<Single, PullError> {
        let mut url = self.orders.clone();
        url.set_path(&format!("{}/{number}", self.orders.path()));
        answer::order(&self.get(url).await?, number)
    }

    /// Checksums of ordering's orders with these numbers, over ranges of `width` numbers, a divisor
    /// of the first: as many of them as one answer holds; checked to be what was agreed.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn checksums(
        &self,
        numbers: &RangeInclusive<i64>,
        width: i64,
    ) -> Result<ChecksumPage, PullError> {
        let mut url = self.checksums.clone();
        url.query_pairs_mut()
            .append_pair("from", &numbers.start().to_string())
            .append_pair("through", &numbers.end().to_string())
            .append_pair("width", &width.to_string());
        ranges::page(&self.get(url).await?, numbers, width)
    }

    async fn get(&self, url: Url) -> Result<Answer, PullError> {
        Ok(self.transport.get(url, Duration::ZERO).await?)
    }
}

/// An address of the feed below wherever ordering is, which may be a path of a gateway.
fn feed_url(base: &Url, name: &str) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.set_path(&format!("{}/feed/v1/{name}", base.path().trim_end_matches('/')));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordering_may_be_below_a_path() {
        let orders = |base: &str| feed_url(&base.parse().unwrap(), "orders").to_string();
        assert_eq!(orders("http://a:8080"), "http://a:8080/feed/v1/orders");
        assert_eq!(orders("https://a/shop/?x#y"), "https://a/shop/feed/v1/orders");
    }
}
