//! One order: the way to its invoice.

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};

use super::arrive::{Deadline, arrive};
use super::{RETRY_SECONDS, passes, refusal, try_again, wants_page};
use crate::error::Result;
use crate::http::AppState;
use crate::http::pages::WaitingPage;

/// Sends the browser to the invoice, or says why there is none.
pub(super) async fn one(
    state: &AppState,
    number: i64,
    deadline: Deadline,
    headers: &HeaderMap,
) -> Response {
    let problem = match invoice_of(state, number, deadline).await {
        Ok(address) => return Redirect::to(&address).into_response(),
        Err(error) => error.into_problem(),
    };
    if passes(&problem) && wants_page(headers) {
        return try_again(WaitingPage::new(number, problem.code, RETRY_SECONDS));
    }
    refusal(problem)
}

/// Where the invoice is.
async fn invoice_of(state: &AppState, number: i64, deadline: Deadline) -> Result<String> {
    let is_copy = deadline.ask(state.store.order(number)).await?.is_some();
    Ok(match arrive(state, number, is_copy, deadline).await? {
        None => format!("/orders/{number}/invoice"),
        Some(doubt) => format!("/orders/{number}/invoice?stale={doubt}"),
    })
}
