//! The API, the deep link, the pages.

pub mod api;
pub mod link;
pub mod pages;

mod openapi;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use kit::clock::SharedClock;
use kit::http::site::Site;
use kit::http::{assets, auth, docs, health};
use kit::random::Random;
use kit::settings::Secret;
use url::Url;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::pull::Puller;
use crate::store::Store;

/// What handlers work with.
#[derive(Clone)]
pub struct AppState {
    /// Everything that is kept.
    pub store: Arc<dyn Store>,
    /// Pulls on demand.
    pub puller: Arc<Puller>,
    /// Lets invoices expire, in the background.
    pub expiry: Arc<Expiry>,
    /// The time.
    pub clock: SharedClock,
    /// Ids.
    pub random: Random,
    /// How long the deep link's pull may take, all in all.
    pub link_timeout: Duration,
    /// Where the browser finds ordering, for links back.
    pub ordering_url: Url,
}

/// All addresses of the service. Callers of the API must present `api_token`, when there is one.
pub fn router(state: AppState, api_token: Option<Secret>) -> Router {
    let (api, description) = OpenApiRouter::with_openapi(openapi::base())
        .nest("/api/v1", api::routes())
        .split_for_parts();
    let (link, link_description) = link::routes().split_for_parts();
    let description = description.merge_from(link_description);
    let site = Site {
        clock: Arc::clone(&state.clock),
        random: state.random.clone(),
        frame: pages::frame(""),
        form_targets: String::new(),
    };
    let checked = state.clone();
    let routes = auth::require_token(api, api_token)
        .merge(link)
        .merge(pages::routes())
        .merge(assets::routes())
        .merge(docs::routes(description, site.frame))
        .merge(health::routes(move || not_ready(checked.clone())))
        .with_state(state);
    site.wrap(routes)
}

/// What keeps the service from being ready. That ordering is away does not: what was pulled so far
/// is served on.
async fn not_ready(state: AppState) -> health::Reasons {
    let mut reasons = health::Reasons::new();
    if state.store.ping().await.is_err() {
        reasons.push("the database cannot be reached".to_owned());
    }
    reasons.extend(state.puller.blocked());
    reasons.extend(state.expiry.blocked());
    reasons
}

/// The id of an invoice, as an address names it, in the store's spelling. What is no UUID names no
/// invoice, and never reaches the database.
fn invoice_id(text: &str) -> Result<String> {
    text.parse::<Uuid>().map(|id| id.to_string()).map_err(|_| no_invoice())
}

fn no_invoice() -> Error {
    Error::not_found("invoice with this id")
}
