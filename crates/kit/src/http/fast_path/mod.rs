//! A way past HTTP's usual machinery, for requests that come by the thousand and of which each is little
//! work: to read one of them as any request, to lead it through the routes, and to let a task wait for the
//! answer, costs several times as much as to answer it.
//!
//! It stands in front of the routes and sees each connection first. What it takes is a plain GET that
//! somebody answers with a page that is ready; see [`request`] for what plain means. With the first request
//! of any other kind the connection goes on to `axum`, with what was read of it, and stays there. So does
//! whatever cannot be answered as it should be, from a wrong parameter to a database that is away: the
//! routes tell it and log it.

mod exchange;
mod handed_on;
mod request;
mod stop;

use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::serve::Listener;
use futures_util::FutureExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::exchange::{Exchange, Prepared, Reply};
pub use self::handed_on::Left;
use self::handed_on::{Connection, HandedOn, Routes, connection};
pub use self::request::Request;
use self::request::{MAX_HEAD, Read};
use self::stop::Stop;
use super::site::Common;

/// What is answered past the routes.
pub trait FastPath: Send + Sync + 'static {
    /// What a request asks for.
    type Asked: Send;

    /// Why it is not answered here, for the routes; see [`Left`].
    type Left: Send + 'static;

    /// The route that would answer it, for the metrics.
    const ROUTE: &'static str;

    /// What `request` asks for; `None` when it is not for here.
    fn read(&self, request: &Request<'_>) -> Option<Self::Asked>;

    /// The answer, or what is left to the routes. Ready soon after the service is told to stop. Dropped when
    /// `exchange` was answered meanwhile, by way of its [`Reply`], or its caller has gone.
    fn answer(
        &self,
        asked: Self::Asked,
        exchange: &Arc<Exchange>,
    ) -> impl Future<Output = Result<Prepared, Self::Left>> + Send;
}

/// A service with its fast path.
pub struct Front<F> {
    common: Arc<Common>,
    fast: F,
    routes: Router,
}

impl<F: FastPath> Front<F> {
    pub(super) fn new(common: Arc<Common>, fast: F, routes: Router) -> Self {
        Self { common, fast, routes }
    }

    /// Serves all who come to `listener`, until `stop`; then what is in flight is answered still.
    ///
    /// # Errors
    /// When the system does not tell the listener's address.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        let Self { common, fast, routes } = self;
        let addr = listener.local_addr()?;
        let (hand_on, connections) = mpsc::unbounded_channel();
        let is_over = CancellationToken::new();
        // The routes go on until nothing comes to them any more.
        let stopped = is_over.clone().cancelled_owned();
        let on_the_way = TaskTracker::new();
        let handed_on = HandedOn { addr, connections, on_the_way: on_the_way.clone(), is_over };
        let rest = axum::serve(handed_on, Routes(routes)).with_graceful_shutdown(stopped);
        let door = Arc::new(Door { common, fast, stop: Stop::of(stop), hand_on, on_the_way });
        let (served, ()) = tokio::join!(rest.into_future(), door.open(listener));
        served
    }
}

/// Where connections come in.
struct Door<F: FastPath> {
    common: Arc<Common>,
    fast: F,
    stop: Stop,
    hand_on: mpsc::UnboundedSender<(Connection<F::Left>, SocketAddr)>,
    /// Tracks what was left to the routes and has not reached them.
    on_the_way: TaskTracker,
}

impl<F: FastPath> Door<F> {
    async fn open(self: Arc<Self>, mut listener: TcpListener) {
        let open = TaskTracker::new();
        loop {
            let (stream, addr) = tokio::select! {
                biased;
                () = self.stop.begun() => break,
                // `axum` waits when the system has no room for one more.
                accepted = Listener::accept(&mut listener) => accepted,
            };
            let door = Arc::clone(&self);
            open.spawn(async move {
                // What is written is a whole answer, and there is nothing to wait for.
                let _ = stream.set_nodelay(true);
                let (read, write) = stream.into_split();
                if let Some(connection) = door.converse(read, Arc::new(write)).await {
                    // `axum` is there as long as this is.
                    let _ = door.hand_on.send((connection, addr));
                }
            });
        }
        // Nobody else is let in while those who are in are answered.
        drop(listener);
        self.stop.tell();
        open.close();
        open.wait().await;
    }

    /// Answers one request after the other, until there is one for the routes: they get the connection.
    /// `None` when it is over.
    async fn converse(
        &self,
        mut stream: OwnedReadHalf,
        answers: Arc<OwnedWriteHalf>,
    ) -> Option<Connection<F::Left>> {
        let mut read = Vec::with_capacity(1024);
        let mut stop = pin!(self.stop.told());
        let mut is_stopping = false;
        loop {
            let (len, asked, exchange) = match Read::of(&read) {
                Read::Incomplete if read.len() < MAX_HEAD => {
                    tokio::select! {
                        // What has come before the stop is answered.
                        biased;
                        more = stream.read_buf(&mut read) => match more {
                            Ok(1..) => continue,
                            Ok(0) | Err(_) => return None,
                        },
                        () = &mut stop => return None,
                    }
                }
                Read::Whole(request, len) => match self.fast.read(&request) {
                    Some(asked) if !Common::is_logging() => {
                        let common = Arc::clone(&self.common);
                        (len, asked, Exchange::new(&answers, common, F::ROUTE, request.id))
                    }
                    _ => return connection(read, None, stream, answers),
                },
                Read::Incomplete | Read::Other => return connection(read, None, stream, answers),
            };
            let answer = AssertUnwindSafe(self.fast.answer(asked, &exchange)).catch_unwind();
            let mut answer = pin!(answer);
            let mut is_given = false;
            loop {
                // One request is answered after the other; of more than the next nothing is read.
                let has_next = read.len() > len;
                tokio::select! {
                    biased;
                    more = stream.read_buf(&mut read), if !has_next => {
                        if !matches!(more, Ok(1..)) {
                            exchange.withdraw();
                            return None;
                        }
                    }
                    // As a rule the next request tells it, and to be woken by the answer too is not needed.
                    written = exchange.answered(has_next || is_stopping || is_given) => match written {
                        Ok(()) => break,
                        Err(_) => return None,
                    },
                    answer = &mut answer, if !is_given => match answer {
                        Ok(Ok(answer)) => {
                            is_given = true;
                            is_stopping = self.stop.is_so();
                            exchange.send(&answer, is_stopping);
                        }
                        // Somebody else has answered in this moment.
                        Ok(Err(_)) | Err(_) if !exchange.withdraw() => is_given = true,
                        Ok(Err(left)) => {
                            let left = (left, self.on_the_way.token());
                            return connection(read, Some(left), stream, answers);
                        }
                        // What panics does so again in the routes, where it is told of.
                        Err(_) => return connection(read, None, stream, answers),
                    },
                    () = &mut stop, if !is_stopping => is_stopping = true,
                }
            }
            if is_stopping {
                return None;
            }
            read.drain(..len);
        }
    }
}
