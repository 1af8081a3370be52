//! The API for other programs, under `/api/v1`.

mod dispatch;
mod invoices;
mod missing;
mod orders;
mod pull;
mod quarantine;

use axum::Json;
use axum::http::header::{CACHE_CONTROL, ETAG};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use contract::problem::{Problem, ProblemCode};
use kit::http::etag::{self, IfMatch};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;

use super::AppState;
use crate::error::{Error, Result};

/// The API's routes, without their prefix.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(orders::routes())
        .merge(missing::routes())
        .merge(invoices::routes())
        .merge(dispatch::routes())
        .merge(pull::routes())
        .merge(quarantine::routes())
}

/// For which version a change is meant; `None` for any.
fn if_match(headers: &HeaderMap) -> Result<Option<IfMatch>> {
    Ok(IfMatch::read(headers).map_err(|violation| {
        let code = ProblemCode::InvalidRequest;
        Problem::with_violations(code, code.title(), vec![violation])
    })?)
}

/// The invoice that a change is meant for has another version by now, this `current` one.
fn version_conflict(current: i64) -> Error {
    let detail = format!("The invoice has version {current} by now.");
    let problem = Problem::new(ProblemCode::VersionConflict, detail);
    Problem { current_version: Some(current), ..problem }.into()
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
