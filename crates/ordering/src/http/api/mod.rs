//! Customers and orders for other services, under `/api/v1`.

mod body;
mod customers;
mod idempotency;
mod nested;
mod orders;

use axum::Json;
use axum::http::header::{CACHE_CONTROL, ETAG};
use axum::response::IntoResponse;
use kit::http::etag::of_version;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;

use super::AppState;

/// The API's routes, under `/api/v1`.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().merge(customers::routes()).merge(orders::routes()).merge(nested::routes())
}

/// A document with its version as entity tag, which `If-Match` sends back.
fn versioned<T: Serialize>(version: i64, document: T) -> impl IntoResponse {
    let head = [(ETAG, of_version(version)), (CACHE_CONTROL, "no-cache".to_owned())];
    (head, Json(document))
}
