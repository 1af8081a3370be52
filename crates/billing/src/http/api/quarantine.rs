//! Orders that could not be taken in.

use axum::Json;
use axum::extract::{Path, State};
use contract::problem::ProblemCode;
use contract::time::Timestamp;
use kit::http::list;
use kit::http::read::{Params, Violations};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{Error, Result};
use crate::http::AppState;
use crate::http::openapi::{ReadProblems, RetryProblems};
use crate::pull::Retried;
use crate::store;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(retry))
}

/// An order that could not be taken in.
#[derive(Serialize, ToSchema)]
struct Quarantined {
    /// The order's number.
    number: i64,
    /// Why it could not be taken in, in one line.
    reason: String,
    /// What ordering sent for it, as it came; as a text when it holds what many readers of JSON refuse:
    /// numbers out of every range, halves of characters, or a nesting too deep.
    #[schema(value_type = Value)]
    document: Box<RawValue>,
    /// Since when it is in quarantine: since then the copy here, if there is one, is out of date.
    since: Timestamp,
}

impl From<store::Quarantined> for Quarantined {
    fn from(order: store::Quarantined) -> Self {
        let store::Quarantined { number, reason, document, since } = order;
        Self { number, reason, document: harmless(document), since }
    }
}

/// The document as it came, when everybody can read it inside another one; else as a text.
fn harmless(document: String) -> Box<RawValue> {
    // The list nests it three levels deeper.
    let is_harmless = serde_json::from_str::<Value>(&format!("[[[{document}]]]")).is_ok();
    let text = Value::from(document.as_str());
    let raw = if is_harmless { RawValue::from_string(document) } else { to_raw_value(&text) };
    // The one was just read as JSON, and a text can always be written as JSON.
    raw.expect("the document is JSON")
}

/// Some orders in quarantine, and where the others begin.
#[derive(Serialize, ToSchema)]
struct QuarantineList {
    /// By rising number.
    quarantined: Vec<Quarantined>,
    /// Send it as `after` for those that follow; null at the end.
    next: Option<String>,
}

/// Orders that could not be taken in
///
/// An order whose newest version cannot be taken in is put aside and does not stop the others. Its copy
/// and its invoice stay as they were, and the invoice cannot be approved. It is let out by itself as
/// soon as a version arrives that fits.
#[utoipa::path(
    get,
    path = "/quarantine",
    tag = "quarantine",
    params(
        ("after" = Option<String>, Query, description = "The `next` of the answer before"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000,
            description = "At most so many, 100 when absent; fewer when the documents are large"),
    ),
    responses((status = 200, body = QuarantineList), ReadProblems)
)]
async fn list(State(state): State<AppState>, params: Params) -> Result<Json<QuarantineList>> {
    let mut violations = Violations::new();
    params.allow_only_once(&["after", "limit"], &mut violations);
    let after = params.parsed("after", "must be the `next` of an answer", &mut violations);
    let limit = list::limit(&params, &mut violations);
    violations.into_invalid_request()?;
    let (orders, more) = state.store.quarantine(after, limit).await?;
    let next = orders.last().filter(|_| more).map(|last| last.number.to_string());
    let quarantined = orders.into_iter().map(Quarantined::from).collect();
    Ok(Json(QuarantineList { quarantined, next }))
}

/// What became of an order that was pulled again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    /// It fits now, and is taken in.
    TakenIn,
    /// It still cannot be taken in.
    Quarantined,
    /// Ordering does not know it any more, in a later epoch: it is let out, with nothing to take in.
    Gone,
}

/// What became of an order that was pulled again.
#[derive(Serialize, ToSchema)]
struct RetryResult {
    /// The order's number.
    number: i64,
    /// What became of it.
    state: Outcome,
    /// Why it still cannot be taken in, in one line; null when it is out of quarantine.
    reason: Option<String>,
}

/// Pull an order in quarantine again
///
/// Now, and by its number: for when ordering, or billing, has been mended. 404 when the order is not in
/// quarantine; 409 when ordering says that it does not know it at the moment.
#[utoipa::path(
    post,
    path = "/quarantine/{number}/retry",
    tag = "quarantine",
    params(("number" = i64, Path, description = "The order's number")),
    responses((status = 200, body = RetryResult), RetryProblems)
)]
async fn retry(
    State(state): State<AppState>,
    Path(number): Path<String>,
    params: Params,
) -> Result<Json<RetryResult>> {
    params.expect_none()?;
    // What is no number names no order.
    let number = number.parse().map_err(|_| not_there())?;
    let (state, reason) = match state.puller.retry(number).await? {
        Retried::TakenIn => (Outcome::TakenIn, None),
        Retried::Quarantined(order) => (Outcome::Quarantined, Some(order.reason)),
        Retried::Gone => (Outcome::Gone, None),
        Retried::NotKnown => {
            let detail = "Ordering does not know this order right now, so it stays in quarantine.";
            return Err(Error::new(ProblemCode::Conflict, detail));
        }
        Retried::NotThere => return Err(not_there()),
    };
    Ok(Json(RetryResult { number, state, reason }))
}

fn not_there() -> Error {
    Error::not_found("order with this number in quarantine")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_shown_as_it_came_unless_it_would_spoil_the_whole_answer() {
        for harmless_one in ["{\"a\": 1.50, \"a\":2}", "[1e3]", "null", "\"a\\u0000\""] {
            assert_eq!(harmless(harmless_one.to_owned()).get(), harmless_one);
        }
        let deep = "[".repeat(126) + &"]".repeat(126);
        for harmful in ["1e400", "\"\\ud800\"", &deep] {
            let shown: Value = serde_json::from_str(harmless(harmful.to_owned()).get()).unwrap();
            assert_eq!(shown, Value::from(harmful));
        }
    }
}
