//! The API for other programs, under `/api/v1`.

mod description;
mod invoices;
mod orders;
mod pull;

use axum::Json;
use axum::http::header::{CACHE_CONTROL, ETAG};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use contract::problem::ProblemCode;
use kit::http::etag;
use kit::http::read::{Params, Violations};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;

use super::AppState;
use crate::error::Result;

pub(super) use description::base;

/// How many entries of a list a caller gets who does not say.
const DEFAULT_LIMIT: i64 = 100;
/// The most entries of a list that one answer holds.
const MAX_LIMIT: i64 = 1_000;

/// The API's routes, without their prefix.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().merge(orders::routes()).merge(invoices::routes()).merge(pull::routes())
}

/// A document with its entity tag; only the tag when the caller has this very document.
fn tagged<T: Serialize>(headers: &HeaderMap, tag: String, document: &T) -> Response {
    let is_known = etag::is_known(headers, &tag);
    let head = [(ETAG, tag), (CACHE_CONTROL, "no-cache".to_owned())];
    if is_known {
        (StatusCode::NOT_MODIFIED, head).into_response()
    } else {
        (head, Json(document)).into_response()
    }
}

/// Cuts `entries`, of which one more than `limit` was asked for, to `limit`; the key of the last
/// one when there are more behind it.
fn page<T>(entries: &mut Vec<T>, limit: i64, key: impl Fn(&T) -> String) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_more = entries.len() > limit;
    entries.truncate(limit);
    if is_more { entries.last().map(key) } else { None }
}

/// Refuses a query that was read with `violations`.
fn invalid_query(violations: Violations) -> Result<()> {
    let code = ProblemCode::InvalidRequest;
    Ok(violations.into_result(code, code.title())?)
}

/// Refuses every parameter: for addresses that have none.
fn no_parameters(params: &Params) -> Result<()> {
    let mut violations = Violations::new();
    params.allow_only_once(&[], &mut violations);
    invalid_query(violations)
}
