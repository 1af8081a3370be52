//! What a browser gets whose deep link leads to no invoice.

use askama::Template;
use askama_web::WebTemplate;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use contract::problem::{Problem, ProblemCode};
use kit::http::error_pages;
use kit::http::frame::Frame;
use kit::http::site::REQUEST_ID;

use super::frame;

/// The page for a problem as a whole response, whatever media type the request's `headers` ask for.
pub(in crate::http) fn refusal_page(mut problem: Problem, headers: &HeaderMap) -> Response {
    let id = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    problem.instance = id.map(|id| format!("/requests/{id}"));
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Html(error_pages::of_problem(frame(""), &problem))).into_response()
}

/// The page for an order that cannot be fetched right now; it tries again by itself.
#[derive(Template, WebTemplate)]
#[template(path = "link_waiting.html")]
pub(in crate::http) struct WaitingPage {
    frame: Frame,
    number: i64,
    reason: &'static str,
    retry_seconds: u64,
}

impl WaitingPage {
    /// The page for order `number`, with `code` as what is in the way.
    pub(in crate::http) fn new(number: i64, code: ProblemCode, retry_seconds: u64) -> Self {
        let reason = match code {
            ProblemCode::Unavailable => "Billing cannot reach its own database.",
            ProblemCode::UpstreamInvalid | ProblemCode::StaleProvider => {
                "What ordering answers cannot be used, and billing has no copy of this order yet."
            }
            _ => "Ordering does not answer, and billing has no copy of this order yet.",
        };
        Self { frame: frame(""), number, reason, retry_seconds }
    }
}
