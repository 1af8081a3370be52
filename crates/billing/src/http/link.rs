//! The deep link: pulls an order now, then sends the browser to its invoice.

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use contract::problem::{Problem, ProblemCode};
use kit::http::problem::ProblemResponse;
use kit::http::read::Params;
use kit::http::representation::Representation;
use tokio::time::timeout;

use super::AppState;
use super::pages::{Doubt, WaitingPage, order_number};
use crate::error::{Error, Result};
use crate::pull::PullError;

/// When the page that waits for ordering tries again, in seconds.
const RETRY_SECONDS: u64 = 5;

/// The deep link's route.
pub fn routes() -> Router<AppState> {
    Router::new().route("/link/new_order", get(new_order))
}

/// A browser follows the link: whoever does not ask for a document gets a page.
async fn new_order(State(state): State<AppState>, params: Params, headers: HeaderMap) -> Response {
    let wanted = the_one_number(&params);
    let number = wanted.as_ref().ok().copied();
    let arrived = match wanted {
        Ok(number) => arrive(&state, number).await,
        Err(error) => Err(error),
    };
    let problem = match arrived {
        Ok(invoice) => return invoice.into_response(),
        Err(error) => error.into_problem(),
    };
    let passes = matches!(problem.status, 502..=504);
    let wants_page =
        matches!(Representation::asked_for(&headers), None | Some(Representation::Html));
    if let Some(number) = number.filter(|_| passes && wants_page) {
        return waiting(number, &problem);
    }
    let response = ProblemResponse::from(problem).page_by_default();
    if passes { response.retry_after(RETRY_SECONDS) } else { response }.into_response()
}

/// The page that says why there is no invoice yet, and tries again by itself.
fn waiting(number: i64, problem: &Problem) -> Response {
    let headers = [(RETRY_AFTER, RETRY_SECONDS.to_string()), (CACHE_CONTROL, "no-store".into())];
    let page = WaitingPage::new(number, problem.code, RETRY_SECONDS);
    (StatusCode::SERVICE_UNAVAILABLE, headers, page).into_response()
}

/// The number that the link names. The same one several times is one.
fn the_one_number(params: &Params) -> Result<i64> {
    let mut numbers = Vec::new();
    for text in params.all("order") {
        numbers.push(order_number(text)?);
    }
    numbers.dedup();
    match numbers[..] {
        [number] => Ok(number),
        [] => Err(Problem {
            title: "The link names no order".to_owned(),
            ..Problem::new(
                ProblemCode::InvalidRequest,
                "It should end with the order's number, such as ?order=1001.",
            )
        }
        .into()),
        _ => Err(Problem {
            title: "One order at a time, please".to_owned(),
            ..Problem::new(ProblemCode::InvalidRequest, "The link names several orders.")
        }
        .into()),
    }
}

/// Pulls the order and says where its invoice is; the copy that is here when ordering does not
/// help.
async fn arrive(state: &AppState, number: i64) -> Result<Redirect> {
    let pull = state.puller.pull_order(number);
    // Giving up drops the pull wherever it is. While it writes, that rolls its transaction back,
    // or the commit is already on its way: the order is taken in whole or not at all.
    let pulled = timeout(state.link_timeout, pull).await.unwrap_or(Err(PullError::timeout()));
    let fault = match pulled {
        Ok(counts) if counts.quarantined == 0 => return Ok(invoice_of(number, None)),
        Ok(_) => PullError::not_as_agreed("the order was put aside"),
        Err(PullError::Database(error)) => return Err(error.into()),
        Err(fault) => fault,
    };
    if state.store.order(number).await?.is_none() {
        return Err(match fault {
            PullError::NotFound(_) => no_such_order(number),
            fault => fault.into(),
        });
    }
    tracing::info!(order.number = number, error = %fault, "the local copy is shown");
    Ok(invoice_of(
        number,
        Some(match fault {
            PullError::NotFound(_) => Doubt::NotKnown,
            _ => Doubt::NoAnswer,
        }),
    ))
}

fn invoice_of(number: i64, doubt: Option<Doubt>) -> Redirect {
    match doubt {
        None => Redirect::to(&format!("/orders/{number}/invoice")),
        Some(doubt) => Redirect::to(&format!("/orders/{number}/invoice?stale={doubt}")),
    }
}

fn no_such_order(number: i64) -> Error {
    Problem {
        title: format!("There is no order {number}"),
        ..Problem::new(
            ProblemCode::NotFound,
            "Ordering does not know a confirmed order of this number. Is a digit missing?",
        )
    }
    .into()
}
