//! The feed: every change of an exposed order, in the order in which the sequencer stamped them.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LINK};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use contract::checksum::{ChecksumPage, DEFAULT_WIDTH, MAX_WIDTH};
use contract::feed::{
    ContinuationToken, DEFAULT_PAGE_LIMIT, FeedIdentity, FeedOrder, FeedPage, FeedStatus,
    MAX_PAGE_BYTES, MAX_PAGE_LIMIT, MAX_WAIT_SECONDS,
};
use contract::problem::ProblemCode;
use kit::http::etag;
use kit::http::fast_path::{Exchange, Left};
use kit::http::read::{Params, Violations};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::AppState;
use super::extract::{OrderNumber, no_order};
use super::head::{Answer, ReadyPage, Wanted};
use super::line;
use super::openapi::FeedProblems;
use crate::error::{Error, Result};
use crate::feed::Verdict;
use crate::sequencer;
use crate::store::{Begun, ChecksumQuery, EpochReason};

/// Kept by nobody without asking whether it is still so.
const NO_CACHE: &str = "no-cache";
/// Where the pages are.
pub(super) const PAGES: &str = "/feed/v1/orders";

/// The feed's routes, with their whole addresses: under a prefix that `axum` takes off, the address of
/// each request would be read once more, which thousands that wait can feel.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(refusing_others(routes!(orders)))
        .routes(refusing_others(routes!(order)))
        .routes(refusing_others(routes!(status)))
        .routes(refusing_others(routes!(checksums)))
        .route("/feed/v1", any(nothing))
        .route("/feed/v1/", any(nothing))
        .route("/feed/v1/{*address}", any(nothing))
}

/// Lets other methods than those of an address be refused in the feed's way.
fn refusing_others(
    (schemas, paths, methods): UtoipaMethodRouter<AppState>,
) -> UtoipaMethodRouter<AppState> {
    (schemas, paths, methods.fallback(wrong_method))
}

async fn wrong_method(State(state): State<AppState>) -> Result<()> {
    let code = ProblemCode::MethodNotAllowed;
    naming_the_feed(&state, async { Err(Error::new(code, code.help())) }).await
}

async fn nothing(State(state): State<AppState>) -> Result<()> {
    let nothing = Error::new(ProblemCode::NotFound, "There is nothing at this address.");
    naming_the_feed(&state, async { Err(nothing) }).await
}

/// A page of changed orders
///
/// Follow `continuationToken` until `hasMore` is false, then ask again later with the last token,
/// or at once with `wait`. An order that changes again moves to the end, so each is read in its
/// latest state.
#[utoipa::path(
    get,
    path = "/feed/v1/orders",
    operation_id = "readFeed",
    tag = "feed",
    params(
        ("after" = Option<ContinuationToken>, Query,
            description = "The `continuationToken` of the page before; absent: from the beginning"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 5000,
            description = "At most so many orders, 1000 when absent; a page also ends early near 8 MiB"),
        ("wait" = Option<i64>, Query, minimum = 0, maximum = 60,
            description = "Seconds to hold the request while there is nothing new, 0 when absent"),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag` that is known already"),
    ),
    responses(
        (status = 200, body = FeedPage, headers(
            ("ETag" = String, description = "Weak, of this very page"),
            ("Link" = String, description = "The next page, `rel=\"next\"`"),
        )),
        (status = 304, description = "The page is the one in `If-None-Match`"),
        FeedProblems,
    )
)]
async fn orders(
    State(state): State<AppState>,
    params: Params,
    request: Request,
) -> Result<Response> {
    // Taken out of the request, of which nothing else is needed: as an argument they would be a copy.
    let Parts { headers, extensions, .. } = request.into_parts().0;
    naming_the_feed(&state, async {
        let query = Query::read(&params)?;
        let answer = match extensions.get().and_then(Left::take) {
            Some(left) => left,
            None => answer(&state, &query, None).await,
        };
        match answer? {
            Answer::Page(page) => {
                state.head.pages_served.increment(1);
                Ok(serve(&page, &headers))
            }
            Answer::Refused { identity, verdict } => Err(refusal(&state, identity, verdict).await),
        }
    })
    .await
}

