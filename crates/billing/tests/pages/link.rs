//! The deep link: what the user gets, whatever ordering does.

use std::time::Duration;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, RETRY_AFTER};
use contract::problem::{Problem, ProblemCode};
use sqlx::{Connection as _, PgConnection};
use testkit::postgres::Server;
use wiremock::ResponseTemplate;

use crate::world::{EPOCH, Page, World, changed, order, removed, says};

const LINK: &str = "/link/new_order?order=1001";
/// Longer than the deep link ever waits.
const TOO_LONG: Duration = Duration::from_mins(1);

/// No answer and no copy: the page says so, and tries again by itself.
#[track_caller]
fn waits(page: &Page) {
    let retry = r#"<meta http-equiv="refresh" content="5">"#;
    says(page.text(503), &["Order 1001 cannot be fetched right now", retry, LINK]);
    assert_eq!(page.header(RETRY_AFTER), "5");
    assert_eq!(page.header(CACHE_CONTROL), "no-store");
    assert_ne!(page.header(CONTENT_SECURITY_POLICY), "");
}

/// The copy is shown, with the time at which it was received.
async fn shows_the_copy(world: &World, because: &str) {
    // The copy's own time counts, not that of the visit.
    world.clock.advance(Duration::from_hours(3));
    let page = world.get(world.get(LINK).await.leads_to()).await;
    let text = page.text(200);
    says(text, &["Possibly out of date", because, "1 May 2026, 10:00 UTC", "16.94 EUR"]);
}

#[tokio::test]
async fn a_pulled_order_leads_to_its_invoice() {
    let world = World::new().await;
    world.ordering_has(&order(1001)).await;
    let link = world.get(LINK).await;
    assert_eq!(link.leads_to(), "/orders/1001/invoice");
    let page = world.get(link.leads_to()).await;
    let text = page.text(200);
    let rows = ["Ada Yards", "1 Quay St", "1011 Delft", "Japan", "PO-77", "Bolt M8", "16.94 EUR"];
    says(text, &rows);
    says(
        text,
        &["no number yet", "Awaiting approval", "https://shop.example/ordering/orders/1001"],
    );
    assert!(!text.contains("out of date"), "{text}");
}

#[tokio::test]
async fn a_change_is_there_at_once() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    world.ordering_has(&changed(&order(1001))).await;
    let page = world.get(world.get(LINK).await.leads_to()).await;
    says(page.text(200), &["423.50 EUR"]);
}

#[tokio::test]
async fn an_answer_that_is_late_leaves_the_copy() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    let late = ResponseTemplate::new(200).set_delay(TOO_LONG);
    world.ordering_answers(1001, late).await;
    shows_the_copy(&world, "Ordering did not answer").await;
}

#[tokio::test]
async fn an_answer_that_is_late_is_waited_for_without_a_copy() {
    let world = World::new().await;
    let late = ResponseTemplate::new(200).set_delay(TOO_LONG);
    world.ordering_answers(1001, late).await;
    waits(&world.get(LINK).await);
    let document = world.get_json(LINK).await;
    assert_eq!(document.problem(504), ProblemCode::UpstreamTimeout);
    assert_eq!(document.header(RETRY_AFTER), "5");
    // The page's next try, once ordering is back.
    world.ordering_has(&order(1001)).await;
    assert_eq!(world.get(LINK).await.leads_to(), "/orders/1001/invoice");
}

#[tokio::test]
async fn a_fault_of_ordering_leaves_the_copy() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    for status in [401, 404, 500, 503] {
        world.ordering_answers(1001, ResponseTemplate::new(status)).await;
        shows_the_copy(&world, "Ordering gave no usable answer").await;
    }
}

#[tokio::test]
async fn a_fault_of_ordering_is_waited_for_without_a_copy() {
    let world = World::new().await;
    world.ordering_answers(1001, ResponseTemplate::new(500)).await;
    waits(&world.get(LINK).await);
    assert_eq!(world.get_json(LINK).await.problem(503), ProblemCode::UpstreamUnavailable);
}

#[tokio::test]
async fn an_answer_that_is_none_leaves_the_copy() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    world.ordering_answers(1001, ResponseTemplate::new(200).set_body_string("{\"feedId\": ")).await;
    shows_the_copy(&world, "Ordering gave no usable answer").await;
}

#[tokio::test]
async fn an_answer_that_is_none_is_waited_for_without_a_copy() {
    let world = World::new().await;
    world.ordering_answers(1001, ResponseTemplate::new(200).set_body_string("{\"feedId\": ")).await;
    waits(&world.get(LINK).await);
    assert_eq!(world.get_json(LINK).await.problem(502), ProblemCode::UpstreamInvalid);
}

#[tokio::test]
async fn an_ordering_of_the_past_leaves_the_copy() {
    let world = World::new().await;
    world.ordering_feeds(crate::world::FEED, vec![order(1001)]).await;
    world.post("/sync/pull", "").await.leads_to();
    world.ordering_has_in(EPOCH - 1, &changed(&order(1001))).await;
    shows_the_copy(&world, "Ordering gave no usable answer").await;
}

