//! The loop: goes on trying with the same token, whatever fails, and stops at once when told to.

use std::sync::Arc;
use std::time::Duration;

use kit::lifecycle::BoxError;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use testkit::wait::until;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wiremock::ResponseTemplate;

use crate::ordering::{nothing_new, ok, order, page, token};
use crate::world::{PULL_TIMEOUT, World};

const SOON: Duration = Duration::from_secs(20);
/// So long that only a failure or a call makes the loop pull a second time.
const SELDOM: Duration = Duration::from_hours(1_000);

struct Loop {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), BoxError>>,
}

impl Loop {
    fn start(world: &World, interval: Duration) -> Self {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(Arc::clone(&world.puller).run(interval, None, shutdown.clone()));
        Self { shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn it_goes_on_with_the_same_token_until_ordering_is_back() {
    let world = World::postgres().await;
    world.pull_two_orders().await;
    world.answers(Some(&token(2)), ResponseTemplate::new(500)).await;
    let running = Loop::start(&world, SELDOM);
    until("three tries in vain", SOON, async || world.times_asked().await >= 3).await;
    world.answers(Some(&token(2)), ok(page(vec![order(3, 1, 3)]))).await;
    until("the order arrives", SOON, async || world.store.order(3).await.unwrap().is_some()).await;
    // Noted in a transaction of its own, after the one that brought the order.
    until("the outage is over", SOON, async || world.pull_state().await.consecutive_failures == 0)
        .await;
    running.stop().await;
    assert_eq!(world.times_asked().await, 1);
}

#[tokio::test]
async fn it_survives_its_own_database() {
    let world = World::postgres().await;
    let mut database = PgConnection::connect(&world.database_url).await.unwrap();
    sqlx::query("alter table orders rename to lost_orders").execute(&mut database).await.unwrap();
    world.answers(None, ok(page(vec![order(1, 1, 1)]))).await;
    let running = Loop::start(&world, SELDOM);
    until("three tries in vain", SOON, async || world.times_asked().await >= 3).await;
    assert_eq!(world.pull_state().await.continuation_token, None);
    sqlx::query("alter table lost_orders rename to orders").execute(&mut database).await.unwrap();
    until("the token moves", SOON, async || {
        world.pull_state().await.continuation_token == Some(token(1))
    })
    .await;
    assert!(world.store.order(1).await.unwrap().is_some());
    running.stop().await;
}

#[tokio::test]
async fn it_pulls_every_interval() {
    let world = World::sqlite().await;
    world.pull_two_orders().await;
    world.answers(Some(&token(2)), ok(nothing_new(&token(2)))).await;
    let running = Loop::start(&world, Duration::from_millis(10));
    until("it pulls a third time", SOON, async || world.times_asked().await >= 3).await;
    running.stop().await;
}

#[tokio::test]
async fn a_new_token_is_read_soon() {
    let world = World::sqlite().await;
    world.pull_two_orders().await;
    world.answers(Some(&token(2)), ok(nothing_new(&token(2)))).await;
    let running = Loop::start(&world, SELDOM);
    until("the first pull", SOON, async || world.times_asked().await == 1).await;
    world.also_answers(Some(&token(1)), ok(page(vec![order(2, 1, 2)]))).await;
    let body = json!({"continuationToken": token(1)});
    assert_eq!(world.ask("PUT", "/api/v1/pull/token", Some(body)).await.status, 200);
    until("the page is read again", SOON, async || world.pull_state().await.totals.unchanged == 1)
        .await;
    running.stop().await;
}

#[tokio::test]
async fn it_stops_while_ordering_hangs() {
    let world = World::sqlite().await;
    world.answers(None, ResponseTemplate::new(200).set_delay(PULL_TIMEOUT * 10)).await;
    let running = Loop::start(&world, SELDOM);
    until("ordering is asked", SOON, async || world.times_asked().await == 1).await;
    running.stop().await;
    assert_eq!(world.pull_state().await.consecutive_failures, 0, "nothing was waited for");
}

#[tokio::test]
async fn it_is_alive_during_its_pauses_and_not_for_ever() {
    let world = World::sqlite().await;
    world.pull_two_orders().await;
    world.answers(Some(&token(2)), ok(nothing_new(&token(2)))).await;
    let running = Loop::start(&world, SELDOM);
    until("the pause begins", SOON, async || {
        world.clock.advance(Duration::from_mins(5));
        // Before the pause, such a silence means that the loop hangs.
        world.puller.blocked().is_none() && world.times_asked().await == 1
    })
    .await;
    running.stop().await;
    // A pull on demand in the middle of the pause is a sign of life like any other.
    world.puller.pull_once().await.unwrap();
    world.clock.advance(SELDOM);
    world.expiry.tick().await.unwrap();
    assert_eq!(world.ask("GET", "/health/ready", None).await.status, 200);
    world.clock.advance(Duration::from_mins(10));
    let ready = world.ask("GET", "/health/ready", None).await;
    assert_eq!(ready.status, 503);
    assert!(ready.body["detail"].as_str().unwrap().contains("pull loop"), "{}", ready.body);
}
