//! What HTTP alone takes: a server with one page for all who wait, and nothing else. No database, no
//! routes, no log, and the same consumers. However little a feed costs, it cannot be sooner with all of
//! them on this machine.

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::consumer::Consumers;
use super::writer::{Confirmed, on_a_thread};
use super::{SETTLE, delivery};
use crate::Result;
use crate::cli::FanOut;
use crate::http_client::{Connection, Scratch, connect};
use crate::services::service;

/// How long the one order on a page is: as one of three lines.
const ORDER_BYTES: usize = 800;
/// How its tokens begin.
const FEED: &str = "floor-1";

/// Milliseconds from each confirmation until each consumer had the page.
pub(super) async fn measure(settings: FanOut) -> Result<Vec<f64>> {
    let server = service("floor").start().await;
    let last = i64::from(settings.rate * settings.seconds);
    let waiting = Consumers::start(server.address(), FEED, &(0..last), settings.consumers)?;
    sleep(SETTLE).await;
    let address = server.address().to_owned();
    let confirmed = on_a_thread(async move { confirm(&address, settings.rate, last).await });
    let confirmed = confirmed.await.map_err(|_| "the writer has ended")??;
    delivery(&confirmed, &waiting.received().await?)
}

async fn confirm(address: &str, rate: u32, count: i64) -> Result<Vec<Confirmed>> {
    let (mut connection, mut scratch) = (Connection::new(connect(address)?), Scratch::new());
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut confirmed = Vec::new();
    for sequence_nr in 1..=count {
        ticks.tick().await;
        connection.ask(format_args!("/confirm"), &mut scratch)?;
        connection.answer(&mut scratch)?;
        confirmed.push(Confirmed { sequence_nr, at: Instant::now() });
    }
    Ok(confirmed)
}

/// The newest page, and its number.
struct Page {
    number: i64,
    document: Bytes,
}

impl Page {
    fn of(number: i64) -> Self {
        let order = "x".repeat(ORDER_BYTES);
        let document = format!(r#"{{"orders":["{order}"],"continuationToken":"{FEED}-{number}"}}"#);
        Self { number, document: document.into() }
    }
}

/// The server, as a process of its own. Ends when it is killed.
pub(crate) async fn serve() -> Result<ExitCode> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening addr={}", listener.local_addr()?);
    let newest = watch::Sender::new(Page::of(0));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let newest = newest.clone();
        tokio::spawn(async move {
            let answering = service_fn(|request| answer(request, newest.clone()));
            http1::Builder::new().serve_connection(TokioIo::new(stream), answering).await
        });
    }
}

/// The page behind the token that is asked with, once there is one; without a token, makes the next.
async fn answer(
    request: Request<Incoming>,
    newest: watch::Sender<Page>,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    let document = if let Some(after) = asked_after(request.uri().query()) {
        let mut waiting = newest.subscribe();
        let page = waiting.wait_for(|page| page.number > after).await;
        page.map(|page| page.document.clone()).unwrap_or_default()
    } else {
        newest.send_modify(|page| *page = Page::of(page.number + 1));
        Bytes::new()
    };
    Ok(Response::new(Full::new(document)))
}

fn asked_after(query: Option<&str>) -> Option<i64> {
    let token = query?.strip_prefix("after=")?.split('&').next()?;
    token.rsplit('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::asked_after;

    #[test]
    fn the_number_behind_which_is_asked_is_the_last_of_the_token() {
        assert_eq!(asked_after(Some("after=floor-1-42&wait=30")), Some(42));
        assert_eq!(asked_after(None), None);
    }
}
