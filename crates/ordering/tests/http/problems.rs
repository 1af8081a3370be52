//! Every problem code that ordering can give, sent over HTTP and read back.

use std::collections::HashSet;

use axum::Router;
use axum::routing::get;
use contract::problem::ProblemCode;
use kit::db;
use kit::http::frame::Frame;
use kit::http::site::Site;
use ordering::error::Error;
use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use crate::fixture::{App, Ask, ada, bolts};

/// Codes of the other service, and of what stands in front of both.
const NEVER: [ProblemCode; 4] = [
    ProblemCode::TooManyRequests,
    ProblemCode::UpstreamInvalid,
    ProblemCode::UpstreamUnavailable,
    ProblemCode::UpstreamTimeout,
];

#[tokio::test(flavor = "multi_thread")]
async fn every_code_is_sent_and_read_back() {
    use ProblemCode as P;
    let app = App::sqlite().await;
    let guarded = app.with_token("secret");
    let draft = app.draft().await;
    let deleted = app.draft().await;
    let feed = app.store.identity().await.unwrap();
    let path = format!("/api/v1/orders/{}", draft.number);
    let deleted_path = format!("/api/v1/orders/{}", deleted.number);
    app.send(Ask::delete(&deleted_path)).await;
    let content = bolts(&draft.customer.id);
    let after =
        |feed_id: &str, epoch: i64| Ask::get(&format!("/feed/v1/orders?after={feed_id}-{epoch}-0"));
    let (feed_id, epoch) = (feed.feed_id.as_str(), feed.epoch.0);
    let huge = vec![b' '; 17 * 1024 * 1024];

    let table = [
        (P::InvalidRequest, Ask::get("/api/v1/orders?limit=none")),
        (P::InvalidRequest, Ask::post("/api/v1/orders").body("application/json", "{\"a\":")),
        (P::Forbidden, Ask::post("/orders").header("sec-fetch-site", "cross-site")),
        (P::NotFound, Ask::get("/api/v1/orders/4242")),
        (P::NotFound, Ask::get("/nowhere")),
        (P::MethodNotAllowed, Ask::delete("/api/v1/customers")),
        (P::Conflict, Ask::post(&format!("{deleted_path}/confirm"))),
        (P::FeedReset, after(feed_id, epoch - 1)),
        (P::FeedUnknown, after("other", epoch)),
        (P::VersionConflict, Ask::delete(&path).version(5)),
        (P::PayloadTooLarge, Ask::post("/api/v1/orders").body("application/json", huge)),
        (P::UnsupportedMediaType, Ask::post("/api/v1/customers").body("text/plain", "Ada")),
        (P::UnsupportedMediaType, Ask::post("/api/v1/customers")),
        (P::ValidationFailed, Ask::post("/api/v1/customers").json(&json!({}))),
        (P::ValidationFailed, Ask::post("/api/v1/orders").json(&json!([]))),
        (P::PreconditionRequired, Ask::put(&path).json(&content)),
        (P::StaleProvider, after(feed_id, epoch + 1)),
    ];
    let mut sent: HashSet<_> = NEVER.into();
    for (code, ask) in table {
        app.send(ask).await.problem(code);
        sent.insert(code);
    }
    let stranger = guarded.get("/api/v1/orders").await;
    stranger.problem(P::Unauthorized);
    assert_eq!(stranger.header("www-authenticate"), "Bearer");
    sent.extend([P::Unauthorized, P::Internal, P::Unavailable]); // the cases below
    let missing: Vec<_> = P::ALL.iter().filter(|code| !sent.contains(code)).collect();
    assert_eq!(missing, [] as [&P; 0], "each code is either here or never given");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_database_is_not_told() {
    let app = App::sqlite().await;
    let mut outsider = SqliteConnection::connect(&app.sqlite_url()).await.unwrap();
    sqlx::query("alter table customers rename to lost").execute(&mut outsider).await.unwrap();
    let answer = app.send(Ask::post("/api/v1/customers").json(&ada())).await;
    let problem = answer.problem(ProblemCode::Internal);
    assert_eq!(problem.detail, ProblemCode::Internal.help());
    for word in ["customers", "SQL", "sql", "table", "crates"] {
        assert!(!answer.text().contains(word), "{word} in {}", answer.text());
    }
}

/// What the store reports while its database is away.
#[tokio::test]
async fn an_unavailable_database_asks_to_try_again() {
    async fn handler() -> Result<(), Error> {
        Err(db::Error::from(sqlx::Error::PoolTimedOut).into())
    }
    let app = App::sqlite().await;
    let site = Site {
        clock: app.clock.clone(),
        random: app.state.random.clone(),
        frame: Frame { app: "Ordering", apps: &[], menu: &[], current: "" },
        form_targets: String::new(),
    };
    let router = site.wrap(Router::new().route("/", get(handler)));
    let answer = Ask::get("/").send_to(router).await;
    let problem = answer.problem(ProblemCode::Unavailable);
    assert_eq!(answer.header("retry-after"), "5");
    assert_eq!(problem.detail, ProblemCode::Unavailable.help());
}

#[tokio::test]
async fn every_code_is_explained() {
    let app = App::sqlite().await;
    for code in ProblemCode::ALL {
        let page = app.get(&format!("/problems/{code}")).await;
        assert_eq!(page.status.as_u16(), 200);
        assert!(page.text().contains(code.as_str()));
    }
    app.get("/problems/unheard-of").await.problem(ProblemCode::NotFound);
}
