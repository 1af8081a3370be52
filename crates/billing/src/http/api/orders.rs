//! The local copy of ordering's orders.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use kit::http::list;
use kit::http::read::{Params, Violations};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::tagged;
use crate::error::{Error, Result};
use crate::http::AppState;
use crate::http::openapi::{FindProblems, ReadProblems};
use crate::store::StoredOrder;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// Some orders, and where the others begin.
#[derive(Serialize, ToSchema)]
struct OrderList {
    /// By rising number; deleted ones too.
    orders: Vec<StoredOrder>,
    /// Send it as `after` for those that follow; null at the end.
    next: Option<String>,
}

/// Orders by rising number
#[utoipa::path(
    get,
    path = "/orders",
    tag = "orders",
    params(
        ("missingAtSource" = Option<bool>, Query,
            description = "Only those that ordering has lost, or only the others"),
        ("after" = Option<String>, Query, description = "The `next` of the answer before"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000,
            description = "At most so many, 100 when absent"),
    ),
    responses((status = 200, body = OrderList), ReadProblems)
)]
async fn list(State(state): State<AppState>, params: Params) -> Result<Json<OrderList>> {
    let mut violations = Violations::new();
    params.allow_only_once(&["missingAtSource", "after", "limit"], &mut violations);
    let is_missing: Option<bool> =
        params.parsed("missingAtSource", "must be true or false", &mut violations);
    let after = params.parsed("after", "must be the `next` of an answer", &mut violations);
    let limit = list::limit(&params, &mut violations);
    violations.into_invalid_request()?;
    let mut orders = match is_missing {
        None => state.store.orders(after, limit + 1).await?,
        Some(is_missing) => state.store.orders_by_source(is_missing, after, limit + 1).await?,
    };
    let next = list::next(&mut orders, limit, |stored| stored.order.number.to_string());
    Ok(Json(OrderList { orders, next }))
}

/// One order
#[utoipa::path(
    get,
    path = "/orders/{number}",
    tag = "orders",
    params(
        ("number" = i64, Path, description = "The order's number"),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag` that is known already"),
    ),
    responses(
        (status = 200, body = StoredOrder, headers(
            ("ETag" = String, description = "Changes with the copy"),
        )),
        (status = 304, description = "The copy is the one in `If-None-Match`"),
        FindProblems,
    )
)]
async fn get(
    State(state): State<AppState>,
    Path(number): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response> {
    params.expect_none()?;
    // What is no number names no order.
    let number = number.parse().map_err(|_| no_order())?;
    let stored = state.store.order(number).await?.ok_or_else(no_order)?;
    Ok(tagged(&headers, tag(&stored), &stored))
}

pub(super) fn no_order() -> Error {
    Error::not_found("order with this number here")
}

/// A copy is replaced by a greater epoch or version, and by a repair under the same two: its revision
/// tells. Besides, it can be marked as missing, and kept.
pub(super) fn tag(stored: &StoredOrder) -> String {
    let missing = match (stored.missing_at_source, stored.kept_at) {
        (false, _) => "",
        (true, None) => "-missing",
        (true, Some(_)) => "-kept",
    };
    format!("\"{}-{}-{}{missing}\"", stored.epoch, stored.order.version, stored.revision)
}
