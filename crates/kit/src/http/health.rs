//! `/health/live`, `/health/ready` and `/metrics`.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use contract::problem::{Problem, ProblemCode};
use contract::time::Timestamp;
use serde_json::json;

use super::problem::ProblemResponse;
use crate::telemetry;

/// When a background loop last made progress.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<AtomicI64>);

impl Heartbeat {
    /// A loop that starts now counts as alive.
    pub fn starting_at(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.micros())))
    }

    /// The loop made progress.
    pub fn beat(&self, now: Timestamp) {
        self.0.store(now.micros(), Ordering::Relaxed);
    }

    /// How long ago that was.
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(Timestamp::from_micros(self.0.load(Ordering::Relaxed)))
    }
}

/// Why a service is not ready; empty when it is.
pub type Reasons = Vec<String>;

/// The three addresses. `check` tells what keeps the service from being ready.
pub fn routes<S, F, Fut>(check: F) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    F: Fn() -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Reasons> + Send + 'static,
{
    // Recording starts here, before the first request: what happens earlier is not counted.
    telemetry::metrics();
    Router::new()
        .route("/health/live", get(|| async { Json(json!({"status": "live"})) }))
        .route("/health/ready", get(ready::<F, Fut>).with_state(check))
        .route("/metrics", get(metrics))
}

async fn ready<F, Fut>(State(check): State<F>) -> Response
where
    F: Fn() -> Fut,
    Fut: Future<Output = Reasons>,
{
    let reasons = check().await;
    if reasons.is_empty() {
        return Json(json!({"status": "ready"})).into_response();
    }
    let problem = Problem::new(ProblemCode::Unavailable, reasons.join("; "));
    ProblemResponse::from(problem).into_response()
}

async fn metrics() -> impl IntoResponse {
    let text = telemetry::metrics().render();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
