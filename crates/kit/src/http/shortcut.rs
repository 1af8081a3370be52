//! A way past the routes, for requests that come by the thousand and of which each is little work: what
//! surrounds the routes costs several times as much as to answer one of these.
//!
//! Only answers that are as they should be leave this way. Everything else, from a wrong parameter to a
//! database that is away, is left to the routes, which tell it and log it; see [`Tried`].

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::http::header::{ACCEPT_ENCODING, VARY};
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use futures_util::FutureExt as _;
use tower::Service;
use tracing::Level;

use super::site::{self, Common};

/// Stands in the extensions of a request that was taken before it came to the routes: they are to answer
/// without waiting for anything once more.
#[derive(Clone, Copy, Debug)]
pub struct Tried;

/// What is answered past the routes.
pub trait Shortcut: Send + Sync + 'static {
    /// The route that would answer it, for the metrics.
    const ROUTE: &'static str;

    /// The answer to come, which is `None` when the routes have to give it after all; `None` when the
    /// request is not for here. It is a GET.
    fn take(
        &self,
        request: &Request,
    ) -> Option<impl Future<Output = Option<Response>> + Send + 'static>;
}

/// The service with its shortcut. Behind one pointer, because it is copied with each request.
pub struct Front<S>(Arc<Parts<S>>);

struct Parts<S> {
    common: Arc<Common>,
    shortcut: S,
    routes: Router,
}

impl<S> Front<S> {
    pub(super) fn new(common: Arc<Common>, shortcut: S, routes: Router) -> Self {
        Self(Arc::new(Parts { common, shortcut, routes }))
    }
}

impl<S> Clone for Front<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Shortcut> Service<Request> for Front<S> {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // As the routes are, always.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let taken = is_plain(&request).then(|| self.0.shortcut.take(&request)).flatten();
        let Some(answer) = taken else { return Box::pin(self.0.routes.clone().call(request)) };
        let front = self.clone();
        Box::pin(async move {
            let Parts { common, routes, .. } = &*front.0;
            // What panics here does so again there, where it is told of.
            let in_flight = common.enter();
            let started = common.site.clock.now();
            let answer = AssertUnwindSafe(answer).catch_unwind().await;
            drop(in_flight);
            let Ok(Some(mut response)) = answer else {
                request.extensions_mut().insert(Tried);
                return routes.clone().call(request).await;
            };
            common.measure(request.method(), S::ROUTE, response.status(), started);
            let id = common.request_id(request.headers(), started);
            let headers = response.headers_mut();
            headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
            common.sign(headers, id, false);
            Ok(response)
        })
    }
}

/// Whether the answer needs no compression, and nobody wants to read of it in the log.
fn is_plain(request: &Request) -> bool {
    request.method() == Method::GET
        && !request.headers().contains_key(ACCEPT_ENCODING)
        && !tracing::enabled!(target: site::LOGGED_AS, Level::DEBUG)
}
