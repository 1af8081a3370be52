//! The feed, the API and the pages.

pub mod api;
pub mod feed;
mod head;
mod line;
pub mod pages;

mod extract;
mod fast_path;
mod openapi;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use contract::time::Timestamp;
use kit::clock::SharedClock;
use kit::http::fast_path::{FastPath, Front};
use kit::http::health::{Heartbeat, Reasons};
use kit::http::site::Site;
use kit::http::{assets, auth, docs, health};
use kit::random::Random;
use kit::settings::Secret;
use tokio_util::sync::CancellationToken;
use url::Url;
use utoipa_axum::router::OpenApiRouter;

use self::fast_path::{Asked, FeedPages};
pub use self::head::Head;
pub use self::line::{Line, hand_out};
use crate::news::News;
use crate::sequencer::Bell;
use crate::store::{FeedReader, Store};

/// What handlers work with. It is handed around with every request, at several places in each: one
/// pointer, so that many requests at once do not count the references of all that is in it.
pub type AppState = Arc<App>;

/// See [`AppState`].
#[derive(Clone)]
pub struct App {
    /// Everything that is kept.
    pub store: Arc<dyn Store>,
    /// What the feed's pages are read from: the store, or a hot standby of it.
    pub feed: Arc<dyn FeedReader>,
    /// The time.
    pub clock: SharedClock,
    /// Ids.
    pub random: Random,
    /// Rung after every committed change.
    pub bell: Bell,
    /// Tells that there may be something new.
    pub news: News,
    /// What requests that wait for it share.
    pub head: Head,
    /// In which order they are served, by [`hand_out`].
    pub line: Line,
    /// Tells when the sequencer last looked.
    pub heartbeat: Heartbeat,
    /// How often sequencers look by themselves; and so how often a waiting request looks for what
    /// another process has stamped.
    pub sequencer_interval: Duration,
    /// When a consumer last knew a later epoch.
    pub last_stale: LastStale,
    /// What is too long to be ready.
    pub limits: Limits,
    /// Ends requests that wait.
    pub shutdown: CancellationToken,
    /// Where the browser finds billing.
    pub billing_url: Url,
    /// Where this service asks whether billing is there.
    pub billing_probe_url: Url,
    /// What it asks with.
    pub client: reqwest::Client,
}

/// How long something may take before the service is not ready.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For how long the sequencer may be silent.
    pub sequencer_silence: Duration,
    /// For how long a committed change may wait for its place in the feed.
    pub unstamped_age: Duration,
}

/// When a consumer last came with a token of a later epoch than this provider's: a sign that this
/// one is of the past.
#[derive(Clone, Debug, Default)]
pub struct LastStale(Arc<Mutex<Option<Timestamp>>>);

impl LastStale {
    /// Such a consumer came now; whether it is the first one.
    fn note(&self, now: Timestamp) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(now).is_none()
    }

    /// When that was; `None` when none came since this process was started.
    fn at(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The service over HTTP, with a fast path for pages of the feed.
pub fn front(state: AppState, api_token: Option<Secret>) -> Front<impl FastPath> {
    let fast = FeedPages {
        state: Arc::clone(&state),
        api_token: api_token.clone(),
        asked: Asked::default(),
    };
    let (site, routes) = site(state, api_token);
    site.wrap_behind(fast, routes)
}

/// All addresses of the service.
pub fn router(state: AppState, api_token: Option<Secret>) -> Router {
    let (site, routes) = site(state, api_token);
    site.wrap(routes)
}

/// Feed and API are for callers with the token, when there is one.
fn site(state: AppState, api_token: Option<Secret>) -> (Site, Router) {
    let (for_programs, description) = OpenApiRouter::with_openapi(openapi::base())
        .merge(feed::routes())
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
        let state = Arc::clone(&state);
        move || not_ready(Arc::clone(&state))
    };
    let routes = auth::require_token(for_programs, api_token)
        .merge(pages::routes())
        .merge(docs::routes(&description, site.frame))
        .merge(health::routes(ready))
        .merge(assets::routes())
        .with_state(state);
    (site, routes)
}

/// What keeps the service from being ready.
async fn not_ready(state: AppState) -> Reasons {
    let mut reasons = Reasons::new();
    let now = state.clock.now();
    match state.store.unstamped_since().await {
        Ok(since) => {
            let age = since.map(|since| now.since(since)).unwrap_or_default();
            if age > state.limits.unstamped_age {
                reasons.push(format!(
                    "a change has waited {} s for its place in the feed: look for a transaction \
                     that was left open",
                    age.as_secs()
                ));
            }
        }
        Err(error) => {
            tracing::warn!(error = kit::telemetry::chain(&error), "the database does not answer");
            reasons.push("the database does not answer".to_owned());
        }
    }
    let silence = state.heartbeat.age();
    if silence > state.limits.sequencer_silence {
        reasons.push(format!("the sequencer has stamped nothing for {} s", silence.as_secs()));
    }
    reasons
}
