//! One of the four is away: what the others answer meanwhile, and that nothing is lost.
//!
//! Orders are changed right before ordering or its database is killed: such a change is committed
//! and perhaps not stamped, certainly not pulled.

use contract::problem::ProblemCode;
use e2e::api::assert_refused;
use e2e::billing::Billing;
use e2e::equal::until_equal;
use e2e::ordering::content;
use e2e::pair::{Database, Engine, Pair};
use reqwest::Method;
use reqwest::header::{LOCATION, RETRY_AFTER};
use testkit::postgres::Server;
use testkit::wait;

use crate::SOON;

/// Follows the deep link of an order that billing has, while it cannot be pulled: the invoice is
/// shown, marked as possibly out of date.
async fn assert_stale_invoice(billing: &Billing, number: i64) {
    let answer = billing.follow_link(number).await.unwrap();
    assert_eq!(answer.status(), 303);
    let invoice = answer.headers()[LOCATION].to_str().unwrap().to_owned();
    assert!(invoice.starts_with(&format!("/orders/{number}/invoice")), "{invoice}");
    let (status, page) = billing.page(&invoice).await;
    assert_eq!(status, 200);
    assert!(page.contains("out of date"), "the page says how old it is:\n{page}");
}

/// Follows the deep link of an order that billing cannot show: a page that says to try again.
async fn assert_try_again_page(billing: &Billing, number: i64) {
    let answer = billing.follow_link(number).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key(RETRY_AFTER));
    let page = answer.text().await.unwrap();
    assert!(page.contains("<html"), "{page}");
}

#[tokio::test]
async fn ordering_is_away() {
    let (ordering_db, billing_db) =
        (Database::new(Engine::Sqlite).await, Database::new(Engine::Postgres).await);
    let mut pair = Pair::start(ordering_db.url(), billing_db.url()).await;
    let (ordering, billing) = pair.clients();
    let customer = ordering.customer("Ada Yards").await.unwrap();
    let order = ordering.create_confirmed(&content(&customer, "before", 1)).await.unwrap();
    until_equal(&ordering, &billing, SOON).await;

    ordering.replace(order.number, order.version, &content(&customer, "last", 2)).await.unwrap();
    pair.ordering.kill();

    assert_refused(billing.pull().await, ProblemCode::UpstreamUnavailable);
    wait::until("billing's own pull fails too, and is said to", SOON, async || {
        let status = billing.pull_status().await.unwrap();
        status.last_error.is_some() && status.consecutive_failures > 0
    })
    .await;
    assert_stale_invoice(&billing, order.number).await;
    assert_try_again_page(&billing, order.number + 1000).await;
    billing.readiness().await.expect("billing serves what it has");

    pair.ordering.start_again().await;
    let late = ordering.create_confirmed(&content(&customer, "after", 3)).await.unwrap();
    until_equal(&ordering, &billing, SOON).await;
    assert!(billing.order(late.number).await.is_some());
    wait::until("billing is content again", SOON, async || {
        let status = billing.pull_status().await.unwrap();
        status.last_error.is_none() && status.consecutive_failures == 0
    })
    .await;
    pair.billing.assert_running();
}

#[tokio::test]
async fn billing_is_away() {
    let (ordering_db, billing_db) =
        (Database::new(Engine::Postgres).await, Database::new(Engine::Sqlite).await);
    let mut pair = Pair::start(ordering_db.url(), billing_db.url()).await;
    let (ordering, billing) = pair.clients();
    let customer = ordering.customer("Ada Yards").await.unwrap();
    let order = ordering.create_confirmed(&content(&customer, "before", 1)).await.unwrap();
    until_equal(&ordering, &billing, SOON).await;

    let (_, page) = billing.page(&format!("/orders/{}/invoice", order.number)).await;
    assert!(!page.contains("out of date"), "nothing is out of date yet:\n{page}");
    pair.billing.kill();
    ordering.delete(order.number, None).await.unwrap();
    let draft = ordering.create(&content(&customer, "meanwhile", 2), None).await.unwrap();
    // As a browser presses Confirm, with the cross-site protection's header.
    let request = ordering
        .request(Method::POST, &format!("/orders/{}/confirm", draft.number))
        .header("Accept", "text/html")
        .header("Sec-Fetch-Site", "same-origin")
        .header("Content-Type", "application/x-www-form-urlencoded");
    let answer = request.body(format!("version={}", draft.version)).send().await.unwrap();
    assert_eq!(answer.status(), 303);
    let (_, page) = ordering.page(answer.headers()[LOCATION].to_str().unwrap()).await;
    assert!(page.contains("confirmed") && page.contains("not available"), "{page}");
    let link = format!("/link/new_order?order={}", draft.number);
    assert!(page.contains(&link), "the page leads on, once billing is there:\n{page}");
    let confirmed = ordering.order(draft.number).await.unwrap();
    assert!(confirmed.confirmed_at.is_some());
    ordering.readiness().await.expect("ordering does not need billing");

    pair.billing.start_again().await;
    until_equal(&ordering, &billing, SOON).await;
    assert!(billing.order(order.number).await.unwrap().deleted);
    pair.ordering.assert_running();
}

