//! Pages for what went wrong.

use askama::Template;
use askama_web::WebTemplate;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use contract::problem::{Problem, ProblemCode};
use kit::http::frame::Frame;
use kit::http::site::REQUEST_ID;

use super::frame;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: Frame,
    problem: &'a Problem,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct CodePage {
    frame: Frame,
    code: ProblemCode,
}

/// The page for a problem, where a person asked.
pub fn error_page(problem: &Problem) -> String {
    rendered(&ErrorPage { frame: frame(""), problem })
}

/// The page that explains a code: `/problems/{code}`.
pub fn explain(code: ProblemCode) -> String {
    rendered(&CodePage { frame: frame(""), code })
}

/// Rendering fails only when formatting a value does, and none of ours can.
fn rendered(page: &impl Template) -> String {
    page.render().unwrap_or_default()
}

/// The page for a problem as a whole response, whatever media type the request's `headers` ask for.
pub(in crate::http) fn refusal_page(mut problem: Problem, headers: &HeaderMap) -> Response {
    let id = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    problem.instance = id.map(|id| format!("/requests/{id}"));
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Html(error_page(&problem))).into_response()
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
