//! What every request passes on its way in and every response on its way out.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, UNIX_EPOCH};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use axum::{BoxError, Router};
use contract::problem::{Problem, ProblemCode};
use contract::time::Timestamp;
use httpdate::HttpDate;
use tower::layer::layer_fn;
use tower::{Service, ServiceBuilder};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::csrf::CsrfLayer;
use tracing::{Instrument, Span};

use super::fast_path::{FastPath, Front};
use super::frame::Frame;
use super::measured::{InFlight, Measured};
use super::problem::{Asker, ProblemResponse, write_body};
use crate::clock::SharedClock;
use crate::random::Random;

/// The header that names a request in answers and logs.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The target of the line in the log that tells of each request.
const LOGGED_AS: &str = module_path!();

/// The largest body a service reads, in bytes: an order of 2,000 lines with long descriptions fits.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// What the pages of a service have in common.
#[derive(Clone)]
pub struct Site {
    /// Measures how long requests take.
    pub clock: SharedClock,
    /// Gives requests their ids.
    pub random: Random,
    /// What surrounds the page for an error.
    pub frame: Frame,
    /// Where forms may lead besides the service itself: origins, separated by blanks.
    pub form_targets: String,
}

impl Site {
    /// Wraps a service's routes in everything that holds for all of them: request ids, logging,
    /// problem documents, compression, protection against cross-site requests, security headers.
    pub fn wrap(self, routes: Router) -> Router {
        self.common().wrap(routes)
    }

    /// The same, where `fast` answers what it can past the routes and most of what surrounds them.
    pub fn wrap_behind<F: FastPath>(self, fast: F, routes: Router) -> Front<F> {
        let common = self.common();
        let routes = Arc::clone(&common).wrap(routes);
        Front::new(common, fast, routes)
    }

    fn common(self) -> Arc<Common> {
        let date = Mutex::new((Duration::MAX, Arc::default()));
        Arc::new(Common { site: self, measured: Measured::new(), date })
    }
}

/// What all requests have in common.
pub(super) struct Common {
    pub(super) site: Site,
    pub(super) measured: Measured,
    /// See [`Common::date`].
    date: Mutex<(Duration, Arc<str>)>,
}

impl Common {
    fn wrap(self: Arc<Self>, routes: Router) -> Router {
        routes
            .fallback(|| async {
                problem(ProblemCode::NotFound, "There is nothing at this address.")
            })
            // In one: each layer that a router is wrapped in by itself is a pointer more to follow, and
            // copied with each request. The first is the outermost.
            .layer(
                ServiceBuilder::new()
                    .layer(CompressionLayer::new())
                    .layer(layer_fn(move |inner| Around { common: Arc::clone(&self), inner }))
                    .layer(CatchPanicLayer::custom(|_| {
                        // The panic itself is logged by the standard panic hook.
                        problem(ProblemCode::Internal, ProblemCode::Internal.help()).into_response()
                    }))
                    .layer(CsrfLayer::new())
                    .layer(DefaultBodyLimit::max(MAX_BODY_BYTES)),
            )
    }

    /// The caller's own id, or a new one.
    pub(super) fn request_id(&self, headers: &HeaderMap, now: Timestamp) -> String {
        request_id(headers).unwrap_or_else(|| self.site.random.uuid(now))
    }

    /// Adds what every answer says.
    pub(super) fn sign(&self, headers: &mut HeaderMap, id: String, is_docs: bool) {
        // An id is letters, digits, dots, dashes and underscores, all of which a header may hold.
        let id = HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("invalid"));
        headers.insert(REQUEST_ID, id);
        self.complete(headers, is_docs);
    }

    /// The part of it that is the same for all of a kind.
    pub(super) fn complete(&self, headers: &mut HeaderMap, is_docs: bool) {
        security_headers(headers, &self.site.form_targets, is_docs);
    }

    /// The second of `now`, as the field `Date` tells it.
    pub(super) fn date(&self, now: Timestamp) -> Arc<str> {
        let second = Duration::from_secs(now.micros().unsigned_abs() / 1_000_000);
        let mut date = self.date.lock().unwrap_or_else(PoisonError::into_inner);
        if date.0 != second {
            // It is written once, and not for each of thousands.
            *date = (second, HttpDate::from(UNIX_EPOCH + second).to_string().into());
        }
        Arc::clone(&date.1)
    }

    /// Whether somebody wants to read of each request in the log.
    pub(super) fn is_logging() -> bool {
        tracing::enabled!(target: LOGGED_AS, tracing::Level::DEBUG)
    }
}

