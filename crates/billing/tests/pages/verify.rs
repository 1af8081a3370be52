//! The page that compares both sides, and its buttons.

use std::collections::HashMap;
use std::time::Duration;

use contract::checksum::{ChecksumPage, Summer};
use contract::order::Order;
use wiremock::matchers::path;
use wiremock::{Mock, Request, Respond, ResponseTemplate};

use crate::world::{EPOCH, Page, World, changed, identity, order, removed, says, with_order};

/// Checksums of these orders, as ordering answers them.
struct Sums {
    epoch: i64,
    orders: Vec<Order>,
    delay: Duration,
}

impl Respond for Sums {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let query: HashMap<_, _> = request.url.query_pairs().into_owned().collect();
        let number = |name: &str| query[name].parse::<i64>().unwrap();
        let mut summer = Summer::new(number("width"));
        let asked_for = number("from")..=number("through");
        let asked_for = self.orders.iter().filter(|order| asked_for.contains(&order.number));
        let mut ranges: Vec<_> = asked_for.filter_map(|order| summer.add(order)).collect();
        ranges.extend(summer.finish());
        let identity = identity(self.epoch);
        let page =
            ChecksumPage { feed_id: identity.feed_id, epoch: identity.epoch, ranges, next: None };
        ResponseTemplate::new(200).set_body_json(page).set_delay(self.delay)
    }
}

/// Ordering has these orders, and takes `delay` for checksums.
async fn ordering_has(world: &World, orders: &[Order], delay: Duration) {
    world.ordering.reset().await;
    for order in orders {
        world.ordering_also_answers(order.number, with_order(EPOCH, order)).await;
    }
    let sums = Sums { epoch: EPOCH, orders: orders.to_vec(), delay };
    Mock::given(path("/feed/v1/checksums")).respond_with(sums).mount(&world.ordering).await;
}

/// Presses a button of the page, and waits until what it started is over.
async fn press(world: &World, address: &str) -> Page {
    assert_eq!(world.post(address, "").await.leads_to(), "/verify");
    ended(world).await
}

/// The page once nothing is under way.
async fn ended(world: &World) -> Page {
    testkit::wait::value("the comparison ends", Duration::from_secs(30), async || {
        let page = world.get("/verify").await;
        (!page.text(200).contains("Under way")).then_some(page)
    })
    .await
}

#[tokio::test]
async fn equal_sides_are_said_to_be_equal() {
    let world = World::new().await;
    says(world.get("/sync").await.text(200), &[r#"href="/verify""#]);
    says(world.get("/verify").await.text(200), &["Nothing is compared yet", "Compare now"]);
    world.holds(order(1)).await;
    ordering_has(&world, &[order(1)], Duration::from_secs(1)).await;
    for _ in 0..2 {
        assert_eq!(world.post("/verify", "").await.leads_to(), "/verify");
    }
    let running = world.get("/verify").await;
    says(running.text(200), &["Under way", r#"http-equiv="refresh""#]);
    assert!(!running.body.contains("Compare now"), "one at a time: {}", running.body);
    let page = ended(&world).await;
    says(&page.body, &["<strong>Equal.</strong>", "Orders in ordering</dt><dd>1</dd>"]);
    assert!(!page.body.contains("http-equiv") && !page.body.contains("Repair"), "{}", page.body);
    assert_eq!(world.ordering.received_requests().await.unwrap().len(), 1, "one at a time");
}

#[tokio::test]
async fn differences_are_listed_and_repaired() {
    let world = World::new().await;
    for number in [1, 2, 3, 5] {
        world.holds(order(number)).await;
    }
    let theirs = [order(1), changed(&order(2)), removed(&order(3)), order(4)];
    ordering_has(&world, &theirs, Duration::ZERO).await;
    world.ordering_also_answers(5, crate::world::no_such_order()).await;
    let page = press(&world, "/verify").await;
    says(
        &page.body,
        &["<strong>4 differ.</strong>", ">Older<", ">Not deleted<", ">Missing<", ">Extra<"],
    );
    says(&page.body, &["Not yet pulled", "billing pull", "ordering new-epoch", "/verify/repair"]);
    says(&page.body, &[r#"<a href="/orders/2/invoice">2</a>"#]);
    assert!(!page.body.contains("/orders/4/invoice"), "there is no copy yet: {}", page.body);

    let page = press(&world, "/verify/repair").await;
    says(&page.body, &["<strong>1 still differs, 3 repaired.</strong>", ">Repaired<"]);
    assert!(!page.body.contains("/verify/repair"), "nothing more can be pulled: {}", page.body);
    assert!(world.store.order(3).await.unwrap().unwrap().deleted);
    assert_eq!(world.store.order(4).await.unwrap().unwrap().order, order(4));
}

#[tokio::test]
async fn what_cannot_be_compared_is_said() {
    let world = World::new().await;
    world.holds(order(1)).await;
    let sums = Sums { epoch: EPOCH + 1, orders: vec![order(1)], delay: Duration::ZERO };
    Mock::given(path("/feed/v1/checksums")).respond_with(sums).mount(&world.ordering).await;
    let page = press(&world, "/verify").await;
    says(&page.body, &["Both sides could not be compared", "has begun a new epoch, 1001"]);
    // There is nothing that could be repaired.
    let page = press(&world, "/verify/repair").await;
    says(&page.body, &["Both sides could not be compared"]);
}

#[tokio::test]
async fn the_first_hundred_differences_are_shown() {
    let world = World::new().await;
    let theirs: Vec<_> = (1..=103).map(order).collect();
    ordering_has(&world, &theirs, Duration::ZERO).await;
    let page = press(&world, "/verify").await;
    says(&page.body, &["<strong>103 differ.</strong>", "3 more are not shown"]);
    assert_eq!(page.body.matches(">Missing<").count(), 100);
}
