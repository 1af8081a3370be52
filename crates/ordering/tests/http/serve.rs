//! The whole service as the program starts it: listener, sequencer, stop.

use std::sync::Arc;

use clap::Parser;
use contract::feed::FeedPage;
use kit::clock::SystemClock;
use kit::lifecycle::Lifecycle;
use kit::random::Random;
use ordering::app;
use ordering::settings::{Cli, Command, ServeSettings};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::fixture::{ada, bolts};

fn settings(arguments: &[&str]) -> ServeSettings {
    let program = ["ordering", "serve"].into_iter().chain(arguments.iter().copied());
    let Command::Serve(settings) = Cli::parse_from(program).command else { unreachable!() };
    *settings
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_confirmed_arrives_without_being_asked_for_again() {
    let file = testkit::sqlite::file();
    // The interval is never over within the test: only the bell makes the sequencer look.
    let settings = settings(&[
        "--listen=127.0.0.1:0",
        "--sequencer-interval=1h",
        &format!("--database-url={}", file.url()),
        "--api-token=secret",
    ]);
    let mut lifecycle = Lifecycle::new().unwrap();
    let (clock, random) = (Arc::new(SystemClock), Random::from_os());
    let listener = app::listen(&settings).await.unwrap();
    let addr = listener.local_addr().unwrap();
    app::serve(settings, listener, &mut lifecycle, clock, random).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(lifecycle.run_until(async move { stopped.await.unwrap() }));

    let client = reqwest::Client::builder().build().unwrap();
    let url = |path: &str| format!("http://{addr}{path}");
    let post = async |path: &str, body: Value| -> Value {
        let request = client.post(url(path)).bearer_auth("secret").json(&body);
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    };
    let customer = post("/api/v1/customers", ada()).await;
    let order = bolts(customer["id"].as_str().unwrap());
    let order = post("/api/v1/orders", order).await;
    post(&format!("/api/v1/orders/{}/confirm", order["number"]), Value::Null).await;

    let feed = client.get(url("/feed/v1/orders?wait=30")).bearer_auth("secret");
    let page: FeedPage = feed.send().await.unwrap().json().await.unwrap();
    assert_eq!(page.orders[0].number, order["number"].as_i64().unwrap());

    let health = client.get(url("/health/ready")).send().await.unwrap();
    assert_eq!(health.status(), 200);
    // Everything is counted from the start, not only from its first event. What is counted is not
    // looked at: other tests of this program count as well.
    let metrics = client.get(url("/metrics")).send().await.unwrap().text().await.unwrap();
    for metric in [
        "ordering_stamped_orders_total ",
        "ordering_last_sequence_nr ",
        "ordering_epoch 17",
        "ordering_unstamped_orders ",
        "ordering_oldest_unstamped_seconds ",
        "ordering_epochs_begun_total{reason=\"failover\"} ",
        "ordering_feed_pages_read_total ",
        "ordering_feed_pages_served_total ",
        "ordering_refused_tokens_total{code=\"stale-provider\"} ",
    ] {
        assert!(metrics.contains(metric), "no {metric} in\n{metrics}");
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    assert!(client.get(url("/health/live")).send().await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn others_are_not_served_without_a_token() {
    let file = testkit::sqlite::file();
    let database = format!("--database-url={}", file.url());
    let settings = settings(&["--listen=0.0.0.0:0", &database]);
    let refused = app::listen(&settings).await.unwrap_err();
    assert!(refused.to_string().contains("--api-token (ORDERING_API_TOKEN)"), "{refused}");
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_named() {
    let file = testkit::sqlite::file();
    // A file where a folder should be.
    std::fs::write(file.path(), "").unwrap();
    let database = format!("{}/ordering.db", file.url());
    let settings = settings(&["--listen=127.0.0.1:0", &format!("--database-url={database}")]);
    let (clock, random) = (Arc::new(SystemClock), Random::from_os());
    let listener = app::listen(&settings).await.unwrap();
    let mut lifecycle = Lifecycle::new().unwrap();
    let error = app::serve(settings, listener, &mut lifecycle, clock, random).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot open {database}"));
}
