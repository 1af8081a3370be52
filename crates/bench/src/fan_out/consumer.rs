//! One of many who wait at the end of the feed.

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Instant;

use memchr::memmem::FinderRev;
use tokio::net::TcpStream;
use tokio::runtime::{Handle, Runtime};

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

/// Where consumers run: on as many threads as there are processors. On the one thread of the rest of this
/// program, a thousand would wait for each other rather than for the feed.
pub(super) fn threads() -> &'static Handle {
    // Services, and this program itself, have been given theirs by now.
    static THREADS: LazyLock<Runtime> =
        LazyLock::new(|| Runtime::new().expect("the system lets a program have threads"));
    THREADS.handle()
}

/// Waits for one page after the other until the number `last` has arrived. `feed` is how tokens begin.
pub(super) async fn consume(
    mut connection: Connection<TcpStream>,
    feed: String,
    mut after: i64,
    last: i64,
) -> Result<Vec<Arrival>> {
    let (mut arrivals, mut path) = (Vec::new(), String::new());
    while after < last {
        path.clear();
        write!(path, "/feed/v1/orders?after={feed}-{after}&wait=30")?;
        let body = connection.get(&path).await?;
        let at = Instant::now();
        let through = last_number(body).ok_or("a page without a continuation token")?;
        if through > after {
            arrivals.push(Arrival { asked: after, through, at });
        }
        after = through;
    }
    Ok(arrivals)
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
