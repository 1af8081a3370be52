//! The client of ordering's feed: asks, and reads what comes back.

use std::error::Error;
use std::iter;
use std::time::Duration;

use contract::feed::{ContinuationToken, FeedOrder, FeedPage};
use contract::time::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use kit::clock::SharedClock;
use kit::settings::Secret;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use url::Url;

use super::answer::{self, Answer, one_line};
use super::error::PullError;
use crate::settings::SourceSettings;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer that is read, unpacked. Pages end near 8 MiB, so one of this size is a fault,
/// and reading on would let the other side decide how much memory this one takes.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Asks ordering for pages and single orders. Every fault comes back as the [`PullError`] that it is.
pub struct FeedClient {
    http: reqwest::Client,
    orders: Url,
    token: Option<Secret>,
    limit: i64,
    clock: SharedClock,
}

impl FeedClient {
    /// A client for the ordering service that `source` names.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(source: &SourceSettings, clock: SharedClock) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("lockstep-billing/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            // Over the whole answer, body included.
            .timeout(source.pull_timeout)
            .gzip(true)
            // The feed never redirects. Following would carry the token to whoever asks for it.
            .redirect(reqwest::redirect::Policy::none())
            // Ordering is a neighbour, often on this very machine: a proxy to the world outside
            // that the environment names does not lead to it.
            .no_proxy()
            .build()?;
        Ok(Self {
            http,
            orders: orders_url(&source.ordering_url),
            token: source.ordering_token.clone(),
            limit: source.pull_limit,
            clock,
        })
    }

    /// The page behind `after`, from the beginning when `None`; checked to be what was agreed.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn page(&self, after: Option<&ContinuationToken>) -> Result<FeedPage, PullError> {
        let mut url = self.orders.clone();
        url.query_pairs_mut().append_pair("limit", &self.limit.to_string());
        if let Some(token) = after {
            url.query_pairs_mut().append_pair("after", &token.to_string());
        }
        let page: FeedPage = self.get(url).await?.into_document()?;
        answer::check_page(&page, after).map_err(PullError::Invalid)?;
        Ok(page)
    }

    /// The order with this number, as it is committed now; checked to be what was agreed.
    ///
    /// # Errors
    /// Why there is none; `NotFound` only when ordering itself says so, and names its history.
    pub async fn order(&self, number: i64) -> Result<FeedOrder, PullError> {
        let mut url = self.orders.clone();
        url.set_path(&format!("{}/{number}", self.orders.path()));
        let answer = self.get(url).await?;
        if let Some(identity) = answer.not_found() {
            return Err(PullError::NotFound(identity));
        }
        let document: FeedOrder = answer.into_document()?;
        answer::check_order(&document, number).map_err(PullError::Invalid)?;
        Ok(document)
    }

    async fn get(&self, url: Url) -> Result<Answer, PullError> {
        let mut request = self.http.get(url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.reveal());
        }
        let mut response = request.send().await.map_err(fault)?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers(), self.clock.now());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(fault)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(PullError::Invalid(format!("more than {MAX_ANSWER_BYTES} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, retry_after, body })
    }
}

/// The feed's address below wherever ordering is, which may be a path of a gateway.
fn orders_url(base: &Url) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.set_path(&format!("{}/feed/v1/orders", base.path().trim_end_matches('/')));
    url
}

fn fault(error: reqwest::Error) -> PullError {
    // The address is known to whoever reads the log, and may hold a password.
    let error = error.without_url();
    // What lies at the bottom says what happened; what lies above, which library noticed.
    let cause = iter::successors(Some(&error as &dyn Error), |&error| error.source()).last();
    let text = one_line(&cause.map(ToString::to_string).unwrap_or_default());
    if error.is_timeout() {
        PullError::Timeout
    } else if error.is_body() || error.is_decode() {
        PullError::Invalid(text)
    } else {
        PullError::Unreachable(text)
    }
}

/// How long ordering asks to wait: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp::from_micros(date.as_microsecond()).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordering_may_be_below_a_path() {
        let orders = |base: &str| orders_url(&base.parse().unwrap()).to_string();
        assert_eq!(orders("http://a:8080"), "http://a:8080/feed/v1/orders");
        assert_eq!(orders("https://a/shop/?x#y"), "https://a/shop/feed/v1/orders");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_micros(1_777_629_600_000_000);
        let read = |value: &'static str| {
            let value = reqwest::header::HeaderValue::from_static(value);
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]), now)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Fri, 01 May 2026 10:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Fri, 01 May 2020 10:00:30 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
