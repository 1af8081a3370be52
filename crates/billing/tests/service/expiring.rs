//! Invoices expire by themselves, and whoever comes too late is told so.

use std::sync::Arc;
use std::time::Duration;

use contract::problem::ProblemCode;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use testkit::wait::until;
use tokio_util::sync::CancellationToken;

use crate::on_both_databases;
use crate::ordering::{ok, order, page, token};
use crate::world::{EXPIRY, World};

const SOON: Duration = Duration::from_secs(20);

on_both_databases! {
    an_invoice_expires_when_its_time_is_over,
    the_loop_expires_all_there_are,
}

async fn an_invoice_expires_when_its_time_is_over(world: World) {
    world.pull_two_orders().await;
    world.clock.advance(EXPIRY);
    assert_eq!(world.expiry.tick().await.unwrap(), 0);
    // One of the two is another one by now, and has its own time.
    world.answers(Some(&token(2)), ok(page(vec![order(2, 2, 3)]))).await;
    world.puller.pull_once().await.unwrap();
    world.clock.advance(Duration::from_micros(1));
    assert_eq!(world.expiry.tick().await.unwrap(), 1);

    let expired = world.ask("GET", "/api/v1/invoices?state=expired", None).await.body;
    let invoice = &expired["invoices"][0];
    assert_eq!((&invoice["orderNumber"], &invoice["version"]), (&json!(1), &json!(2)));
    assert_eq!(invoice["closedAt"], "2026-05-31T10:00:00.000001Z");
    let approve = format!("/api/v1/invoices/{}/approve", invoice["id"].as_str().unwrap());
    let late = world.ask_with("POST", &approve, &[("if-match", "\"1\"")], None).await;
    assert_eq!((late.status.as_u16(), &late.body["code"]), (409, &json!(ProblemCode::Conflict)));
    let told = "The invoice expired on 31 May 2026, 10:00 UTC: nobody had approved it in time.";
    assert_eq!(late.body["detail"], told);
}

async fn the_loop_expires_all_there_are(world: World) {
    // More than one batch.
    let orders = (1..=501).map(|number| order(number, 1, number)).collect();
    world.answers(None, ok(page(orders))).await;
    world.puller.pull_once().await.unwrap();
    world.clock.advance(EXPIRY + Duration::from_secs(1));
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&world.expiry).run(shutdown.clone()));
    until("all have expired", SOON, async || {
        let counts = world.store.invoice_counts().await.unwrap();
        counts.iter().any(|(state, count)| state.as_str() == "expired" && *count == 501)
    })
    .await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_loop_survives_its_database_and_its_silence_is_noticed() {
    let world = World::postgres().await;
    let mut database = PgConnection::connect(&world.database_url).await.unwrap();
    sqlx::query("alter table orders rename to lost").execute(&mut database).await.unwrap();
    assert!(world.expiry.tick().await.is_err());
    sqlx::query("alter table lost rename to orders").execute(&mut database).await.unwrap();
    assert_eq!(world.expiry.tick().await.unwrap(), 0);

    world.clock.advance(Duration::from_mins(3));
    assert_eq!(world.expiry.blocked(), None);
    world.clock.advance(Duration::from_secs(1));
    let blocked = world.expiry.blocked();
    assert_eq!(blocked.as_deref(), Some("the expiry loop has not moved for 181 s"));
    let ready = world.ask("GET", "/health/ready", None).await;
    assert!(ready.body["detail"].as_str().unwrap().contains("expiry loop"), "{}", ready.body);
}
