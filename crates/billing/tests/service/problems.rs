//! Every problem that the API gives, over HTTP, read back from its document.

use axum::body::Body;
use axum::http::Request;
use contract::problem::{Problem, ProblemCode as P};
use serde_json::json;
use sqlx::{Connection, PgConnection};
use testkit::postgres::Server;
use wiremock::ResponseTemplate;

use crate::ordering::{EPOCH, another_feed, identity, ok, order, page, problem, token, token_of};
use crate::world::{Answer, PULL_TIMEOUT, TOKEN, World};

/// The problem of an answer, checked to be told as it should.
fn read(what: &str, answer: &Answer, code: P) -> Problem {
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{what}");
    assert_eq!(answer.headers["cache-control"], "no-store", "{what}");
    let problem: Problem = serde_json::from_value(answer.body.clone()).unwrap();
    assert_eq!(
        (answer.status.as_u16(), problem.code),
        (code.status(), code),
        "{what}: {problem:?}"
    );
    let request_id = answer.headers["x-request-id"].to_str().unwrap();
    assert_eq!(problem.instance, Some(format!("/requests/{request_id}")), "{what}");
    problem
}

#[tokio::test]
async fn what_callers_do_wrong_is_told() {
    let world = World::sqlite().await;
    world.answers(None, ok(page(vec![order(1, 1, 1)]))).await;
    world.puller.pull_once().await.unwrap();
    let invoice =
        world.ask("GET", "/api/v1/invoices", None).await.body["invoices"][0]["id"].clone();
    let invoice = invoice.as_str().unwrap();
    let approve = format!("/api/v1/invoices/{invoice}/approve");
    let nobodys = "/api/v1/invoices/0197a000-0000-7000-8000-000000000000";

    for (method, path, code, pointers) in [
        ("GET", "/api/v1/orders?limit=0", P::InvalidRequest, vec!["/limit"]),
        (
            "GET",
            "/api/v1/orders?limit=1001&after=x&y=1",
            P::InvalidRequest,
            vec!["/y", "/after", "/limit"],
        ),
        (
            "GET",
            "/api/v1/invoices?state=lost&orderNumber=x&after=1",
            P::InvalidRequest,
            vec!["/state", "/orderNumber", "/after"],
        ),
        ("GET", "/api/v1/pull?x=1", P::InvalidRequest, vec!["/x"]),
        ("GET", "/api/v1/orders?after=&limit=1&limit=2", P::InvalidRequest, vec!["/limit"]),
        ("GET", "/api/v1/orders/2", P::NotFound, vec![]),
        ("GET", "/api/v1/orders/x", P::NotFound, vec![]),
        ("GET", "/api/v1/orders/99999999999999999999", P::NotFound, vec![]),
        ("GET", "/api/v1/invoices/1", P::NotFound, vec![]),
        ("GET", "/api/v1/invoices/%00", P::NotFound, vec![]),
        ("GET", nobodys, P::NotFound, vec![]),
        ("POST", &format!("{nobodys}/approve"), P::NotFound, vec![]),
        ("GET", "/api/v1/nothing", P::NotFound, vec![]),
        ("DELETE", "/api/v1/orders/1", P::MethodNotAllowed, vec![]),
    ] {
        let problem = read(path, &world.ask(method, path, None).await, code);
        let found: Vec<_> = problem.errors.iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(found, pointers, "{path}");
    }

    let stale = world.ask_with("POST", &approve, &[("if-match", "\"7\"")], None).await;
    assert_eq!(read("a stale version", &stale, P::VersionConflict).current_version, Some(1));
    let strange = world.ask_with("POST", &approve, &[("if-match", "7")], None).await;
    assert_eq!(read("no version", &strange, P::InvalidRequest).errors[0].pointer, "/If-Match");

    let mut gone = order(1, 2, 2);
    gone.state = contract::order::OrderState::Deleted;
    world.answers(Some(&token(1)), ok(page(vec![gone]))).await;
    world.puller.pull_once().await.unwrap();
    // Whatever version was meant, and although that one was never withdrawn.
    for version in ["\"1\"", "\"2\"", "*"] {
        let withdrawn = world.ask_with("POST", &approve, &[("if-match", version)], None).await;
        assert_eq!(
            read("a withdrawn invoice", &withdrawn, P::Conflict).detail,
            "The invoice was withdrawn on 1 May 2026, 10:00 UTC because its order was deleted."
        );
    }
}

