//! Requests that wait for something new.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::fixture::{Answer, App, on_both_databases};

on_both_databases!(a_confirm_wakes_who_waits, who_need_not_wait_does_not);

/// No request of these cases may take so long: they wait for 60 s unless something wakes them.
const PROMPTLY: Duration = Duration::from_secs(20);

async fn a_confirm_wakes_who_waits(app: App) {
    let mut waiting = wait(&app);
    still_waits(&mut waiting).await;
    let order = app.confirmed().await;
    still_waits(&mut waiting).await;
    app.tick().await;
    assert_eq!(arrived(waiting).await, [order.number]);
}

async fn who_need_not_wait_does_not(app: App) {
    let order = app.confirmed().await;
    app.tick().await;
    assert_eq!(arrived(wait(&app)).await, [order.number]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_stamps_arrives_too() {
    let app = App::looking_every(Duration::from_millis(20)).await;
    let mut waiting = wait(&app);
    still_waits(&mut waiting).await;
    let order = app.confirmed().await;
    // Not through this process's sequencer: nobody tells of it.
    app.store.stamp(10, order.changed_at).await.unwrap();
    assert_eq!(arrived(waiting).await, [order.number]);
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_ends() {
    let app = App::sqlite().await;
    let begin = app.get("/feed/v1/orders").await.page().continuation_token;
    let started = Instant::now();
    let page = app.get(&format!("/feed/v1/orders?after={begin}&wait=1")).await.page();
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!((page.orders.len(), page.continuation_token), (0, begin));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_wait() {
    let app = App::sqlite().await;
    let mut waiting = wait(&app);
    still_waits(&mut waiting).await;
    app.state.shutdown.cancel();
    assert!(arrived(waiting).await.is_empty());
}

fn wait(app: &App) -> JoinHandle<Answer> {
    let app = Arc::new(app.clone());
    tokio::spawn(async move { app.get("/feed/v1/orders?wait=60").await })
}

async fn still_waits(waiting: &mut JoinHandle<Answer>) {
    let answer = timeout(Duration::from_millis(150), waiting).await;
    assert!(answer.is_err(), "nothing is new, and yet: {answer:?}");
}

async fn arrived(waiting: JoinHandle<Answer>) -> Vec<i64> {
    let answer = timeout(PROMPTLY, waiting).await.expect("is answered promptly").unwrap();
    answer.page().orders.iter().map(|order| order.number).collect()
}
