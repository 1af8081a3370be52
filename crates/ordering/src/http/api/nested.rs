//! A customer with an order in one transaction, and what a transaction wrote.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use contract::order::Address;
use contract::problem::{Problem, ProblemCode};
use kit::http::read::{JsonBody, Params};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{body, idempotency};
use crate::error::{Error, ORDER_NOT_ACCEPTED, Result, key_reused};
use crate::http::AppState;
use crate::http::openapi::{NestedProblems, ReadProblems};
use crate::nested;
use crate::order::LineInput;
use crate::scope::Outcome;
use crate::store::Transaction;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(put)).routes(routes!(transaction))
}

/// A customer with an order; only for the description, see [`nested::Nested`].
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NestedOrder)]
#[expect(dead_code, reason = "read field by field, so that every violation is found")]
struct NestedOrder {
    /// Who orders.
    customer: NestedCustomer,
    /// What is ordered.
    order: NestedContent,
    /// Whether the order is confirmed too; it stays as it is when this is absent.
    confirm: Option<bool>,
}

/// A customer: only an `id` for one who stays as they are, `id` and `version` with the whole new
/// content for one who is changed, the content alone for a new one.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read field by field, so that every violation is found")]
struct NestedCustomer {
    id: Option<String>,
    /// The current one; required when a customer is changed.
    version: Option<i64>,
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[schema(max_length = 254)]
    email: Option<String>,
    address: Option<Address>,
}

/// An order: `number` and `version` with the whole new content for one that exists, the content
/// alone for a new one.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "read field by field, so that every violation is found")]
struct NestedContent {
    number: Option<i64>,
    /// The current one; required with a number.
    version: Option<i64>,
    /// ISO 4217 code of all amounts.
    #[schema(pattern = "^[A-Z]{3}$")]
    currency: String,
    #[schema(max_length = 100)]
    reference: Option<String>,
    #[schema(max_length = 2_000)]
    note: Option<String>,
    #[schema(min_items = 1, max_items = 2_000)]
    lines: Vec<LineInput>,
}

/// The transaction that wrote it.
#[derive(Serialize, ToSchema)]
struct Written {
    /// Its id, for `GET /transactions/{id}`.
    id: String,
}

/// Write a customer, an order and its lines together
///
/// All of it in one transaction, or nothing. What has a key is updated and must name its current
/// version, what has none is created. With an `Idempotency-Key`, the same request sent again gets
/// the same answer and writes nothing.
#[utoipa::path(
    put,
    path = "/nested/orders",
    operation_id = "putNestedOrder",
    tag = "orders",
    params(
        ("Idempotency-Key" = Option<String>, Header,
            min_length = 1, max_length = 255, pattern = "^[!-~]+$",
            description = "Names this request: 1 to 255 visible ASCII characters"),
    ),
    request_body = NestedOrder,
    responses((status = 200, body = Written), NestedProblems)
)]
async fn put(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Json<Written>> {
    let key = idempotency::key(&headers)?;
    let now = state.clock.now();
    let nested = body::nested(&body, &*state.store, now).await?;
    let key = key.map(|key| idempotency::of("PUT /nested/orders", key, &nested));
    let scope = nested.scope(state.random.uuid(now));
    match state.store.commit(&scope, key.as_ref(), now).await? {
        Outcome::Done(committed) => {
            state.bell.ring().await;
            Ok(Json(Written { id: committed.transaction }))
        }
        Outcome::Repeated(committed) => Ok(Json(Written { id: committed.transaction })),
        Outcome::Refused(refused) => Err(nested::problem(&refused).into()),
        Outcome::KeyReused => {
            let code = ProblemCode::ValidationFailed;
            Err(Problem::with_violations(code, ORDER_NOT_ACCEPTED, vec![key_reused()]).into())
        }
    }
}

/// What a transaction wrote
///
/// An entity's `key` is the customer's id or the order's number, as in its address.
#[utoipa::path(
    get,
    path = "/transactions/{id}",
    operation_id = "getTransaction",
    tag = "orders",
    params(("id" = String, Path, description = "The transaction's id")),
    responses((status = 200, body = Transaction), ReadProblems)
)]
async fn transaction(
    State(state): State<AppState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Transaction>> {
    params.expect_none()?;
    let missing = || Error::not_found("transaction with this id");
    let id: Uuid = id.parse().map_err(|_| missing())?;
    Ok(Json(state.store.transaction(&id.to_string()).await?.ok_or_else(missing)?))
}
