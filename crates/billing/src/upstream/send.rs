//! A request to another system, and its answer, read within bounds.

use std::error::Error;
use std::iter;
use std::time::Duration;

use contract::problem::Problem;
use contract::time::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use kit::clock::SharedClock;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response};
use serde::Deserialize;
use serde_json::error::Category;

use super::fault::{AtFault, Fault};
use super::said::{Said, one_line};
use super::unknown;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer that is read, unpacked. Pages of the feed end near 8 MiB, so one of this size
/// is a fault, and reading on would let the other side decide how much memory this one takes.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// How much of a fault's body is read: what a fault has to say stands at its beginning.
const MAX_FAULT_BYTES: usize = 64 * 1024;

/// How every client of another system begins: `timeout` is for the whole answer, body included.
/// Redirects are not followed, which would carry our credentials to whoever asks for them.
pub fn client(timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("lockstep-billing/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .gzip(true)
        .redirect(reqwest::redirect::Policy::none())
}

/// Another system. Whatever it does wrong comes back as a [`Fault`].
pub struct Upstream {
    system: &'static str,
    clock: SharedClock,
}

impl Upstream {
    /// The system with this name, as a sentence begins with it: `Ordering`.
    pub fn new(system: &'static str, clock: SharedClock) -> Self {
        Self { system, clock }
    }

    /// Sends a request whose answer is wanted. An answer with an error is an [`Answer`] too.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn ask(&self, request: RequestBuilder) -> Result<Answer, Fault> {
        let mut response = request.send().await.map_err(|error| self.lost(error))?;
        let wanted = response.status().is_success();
        let limit = if wanted { MAX_ANSWER_BYTES } else { MAX_FAULT_BYTES };
        let (body, end) = read(&mut response, limit).await;
        let answer = self.answer(&response, body);
        match end {
            End::Whole => Ok(answer),
            // Its status says enough.
            _ if !wanted => Ok(answer),
            End::TooLong => Err(answer.not_as_agreed(format!("more than {limit} bytes"))),
            End::Lost(error) if error.is_timeout() => Err(self.lost(error)),
            End::Lost(error) => Err(answer.not_as_agreed(bottom(&error))),
        }
    }

    /// Sends a request of which only matters whether it was accepted: any 2xx is that, whatever its
    /// body.
    ///
    /// # Errors
    /// When it was not accepted, or nobody knows.
    pub async fn tell(&self, request: RequestBuilder) -> Result<(), Fault> {
        let mut response = request.send().await.map_err(|error| self.lost(error))?;
        if response.status().is_success() {
            return Ok(());
        }
        let (body, _) = read(&mut response, MAX_FAULT_BYTES).await;
        Err(self.answer(&response, body).fault())
    }

    fn answer(&self, response: &Response, body: Vec<u8>) -> Answer {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer::new(self.system, status, headers, body, self.clock.now())
    }

    /// What it is that no whole answer came.
    fn lost(&self, error: reqwest::Error) -> Fault {
        if error.is_timeout() {
            return Fault::timeout(self.system);
        }
        // A request that cannot even be written, as with a line break in a token.
        let at_fault = if error.is_builder() { AtFault::Us } else { AtFault::Them };
        // The address is known to whoever reads the log, and may hold a password.
        let message = bottom(&error.without_url());
        Fault { at_fault, ..Fault::unreachable(self.system, message) }
    }
}

/// An answer, good or bad.
#[derive(Debug)]
pub struct Answer {
    system: &'static str,
    headers: HeaderMap,
    retry_after: Option<Duration>,
    body: Vec<u8>,
    /// The HTTP status.
    pub status: u16,
}

impl Answer {
    /// What `system` answered, received `at` this time.
    pub fn new(
        system: &'static str,
        status: u16,
        headers: HeaderMap,
        body: Vec<u8>,
        at: Timestamp,
    ) -> Self {
        let retry_after = retry_after(&headers, at);
        Self { system, headers, retry_after, body, status }
    }

    /// How many bytes its body has.
    pub fn size(&self) -> usize {
        self.body.len()
    }

    /// The first header with this name; `None` when there is none, or when it is not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The document of a successful answer.
    ///
    /// # Errors
    /// When the answer is none, or not the document that was agreed.
    pub fn document<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Fault> {
        if self.status != 200 {
            return Err(self.fault());
        }
        // All of it is looked through for broken characters at once, rather than each text in it.
        let read = match str::from_utf8(&self.body) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(&self.body),
        };
        read.map_err(|error| {
            self.not_as_agreed(match error.classify() {
                Category::Data => shape(&error),
                _ => unknown::describe(&self.headers, &self.body),
            })
        })
    }

    /// The problem document of one of our own services; `None` when the body is no such document.
    pub fn problem(&self) -> Option<Problem> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What this answer is for our caller, when it is not the one that was wanted.
    pub fn fault(&self) -> Fault {
        let said = Said::read(&self.headers, &self.body);
        let fault = Fault::of_answer(self.system, self.status, said);
        Fault { retry_after: self.retry_after, ..fault }
    }

    /// What this answer is when it is not what was agreed; `message` says in what.
    pub fn not_as_agreed(&self, message: impl Into<String>) -> Fault {
        Fault::not_as_agreed(self.system, self.status, message)
    }
}

/// How reading a body ended.
enum End {
    Whole,
    TooLong,
    Lost(reqwest::Error),
}

/// Reads up to `limit` bytes.
async fn read(response: &mut Response, limit: usize) -> (Vec<u8>, End) {
    let announced = response.content_length().unwrap_or_default();
    let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or(limit).min(limit));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if chunk.len() > limit - body.len() => {
                body.extend_from_slice(&chunk[..limit - body.len()]);
                return (body, End::TooLong);
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (body, End::Whole),
            Err(error) => return (body, End::Lost(error)),
        }
    }
}

/// What lies at the bottom says what happened; what lies above, which library noticed.
fn bottom(error: &reqwest::Error) -> String {
    let cause = iter::successors(Some(error as &dyn Error), |&error| error.source()).last();
    let text = cause.map(ToString::to_string).unwrap_or_default();
    // Numbers that only this operating system knows.
    one_line(text.split(" (os error").next().unwrap_or_default())
}

/// In what a document is of another shape. What was found instead is not repeated.
fn shape(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("missing field") {
        return one_line(&text);
    }
    let (line, column) = (error.line(), error.column());
    format!("JSON of another shape, at line {line}, column {column}")
}

/// How long the other side asks to wait: seconds, or a date (RFC 9110, section 10.2.3).
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
