//! Request bodies as the model's inputs: every violation at once.

use contract::problem::{ProblemCode, Violation};
use contract::time::Timestamp;
use kit::http::read::{JsonBody, Violations};

use crate::document;
use crate::error::{CUSTOMER_NOT_ACCEPTED, ORDER_NOT_ACCEPTED, Result};
use crate::nested::{self, Nested};
use crate::order::{CustomerInput, OrderInput};
use crate::scope::{Fault, Reason, Scope};
use crate::store::Store;

/// The order of a body, which can be read; the rules are still to be looked at.
pub(super) async fn order(body: &JsonBody, store: &dyn Store, at: Timestamp) -> Result<OrderInput> {
    let mut violations = Violations::new();
    let input = document::order(&body.value, &mut violations);
    let mut scope = Scope::new();
    scope.create_order(input.clone(), false);
    expect_none(violations, &scope, own, ORDER_NOT_ACCEPTED, store, at).await?;
    Ok(input)
}

/// The customer of a body, which can be read; the rules are still to be looked at.
pub(super) async fn customer(
    body: &JsonBody,
    store: &dyn Store,
    at: Timestamp,
) -> Result<CustomerInput> {
    let mut violations = Violations::new();
    let input = document::customer(&body.value, &mut violations);
    let mut scope = Scope::new();
    scope.create_customer(String::new(), input.clone());
    expect_none(violations, &scope, own, CUSTOMER_NOT_ACCEPTED, store, at).await?;
    Ok(input)
}

/// Customer and order of a body, which can be read; the rules are still to be looked at.
pub(super) async fn nested(body: &JsonBody, store: &dyn Store, at: Timestamp) -> Result<Nested> {
    let (nested, violations) = Nested::read(&body.value);
    // The id of a new customer is not looked at; the one that is written gets an id of its own.
    let scope = nested.scope("new".to_owned());
    expect_none(violations, &scope, nested::violation, ORDER_NOT_ACCEPTED, store, at).await?;
    Ok(nested)
}

async fn expect_none(
    mut violations: Violations,
    scope: &Scope,
    place: fn(&Fault) -> Option<Violation>,
    title: &str,
    store: &dyn Store,
    at: Timestamp,
) -> Result<()> {
    document::complete(&mut violations, scope, place, store, at).await?;
    Ok(violations.into_result(ProblemCode::ValidationFailed, title)?)
}

/// A violation in a body that is the object itself.
fn own(fault: &Fault) -> Option<Violation> {
    match &fault.reason {
        Reason::Invalid(violation) => Some(violation.clone()),
        _ => None,
    }
}
