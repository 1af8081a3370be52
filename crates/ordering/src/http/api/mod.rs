//! Customers and orders for other services, under `/api/v1`.

mod body;
mod customers;
mod orders;

use axum::Json;
use axum::http::header::{CACHE_CONTROL, ETAG};
use axum::response::IntoResponse;
use kit::http::etag::of_version;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;

use super::AppState;

/// How many entries of a list a caller gets who does not say.
const DEFAULT_LIMIT: i64 = 100;
/// The most entries of a list that one answer holds.
const MAX_LIMIT: i64 = 1_000;

/// The API's routes, under `/api/v1`.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().merge(customers::routes()).merge(orders::routes())
}

/// A document with its version as entity tag, which `If-Match` sends back.
fn versioned<T: Serialize>(version: i64, document: T) -> impl IntoResponse {
    let head = [(ETAG, of_version(version)), (CACHE_CONTROL, "no-cache".to_owned())];
    (head, Json(document))
}

/// Cuts `entries`, of which one more than `limit` was asked for, to `limit`; the key of the last one
/// when there are more behind it.
fn page<T>(entries: &mut Vec<T>, limit: i64, key: impl Fn(&T) -> String) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_more = entries.len() > limit;
    entries.truncate(limit);
    if is_more { entries.last().map(key) } else { None }
}
