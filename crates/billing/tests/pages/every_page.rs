//! What holds for every page.

use std::time::Duration;

use axum::http::header::{CONTENT_SECURITY_POLICY, LOCATION};
use billing::dispatch::{DispatchFault, Ending};
use billing::store::AfterApproval;
use contract::order::{Order, OrderState};
use contract::problem::ProblemCode;
use kit::clock::Clock;

use crate::world::{World, order, says};

#[tokio::test]
async fn every_page_is_there_and_runs_no_foreign_code() {
    let mut world = World::new().await;
    let mut evil = order(1001);
    evil.customer.name = "<script>alert(1)</script>".into();
    evil.lines[0].description = Some("\"><img src=x onerror=alert(1)>".into());
    world.holds(evil.clone()).await;
    let invoice = format!("/invoices/{}", world.invoice(1001).await.id);
    world.dispatch_to("http://127.0.0.1:1/");
    world.holds(order(1003)).await;
    let dispatched = world.invoice(1003).await.id;
    let now = world.clock.now();
    world.store.approve(&dispatched, None, AfterApproval::Dispatch, now).await.unwrap();
    let dispatched = format!("/invoices/{dispatched}");
    world.ordering_has(&Order { number: 1004, state: OrderState::Draft, ..evil }).await;
    world.get("/link/new_order?order=1004").await.text(503);
    says(world.get("/quarantine").await.text(200), &["&#60;script&#62;alert(1)"]);
    let stale = "/orders/1001/invoice?stale=1";
    let several = "/link/new_order?order=1001&order=1002";
    let approve = format!("{invoice}/approve");
    let mut pages = Vec::new();
    for address in [
        "/",
        "/invoices",
        &invoice,
        "/orders/1001/invoice",
        stale,
        several,
        "/sync",
        "/quarantine",
        "/orders/missing",
        "/verify",
        "/problems/not-found",
        "/problems/upstream-timeout",
    ] {
        pages.push((address, 200, world.get(address).await));
    }
    pages.push((
        "a stale approval",
        412,
        world.post(&approve, "version=7&seen.<b>=<script>").await,
    ));
    pages.push(("a pending dispatch", 200, world.get(&dispatched).await));
    let lease = Duration::from_secs(1);
    let attempt = world.store.claim_dispatch(now, lease).await.unwrap().expect("one is due");
    let fault = DispatchFault {
        code: ProblemCode::UpstreamInvalid,
        message: "The customer's system answered 400: <script>alert(1)</script>".into(),
        status: Some(400),
        original_code: Some("<img src=x>".into()),
        request_id: Some("<img src=x>".into()),
        at: now,
    };
    world.store.record_dispatch(&attempt, &Ending::Failed { fault }, now).await.unwrap();
    pages.push(("a failed dispatch", 200, world.get(&dispatched).await));
    world.store.expire(world.clock.now(), 1, world.clock.now()).await.unwrap();
    pages.push(("an expired invoice", 200, world.get(&invoice).await));
    pages.push(("a late approval", 409, world.post(&approve, "version=1").await));
    for (address, status, page) in pages {
        let text = page.text(status);
        says(text, &["<!DOCTYPE html>", "<title>", "/assets/lockstep.css", "<h1"]);
        for inline in ["<script>", "<img src=x", " style=", " onclick="] {
            assert!(!text.contains(inline), "{address}: {inline} in {text}");
        }
        let policy = page.header(CONTENT_SECURITY_POLICY);
        says(policy, &["default-src 'none'", "script-src 'self';", "style-src 'self';"]);
    }
}

#[tokio::test]
async fn what_is_not_there_has_a_page_that_says_so() {
    let world = World::new().await;
    let unknown = "/invoices/0197b2c4-7d1e-7c3a-9b1f-2a54c8d0e911";
    for address in ["/nowhere", "/invoices/x", "/invoices/%00", unknown, "/orders/1001/invoice"] {
        says(world.get(address).await.text(404), &["not-found", "To the start page"]);
    }
    says(world.get("/orders/10x1/invoice").await.text(400), &["“10x1” is not an order number"]);
}

#[tokio::test]
async fn the_switch_leads_to_ordering() {
    let world = World::new().await;
    says(world.get("/").await.text(200), &[r#"<a href="/ordering""#]);
    let switch = world.get("/ordering").await;
    assert_eq!(switch.header(LOCATION), "https://shop.example/ordering/");
}
