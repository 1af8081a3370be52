//! The pages: plain forms and links that work without a script.

mod chart;
mod dispatch;
mod invoice;
mod invoices;
mod missing;
mod quarantine;
mod seen;
mod standing;
mod start;
mod sync;
mod verify;
mod waiting;

use axum::Router;
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::{get, post};
use contract::problem::{Problem, ProblemCode};
use kit::http::frame::Frame;

pub(super) use invoice::{Doubt, foremost, order_address, siblings};
pub(super) use waiting::{WaitingPage, reason};

use super::AppState;
use crate::error::Result;

/// The pages' routes.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(start::start))
        .route("/ordering", get(ordering))
        .route("/invoices", get(invoices::invoices))
        .route("/invoices/{id}", get(invoice::by_id))
        .route("/invoices/{id}/approve", post(invoice::approve))
        .route("/invoices/{id}/dispatch/retry", post(dispatch::retry))
        .route("/orders/missing", get(missing::missing))
        .route("/orders/{number}/missing", post(missing::decide))
        .route("/orders/{number}/invoice", get(invoice::of_order))
        .route("/quarantine", get(quarantine::quarantine))
        .route("/quarantine/{number}/retry", post(quarantine::retry))
        .route("/sync", get(sync::sync))
        .route("/sync/pull", post(sync::pull))
        .route("/sync/reset", post(sync::reset))
        .route("/verify", get(verify::verify).post(verify::compare))
        .route("/verify/repair", post(verify::repair))
}

/// The other service, for the switch in the page's head: pages need not know where it is.
async fn ordering(State(state): State<AppState>) -> Redirect {
    Redirect::to(state.ordering_url.as_str())
}

/// The frame of a page that belongs to the menu's entry `current`.
pub(super) fn frame(current: &'static str) -> Frame {
    Frame {
        app: "Billing",
        apps: &[("Ordering", "/ordering"), ("Billing", "/")],
        menu: &[("Overview", "/"), ("Invoices", "/invoices"), ("Sync", "/sync")],
        current,
    }
}

/// The number of an order, as an address names it.
pub(super) fn order_number(text: &str) -> Result<i64> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| {
        let mut shown: String = text.chars().take(40).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        let title = format!("“{shown}” is not an order number");
        let detail = "An order number is a whole number such as 1001.";
        Problem { title, ..Problem::new(ProblemCode::InvalidRequest, detail) }.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_number_is_a_positive_whole_number() {
        assert_eq!(order_number("1001").unwrap(), 1001);
        assert_eq!(order_number("9223372036854775807").unwrap(), i64::MAX);
        for wrong in ["", "0", "-1", "10x1", "1.0", " 1", "9223372036854775808", "\0"] {
            let problem = order_number(wrong).unwrap_err().into_problem();
            assert_eq!(problem.code, ProblemCode::InvalidRequest, "{wrong:?}");
        }
        let long = order_number(&"9".repeat(5_000)).unwrap_err().into_problem();
        assert!(long.title.chars().count() < 80, "{}", long.title);
    }
}
