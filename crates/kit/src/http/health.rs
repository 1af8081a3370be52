//! `/health/live`, `/health/ready` and `/metrics`.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use contract::problem::{Problem, ProblemCode};
use serde_json::json;

use super::problem::ProblemResponse;
use crate::clock::SharedClock;
use crate::telemetry;

/// When a background loop last made progress. Whoever sets the machine's clock makes no loop look
/// alive or dead.
#[derive(Clone)]
pub struct Heartbeat {
    clock: SharedClock,
    /// Microseconds on the clock's monotonic scale.
    last: Arc<AtomicU64>,
}

impl Heartbeat {
    /// A loop that starts now counts as alive.
    pub fn starting(clock: SharedClock) -> Self {
        let heartbeat = Self { clock, last: Arc::default() };
        heartbeat.beat();
        heartbeat
    }

    /// The loop made progress.
    pub fn beat(&self) {
        let micros = u64::try_from(self.clock.monotonic().as_micros()).unwrap_or(u64::MAX);
        self.last.store(micros, Ordering::Relaxed);
    }

    /// How long ago that was.
    pub fn age(&self) -> Duration {
        let last = Duration::from_micros(self.last.load(Ordering::Relaxed));
        self.clock.monotonic().saturating_sub(last)
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

#[cfg(test)]
mod tests {
    use contract::time::Timestamp;

    use super::*;
    use crate::clock::{Clock, ManualClock, SystemClock};

    #[test]
    fn setting_the_clock_makes_no_loop_look_dead_or_alive() {
        const HOUR: Duration = Duration::from_hours(1);
        let clock = ManualClock::at(Timestamp::from_micros(1_777_629_600_000_000));
        let heartbeat = Heartbeat::starting(clock.clone());
        clock.set(clock.now() + HOUR);
        assert_eq!(heartbeat.age(), Duration::ZERO);
        clock.set(clock.now() - HOUR - HOUR);
        clock.advance(Duration::from_secs(7));
        assert_eq!(heartbeat.age(), Duration::from_secs(7));
        heartbeat.beat();
        assert_eq!(heartbeat.age(), Duration::ZERO);
    }

    #[test]
    fn the_machine_counts_time_that_goes_by() {
        let heartbeat = Heartbeat::starting(Arc::new(SystemClock));
        std::thread::sleep(Duration::from_millis(20));
        assert!(heartbeat.age() >= Duration::from_millis(20), "{:?}", heartbeat.age());
    }
}