/// One order as it is committed now
///
/// Stamped or not: `confirmedSequenceNr` is −1 while its latest change has no place in the feed
/// yet. A draft answers like an order that does not exist.
#[utoipa::path(
    get,
    path = "/feed/v1/orders/{number}",
    operation_id = "readFeedOrder",
    tag = "feed",
    params(("number" = i64, Path, description = "The order's number")),
    responses((status = 200, body = FeedOrder), FeedProblems)
)]
async fn order(
    State(state): State<AppState>,
    number: Result<OrderNumber>,
    params: Params,
) -> Result<impl IntoResponse> {
    naming_the_feed(&state, async {
        let OrderNumber(number) = number?;
        params.expect_none()?;
        let (identity, order) = state.store.feed_order(number).await?;
        let order = order.ok_or_else(|| no_order().of_feed(identity.clone()))?;
        let FeedIdentity { feed_id, epoch } = identity;
        Ok(([(CACHE_CONTROL, NO_CACHE)], Json(FeedOrder { feed_id, epoch, order })))
    })
    .await
}

/// How the feed is doing
#[utoipa::path(
    get,
    path = "/feed/v1/status",
    operation_id = "readFeedStatus",
    tag = "feed",
    responses((status = 200, body = FeedStatus), FeedProblems)
)]
async fn status(State(state): State<AppState>, params: Params) -> Result<impl IntoResponse> {
    naming_the_feed(&state, async {
        params.expect_none()?;
        let status = state.store.feed_status(state.clock.now()).await?;
        Ok(([(CACHE_CONTROL, NO_CACHE)], Json(status)))
    })
    .await
}

/// Checksums over ranges of order numbers
///
/// To find out whether a copy is equal without reading everything: sum the copy up in the same way,
/// compare, and ask again with a smaller `width` inside the ranges that differ. Between `from` and
/// `next` every exposed order is counted; a range without any is left out.
///
/// The checksum of a range is the first half, 32 hexadecimal digits, of the SHA-256 over the digests
/// of its orders by rising number. The digest of an order is the SHA-256 over `number`, `state`,
/// `version`, the customer's `id`, `name`, `email` and `address` (`line1`, `line2`, `postalCode`,
/// `city`, `country`), `currency`, `reference`, `note`, the number of lines and of each `lineNo`,
/// `sku`, `description`, `quantity`, `unitPriceMinor`, `taxBasisPoints`, then `netMinor`, `taxMinor`,
/// `totalMinor`, `confirmedAt`, `changedAt`, `deletedAt`: numbers as 8 bytes, little-endian; times as
/// microseconds since 1970; texts as their length in bytes, then UTF-8; what may be null with a byte
/// 0 or 1 in front. `confirmedSequenceNr` does not count.
#[utoipa::path(
    get,
    path = "/feed/v1/checksums",
    operation_id = "readFeedChecksums",
    tag = "feed",
    params(
        ("from" = Option<i64>, Query, minimum = 0,
            description = "The first order number, a multiple of `width`; 0 when absent"),
        ("through" = Option<i64>, Query, minimum = 0,
            description = "The last order number; all that follow when absent"),
        ("width" = Option<i64>, Query, minimum = 1, maximum = 4096,
            description = "How many order numbers a range has, 1024 when absent"),
    ),
    responses((status = 200, body = ChecksumPage), FeedProblems)
)]
async fn checksums(State(state): State<AppState>, params: Params) -> Result<impl IntoResponse> {
    naming_the_feed(&state, async {
        let query = read_checksum_query(&params)?;
        let page = state.store.checksums(&query).await?;
        Ok(([(CACHE_CONTROL, NO_CACHE)], Json(page)))
    })
    .await
}

fn read_checksum_query(params: &Params) -> Result<ChecksumQuery> {
    let mut violations = Violations::new();
    params.allow_only_once(&["from", "through", "width"], &mut violations);
    let width = params.int("width", DEFAULT_WIDTH, 1..=MAX_WIDTH, &mut violations);
    let from = params.int("from", 0, 0..=i64::MAX, &mut violations);
    let through = params.int("through", i64::MAX, 0..=i64::MAX, &mut violations);
    if from % width != 0 {
        violations.add("/from", "invalid", format!("must be a multiple of the width, {width}"));
    }
    violations.into_invalid_request()?;
    Ok(ChecksumQuery { from, through, width })
}

/// What the caller of a page wants.
pub(super) struct Query {
    pub(super) page: Arc<Wanted>,
    /// For how long, while there is nothing new.
    pub(super) wait: Duration,
}

