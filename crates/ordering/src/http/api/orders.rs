//! Orders.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use contract::order::{Order, OrderState};
use kit::http::list;
use kit::http::read::{JsonBody, Params, Violations};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{body, idempotency, versioned};
use crate::error::{ORDER_NOT_ACCEPTED, Result, accepted};
use crate::http::AppState;
use crate::http::extract::{OrderNumber, expected_version, no_order, required_version};
use crate::http::openapi::{ChangeProblems, CreateProblems, ReadProblems, ReplaceProblems};
use crate::order::OrderInput;
use crate::store::OrderFilter;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, replace, delete))
        .routes(routes!(confirm))
}

/// Some orders, and where the others begin.
#[derive(Serialize, ToSchema)]
struct OrderList {
    /// Newest first.
    orders: Vec<Order>,
    /// Send it as `after` for those that follow; null at the end.
    next: Option<String>,
}

/// Make a draft
///
/// With an `Idempotency-Key`, the same request sent again gets the same answer and makes nothing.
#[utoipa::path(
    post,
    path = "/orders",
    operation_id = "createOrder",
    tag = "orders",
    params(
        ("Idempotency-Key" = Option<String>, Header,
            min_length = 1, max_length = 255, pattern = "^[!-~]+$",
            description = "Names this request: 1 to 255 visible ASCII characters"),
    ),
    request_body = OrderInput,
    responses(
        (status = 201, body = Order, headers(
            ("Location" = String, description = "The order's address"),
            ("ETag" = String, description = "The order's version"),
        )),
        CreateProblems,
    )
)]
async fn create(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<impl IntoResponse> {
    let key = idempotency::key(&headers)?;
    let now = state.clock.now();
    let input = body::order(&body, &*state.store, now).await?;
    let key = key.map(|key| idempotency::of("", key, &input));
    let created = state.store.create_order(&input, key.as_ref(), now).await?;
    let order = accepted(created, no_order, ORDER_NOT_ACCEPTED)?;
    let location = [(LOCATION, format!("/api/v1/orders/{}", order.number))];
    Ok((StatusCode::CREATED, location, versioned(order.version, order)))
}

/// Orders, newest first
#[utoipa::path(
    get,
    path = "/orders",
    operation_id = "listOrders",
    tag = "orders",
    params(
        ("state" = Option<OrderState>, Query, description = "Only those in this state"),
        ("customerId" = Option<String>, Query, description = "Only those of this customer"),
        ("after" = Option<String>, Query, description = "The `next` of the answer before"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000,
            description = "At most so many, 100 when absent"),
    ),
    responses((status = 200, body = OrderList), ReadProblems)
)]
async fn list(State(state): State<AppState>, params: Params) -> Result<Json<OrderList>> {
    let mut violations = Violations::new();
    params.allow_only_once(&["state", "customerId", "after", "limit"], &mut violations);
    let filter = OrderFilter {
        state: order_state(&params, &mut violations),
        customer_id: params
            .parsed::<uuid::Uuid>("customerId", "must be the id of a customer", &mut violations)
            .map(|id| id.to_string()),
        search: None,
        after: params.parsed("after", "must be the `next` of an answer", &mut violations),
    };
    let limit = list::limit(&params, &mut violations);
    violations.into_invalid_request()?;
    let mut orders = state.store.orders(&filter, limit + 1).await?;
    let next = list::next(&mut orders, limit, |order| order.number.to_string());
    Ok(Json(OrderList { orders, next }))
}

/// One order, in any state
#[utoipa::path(
    get,
    path = "/orders/{number}",
    operation_id = "getOrder",
    tag = "orders",
    params(("number" = i64, Path, description = "The order's number")),
    responses(
        (status = 200, body = Order, headers(
            ("ETag" = String, description = "The order's version"),
        )),
        ReadProblems,
    )
)]
async fn get(
    State(state): State<AppState>,
    OrderNumber(number): OrderNumber,
    params: Params,
) -> Result<impl IntoResponse> {
    params.expect_none()?;
    let order = state.store.order(number).await?.ok_or_else(no_order)?;
    Ok(versioned(order.version, order))
}

/// Replace an order's whole content
///
/// Of a draft or a confirmed order; a confirmed one copies its customer anew.
#[utoipa::path(
    put,
    path = "/orders/{number}",
    operation_id = "replaceOrder",
    tag = "orders",
    params(
        ("number" = i64, Path, description = "The order's number"),
        ("If-Match" = String, Header, description = "The version that the change is meant for"),
    ),
    request_body = OrderInput,
    responses(
        (status = 200, body = Order, headers(
            ("ETag" = String, description = "The order's version"),
        )),
        ReplaceProblems,
    )
)]
async fn replace(
    State(state): State<AppState>,
    OrderNumber(number): OrderNumber,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<impl IntoResponse> {
    let expected = required_version(&headers)?;
    let now = state.clock.now();
    let input = body::order(&body, &*state.store, now).await?;
    let change = state.store.replace_order(number, &expected, &input, now).await?;
    let order = accepted(change, no_order, ORDER_NOT_ACCEPTED)?;
    state.bell.ring().await;
    Ok(versioned(order.version, order))
}

/// Confirm a draft
///
/// A confirmed order stays as it is.
#[utoipa::path(
    post,
    path = "/orders/{number}/confirm",
    operation_id = "confirmOrder",
    tag = "orders",
    params(
        ("number" = i64, Path, description = "The order's number"),
        ("If-Match" = Option<String>, Header,
            description = "The version that the change is meant for; any when absent"),
    ),
    responses(
        (status = 200, body = Order, headers(
            ("ETag" = String, description = "The order's version"),
        )),
        ChangeProblems,
    )
)]
async fn confirm(
    State(state): State<AppState>,
    OrderNumber(number): OrderNumber,
    headers: HeaderMap,
) -> Result<impl IntoResponse> {
    let expected = expected_version(&headers)?;
    let now = state.clock.now();
    let change = state.store.confirm_order(number, expected.as_ref(), now).await?;
    let order = accepted(change, no_order, ORDER_NOT_ACCEPTED)?;
    state.bell.ring().await;
    Ok(versioned(order.version, order))
}

/// Delete an order
///
/// It stays as a tombstone in the state `deleted`. A deleted order stays as it is.
#[utoipa::path(
    delete,
    path = "/orders/{number}",
    operation_id = "deleteOrder",
    tag = "orders",
    params(
        ("number" = i64, Path, description = "The order's number"),
        ("If-Match" = Option<String>, Header,
            description = "The version that the change is meant for; any when absent"),
    ),
    responses(
        (status = 200, body = Order, headers(
            ("ETag" = String, description = "The order's version"),
        )),
        ChangeProblems,
    )
)]
async fn delete(
    State(state): State<AppState>,
    OrderNumber(number): OrderNumber,
    headers: HeaderMap,
) -> Result<impl IntoResponse> {
    let expected = expected_version(&headers)?;
    let now = state.clock.now();
    let change = state.store.delete_order(number, expected.as_ref(), now).await?;
    let order = accepted(change, no_order, ORDER_NOT_ACCEPTED)?;
    state.bell.ring().await;
    Ok(versioned(order.version, order))
}

fn order_state(params: &Params, violations: &mut Violations) -> Option<OrderState> {
    let word = params.text("state")?;
    let state = OrderState::parse(word);
    if state.is_none() {
        violations.add("/state", "invalid", "must be draft, confirmed or deleted");
    }
    state
}
