//! What a browser gets whose deep link leads to no invoice yet.

use askama::Template;
use askama_web::WebTemplate;
use contract::problem::ProblemCode;
use kit::http::frame::Frame;

use super::frame;

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
        Self { frame: frame(""), number, reason: reason(code), retry_seconds }
    }
}

/// Why there is nothing to show of an order, with `code` as what is in the way.
pub(in crate::http) fn reason(code: ProblemCode) -> &'static str {
    match code {
        ProblemCode::Unavailable => "Billing cannot reach its own database.",
        ProblemCode::Internal => "Something went wrong in billing itself.",
        ProblemCode::UpstreamInvalid | ProblemCode::StaleProvider => {
            "What ordering answers cannot be used, and billing has no copy of this order yet."
        }
        ProblemCode::UpstreamTimeout => {
            "Ordering does not answer, and billing has no copy of this order yet."
        }
        _ => "Ordering is not available, and billing has no copy of this order yet.",
    }
}
