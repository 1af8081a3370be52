//! The pages: plain forms and links that work without a script.
//!
//! | module | what it shows |
//! |---|---|
//! | [`orders`] | the list, one order, its deletion |
//! | [`edit`] | the form of an order, and what becomes of it |
//! | [`order_form`], [`line_fields`] | what is typed into that form, read as an order |
//! | [`field_errors`] | what is wrong with a form, each at its field |
//! | [`confirm`] | confirming, and the way on to billing |
//! | [`customers`] | customers and their form |
//! | [`status`] | how the feed is doing |

mod confirm;
mod conflict;
mod customers;
mod edit;
mod field_errors;
mod line_fields;
mod order_form;
mod orders;
mod status;

use axum::Router;
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::{get, post};
use kit::http::frame::Frame;
use url::form_urlencoded;

use super::AppState;

/// The pages' routes.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(|| async { Redirect::to("/orders") }))
        .route("/billing", get(billing))
        .route("/orders", get(orders::list).post(edit::create))
        .route("/orders/new", get(edit::new))
        .route("/orders/{number}", get(orders::show))
        .route("/orders/{number}/edit", get(edit::edit).post(edit::update))
        .route("/orders/{number}/confirm", post(confirm::confirm))
        .route("/orders/{number}/billing-away", get(confirm::billing_away))
        .route("/orders/{number}/delete", get(orders::ask_delete).post(orders::delete))
        .route("/customers", get(customers::list).post(customers::create))
        .route("/customers/new", get(customers::new))
        .route("/customers/{id}/edit", get(customers::edit).post(customers::update))
        .route("/status", get(status::show))
}

/// The other service, for the switch in the page's head: pages need not know where it is.
async fn billing(State(state): State<AppState>) -> Redirect {
    Redirect::to(state.billing_url.as_str())
}

/// The frame of a page that belongs to the menu's entry `current`.
pub(super) fn frame(current: &'static str) -> Frame {
    Frame {
        app: "Ordering",
        apps: &[("Ordering", "/"), ("Billing", "/billing")],
        menu: &[("Orders", "/orders"), ("Customers", "/customers"), ("Feed", "/status")],
        current,
    }
}

/// What happened, above the content of a page.
struct Notice {
    /// `error` or `warning`.
    kind: &'static str,
    title: String,
    text: String,
}

/// The fields of a posted form. Whatever was sent, there is some reading of it.
fn fields(body: &[u8]) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(body).into_owned()
}

/// An address with those `parameters` that have a value.
fn address(path: &str, parameters: &[(&str, &str)]) -> String {
    let given = parameters.iter().filter(|(_, value)| !value.is_empty());
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// A text to search for. Control characters match nothing, and PostgreSQL refuses NUL.
fn searchable(text: Option<&str>) -> String {
    text.unwrap_or_default().replace(char::is_control, "").trim().to_owned()
}