#[tokio::test]
async fn an_order_that_nobody_knows_is_not_found() {
    let world = World::new().await;
    world.ordering_lacks(1001).await;
    says(world.get(LINK).await.text(404), &["There is no order 1001", "Is a digit missing?"]);
    assert_eq!(world.get_json(LINK).await.problem(404), ProblemCode::NotFound);
}

#[tokio::test]
async fn an_order_that_ordering_does_not_know_right_now_leaves_the_copy() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    world.ordering_lacks(1001).await;
    shows_the_copy(&world, "Ordering does not know this order right now").await;
}

#[tokio::test]
async fn a_removed_order_is_said_to_be_removed() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    world.ordering_has(&removed(&order(1001))).await;
    let link = world.get(LINK).await;
    assert_eq!(link.leads_to(), "/orders/1001/invoice");
    let page = world.get(link.leads_to()).await;
    let text = page.text(200);
    says(text, &["The order was removed", "1 May 2026, 10:00 UTC", "Withdrawn"]);
    assert!(!text.contains("/approve"), "{text}");
}

#[tokio::test]
async fn an_order_that_was_removed_before_it_arrived_is_said_to_be_removed() {
    let world = World::new().await;
    world.ordering_has(&removed(&order(1001))).await;
    let page = world.get(world.get(LINK).await.leads_to()).await;
    says(page.text(200), &["The order was removed", "before there was an invoice"]);
}

#[tokio::test]
async fn what_is_not_a_number_is_said_not_to_be_one() {
    let world = World::new().await;
    for wrong in ["10x1", "0", "-1", "1.5", "9223372036854775808", "%3Cscript%3E", "%00"] {
        let address = format!("/link/new_order?order={wrong}");
        let page = world.get(&address).await;
        says(page.text(400), &["is not an order number", "invalid-request"]);
        assert!(!page.body.contains("<script>"), "{}", page.body);
        assert_eq!(world.get_json(&address).await.problem(400), ProblemCode::InvalidRequest);
    }
    says(world.get("/link/new_order").await.text(400), &["The link names no order"]);
    says(world.get("/link/new_order?order=").await.text(400), &["The link names no order"]);
    assert_eq!(world.ordering.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_link_is_told_at_once() {
    let world = World::new().await;
    let many: Vec<_> = (1..=21).map(|number| format!("order={number}")).collect();
    let too_many = format!("/link/new_order?{}", many.join("&"));
    let page = world.get(&too_many).await;
    says(page.text(400), &["The link names too many orders", "It names 21; 20 can be shown"]);

    let page = world.get(&format!("{too_many}&order=x&order=1.5&order=7")).await;
    let faults = ["“x” is not an order number", "“1.5” is not an order number", "It names 21;"];
    says(page.text(400), &faults);
    let document = world.get_json(&format!("{too_many}&order=x&order=1.5")).await;
    assert_eq!(document.problem(400), ProblemCode::InvalidRequest);
    let problem: Problem = serde_json::from_str(&document.body).unwrap();
    assert_eq!(problem.errors.len(), 3, "{:?}", problem.errors);
    assert_eq!(world.ordering.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn the_same_order_several_times_is_one() {
    let world = World::new().await;
    world.ordering_has(&order(1001)).await;
    let the_same = world.get("/link/new_order?order=1001&order=01001&order=&order=1001").await;
    assert_eq!(the_same.leads_to(), "/orders/1001/invoice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_waited_for() {
    let mut server = Server::start().await;
    let world = World::over(&server.create_database("billing").await).await;
    world.ordering_has(&order(1001)).await;
    server.kill();
    waits(&world.get(LINK).await);
    assert_eq!(world.get_json(LINK).await.problem(503), ProblemCode::Unavailable);
    says(world.get("/invoices").await.text(503), &["not available right now"]);
    server.start_again().await;
    assert_eq!(world.get(LINK).await.leads_to(), "/orders/1001/invoice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_is_not_waited_for_longer_than_the_link_may_take() {
    let database = testkit::postgres::database().await;
    let world = World::over(&database.url()).await;
    world.ordering_has(&order(1001)).await;
    let mut other = PgConnection::connect(&database.url()).await.unwrap();
    let mut lock = other.begin().await.unwrap();
    sqlx::query("lock table orders").execute(&mut *lock).await.unwrap();

    // The lock stays until both are answered.
    waits(&world.get(LINK).await);
    assert_eq!(world.get_json(LINK).await.problem(503), ProblemCode::Unavailable);
    let several = world.get("/link/new_order?order=1001&order=1002").await;
    says(several.text(503), &["Billing cannot reach its own database."]);

    lock.rollback().await.unwrap();
    assert_eq!(world.get(LINK).await.leads_to(), "/orders/1001/invoice");
}
