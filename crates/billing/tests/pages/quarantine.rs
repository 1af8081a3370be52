//! The page of orders in quarantine, and what other pages say about them.

use contract::order::{Order, OrderState};
use wiremock::ResponseTemplate;

use crate::world::{FEED, World, changed, order, says};

/// The next version of an order, which cannot be taken in.
fn unfit(order: &Order) -> Order {
    Order { state: OrderState::Draft, ..changed(order) }
}

#[tokio::test]
async fn what_could_not_be_taken_in_is_shown_and_retried() {
    let world = World::new().await;
    says(world.get("/quarantine").await.text(200), &["No orders in quarantine"]);
    world.holds(order(1001)).await;
    world.ordering_feeds(FEED, vec![unfit(&order(1001)), order(1002)]).await;
    let pulled = world.post("/sync/pull", "").await;
    let sync = world.get(pulled.leads_to()).await;
    says(sync.text(200), &["1 new, 0 changed, 0 removed, 1 put aside", "1 order could not be"]);
    says(&sync.body, &[r#"<a href="/quarantine">"#, "Up to date"]);
    says(world.get("/").await.text(200), &["1 order could not be", r#"<a href="/quarantine">"#]);

    let page = world.get("/quarantine").await;
    says(page.text(200), &["Order 1001", "it is a draft", "1 May 2026, 10:00 UTC", "<details>"]);
    says(&page.body, &[r#"action="/quarantine/1001/retry""#, "&#34;state&#34;:&#34;draft&#34;"]);

    // Until it is mended, nothing but the reason changes.
    world.ordering_answers(1001, ResponseTemplate::new(500)).await;
    let failed = world.post("/quarantine/1001/retry", "").await;
    says(failed.text(503), &["Order 1001 could not be pulled", "Ordering answered 500", "a draft"]);
    world.ordering_lacks(1001).await;
    let failed = world.post("/quarantine/1001/retry", "").await;
    says(failed.text(409), &["Ordering does not know this order right now"]);
    world.ordering_has(&unfit(&order(1001))).await;
    let still = world.post("/quarantine/1001/retry", "").await;
    says(world.get(still.leads_to()).await.text(200), &["still cannot be taken in", "a draft"]);

    world.ordering_has(&changed(&order(1001))).await;
    let mended = world.post("/quarantine/1001/retry", "").await;
    let page = world.get(mended.leads_to()).await;
    says(page.text(200), &["Order 1001 is taken in", r#"href="/orders/1001/invoice""#]);
    says(&page.body, &["No orders in quarantine"]);
    let again = world.post("/quarantine/1001/retry", "").await;
    says(world.get(again.leads_to()).await.text(200), &["Order 1001 is not in quarantine"]);
    assert!(!world.get("/sync").await.text(200).contains("could not be taken in"));
}

#[tokio::test]
async fn an_invoice_whose_order_is_in_quarantine_says_so() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    let invoice = format!("/invoices/{}", world.invoice(1001).await.id);
    let approve = format!("{invoice}/approve");
    let open = world.get(&invoice).await;
    says(open.text(200), &[&approve]);
    world.ordering_has(&unfit(&order(1001))).await;
    let link = world.get("/link/new_order?order=1001").await;
    let page = world.get(link.leads_to()).await;
    says(page.text(200), &["Possibly out of date", "could not be taken in:", "it is a draft"]);
    says(&page.body, &[r#"href="/quarantine?after=1000""#, "cannot be approved until"]);
    assert!(!page.body.contains(&approve), "{}", page.body);
    // Whoever had it open before is told.
    let late = world.post(&approve, "version=1").await;
    says(late.text(409), &["Not approved", "could not be taken in:"]);
}

#[tokio::test]
async fn many_are_shown_a_page_at_a_time() {
    let world = World::new().await;
    let orders = (1..=23).map(|number| Order { state: OrderState::Draft, ..order(number) });
    world.ordering_feeds(FEED, orders.collect()).await;
    world.post("/sync/pull", "").await.leads_to();
    let first = world.get("/quarantine").await;
    says(first.text(200), &["23 orders.", "Order 20<", r#"href="/quarantine?after=20""#]);
    assert!(!first.body.contains("Order 21<"));
    let second = world.get("/quarantine?after=20").await;
    says(second.text(200), &["Order 21<", "Order 23<", r#"href="/quarantine">← First"#]);
    assert!(!second.body.contains("rel=\"next\""));
    says(world.get("/quarantine?after=23").await.text(200), &["No more orders"]);
    says(world.get("/quarantine?after=x").await.text(400), &["order number"]);
}
