//! The pages: plain forms and links that work without a script.

mod errors;

use axum::Router;
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::get;
use kit::http::frame::Frame;

pub use errors::{error_page, explain};

use super::AppState;

/// The pages' routes.
pub fn routes() -> Router<AppState> {
    Router::new().route("/ordering", get(ordering))
}

/// The other service, for the switch in the page's head: pages need not know where it is.
async fn ordering(State(state): State<AppState>) -> Redirect {
    Redirect::to(state.ordering_url.as_str())
}

/// The frame of a page that belongs to the menu's entry `current`.
fn frame(current: &'static str) -> Frame {
    Frame {
        app: "Billing",
        apps: &[("Ordering", "/ordering"), ("Billing", "/")],
        menu: &[("Overview", "/"), ("Invoices", "/invoices"), ("Sync", "/sync")],
        current,
    }
}
