//! What handlers take from a request besides its body.

use axum::extract::{FromRequestParts, Path};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use contract::problem::{Problem, ProblemCode, Violation};
use kit::http::etag::IfMatch;

use crate::error::{Error, Result};

/// The order number of the address. What cannot be one names no order.
pub(super) struct OrderNumber(pub(super) i64);

impl<S: Send + Sync> FromRequestParts<S> for OrderNumber {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let number = segment(parts, state).await.and_then(|text| text.parse().ok());
        number.filter(|number| *number > 0).map(Self).ok_or_else(no_order)
    }
}

/// The customer id of the address, as the store writes it. What is no UUID names no customer.
pub(super) struct CustomerId(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for CustomerId {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let id = segment(parts, state).await.and_then(|text| text.parse::<uuid::Uuid>().ok());
        id.map(|id| Self(id.to_string())).ok_or_else(no_customer)
    }
}

async fn segment<S: Send + Sync>(parts: &mut Parts, state: &S) -> Option<String> {
    let path = Path::<String>::from_request_parts(parts, state).await;
    path.ok().map(|Path(text)| text)
}

/// There is no such order.
pub(super) fn no_order() -> Error {
    Error::not_found("order with this number")
}

/// There is no such customer.
pub(super) fn no_customer() -> Error {
    Error::not_found("customer with this id")
}

/// The version that a change is meant for, when the caller says so.
pub(super) fn expected_version(headers: &HeaderMap) -> Result<Option<IfMatch>> {
    IfMatch::read(headers).map_err(invalid_header)
}

/// The version that a change is meant for, which the caller must say.
pub(super) fn required_version(headers: &HeaderMap) -> Result<IfMatch> {
    let code = ProblemCode::PreconditionRequired;
    expected_version(headers)?.ok_or_else(|| Error::new(code, code.help()))
}

/// A header is not what it should be.
pub(super) fn invalid_header(violation: Violation) -> Error {
    let code = ProblemCode::InvalidRequest;
    Problem::with_violations(code, code.title(), vec![violation]).into()
}
