//! Customers.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use kit::http::list;
use kit::http::read::{JsonBody, Params, Violations};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{body, idempotency, versioned};
use crate::error::{CUSTOMER_NOT_ACCEPTED, Result, accepted};
use crate::http::AppState;
use crate::http::extract::{CustomerId, no_customer, required_version};
use crate::http::openapi::{CreateProblems, ReadProblems, ReplaceProblems};
use crate::order::{Customer, CustomerInput};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, replace))
}

/// Some customers, and where the others begin.
#[derive(Serialize, ToSchema)]
struct CustomerList {
    /// By the time they were made, oldest first.
    customers: Vec<Customer>,
    /// Send it as `after` for those that follow; null at the end.
    next: Option<String>,
}

/// Make a customer
///
/// With an `Idempotency-Key`, the same request sent again gets the same answer and makes nothing.
#[utoipa::path(
    post,
    path = "/customers",
    operation_id = "createCustomer",
    tag = "customers",
    params(
        ("Idempotency-Key" = Option<String>, Header,
            min_length = 1, max_length = 255, pattern = "^[!-~]+$",
            description = "Names this request: 1 to 255 visible ASCII characters"),
    ),
    request_body = CustomerInput,
    responses(
        (status = 201, body = Customer, headers(
            ("Location" = String, description = "The customer's address"),
            ("ETag" = String, description = "The customer's version"),
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
    let input = body::customer(&body, &*state.store, now).await?;
    let key = key.map(|key| idempotency::of("POST /customers", key, &input));
    let id = state.random.uuid(now);
    let created = state.store.create_customer(&id, &input, key.as_ref(), now).await?;
    let customer = accepted(created, no_customer, CUSTOMER_NOT_ACCEPTED)?;
    let location = [(LOCATION, format!("/api/v1/customers/{}", customer.id))];
    Ok((StatusCode::CREATED, location, versioned(customer.version, customer)))
}

/// Customers, oldest first
#[utoipa::path(
    get,
    path = "/customers",
    operation_id = "listCustomers",
    tag = "customers",
    params(
        ("after" = Option<String>, Query, description = "The `next` of the answer before"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000,
            description = "At most so many, 100 when absent"),
    ),
    responses((status = 200, body = CustomerList), ReadProblems)
)]
async fn list(State(state): State<AppState>, params: Params) -> Result<Json<CustomerList>> {
    let mut violations = Violations::new();
    params.allow_only_once(&["after", "limit"], &mut violations);
    let after: Option<Uuid> = params.parsed("after", "must be a `next`", &mut violations);
    let limit = list::limit(&params, &mut violations);
    violations.into_invalid_request()?;
    let after = after.map(|id| id.to_string());
    let mut customers = state.store.customers(after.as_deref(), limit + 1).await?;
    let next = list::next(&mut customers, limit, |customer| customer.id.clone());
    Ok(Json(CustomerList { customers, next }))
}

/// One customer
#[utoipa::path(
    get,
    path = "/customers/{id}",
    operation_id = "getCustomer",
    tag = "customers",
    params(("id" = String, Path, description = "The customer's id")),
    responses(
        (status = 200, body = Customer, headers(
            ("ETag" = String, description = "The customer's version"),
        )),
        ReadProblems,
    )
)]
async fn get(
    State(state): State<AppState>,
    CustomerId(id): CustomerId,
    params: Params,
) -> Result<impl IntoResponse> {
    params.expect_none()?;
    let customer = state.store.customer(&id).await?.ok_or_else(no_customer)?;
    Ok(versioned(customer.version, customer))
}

/// Replace a customer's content
///
/// Drafts show the customer as it is now; confirmed orders keep the copy they have.
#[utoipa::path(
    put,
    path = "/customers/{id}",
    operation_id = "replaceCustomer",
    tag = "customers",
    params(
        ("id" = String, Path, description = "The customer's id"),
        ("If-Match" = String, Header, description = "The version that the change is meant for"),
    ),
    request_body = CustomerInput,
    responses(
        (status = 200, body = Customer, headers(
            ("ETag" = String, description = "The customer's version"),
        )),
        ReplaceProblems,
    )
)]
async fn replace(
    State(state): State<AppState>,
    CustomerId(id): CustomerId,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<impl IntoResponse> {
    let expected = required_version(&headers)?;
    let now = state.clock.now();
    let input = body::customer(&body, &*state.store, now).await?;
    let change = state.store.update_customer(&id, &expected, &input, now).await?;
    let customer = accepted(change, no_customer, CUSTOMER_NOT_ACCEPTED)?;
    Ok(versioned(customer.version, customer))
}
