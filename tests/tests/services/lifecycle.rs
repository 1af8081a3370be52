//! Starting, stopping, and what an operator does in between.

use std::time::Duration;

use contract::feed::FeedPage;
use e2e::equal::until_equal;
use e2e::ordering::{Ordering, content};
use e2e::pair::{Database, Engine, Node, Pair, ordering_program};
use testkit::net::free_port;
use testkit::process::Program;
use testkit::wait;

use crate::SOON;

/// Far less than the request would wait by itself.
const PROMPT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_waiting_request_is_answered_when_the_service_is_told_to_stop() {
    let database = Database::new(Engine::Sqlite).await;
    let mut node = Node::start(ordering_program(database.url(), 0, free_port())).await;
    let ordering = Ordering(node.api());
    let waiting = tokio::spawn({
        let ordering = ordering.clone();
        async move { ordering.get::<FeedPage>("/feed/v1/orders?wait=60").await }
    });
    wait::until("the request is in flight", SOON, async || {
        let metrics = ordering.raw("/metrics").await.text().await.unwrap();
        // The question itself is the other one.
        metrics.lines().any(|line| line == "http_requests_in_flight 2")
    })
    .await;

    let status = node.service().terminate(PROMPT).await;

    assert_eq!(status.code(), Some(0), "{}", node.service().log());
    let page = waiting.await.unwrap().expect("the request is answered, not cut off");
    assert_eq!(page.orders, []);
    assert_eq!(page.continuation_token.sequence_nr.0, 0, "the token is the beginning's");
}

#[tokio::test]
async fn a_signal_may_come_as_soon_as_the_address_is_known() {
    let database = Database::new(Engine::Sqlite).await;
    for _ in 0..10 {
        let mut node = Node::start(ordering_program(database.url(), 0, free_port())).await;
        let status = node.service().terminate(PROMPT).await;
        assert_eq!(status.code(), Some(0), "{}", node.service().log());
    }
}

#[tokio::test]
async fn both_services_stop_on_a_signal_and_go_on_where_they_were() {
    let (ordering_db, billing_db) =
        (Database::new(Engine::Sqlite).await, Database::new(Engine::Sqlite).await);
    let mut pair = Pair::start(ordering_db.url(), billing_db.url()).await;
    let (ordering, billing) = pair.clients();
    let customer = ordering.customer("Ada Yards").await.unwrap();
    let order = ordering.create_confirmed(&content(&customer, "before", 1)).await.unwrap();
    until_equal(&ordering, &billing, SOON).await;
    for node in [&mut pair.ordering, &mut pair.billing] {
        let status = node.service().terminate(PROMPT).await;
        assert_eq!(status.code(), Some(0), "{}", node.service().log());
        node.start_again().await;
    }
    ordering.replace(order.number, order.version, &content(&customer, "y", 2)).await.unwrap();
    until_equal(&ordering, &billing, SOON).await;
}

#[tokio::test]
async fn a_new_epoch_is_read_from_the_beginning_and_no_invoice_is_touched() {
    let (ordering_db, billing_db) =
        (Database::new(Engine::Postgres).await, Database::new(Engine::Postgres).await);
    let pair = Pair::start(ordering_db.url(), billing_db.url()).await;
    let (ordering, billing) = pair.clients();
    let customer = ordering.customer("Ada Yards").await.unwrap();
    for note in ["one", "two", "three"] {
        ordering.create_confirmed(&content(&customer, note, 1)).await.unwrap();
    }
    until_equal(&ordering, &billing, SOON).await;
    let approved = billing.invoices("").await.unwrap().swap_remove(0);
    billing.approve(&approved).await.unwrap();
    let before = billing.invoices("").await.unwrap();
    let old = ordering.status().await.unwrap();

    let program = Program::new("ordering");
    let output = program.args(["new-epoch", "--database-url", ordering_db.url()]).run().await;
    assert!(output.status.success(), "{output:?}");

    let new = ordering.status().await.unwrap();
    assert_eq!(new.feed_id, old.feed_id);
    assert!(new.epoch > old.epoch);
    wait::until("billing has read all of the new epoch by itself", SOON, async || {
        let copies = billing.all_orders().await.unwrap();
        copies.len() == 3 && copies.iter().all(|copy| copy.epoch == new.epoch)
    })
    .await;
    until_equal(&ordering, &billing, SOON).await;
    assert_eq!(billing.invoices("").await.unwrap(), before);
}
