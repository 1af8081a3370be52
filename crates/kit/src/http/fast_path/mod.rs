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
mod request;

use std::future::{Future, pending};
use std::io::Cursor;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::serve::Listener;
use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, Chain, Join, join};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::exchange::{Exchange, Prepared, Reply};
pub use self::request::Request;
use self::request::{MAX_HEAD, Read};
use super::site::Common;

/// What is answered past the routes.
pub trait FastPath: Send + Sync + 'static {
    /// What a request asks for.
    type Asked: Send;

    /// The route that would answer it, for the metrics.
    const ROUTE: &'static str;

    /// What `request` asks for; `None` when it is not for here.
    fn read(&self, request: &Request<'_>) -> Option<Self::Asked>;

    /// The answer; `None` when the routes are to give it. Dropped when `exchange` was answered meanwhile,
    /// by way of its [`Reply`], or its caller has gone.
    fn answer(
        &self,
        asked: Self::Asked,
        exchange: &Arc<Exchange>,
    ) -> impl Future<Output = Option<Prepared>> + Send;
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
    /// Those of `axum`, which has none yet.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        let Self { common, fast, routes } = self;
        let addr = listener.local_addr()?;
        let (hand_on, handed_on) = mpsc::unbounded_channel();
        let stopped = stop.clone().cancelled_owned();
        let rest = axum::serve(HandedOn { addr, connections: handed_on }, routes)
            .with_graceful_shutdown(stopped);
        let door = Arc::new(Door { common, fast, stop, hand_on });
        let (served, ()) = tokio::join!(rest.into_future(), door.open(listener));
        served
    }
}

/// Where connections come in.
struct Door<F> {
    common: Arc<Common>,
    fast: F,
    stop: CancellationToken,
    hand_on: mpsc::UnboundedSender<(Connection, SocketAddr)>,
}

impl<F: FastPath> Door<F> {
    async fn open(self: Arc<Self>, mut listener: TcpListener) {
        let open = TaskTracker::new();
        // `axum` waits when the system has no room for one more.
        while let Some((stream, addr)) =
            self.stop.run_until_cancelled(Listener::accept(&mut listener)).await
        {
            let door = Arc::clone(&self);
            open.spawn(async move {
                // What is written is a whole answer, and there is nothing to wait for.
                let _ = stream.set_nodelay(true);
                let (read, write) = stream.into_split();
                if let Some(connection) = door.converse(read, Arc::new(write)).await {
                    // Nobody is there any more when the service stops: the connection is closed.
                    let _ = door.hand_on.send((connection, addr));
                }
            });
        }
        open.close();
        open.wait().await;
    }

    /// Answers one request after the other, until there is one for the routes: they get the connection.
    /// `None` when it is over.
    async fn converse(
        &self,
        mut stream: OwnedReadHalf,
        answers: Arc<OwnedWriteHalf>,
    ) -> Option<Connection> {
        let mut read = Vec::with_capacity(1024);
        let mut stop = pin!(self.stop.cancelled());
        let mut is_stopping = false;
        loop {
            let (len, asked, exchange) = match Read::of(&read) {
                Read::Incomplete if read.len() < MAX_HEAD => {
                    tokio::select! {
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
                    _ => return handed_on(read, stream, answers),
                },
                Read::Incomplete | Read::Other => return handed_on(read, stream, answers),
            };
            // What panics does so again in the routes, where it is told of.
            let answer = AssertUnwindSafe(self.fast.answer(asked, &exchange)).catch_unwind();
            let mut answer = pin!(answer);
            loop {
                // One request is answered after the other; of more than the next nothing is read.
                let has_next = read.len() > len;
                tokio::select! {
                    biased;
                    more = stream.read_buf(&mut read), if !has_next => match more {
                        Ok(1..) if exchange.is_answered() => break,
                        Ok(1..) => {}
                        Ok(0) | Err(_) => {
                            exchange.withdraw();
                            return None;
                        }
                    },
                    () = exchange.answered(), if has_next || is_stopping => break,
                    answer = &mut answer => match answer {
                        Ok(Some(answer)) => {
                            is_stopping = self.stop.is_cancelled();
                            exchange.send(&answer, is_stopping);
                            exchange.answered().await;
                            break;
                        }
                        Ok(None) | Err(_) if exchange.withdraw() => {
                            return handed_on(read, stream, answers);
                        }
                        Ok(None) | Err(_) => {
                            exchange.answered().await;
                            break;
                        }
                    },
                    // Whoever still waits is answered at once.
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

/// A connection with what was read of it already.
type Connection = Join<Chain<Cursor<Vec<u8>>, OwnedReadHalf>, OwnedWriteHalf>;

/// `None` when an answer is still being written, to a request that has gone.
fn handed_on(
    read: Vec<u8>,
    stream: OwnedReadHalf,
    answers: Arc<OwnedWriteHalf>,
) -> Option<Connection> {
    Some(join(Cursor::new(read).chain(stream), Arc::into_inner(answers)?))
}

/// Where `axum` finds the connections that are for the routes.
struct HandedOn {
    addr: SocketAddr,
    connections: mpsc::UnboundedReceiver<(Connection, SocketAddr)>,
}

impl Listener for HandedOn {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        match self.connections.recv().await {
            Some(connection) => connection,
            // The service stops.
            None => pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.addr)
    }
}