#[tokio::test]
async fn bodies_are_refused_for_what_they_are() {
    let world = World::sqlite().await;
    world.pull_two_orders().await;
    let put = async |media: &str, body: Vec<u8>| {
        let request = Request::put("/api/v1/pull/token")
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", media)
            .body(Body::from(body))
            .unwrap();
        world.send(request).await
    };
    let json = "application/json";
    read("a form", &put("text/plain", b"x".to_vec()).await, P::UnsupportedMediaType);
    read("no JSON", &put(json, b"{".to_vec()).await, P::InvalidRequest);
    read("too much", &put(json, vec![b' '; 17 * 1024 * 1024]).await, P::PayloadTooLarge);
    read("no token", &put(json, b"{}".to_vec()).await, P::ValidationFailed);
    for (token, code) in [
        (token_of(&identity(EPOCH - 1), 1), P::FeedReset),
        (token_of(&another_feed(), 1), P::FeedUnknown),
    ] {
        let body = json!({"continuationToken": token}).to_string().into_bytes();
        read("another history", &put(json, body).await, code);
    }
}

#[tokio::test]
async fn only_callers_with_the_token_reach_the_api() {
    let world = World::sqlite().await;
    for (method, path) in [
        ("GET", "/api/v1/orders"),
        ("GET", "/api/v1/orders/1"),
        ("GET", "/api/v1/invoices"),
        ("POST", "/api/v1/invoices/1/approve"),
        ("POST", "/api/v1/invoices/1/dispatch/retry"),
        ("GET", "/api/v1/pull"),
        ("POST", "/api/v1/pull"),
        ("PUT", "/api/v1/pull/token"),
    ] {
        for token in [None, Some("Bearer wrong"), Some("Basic s3cret")] {
            let mut request = Request::builder().method(method).uri(path);
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            let answer = world.send(request.body(Body::empty()).unwrap()).await;
            read(path, &answer, P::Unauthorized);
            assert_eq!(answer.headers["www-authenticate"], "Bearer", "{path}");
        }
    }
    assert_eq!(world.times_asked().await, 0);
}

#[tokio::test]
async fn a_pull_that_fails_is_told_by_its_cause() {
    let world = World::sqlite().await;
    world.pull_two_orders().await;
    let secret = "secret of the other side";
    let text = |status| ResponseTemplate::new(status).set_body_string(secret);
    let stale = problem(P::StaleProvider, Some(identity(EPOCH - 1)));
    for (answer, code) in [
        (text(200), P::UpstreamInvalid),
        (text(401), P::UpstreamUnavailable),
        (text(429), P::UpstreamUnavailable),
        (text(500), P::UpstreamUnavailable),
        (text(200).set_delay(PULL_TIMEOUT * 10), P::UpstreamTimeout),
        (stale, P::StaleProvider),
        // The last one: after it nothing is asked any more.
        (problem(P::FeedUnknown, Some(another_feed())), P::UpstreamInvalid),
    ] {
        world.answers(Some(&token(2)), answer).await;
        let told = world.ask("POST", "/api/v1/pull", None).await;
        read("a failed pull", &told, code);
        assert!(!told.body.to_string().contains(secret), "{}", told.body);
        assert_eq!(told.headers.contains_key("retry-after"), told.status == 503);
    }
}

#[tokio::test]
async fn a_fault_of_the_database_is_told_without_its_text() {
    let world = World::postgres().await;
    let mut database = PgConnection::connect(&world.database_url).await.unwrap();
    sqlx::query("alter table orders rename to lost_orders").execute(&mut database).await.unwrap();
    for path in ["/api/v1/orders", "/api/v1/orders/1"] {
        let answer = world.ask("GET", path, None).await;
        read(path, &answer, P::Internal);
        assert!(!answer.body.to_string().contains("relation"), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_told_until_it_is_back() {
    let mut server = Server::start().await;
    let world = World::on(server.create_database("billing").await).await;
    server.kill();
    let (state, pulled, ready) = tokio::join!(
        world.ask("GET", "/api/v1/pull", None),
        world.ask("POST", "/api/v1/pull", None),
        world.ask("GET", "/health/ready", None),
    );
    for answer in [state, pulled, ready] {
        read("no database", &answer, P::Unavailable);
        assert_eq!(answer.headers["retry-after"], "5");
    }
    assert_eq!(world.ask("GET", "/health/live", None).await.status, 200);
    assert_eq!(world.times_asked().await, 0, "without the token there is nothing to ask");

    server.start_again().await;
    assert_eq!(world.ask("GET", "/api/v1/pull", None).await.status, 200);
    assert_eq!(world.ask("GET", "/health/ready", None).await.status, 200);
}