impl Query {
    pub(super) fn read(params: &Params) -> Result<Self> {
        let mut violations = Violations::new();
        params.allow_only_once(&["after", "limit", "wait"], &mut violations);
        let detail = "must be a continuation token of this feed";
        let after = params.parsed("after", detail, &mut violations);
        let limit = params
            .text("limit")
            .map(|_| params.int("limit", DEFAULT_PAGE_LIMIT, 1..=MAX_PAGE_LIMIT, &mut violations));
        let wait = params.int("wait", 0, 0..=MAX_WAIT_SECONDS, &mut violations);
        violations.into_invalid_request()?;
        // Never negative: the range begins at 0.
        let wait = Duration::from_secs(wait.unsigned_abs());
        Ok(Self { page: Arc::new(Wanted { after, limit }), wait })
    }
}

/// The page. Who does not wait gets it read afresh; whoever does, and comes with an exchange, may be
/// answered there.
pub(super) async fn answer(
    state: &AppState,
    Query { page, wait }: &Query,
    exchange: Option<&Arc<Exchange>>,
) -> Result<Answer> {
    if wait.is_zero() {
        read(state, page).await
    } else {
        line::wait(state, page, *wait, exchange).await
    }
}

/// Reads the page from the database.
pub(super) async fn read(state: &AppState, wanted: &Wanted) -> Result<Answer> {
    state.head.pages_read.increment(1);
    let limit = wanted.limit.unwrap_or(DEFAULT_PAGE_LIMIT);
    let answer = state.feed.feed_page(wanted.after.as_ref(), limit, MAX_PAGE_BYTES).await?;
    Ok(Answer::of(answer, wanted.limit))
}

/// The page as a response, or that the caller knows it already.
fn serve(page: &ReadyPage, headers: &HeaderMap) -> Response {
    let is_known = page.etag.to_str().is_ok_and(|tag| etag::is_known(headers, tag));
    let body = if is_known { Body::empty() } else { Body::from(page.document.clone()) };
    let mut response = Response::new(body);
    *response.headers_mut() = head_of(page);
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().remove(CONTENT_TYPE);
    }
    response
}

/// What the head of a page says of it.
pub(super) fn head_of(page: &ReadyPage) -> HeaderMap {
    // Room for all that is added on the way out.
    let mut head = HeaderMap::with_capacity(16);
    head.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head.insert(ETAG, page.etag.clone());
    head.insert(LINK, page.next.clone());
    head.insert(CACHE_CONTROL, HeaderValue::from_static(NO_CACHE));
    head
}

/// Why a token cannot be continued. History that was lost unannounced is announced first.
async fn refusal(state: &AppState, identity: FeedIdentity, verdict: Verdict) -> Error {
    let (code, identity) = match verdict {
        Verdict::LostHistory => match announce_loss(state, identity).await {
            Ok(begun) => (ProblemCode::FeedReset, begun),
            Err(error) => return error,
        },
        Verdict::UnknownFeed => (ProblemCode::FeedUnknown, identity),
        Verdict::StaleProvider => (ProblemCode::StaleProvider, identity),
        Verdict::Reset | Verdict::Continue(_) | Verdict::Lagging(_) => {
            (ProblemCode::FeedReset, identity)
        }
    };
    metrics::counter!("ordering_refused_tokens_total", "code" => code.as_str()).increment(1);
    if code == ProblemCode::StaleProvider && state.last_stale.note(state.clock.now()) {
        tracing::warn!(
            feed.epoch = identity.epoch.0,
            "a consumer knows a later epoch: this database is of the past"
        );
    }
    Error::new(code, code.help()).of_feed(identity)
}

/// A consumer has read further than this database goes: begins a new epoch, unless somebody else
/// just did.
async fn announce_loss(state: &AppState, lost: FeedIdentity) -> Result<FeedIdentity> {
    let reason = EpochReason::LostHistory;
    let identity = state.store.begin_epoch(lost.epoch, reason, state.clock.now()).await?;
    sequencer::announce(&Begun { replaced: lost.epoch, epoch: identity.epoch, reason });
    Ok(identity)
}

/// Lets an answer that is a problem name the feed and its epoch, as all others do: a consumer must learn
/// of a new epoch from a 404 as well.
async fn naming_the_feed<T>(
    state: &AppState,
    answer: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut problem = match answer.await {
        Ok(answer) => return Ok(answer),
        Err(error) => error.into_problem(),
    };
    // Asking a database that is away would only take longer.
    if problem.feed.is_none() && problem.code != ProblemCode::Unavailable {
        problem.feed = state.store.identity().await.ok();
    }
    Err(problem.into())
}
