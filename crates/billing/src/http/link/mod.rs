//! The deep link: pulls orders now, then shows their invoices.
//!
//! | module | what it holds |
//! |---|---|
//! | `wanted` | which orders the link names |
//! | `arrive` | pulling one of them, within the time that the link may take |
//! | `one` | one order: the way to its invoice |
//! | `several` | several orders: pulled side by side, shown together |

mod arrive;
mod one;
mod several;
mod wanted;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use contract::problem::Problem;
use kit::http::problem::ProblemResponse;
use kit::http::read::Params;
use kit::http::representation::Representation;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::openapi::LinkProblems;
use arrive::Deadline;
use wanted::wanted;

/// When a page that waits for ordering tries again, in seconds.
const RETRY_SECONDS: u64 = 5;

/// The deep link's route.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(new_order))
}

/// The deep link, for browsers
///
/// Pulls the orders that it names from ordering, all within the link's timeout, and shows their
/// invoices. It needs no token.
///
/// One order: the way to its invoice; to the one made of the local copy, marked as possibly out of
/// date, when ordering does not answer. Several orders: one page with a row for each, in which a
/// row whose order could not be had says why, and does not spoil the others. Only when there is
/// nothing to show of any order, the answer is 404 (ordering knows none of them) or 503 (asking
/// again may help; the page does so by itself).
///
/// Whoever asks for JSON or XML is told what is wrong in it, instead of with a page.
#[utoipa::path(
    get,
    path = "/link/new_order",
    tag = "link",
    security(()),
    params(
        ("order" = Vec<i64>, Query, min_items = 1, max_items = 20,
            description = "An order's number; may stand several times, for up to 20 orders. \
                The same number several times is one"),
    ),
    responses(
        (status = 303, description = "One order: its invoice", headers(
            ("Location" = String, description = "The page of the invoice"),
        )),
        (status = 200, description = "Several orders: those that could be had, the others with the \
            reason why not", content_type = "text/html"),
        LinkProblems,
    )
)]
async fn new_order(State(state): State<AppState>, params: Params, headers: HeaderMap) -> Response {
    let deadline = Deadline::after(state.link_timeout);
    match wanted(&params) {
        Err(problem) => refusal(*problem),
        Ok(numbers) => match numbers[..] {
            [number] => one::one(&state, number, deadline, &headers).await,
            _ => several::several(&state, numbers, deadline, &headers).await,
        },
    }
}

/// Whether the answer is a page: a browser follows the link, so whoever does not ask for anything
/// else gets one.
fn wants_page(headers: &HeaderMap) -> bool {
    matches!(Representation::asked_for(headers), None | Some(Representation::Html))
}

/// The problem in the form that the caller asks for, a page by default.
fn refusal(problem: Problem) -> Response {
    let passes = passes(&problem);
    let response = ProblemResponse::from(problem).page_by_default();
    if passes { response.retry_after(RETRY_SECONDS) } else { response }.into_response()
}

/// A page that tries again by itself.
fn try_again(page: impl IntoResponse) -> Response {
    let headers = [(RETRY_AFTER, RETRY_SECONDS.to_string()), (CACHE_CONTROL, "no-store".into())];
    (StatusCode::SERVICE_UNAVAILABLE, headers, page).into_response()
}

/// Whether asking again may help.
fn passes(problem: &Problem) -> bool {
    matches!(problem.status, 502..=504)
}
