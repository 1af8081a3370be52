//! How many requests there are, and how long they take: by method, route and status.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Counter, Gauge, Histogram};

use crate::telemetry;

/// The metrics of a service's requests. Each series is registered when it is first of use, not looked up
/// among all metrics with each request.
pub(super) struct Measured {
    in_flight: Gauge,
    /// By route, which are few.
    series: RwLock<HashMap<String, Vec<Series>>>,
}

struct Series {
    method: &'static str,
    status: StatusCode,
    total: Counter,
    seconds: Histogram,
}

impl Measured {
    pub(super) fn new() -> Self {
        // What is registered before the recorder is there counts nothing.
        telemetry::metrics();
        Self {
            in_flight: metrics::gauge!("http_requests_in_flight"),
            series: RwLock::new(HashMap::new()),
        }
    }

    /// Counts a request as in flight until it is answered, or its caller has gone.
    pub(super) fn enter(&self) -> InFlight {
        self.in_flight.increment(1);
        InFlight(self.in_flight.clone())
    }

    /// A request was answered.
    pub(super) fn record(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let method = label(method);
        if !self.record_known(method, route, status, took) {
            self.register(method, route, status);
            self.record_known(method, route, status, took);
        }
    }

    /// Whether there is such a series.
    fn record_known(
        &self,
        method: &'static str,
        route: &str,
        status: StatusCode,
        took: Duration,
    ) -> bool {
        let table = self.series.read().unwrap_or_else(PoisonError::into_inner);
        let mut of_route = table.get(route).into_iter().flatten();
        let series = of_route.find(|series| series.method == method && series.status == status);
        if let Some(Series { total, seconds, .. }) = series {
            total.increment(1);
            seconds.record(took);
        }
        series.is_some()
    }

    fn register(&self, method: &'static str, route: &str, status: StatusCode) {
        let labels = [
            ("method", method.to_owned()),
            ("route", route.to_owned()),
            ("status", status.as_str().to_owned()),
        ];
        let total = metrics::counter!("http_requests_total", &labels);
        let seconds = metrics::histogram!("http_request_seconds", &labels);
        let mut table = self.series.write().unwrap_or_else(PoisonError::into_inner);
        // Another request may have done so meanwhile: both are of the same metrics.
        table.entry(route.to_owned()).or_default().push(Series { method, status, total, seconds });
    }
}

/// See [`Measured::enter`].
pub(super) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Only methods that exist: callers may send any word, and each would stay as a series of its own.
fn label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_counted_in_its_own_series() {
        let measured = Measured::new();
        let in_flight = measured.enter();
        let took = Duration::from_millis(2);
        let made_up = Method::from_bytes(b"BREW").unwrap();
        for (method, status) in [
            (Method::GET, StatusCode::OK),
            (Method::GET, StatusCode::OK),
            (Method::GET, StatusCode::NOT_FOUND),
            (made_up, StatusCode::METHOD_NOT_ALLOWED),
        ] {
            measured.record(&method, "/measured/{here}", status, took);
        }
        let told = telemetry::metrics().render();
        for (labels, count) in [
            (r#"method="GET",route="/measured/{here}",status="200""#, 2),
            (r#"method="GET",route="/measured/{here}",status="404""#, 1),
            (r#"method="OTHER",route="/measured/{here}",status="405""#, 1),
        ] {
            for name in ["http_requests_total", "http_request_seconds_count"] {
                let line = format!("{name}{{{labels}}} {count}\n");
                assert!(told.contains(&line), "{line} in {told}");
            }
        }
        assert!(told.contains("http_requests_in_flight 1\n"), "{told}");
        drop(in_flight);
        assert!(telemetry::metrics().render().contains("http_requests_in_flight 0\n"));
    }
}
