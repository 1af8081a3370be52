//! The feed: every change of an exposed order, in the order in which the sequencer stamped them.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LINK};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::map_response_with_state;
use axum::response::{IntoResponse, Response};
use contract::checksum::{ChecksumPage, DEFAULT_WIDTH, MAX_WIDTH};
use contract::feed::{
    ContinuationToken, DEFAULT_PAGE_LIMIT, FeedIdentity, FeedOrder, FeedPage, FeedStatus,
    MAX_PAGE_BYTES, MAX_PAGE_LIMIT, MAX_WAIT_SECONDS,
};
use contract::problem::{Problem, ProblemCode};
use kit::http::etag;
use kit::http::read::{Params, Violations};
use tokio::time::{Instant, sleep_until};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::extract::{OrderNumber, no_order};
use super::head::{Answer, ReadyPage};
use super::openapi::FeedProblems;
use crate::error::{Error, Result};
use crate::feed::Verdict;
use crate::news::Bulletin;
use crate::sequencer;
use crate::store::{Begun, ChecksumQuery, EpochReason};

/// Counts pages that were read from the database, and those that were sent: fewer are read where many
/// wait for the same.
pub(crate) const PAGES_READ: &str = "ordering_feed_pages_read_total";
pub(crate) const PAGES_SERVED: &str = "ordering_feed_pages_served_total";

/// Kept by nobody without asking whether it is still so.
const NO_CACHE: &str = "no-cache";

/// The feed's routes, under `/feed/v1`.
pub(super) fn routes(state: &AppState) -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(orders))
        .routes(routes!(order))
        .routes(routes!(status))
        .routes(routes!(checksums))
        .fallback(|| async {
            Error::new(ProblemCode::NotFound, "There is nothing at this address.")
        })
        .layer(map_response_with_state(Arc::clone(state), name_the_feed))
}

/// A page of changed orders
///
/// Follow `continuationToken` until `hasMore` is false, then ask again later with the last token,
/// or at once with `wait`. An order that changes again moves to the end, so each is read in its
/// latest state.
#[utoipa::path(
    get,
    path = "/orders",
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
    headers: HeaderMap,
) -> Result<Response> {
    let query = Query::read(&params)?;
    match answer(&state, &query).await? {
        Answer::Page(page) => Ok(reply(page, &query, &headers)),
        Answer::Refused { identity, verdict } => Err(refusal(&state, identity, verdict).await),
    }
}

/// One order as it is committed now
///
/// Stamped or not: `confirmedSequenceNr` is −1 while its latest change has no place in the feed
/// yet. A draft answers like an order that does not exist.
#[utoipa::path(
    get,
    path = "/orders/{number}",
    operation_id = "readFeedOrder",
    tag = "feed",
    params(("number" = i64, Path, description = "The order's number")),
    responses((status = 200, body = FeedOrder), FeedProblems)
)]
async fn order(
    State(state): State<AppState>,
    OrderNumber(number): OrderNumber,
    params: Params,
) -> Result<impl IntoResponse> {
    params.expect_none()?;
    let (identity, order) = state.store.feed_order(number).await?;
    let order = order.ok_or_else(|| no_order().of_feed(identity.clone()))?;
    let FeedIdentity { feed_id, epoch } = identity;
    Ok(([(CACHE_CONTROL, NO_CACHE)], Json(FeedOrder { feed_id, epoch, order })))
}

/// How the feed is doing
#[utoipa::path(
    get,
    path = "/status",
    operation_id = "readFeedStatus",
    tag = "feed",
    responses((status = 200, body = FeedStatus), FeedProblems)
)]
async fn status(State(state): State<AppState>, params: Params) -> Result<impl IntoResponse> {
    params.expect_none()?;
    let status = state.store.feed_status(state.clock.now()).await?;
    Ok(([(CACHE_CONTROL, NO_CACHE)], Json(status)))
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
    path = "/checksums",
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
    let query = read_checksum_query(&params)?;
    let page = state.store.checksums(&query).await?;
    Ok(([(CACHE_CONTROL, NO_CACHE)], Json(page)))
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
struct Query {
    after: Option<ContinuationToken>,
    /// `None` when the caller did not say.
    limit: Option<i64>,
    wait: Duration,
}

impl Query {
    fn read(params: &Params) -> Result<Self> {
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
        Ok(Self { after, limit, wait: Duration::from_secs(wait.unsigned_abs()) })
    }

    /// At most so many orders.
    fn limit(&self) -> i64 {
        self.limit.unwrap_or(DEFAULT_PAGE_LIMIT)
    }

    /// The address of the page behind this one, for `Link`.
    fn next(&self, token: &ContinuationToken) -> HeaderValue {
        let limit = self.limit.map(|limit| format!("&limit={limit}")).unwrap_or_default();
        HeaderValue::try_from(format!("</feed/v1/orders?after={token}{limit}>; rel=\"next\""))
            .expect("tokens are letters, digits and dashes")
    }
}

/// The page. Who does not wait gets it read afresh.
async fn answer(state: &AppState, query: &Query) -> Result<Answer> {
    if query.wait.is_zero() { read(state, query).await } else { wait(state, query).await }
}

/// The page; while it is empty, looks again with all who wait until the caller's patience is over.
async fn wait(state: &AppState, query: &Query) -> Result<Answer> {
    let deadline = Instant::now() + query.wait;
    let mut news = state.news.subscribe();
    loop {
        // Before the page is read: what is stamped from here on either shows in the page or wakes.
        news.mark_unchanged();
        let Bulletin { generation, since, .. } = state.news.current(state.sequencer_interval);
        let key = (query.after.clone(), query.limit());
        let answer = state.head.answer(key, generation, || read(state, query)).await?;
        if !answer.is_empty_page() || Instant::now() >= deadline {
            return Ok(answer);
        }
        let next_look = deadline.min(since + state.sequencer_interval);
        tokio::select! {
            () = state.shutdown.cancelled() => return Ok(answer),
            _ = news.changed() => {}
            () = sleep_until(next_look) => {}
        }
    }
}

/// Reads the page from the database.
async fn read(state: &AppState, query: &Query) -> Result<Answer> {
    metrics::counter!(PAGES_READ).increment(1);
    let after = query.after.as_ref();
    Ok(state.feed.feed_page(after, query.limit(), MAX_PAGE_BYTES).await?.into())
}

fn reply(page: ReadyPage, query: &Query, headers: &HeaderMap) -> Response {
    metrics::counter!(PAGES_SERVED).increment(1);
    let is_known = page.etag.to_str().is_ok_and(|tag| etag::is_known(headers, tag));
    let next = query.next(&page.continuation_token);
    let body = if is_known { Body::empty() } else { Body::from(page.document) };
    let mut response = Response::new(body);
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
    }
    let head = response.headers_mut();
    head.insert(ETAG, page.etag);
    head.insert(LINK, next);
    head.insert(CACHE_CONTROL, HeaderValue::from_static(NO_CACHE));
    response
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

/// Lets every answer of the feed name the feed and its epoch, problems too: a consumer must learn of
/// a new epoch from a 404 as well.
async fn name_the_feed(State(state): State<AppState>, mut response: Response) -> Response {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let code = ProblemCode::MethodNotAllowed;
        response.extensions_mut().insert(Problem::new(code, code.help()));
    }
    if let Some(problem) = response.extensions_mut().get_mut::<Problem>()
        && problem.feed.is_none()
        // Asking a database that is away would only take longer.
        && problem.code != ProblemCode::Unavailable
    {
        problem.feed = state.store.identity().await.ok();
    }
    response
}
