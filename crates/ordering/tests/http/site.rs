//! What holds for all addresses: tokens, request ids, pages for people, compression, headers.

use std::time::Duration;

use axum::http::StatusCode;
use contract::problem::ProblemCode;

use crate::fixture::{App, Ask, LIMITS};

#[tokio::test]
async fn feed_and_api_are_for_callers_with_the_token() {
    let app = App::sqlite().await.with_token("secret");
    for path in [
        "/feed/v1/orders",
        "/feed/v1/orders/1",
        "/feed/v1/status",
        "/feed/v1/nothing",
        "/feed/v1",
        "/feed/v1/",
        "/api/v1/orders",
        "/api/v1/orders/1",
        "/api/v1/customers",
    ] {
        app.get(path).await.problem(ProblemCode::Unauthorized);
        app.send(Ask::get(path).token("guess")).await.problem(ProblemCode::Unauthorized);
        app.send(Ask::new("PATCH", path)).await.problem(ProblemCode::Unauthorized);
        let known = app.send(Ask::get(path).token("secret")).await;
        assert_ne!(known.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs/", "/orders"]
    {
        assert_eq!(app.get(path).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_request_keeps_its_id() {
    let app = App::sqlite().await;
    let named = app.send(Ask::get("/feed/v1/orders/7").header("x-request-id", "from.caller-1"));
    let named = named.await;
    assert_eq!(named.header("x-request-id"), "from.caller-1");
    let problem = named.problem(ProblemCode::NotFound);
    assert_eq!(problem.instance.as_deref(), Some("/requests/from.caller-1"));
    let harmful = app.send(Ask::get("/health/live").header("x-request-id", "<script>")).await;
    assert_ne!(harmful.header("x-request-id"), "<script>");
    let other = app.get("/health/live").await;
    assert_ne!(other.header("x-request-id"), harmful.header("x-request-id"));
}

#[tokio::test]
async fn people_get_pages_for_errors() {
    let app = App::sqlite().await;
    for (path, status) in
        [("/nowhere", 404), ("/orders/4242", 404), ("/api/v1/orders?limit=0", 400)]
    {
        let page = app.send(Ask::get(path).header("accept", "text/html,*/*;q=0.8")).await;
        assert_eq!(page.status.as_u16(), status, "{path}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(page.text().contains(page.header("x-request-id")), "it can be reported");
        let policy = page.header("content-security-policy");
        assert!(policy.contains("script-src 'self'; "), "{policy}");
        assert!(policy.contains("form-action 'self' http://billing.example:8081;"), "{policy}");
    }
}

#[tokio::test]
async fn soap_clients_get_envelopes_for_errors() {
    let app = App::sqlite().await;
    let ask = Ask::get("/feed/v1/orders?limit=0&after=%3C").header("accept", "text/xml");
    let answer = app.send(ask).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.header("content-type"), "text/xml; charset=utf-8");
    let identity = app.store.identity().await.unwrap();
    for part in [
        "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\">",
        "<faultcode>soap:Client</faultcode>",
        "<code>invalid-request</code>",
        "<pointer>/limit</pointer>",
        "<pointer>/after</pointer>",
        &format!("<feedId>{}</feedId>", identity.feed_id),
        &format!("<instance>/requests/{}</instance>", answer.header("x-request-id")),
    ] {
        assert!(answer.text().contains(part), "no {part} in {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_a_body() {
    let app = App::sqlite().await;
    let order = app.confirmed().await;
    app.tick().await;
    let one = format!("/api/v1/orders/{}", order.number);
    for path in ["/feed/v1/orders", "/feed/v1/status", one.as_str(), "/health/live"] {
        let (head, get) = (app.send(Ask::new("HEAD", path)).await, app.get(path).await);
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0), "{path}");
        for name in ["content-type", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{path}");
        }
        assert_eq!(head.headers.get("etag"), get.headers.get("etag"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_compressed_when_asked_for() {
    let app = App::sqlite().await;
    app.confirmed().await;
    app.tick().await;
    let plain = app.get("/feed/v1/orders").await;
    let packed = app.send(Ask::get("/feed/v1/orders").header("accept-encoding", "gzip")).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.body.starts_with(&[0x1f, 0x8b]), "RFC 1952, section 2.3.1");
    assert!(packed.body.len() < plain.body.len());
    assert_eq!(packed.etag(), plain.etag());
    assert_eq!(
        (packed.header("vary"), plain.header("vary")),
        ("accept-encoding", "accept-encoding")
    );
    assert!(!plain.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let app = App::sqlite().await;
    let answer = app.send(Ask::new("PATCH", "/api/v1/orders/1")).await;
    answer.problem(ProblemCode::MethodNotAllowed);
    let mut allowed: Vec<_> = answer.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["DELETE", "GET", "HEAD", "PUT"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_sequencer_makes_the_service_unready() {
    let app = App::sqlite().await;
    app.clock.advance(LIMITS.sequencer_silence);
    assert_eq!(app.get("/health/ready").await.status, StatusCode::OK, "as long is allowed");
    app.clock.advance(Duration::from_secs(1));
    let unready = app.get("/health/ready").await;
    let problem = unready.problem(ProblemCode::Unavailable);
    assert!(problem.detail.contains("sequencer"), "{}", problem.detail);
    assert_eq!(app.get("/health/live").await.status, StatusCode::OK);
    app.tick().await;
    assert_eq!(app.get("/health/ready").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_gets_no_number_makes_the_service_unready() {
    let app = App::postgres().await;
    app.confirmed().await;
    app.tick().await;
    // Written now, and committed by somebody who takes their time.
    let mut writer = app.outsider().await;
    sqlx::raw_sql("begin; update orders set note = note").execute(&mut writer).await.unwrap();
    app.clock.advance(LIMITS.unstamped_age);
    app.tick().await;
    sqlx::raw_sql("commit").execute(&mut writer).await.unwrap();
    assert_eq!(app.get("/health/ready").await.status, StatusCode::OK, "as long is allowed");
    app.clock.advance(Duration::from_secs(1));
    let problem = app.get("/health/ready").await.problem(ProblemCode::Unavailable);
    assert!(problem.detail.contains("61 s"), "{}", problem.detail);
    app.tick().await;
    assert_eq!(app.get("/health/ready").await.status, StatusCode::OK);
}
