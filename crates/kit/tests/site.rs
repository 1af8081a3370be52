//! What surrounds all routes, when a request does not end as it should. A program by itself: how many
//! requests are in flight is counted for the whole process.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::get;
use contract::problem::{Problem, ProblemCode};
use kit::clock::SystemClock;
use kit::http::frame::Frame;
use kit::http::site::{REQUEST_ID, Site};
use kit::random::Random;
use kit::telemetry;
use tokio::sync::Notify;
use tower::ServiceExt as _;

/// Fails before there is anything to wait for.
fn fail(_: Request) -> std::future::Ready<Request> {
    panic!("on the way in")
}

#[tokio::test]
async fn a_panic_is_answered_and_told_like_any_fault_and_who_has_gone_is_in_flight_no_more() {
    let frame = Frame { app: "Tried", apps: &[], menu: &[], current: "" };
    let site = Site {
        clock: Arc::new(SystemClock),
        random: Random::seeded(1),
        frame,
        form_targets: String::new(),
    };
    let reached = Arc::new(Notify::new());
    let reaches = Arc::clone(&reached);
    let for_ever = async move || {
        reaches.notify_one();
        std::future::pending::<()>().await;
    };
    let routes = Router::new()
        .route("/early", get(|| async {}).layer(axum::middleware::map_request(fail)))
        .route("/late", get(async || -> () { panic!("in the handler") }))
        .route("/never", get(for_ever));
    let wrapped = site.wrap(routes);
    let ask = |path: &str| {
        let request = Request::get(path).header(REQUEST_ID, "r-1").body(Body::empty());
        wrapped.clone().oneshot(request.unwrap())
    };

    for path in ["/early", "/late"] {
        let answer = ask(path).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()[REQUEST_ID], "r-1");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        let body = to_bytes(answer.into_body(), 10_000).await.unwrap();
        let problem: Problem = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem.code, ProblemCode::Internal);
        assert_eq!(problem.instance.as_deref(), Some("/requests/r-1"));
        let counted = format!(r#"route="{path}",status="500"}} 1"#);
        assert!(telemetry::metrics().render().contains(&counted), "{counted}");
    }

    let asking = tokio::spawn(ask("/never"));
    reached.notified().await;
    let in_flight = |count: u32| format!("http_requests_in_flight {count}\n");
    assert!(telemetry::metrics().render().contains(&in_flight(1)));
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    assert!(telemetry::metrics().render().contains(&in_flight(0)));
}