fn problem(code: ProblemCode, detail: &str) -> ProblemResponse {
    Problem::new(code, detail).into()
}

/// Names each request, logs and measures it, and completes its answer. A service by itself rather than
/// a function in `axum`'s `from_fn`, which copies all it wraps with each request.
#[derive(Clone)]
struct Around<S> {
    common: Arc<Common>,
    inner: S,
}

impl<S, B> Service<Request> for Around<S>
where
    S: Service<Request, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let passage = Passage::of(Arc::clone(&self.common), &mut request);
        let answer = passage.span.in_scope(|| self.inner.call(request));
        Box::pin(async move {
            let response = answer.instrument(passage.span.clone()).await?;
            Ok(passage.complete(response.map(Body::new)))
        })
    }
}

/// One request on its way.
struct Passage {
    common: Arc<Common>,
    id: String,
    asker: Asker,
    method: Method,
    route: Option<MatchedPath>,
    is_docs: bool,
    span: Span,
    started: Timestamp,
    /// Counts until the request is answered, or its caller has gone.
    _in_flight: InFlight,
}

impl Passage {
    fn of(common: Arc<Common>, request: &mut Request) -> Self {
        let started = common.site.clock.now();
        let id = common.request_id(request.headers(), started);
        let method = request.method().clone();
        // Shown as they are: to write each as a literal, quotes and all, takes as long as all the rest.
        let path = request.uri().path();
        let span = tracing::info_span!("request", %method, %path, request.id = %id);
        Self {
            asker: Asker::new(id.clone(), request),
            id,
            route: request.extensions().get::<MatchedPath>().cloned(),
            is_docs: path.starts_with("/docs"),
            method,
            span,
            started,
            _in_flight: common.measured.enter(),
            common,
        }
    }

    fn complete(self, response: Response) -> Response {
        let mut response = write_body(response, &self.asker, self.common.site.frame);
        let route = self.route.as_ref().map_or("(none)", MatchedPath::as_str);
        let took = self.common.site.clock.now().since(self.started);
        self.common.measured.record(&self.method, route, response.status(), took);
        let (status, ms) = (response.status().as_u16(), millis(took));
        self.span.in_scope(|| tracing::debug!(target: LOGGED_AS, status, ms, "answered"));
        self.common.sign(response.headers_mut(), self.id, self.is_docs);
        response
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The caller's own id, when it is short and made of harmless characters.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    is_harmless(id).then(|| id.to_owned())
}

/// Whether an id is short and made of harmless characters.
pub(super) fn is_harmless(id: &str) -> bool {
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=128).contains(&id.len()) && id.bytes().all(harmless)
}

fn security_headers(headers: &mut HeaderMap, form_targets: &str, is_docs: bool) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    let is_page = headers.get(CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"text/html"));
    if is_page {
        // Swagger UI styles its elements inline; our own pages need no such exception.
        let inline_style = if is_docs { " 'unsafe-inline'" } else { "" };
        let policy = format!(
            "default-src 'none'; style-src 'self'{inline_style}; script-src 'self'; \
             img-src 'self' data:; connect-src 'self'; form-action 'self' {form_targets}; \
             base-uri 'none'; frame-ancestors 'none'"
        );
        // Without a policy the page would be less safe, not wrong: settings are checked at start.
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_request_ids_are_taken_over() {
        let id = |value: &str| {
            request_id(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_str(value).unwrap())]))
        };
        assert_eq!(id("abc-1.2_3"), Some("abc-1.2_3".to_owned()));
        assert_eq!(id("<script>"), None);
        assert_eq!(id(&"x".repeat(129)), None);
        assert_eq!(id(""), None);
    }
}
