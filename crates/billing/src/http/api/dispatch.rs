//! Trying a dispatch again.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, ETAG};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use contract::problem::ProblemCode;
use kit::http::etag::of_version;
use kit::http::read::Params;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{if_match, version_conflict};
use crate::error::{Error, Result};
use crate::http::openapi::ChangeProblems;
use crate::http::{AppState, invoice_id, no_invoice, nothing_to_retry};
use crate::store::{InvoiceDetail, Redispatch};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(retry))
}

/// Try a failed dispatch again
///
/// Hands the invoice over once more, as it was approved and under the same `webhook-id`: a receiver
/// that took it in without saying so recognises it. The answer does not wait for the outcome: read
/// the invoice again to see what became of it.
#[utoipa::path(
    post,
    path = "/invoices/{id}/dispatch/retry",
    tag = "invoices",
    params(
        ("id" = String, Path, description = "The invoice's id"),
        ("If-Match" = Option<String>, Header,
            description = "The version whose failure was seen; any when absent"),
    ),
    responses(
        (status = 202, body = InvoiceDetail, headers(
            ("ETag" = String, description = "The invoice's version"),
        )),
        ChangeProblems,
    )
)]
async fn retry(
    State(state): State<AppState>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response> {
    params.expect_none()?;
    let expected = if_match(&headers)?;
    match state.redispatch(&invoice_id(&id)?, expected.as_ref()).await? {
        Redispatch::Pending(detail) => {
            let tag = of_version(detail.invoice.version);
            let head = [(ETAG, tag), (CACHE_CONTROL, "no-cache".to_owned())];
            Ok((StatusCode::ACCEPTED, head, Json(detail)).into_response())
        }
        Redispatch::NotFound => Err(no_invoice()),
        Redispatch::VersionConflict(current) => Err(version_conflict(current)),
        Redispatch::WrongState(state) => {
            Err(Error::new(ProblemCode::Conflict, nothing_to_retry(state)))
        }
    }
}