#[tokio::test]
async fn the_database_of_ordering_is_away() {
    let mut server = Server::start().await;
    let billing_db = Database::new(Engine::Postgres).await;
    let mut pair = Pair::start(&server.create_database("ordering").await, billing_db.url()).await;
    let (ordering, billing) = pair.clients();
    let customer = ordering.customer("Ada Yards").await.unwrap();
    let order = ordering.create_confirmed(&content(&customer, "before", 1)).await.unwrap();
    until_equal(&ordering, &billing, SOON).await;

    let changed = content(&customer, "last", 2);
    let order = ordering.replace(order.number, order.version, &changed).await.unwrap();
    server.kill();

    assert_refused(ordering.order(order.number).await, ProblemCode::Unavailable);
    assert_refused(ordering.create(&changed, None).await, ProblemCode::Unavailable);
    assert_refused(ordering.feed(None, 10).await, ProblemCode::Unavailable);
    let (status, _) = ordering.page("/orders").await;
    assert_eq!(status, 503);
    let problem = assert_refused(ordering.readiness().await, ProblemCode::Unavailable);
    assert!(problem.detail.contains("database"), "{}", problem.detail);
    assert_eq!(ordering.raw("/health/live").await.status(), 200);
    assert_refused(billing.pull().await, ProblemCode::UpstreamUnavailable);
    assert_stale_invoice(&billing, order.number).await;

    server.start_again().await;
    wait::until("ordering is ready again", SOON, async || ordering.readiness().await.is_ok()).await;
    ordering.create_confirmed(&content(&customer, "after", 3)).await.unwrap();
    until_equal(&ordering, &billing, SOON).await;
    assert_eq!(billing.order(order.number).await.unwrap().order.note.as_deref(), Some("last"));
    pair.ordering.assert_running();
    pair.billing.assert_running();
}

#[tokio::test]
async fn the_database_of_billing_is_away() {
    let mut server = Server::start().await;
    let ordering_db = Database::new(Engine::Postgres).await;
    let mut pair = Pair::start(ordering_db.url(), &server.create_database("billing").await).await;
    let (ordering, billing) = pair.clients();
    let customer = ordering.customer("Ada Yards").await.unwrap();
    let order = ordering.create_confirmed(&content(&customer, "before", 1)).await.unwrap();
    until_equal(&ordering, &billing, SOON).await;

    server.kill();
    ordering.replace(order.number, order.version, &content(&customer, "x", 2)).await.unwrap();
    let late = ordering.create_confirmed(&content(&customer, "meanwhile", 3)).await.unwrap();

    assert_refused(billing.all_orders().await, ProblemCode::Unavailable);
    assert_refused(billing.pull().await, ProblemCode::Unavailable);
    assert_try_again_page(&billing, order.number).await;
    let problem = assert_refused(billing.readiness().await, ProblemCode::Unavailable);
    assert!(problem.detail.contains("database"), "{}", problem.detail);
    assert_eq!(billing.raw("/health/live").await.status(), 200);
    ordering.readiness().await.expect("ordering does not need billing's database");

    server.start_again().await;
    until_equal(&ordering, &billing, SOON).await;
    assert!(billing.order(late.number).await.is_some());
    wait::until("billing is ready again", SOON, async || billing.readiness().await.is_ok()).await;
    pair.ordering.assert_running();
    pair.billing.assert_running();
}
