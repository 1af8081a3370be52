//! Connections that are for the routes, as `axum` takes them.

use std::convert::Infallible;
use std::future::{Ready, pending, ready};
use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::routing::future::RouteFuture;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncReadExt as _, Chain, Join, join};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower::Service;

/// What the fast path could not answer with, in the extensions of the request: the routes are to tell it,
/// and not to look or to wait once more.
pub struct Left<L>(Arc<Mutex<Option<L>>>);

impl<L> Left<L> {
    /// Takes it out.
    pub fn take(&self) -> Option<L> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<L> Clone for Left<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A connection with what was read of it already.
pub(super) type Connection<L> = Join<Chain<Cursor<Begun<L>>, OwnedReadHalf>, OwnedWriteHalf>;

/// What was read, and what the fast path left of its first request.
pub(super) struct Begun<L> {
    read: Vec<u8>,
    left: Left<OnTheWay<L>>,
}

/// What was left, until the request has reached the routes: `axum` closes at a stop what it has not begun to
/// read.
pub(super) type OnTheWay<L> = (L, TaskTrackerToken);

impl<L> AsRef<[u8]> for Begun<L> {
    fn as_ref(&self) -> &[u8] {
        &self.read
    }
}

/// `None` when an answer is still being written, which nobody hands on.
pub(super) fn connection<L>(
    read: Vec<u8>,
    left: Option<OnTheWay<L>>,
    stream: OwnedReadHalf,
    answers: Arc<OwnedWriteHalf>,
) -> Option<Connection<L>> {
    let begun = Begun { read, left: Left(Arc::new(Mutex::new(left))) };
    Some(join(Cursor::new(begun).chain(stream), Arc::into_inner(answers)?))
}

/// Where `axum` finds them.
pub(super) struct HandedOn<L> {
    pub(super) addr: SocketAddr,
    pub(super) connections: mpsc::UnboundedReceiver<(Connection<L>, SocketAddr)>,
    /// Tracks what was left and has not reached the routes.
    pub(super) on_the_way: TaskTracker,
    /// Cancelled when no more will come.
    pub(super) is_over: CancellationToken,
}

impl<L: Send + 'static> Listener for HandedOn<L> {
    type Io = Connection<L>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection<L>, SocketAddr) {
        if let Some(connection) = self.connections.recv().await {
            return connection;
        }
        self.on_the_way.close();
        self.on_the_way.wait().await;
        self.is_over.cancel();
        pending().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }
}

/// The routes, for each connection.
pub(super) struct Routes(pub(super) Router);

impl<L: Send + 'static> Service<IncomingStream<'_, HandedOn<L>>> for Routes {
    type Response = RoutesOf<L>;
    type Error = Infallible;
    type Future = Ready<Result<RoutesOf<L>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, HandedOn<L>>) -> Self::Future {
        let (begun, _) = stream.io().reader().get_ref();
        let left = begun.get_ref().left.clone();
        ready(Ok(RoutesOf { routes: self.0.clone(), left }))
    }
}

/// The routes, for one connection.
pub(super) struct RoutesOf<L> {
    routes: Router,
    left: Left<OnTheWay<L>>,
}

impl<L> Clone for RoutesOf<L> {
    fn clone(&self) -> Self {
        Self { routes: self.routes.clone(), left: self.left.clone() }
    }
}

impl<L: Send + 'static> Service<Request> for RoutesOf<L> {
    type Response = <Router as Service<Request>>::Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        // For the first request only: then it is empty.
        if let Some((left, _reached)) = self.left.take() {
            request.extensions_mut().insert(Left(Arc::new(Mutex::new(Some(left)))));
        }
        self.routes.call(request)
    }
}
