//! One of many who wait at the end of the feed.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use memchr::memmem;
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::http_client::Connection;

/// A page that brought something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// The number behind which was asked.
    pub(super) asked: i64,
    /// The number of its last order.
    pub(super) through: i64,
    /// When it was there.
    pub(super) at: Instant,
}

/// How far all consumers are, for whoever waits until they have everything.
#[derive(Debug)]
pub(super) struct Progress {
    /// The last number of each.
    numbers: Vec<AtomicI64>,
    /// Ends them all.
    done: CancellationToken,
}

impl Progress {
    /// Of so many consumers that have read up to `start`.
    pub(super) fn new(consumers: u32, start: i64) -> Arc<Self> {
        let numbers = (0..consumers).map(|_| AtomicI64::new(start)).collect();
        Arc::new(Self { numbers, done: CancellationToken::new() })
    }

    /// Lets all of them end once each has everything up to `target`.
    pub(super) async fn end_at(&self, target: i64) {
        while self.numbers.iter().any(|number| number.load(Ordering::Relaxed) < target) {
            sleep(Duration::from_millis(20)).await;
        }
        self.done.cancel();
    }
}

/// Waits as the consumer `this` for one page after the other until all have ended. `feed` is how tokens
/// begin.
pub(super) async fn consume(
    stream: TcpStream,
    feed: String,
    progress: Arc<Progress>,
    this: usize,
) -> Result<Vec<Arrival>> {
    let mut connection = Connection::new(stream);
    let mut arrivals = Vec::new();
    let mut done = pin!(progress.done.cancelled());
    let mut after = progress.numbers[this].load(Ordering::Relaxed);
    loop {
        let path = format!("/feed/v1/orders?after={feed}-{after}&wait=30");
        let body = tokio::select! {
            body = connection.get(&path) => body?,
            () = &mut done => return Ok(arrivals),
        };
        let at = Instant::now();
        let through = last_number(&body).ok_or("a page without a continuation token")?;
        if through > after {
            arrivals.push(Arrival { asked: after, through, at });
        }
        after = through;
        progress.numbers[this].store(after, Ordering::Relaxed);
    }
}

/// The sequence number in the page's token, found without reading the orders.
fn last_number(page: &[u8]) -> Option<i64> {
    const NAME: &[u8] = b"\"continuationToken\":\"";
    let place = memmem::rfind(page, NAME)? + NAME.len();
    let token = page[place..].split(|byte| *byte == b'"').next()?;
    let number = token.rsplit(|byte| *byte == b'-').next()?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::last_number;

    #[test]
    fn the_token_is_found_behind_the_orders() {
        let page =
            br#"{"orders":[{"number":7}],"continuationToken":"abc-1700-42","hasMore":false}"#;
        assert_eq!(last_number(page), Some(42));
        assert_eq!(last_number(b"{}"), None);
    }
}
