//! Deciding about orders that ordering has lost.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use contract::problem::ProblemCode;
use kit::http::read::{JsonBody, ObjectReader, Params, Violations};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::orders::{no_order, tag};
use super::tagged;
use crate::error::{Error, Result};
use crate::http::AppState;
use crate::http::openapi::DecisionProblems;
use crate::store::{Decided, Decision, StoredOrder};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(decide))
}

/// What is decided.
#[derive(ToSchema)]
struct DecisionInput {
    /// `keep`: the order counts although ordering has lost it, and its invoice can be approved.
    /// `withdraw`: its open invoice is withdrawn.
    #[schema(required)]
    #[expect(dead_code, reason = "read by hand, so that every violation is told")]
    decision: Decision,
}

/// Decide about an order that is missing at the source
///
/// While nobody has decided, the order's open invoice cannot be approved. A decision can be made as
/// long as that invoice awaits approval: 409 when there is none, and when ordering knows the order,
/// which may have come back meanwhile. The same decision again changes nothing.
#[utoipa::path(
    post,
    path = "/orders/{number}/missing",
    tag = "orders",
    params(("number" = i64, Path, description = "The order's number")),
    request_body = DecisionInput,
    responses(
        (status = 200, body = StoredOrder, headers(
            ("ETag" = String, description = "Changes with the copy"),
        )),
        DecisionProblems,
    )
)]
async fn decide(
    State(state): State<AppState>,
    Path(number): Path<String>,
    params: Params,
    body: JsonBody,
) -> Result<Response> {
    params.expect_none()?;
    let decision = read_decision(&body)?;
    // What is no number names no order.
    let number = number.parse().map_err(|_| no_order())?;
    match state.decide(number, decision).await? {
        Decided::Done(order) => Ok(tagged(&HeaderMap::new(), tag(&order), &*order)),
        Decided::NotFound => Err(no_order()),
        Decided::NotMissing => {
            let detail = "Ordering knows the order: there is nothing to decide.";
            Err(Error::new(ProblemCode::Conflict, detail))
        }
        Decided::NothingOpen => {
            let detail = "No invoice of the order awaits approval: there is nothing to decide.";
            Err(Error::new(ProblemCode::Conflict, detail))
        }
    }
}

fn read_decision(body: &JsonBody) -> Result<Decision> {
    const NAME: &str = "decision";
    let mut violations = Violations::new();
    let mut reader = ObjectReader::new(&body.value, String::new(), &mut violations);
    let word = reader.text(NAME);
    let decision = Decision::parse(&word);
    if decision.is_none() && body.value[NAME].is_string() {
        reader.refuse(NAME, "invalid", "must be one of keep, withdraw");
    }
    reader.finish();
    violations.into_result(ProblemCode::ValidationFailed, "The decision was not accepted")?;
    // A body without one has a violation, and ends above.
    Ok(decision.expect("a body without violations names a decision"))
}
