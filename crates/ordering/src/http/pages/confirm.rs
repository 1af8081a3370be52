//! Confirming an order, and the way on to its invoice in billing.

use std::time::Duration;

use askama::Template;
use askama_web::WebTemplate;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::response::{IntoResponse, Redirect, Response};
use contract::problem::ProblemCode;
use kit::http::frame::Frame;
use url::Url;

use super::{frame, orders};
use crate::error::Result;
use crate::http::AppState;
use crate::http::extract::{OrderNumber, no_order};
use crate::store::Change;

/// How long billing may take to say that it is there, while somebody waits for the page.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Template, WebTemplate)]
#[template(path = "billing_away.html")]
struct AwayPage {
    frame: Frame,
    number: i64,
    invoice: String,
}

/// Confirms an order, then sends the browser to its invoice, or to where it can wait for billing.
pub(super) async fn confirm(
    State(state): State<AppState>,
    OrderNumber(number): OrderNumber,
    body: Bytes,
) -> Result<Response> {
    let expected = orders::seen_version(&body);
    match state.store.confirm_order(number, expected.as_ref(), state.clock.now()).await? {
        Change::Done(_) => {
            state.bell.ring().await;
            let target = if billing_is_there(&state).await {
                deep_link(&state.billing_url, number)
            } else {
                format!("/orders/{number}/billing-away")
            };
            Ok(Redirect::to(&target).into_response())
        }
        Change::VersionConflict(current) => {
            orders::changed_meanwhile(&state, number, expected.as_ref(), current).await
        }
        Change::Deleted => {
            let (title, text) = ("The order is deleted", "It cannot be confirmed any more.");
            orders::refused(&state, number, ProblemCode::Conflict, title, text).await
        }
        _ => Err(no_order()),
    }
}

/// Where to wait for billing: asks again each time it is loaded, which the page does by itself.
pub(super) async fn billing_away(
    State(state): State<AppState>,
    OrderNumber(number): OrderNumber,
) -> Result<Response> {
    let order = orders::find(&state, number).await?;
    if order.confirmed_at.is_none() {
        return Ok(Redirect::to(&format!("/orders/{number}")).into_response());
    }
    let invoice = deep_link(&state.billing_url, number);
    if billing_is_there(&state).await {
        return Ok(Redirect::to(&invoice).into_response());
    }
    let page = AwayPage { frame: frame("/orders"), number, invoice };
    let headers = [(RETRY_AFTER, "5"), (CACHE_CONTROL, "no-store")];
    Ok((StatusCode::SERVICE_UNAVAILABLE, headers, page).into_response())
}

/// Whether billing answers. Only a question of courtesy: the feed brings it the order anyway.
async fn billing_is_there(state: &AppState) -> bool {
    let url = under(&state.billing_probe_url, "/health/live");
    let answer = state.client.get(url).timeout(PROBE_TIMEOUT).send().await;
    match answer.and_then(reqwest::Response::error_for_status) {
        Ok(_) => true,
        Err(error) => {
            tracing::info!(error = kit::telemetry::chain(&error), "billing is not available");
            false
        }
    }
}

/// Billing's address that takes an order in and leads to its invoice.
pub(super) fn deep_link(billing: &Url, number: i64) -> String {
    under(billing, &format!("/link/new_order?order={number}"))
}

/// An address under `base`, which may have a path of its own.
fn under(base: &Url, path: &str) -> String {
    format!("{}{path}", base.as_str().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deep_link_keeps_the_path_billing_is_under() {
        for (base, expected) in [
            ("http://127.0.0.1:8081", "http://127.0.0.1:8081/link/new_order?order=7"),
            ("https://x.example/billing/", "https://x.example/billing/link/new_order?order=7"),
        ] {
            assert_eq!(deep_link(&base.parse().unwrap(), 7), expected);
        }
    }
}
