//! The feed, the API and the pages.

pub mod api;
pub mod feed;
pub mod pages;

mod extract;
mod openapi;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use contract::feed::SequenceNr;
use kit::clock::SharedClock;
use kit::http::health::{Heartbeat, Reasons};
use kit::http::site::Site;
use kit::http::{assets, auth, docs, health};
use kit::random::Random;
use kit::settings::Secret;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;
use utoipa_axum::router::OpenApiRouter;

use crate::sequencer::Bell;
use crate::store::Store;

/// What handlers work with.
#[derive(Clone)]
pub struct AppState {
    /// Everything that is kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: SharedClock,
    /// Ids.
    pub random: Random,
    /// Rung after every committed change.
    pub bell: Bell,
    /// Wakes requests that wait for something new.
    pub news: watch::Receiver<SequenceNr>,
    /// Tells when the sequencer last looked.
    pub heartbeat: Heartbeat,
    /// How often sequencers look by themselves; and so how often a waiting request looks for what
    /// another process has stamped.
    pub sequencer_interval: Duration,
    /// Ends requests that wait.
    pub shutdown: CancellationToken,
    /// Where the browser finds billing.
    pub billing_url: Url,
    /// Where this service asks whether billing is there.
    pub billing_probe_url: Url,
    /// What it asks with.
    pub client: reqwest::Client,
}

impl AppState {
    /// How long a sequencer may be silent.
    fn patience(&self) -> Duration {
        (self.sequencer_interval * 5).max(Duration::from_secs(10))
    }
}

/// All addresses of the service. Feed and API are for callers with the token, when there is one.
pub fn router(state: AppState, api_token: Option<Secret>) -> Router {
    let (for_programs, description) = OpenApiRouter::with_openapi(openapi::base())
        .nest("/feed/v1", feed::routes(&state))
        .nest("/api/v1", api::routes())
        .split_for_parts();
    let site = Site {
        clock: Arc::clone(&state.clock),
        random: state.random.clone(),
        frame: pages::frame(""),
        // The Confirm form ends at billing's deep link, and browsers hold redirects against the
        // policy for forms too.
        form_targets: state.billing_url.origin().ascii_serialization(),
    };
    let ready = {
        let state = state.clone();
        move || not_ready(state.clone())
    };
    let routes = auth::require_token(for_programs, api_token)
        .merge(pages::routes())
        .merge(docs::routes(&description, site.frame))
        .merge(health::routes(ready))
        .merge(assets::routes())
        .with_state(state);
    site.wrap(routes)
}

/// What keeps the service from being ready.
async fn not_ready(state: AppState) -> Reasons {
    let mut reasons = Reasons::new();
    if let Err(error) = state.store.ping().await {
        tracing::warn!(error = kit::telemetry::chain(&error), "the database does not answer");
        reasons.push("the database does not answer".to_owned());
    }
    let silence = state.heartbeat.age();
    if silence > state.patience() {
        reasons.push(format!("the sequencer has stamped nothing for {} s", silence.as_secs()));
    }
    reasons
}
