//! Those who wait at the end of the feed, each with a connection of its own.

use std::io::ErrorKind;
use std::ops::Range;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Instant;

use memchr::memmem::FinderRev;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::Result;
use crate::http_client::{Connection, Scratch, connect};
use crate::orders::LIMIT;

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

/// Consumers that are under way: a thread for each processor has its share of them. On one thread, a
/// thousand would wait for each other rather than for the feed; with a task for each, they would take more
/// of the processors from the service that they ask.
pub(super) struct Consumers(Vec<oneshot::Receiver<Result<Vec<Consumer>>>>);

impl Consumers {
    /// Lets `count` of them ask for one page after the other, from the number at which `numbers` starts,
    /// until they have the one at which it ends. `feed` is how tokens begin.
    pub(super) fn start(
        address: &str,
        feed: &str,
        numbers: &Range<i64>,
        count: u32,
    ) -> Result<Self> {
        let feed = Arc::from(feed);
        let mut shares: Vec<_> =
            (0..thread::available_parallelism()?.get()).map(|_| vec![]).collect();
        // One after the other: of many at once, the system lets some wait for seconds.
        for (_, share) in (0..count).zip((0..shares.len()).cycle()) {
            shares[share].push(Consumer::new(address, Arc::clone(&feed), numbers)?);
        }
        let start = |share| {
            let (done, received) = oneshot::channel();
            thread::spawn(move || {
                let _ = done.send(consume(share)); // nobody waits when the measurement has failed
            });
            received
        };
        Ok(Self(shares.into_iter().map(start).collect()))
    }

    /// What each of them has received, once all have everything.
    pub(super) async fn received(self) -> Result<Vec<Vec<Arrival>>> {
        let all = async {
            let mut arrivals = Vec::new();
            for share in self.0 {
                let consumers = share.await.map_err(|_| "a thread of consumers has ended")??;
                arrivals.extend(consumers.into_iter().map(|consumer| consumer.arrivals));
            }
            Ok(arrivals)
        };
        timeout(LIMIT, all).await.map_err(|_| "not every order reaches every consumer")?
    }
}

/// Lets them go on until each has everything.
fn consume(mut consumers: Vec<Consumer>) -> Result<Vec<Consumer>> {
    let (mut poll, mut scratch) = (Poll::new()?, Scratch::new());
    for (place, consumer) in consumers.iter_mut().enumerate() {
        let stream = consumer.connection.stream();
        poll.registry().register(stream, Token(place), Interest::READABLE)?;
        consumer.ask(&mut scratch)?;
    }
    let mut events = Events::with_capacity(consumers.len().max(1));
    let mut asking = Vec::new();
    while consumers.iter().any(|consumer| !consumer.has_all()) {
        match poll.poll(&mut events, None) {
            // By a signal, as of a service that ends.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        // First all that has come: where each had a machine of its own, no page would lie there while
        // others ask for their next.
        for place in events.iter().map(|event| event.token().0) {
            if consumers[place].take_in(&mut scratch)? && !consumers[place].has_all() {
                asking.push(place);
            }
        }
        for place in asking.drain(..) {
            consumers[place].ask(&mut scratch)?;
        }
    }
    Ok(consumers)
}

struct Consumer {
    connection: Connection<TcpStream>,
    feed: Arc<str>,
    after: i64,
    last: i64,
    arrivals: Vec<Arrival>,
}

impl Consumer {
    fn new(address: &str, feed: Arc<str>, numbers: &Range<i64>) -> Result<Self> {
        let stream = connect(address)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            connection: Connection::new(TcpStream::from_std(stream)),
            feed,
            after: numbers.start,
            last: numbers.end,
            arrivals: Vec::new(),
        })
    }

    fn has_all(&self) -> bool {
        self.after >= self.last
    }

    fn ask(&mut self, scratch: &mut Scratch) -> Result<()> {
        let Self { feed, after, .. } = self;
        let path = format_args!("/feed/v1/orders?after={feed}-{after}&wait=30");
        Ok(self.connection.ask(path, scratch)?)
    }

    /// Takes in what has come; whether it is a whole page.
    fn take_in(&mut self, scratch: &mut Scratch) -> Result<bool> {
        let Some(page) = self.connection.answer(scratch)? else { return Ok(false) };
        let at = Instant::now();
        let through = last_number(page).ok_or("a page without a continuation token")?;
        if through > self.after {
            self.arrivals.push(Arrival { asked: self.after, through, at });
        }
        self.after = through;
        Ok(true)
    }
}

/// The sequence number in the page's token, found without reading the orders.
fn last_number(page: &[u8]) -> Option<i64> {
    static NAME: LazyLock<FinderRev> =
        LazyLock::new(|| FinderRev::new(b"\"continuationToken\":\""));
    let place = NAME.rfind(page)? + NAME.needle().len();
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
